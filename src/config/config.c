/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "config/endpoints.h"
#include "config/reader.h"
#include "config/zones.h"
#include "wire/text.h"

/* More addresses to listen at than this are a slip; each costs two sockets in every worker. */
enum { MAX_LISTEN = 64, MAX_NETWORKS = 65535 };

/* What a sockaddr_un holds, without the zero. */
enum { MAX_CONTROL_PATH = 107 };

/* Of `http` that names none; it is among those that exporters for Prometheus have. */
enum { HTTP_PORT = 9553 };

static const char *const default_listen[] = {"127.0.0.1:53", "[::1]:53"};

/* Loopback, RFC 1918, RFC 6598, and their like in IPv6 (RFC 4193, RFC 4291): nobody from the Internet. */
static const char *const default_allow_from[] = {"127.0.0.0/8",	  "::1/128",	    "10.0.0.0/8", "100.64.0.0/10",
						 "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",	  "fe80::/10"};

static bool set_default_listen(struct reading *r, struct config *c)
{
	c->listen = reader_allocate(r, ARRAY_SIZE(default_listen), sizeof(*c->listen));
	if (!c->listen)
		return false;
	c->listen_count = ARRAY_SIZE(default_listen);
	c->listen_default = true;
	for (size_t i = 0; i < c->listen_count; i++) {
		int read = addr_parse(&c->listen[i], default_listen[i], 53);
		ASSERT(read == 0);
	}
	return true;
}

static bool set_default_allow_from(struct reading *r, struct config *c)
{
	c->allow_from = reader_allocate(r, ARRAY_SIZE(default_allow_from), sizeof(*c->allow_from));
	if (!c->allow_from)
		return false;
	c->allow_from_count = ARRAY_SIZE(default_allow_from);
	for (size_t i = 0; i < c->allow_from_count; i++) {
		int read = cidr_parse(&c->allow_from[i], default_allow_from[i]);
		ASSERT(read == 0);
	}
	return true;
}

static bool set_defaults(struct reading *r, struct config *c)
{
	if (option_set_defaults(SECTION_top, &c->top) && option_set_defaults(SECTION_cache, &c->cache) &&
	    option_set_defaults(SECTION_tcp, &c->tcp) && option_set_defaults(SECTION_rate_limit, &c->rate_limit) &&
	    option_set_defaults(SECTION_log, &c->log) && set_default_listen(r, c) && set_default_allow_from(r, c) &&
	    endpoints_add_local(r, c))
		return true;
	diagnostics_no_memory(r->d);
	return false;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	zones_free(c);
	endpoints_free(c);
	option_free_texts(SECTION_top, &c->top);
	option_free_texts(SECTION_cache, &c->cache);
	option_free_texts(SECTION_tcp, &c->tcp);
	option_free_texts(SECTION_rate_limit, &c->rate_limit);
	option_free_texts(SECTION_log, &c->log);
	free(c->listen);
	free(c->allow_from);
	free(c->rate_exempt);
	free(c);
}

/* Reads a member of `listen`; false when there is nothing to add. */
static bool read_listen_address(struct reading *r, const struct yaml *member, const struct addr *others, size_t count, struct addr *a)
{
	static const char expected[] = "an address (IP, IP:PORT or [IP6]:PORT)";
	const char *text = reader_member(r, member, expected);
	char shown[READER_SHOWN_MAX];

	if (!text || !reader_address(r, member, 53, expected, a))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!addr_equal(&others[i], a))
			continue;
		reader_error(r, member, "%s is given twice in `listen`", reader_shown(member, shown));
		return false;
	}
	return true;
}

static void read_listen(struct reading *r, const struct yaml *key, void *into)
{
	struct config *c = into;
	const struct yaml *list = reader_expect_list(r, key, 1, MAX_LISTEN);

	if (!list)
		return;
	struct addr *listen = reader_allocate(r, list->count, sizeof(*listen));
	size_t count = 0;
	if (!listen)
		return;
	for (const struct yaml *member = list->first; member; member = member->next)
		count += read_listen_address(r, member, listen, count, &listen[count]);
	if (r->listen_given) {
		free(listen);
		return;
	}
	free(c->listen);
	c->listen = listen;
	c->listen_count = count;
	c->listen_default = false;
}

static void read_networks(struct reading *r, const struct yaml *key, struct cidr **networks, size_t *count)
{
	const struct yaml *list = reader_expect_list(r, key, 1, MAX_NETWORKS);

	if (!list)
		return;
	free(*networks);
	*networks = reader_allocate(r, list->count, sizeof(**networks));
	*count = 0;
	if (!*networks)
		return;
	for (const struct yaml *member = list->first; member; member = member->next)
		*count += reader_network(r, member, &(*networks)[*count]);
}

static void read_allow_from(struct reading *r, const struct yaml *key, void *into)
{
	struct config *c = into;

	read_networks(r, key, &c->allow_from, &c->allow_from_count);
}

static void read_rate_exempt(struct reading *r, const struct yaml *key, void *into)
{
	struct config *c = into;

	read_networks(r, key, &c->rate_exempt, &c->rate_exempt_count);
}

static const struct reader no_readers[] = {{NULL, NULL}};
static const struct reader_shape cache_shape = {"`cache`", SECTION_cache, offsetof(struct config, cache), no_readers};
static const struct reader_shape tcp_shape = {"`tcp`", SECTION_tcp, offsetof(struct config, tcp), no_readers};
static const struct reader rate_limit_readers[] = {{"exempt", read_rate_exempt}, {NULL, NULL}};
static const struct reader_shape rate_limit_shape = {"`rate-limit`", SECTION_rate_limit, offsetof(struct config, rate_limit),
						     rate_limit_readers};
static const struct reader_shape log_shape = {"`log`", SECTION_log, offsetof(struct config, log), no_readers};

static void read_cache(struct reading *r, const struct yaml *key, void *into)
{
	struct config *c = into;

	if (!reader_section(r, key, &cache_shape, c))
		return;
	/* The default of `min-ttl` is less than whatever `max-ttl` may be: it is there. */
	if (c->cache.min_ttl_us > c->cache.max_ttl_us)
		reader_error(r, yaml_tree_find(key->value, "min-ttl")->value, "`min-ttl` is greater than `max-ttl`");
	/* Or `off` would be a file. */
	if (c->cache.persist && !strchr(c->cache.persist, '/'))
		reader_error(r, yaml_tree_find(key->value, "persist")->value,
			     "`persist` must be a path, such as /var/lib/r53fwd/cache; leave it out to keep nothing");
}

static void read_tcp(struct reading *r, const struct yaml *key, void *into)
{
	reader_section(r, key, &tcp_shape, into);
}

static void read_rate_limit(struct reading *r, const struct yaml *key, void *into)
{
	reader_section(r, key, &rate_limit_shape, into);
}

static void read_log(struct reading *r, const struct yaml *key, void *into)
{
	reader_section(r, key, &log_shape, into);
}

/* In this order: an upstream must not be where we listen, and a zone goes to an endpoint. */
static const struct reader top_readers[] = {
	{"listen", read_listen},
	{"allow-from", read_allow_from},
	{"inbound-endpoints", endpoints_read_inbound},
	{"resolvers", endpoints_read_resolvers},
	{"local-upstreams", endpoints_read_local},
	{"zones", zones_read},
	{"cache", read_cache},
	{"tcp", read_tcp},
	{"rate-limit", read_rate_limit},
	{"log", read_log},
	{NULL, NULL},
};
static const struct reader_shape top_shape = {"the file", SECTION_top, offsetof(struct config, top), top_readers};

static void check_control(struct reading *r, const struct yaml *root)
{
	const struct yaml *key = yaml_tree_find(root, "control");

	r->config->control_default = key == NULL;
	if (key && key->value->kind == YAML_WORD && strlen(key->value->text) > MAX_CONTROL_PATH)
		reader_error(r, key->value, "`control` is longer than the %d octets that a socket's path may have", MAX_CONTROL_PATH);
	/* Or `off` would be a socket. */
	if (key && key->value->kind == YAML_WORD && key->value->text[0] != '\0' && !strchr(key->value->text, '/'))
		reader_error(r, key->value, "`control` must be a path, such as /run/r53fwd/control.sock; there is always a control socket");
}

bool config_is_host(const char *text)
{
	struct name name;
	size_t len = 0;

	/* Not what a program might take for an option. */
	for (; text[len] != '\0'; len++)
		if (!isalnum((unsigned char)text[len]) && (strchr("-_.", text[len]) == NULL || (len == 0 && text[len] == '-')))
			return false;
	return len <= CONFIG_MAX_HOST && text_read_name(&name, text) == 0 && name.labels > 0;
}

/* Both take TCP there: the second finds the first. */
static void check_http_is_free(struct reading *r, const struct yaml *at, const struct addr *http)
{
	char text[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];

	for (size_t i = 0; i < r->config->listen_count; i++) {
		const struct addr *own = &r->config->listen[i];
		bool any = own->sa.sa_family == http->sa.sa_family && addr_port(own) == addr_port(http) &&
			   (addr_is_any(own) || addr_is_any(http));
		if (!any && !addr_equal(own, http))
			continue;
		reader_error(r, at, "`http` must not be where DNS is answered: %s is taken by `listen` (%s)", addr_format(http, text),
			     addr_format(own, other));
		return;
	}
}

/* Whatever is read here is given to a program: it is what it should be, or an error with its place. */
static void check_http(struct reading *r, const struct yaml *root)
{
	const struct yaml *http = yaml_tree_find(root, "http"), *host = yaml_tree_find(root, "http-host");
	const struct config_top *top = &r->config->top;
	char shown[READER_SHOWN_MAX];
	struct addr a;

	if (http && top->http && addr_parse(&a, top->http, HTTP_PORT) != 0)
		reader_error(r, http->value, "`http` must be an address (IP, IP:PORT or [IP6]:PORT), not %s; leave it out for none",
			     reader_shown(http->value, shown));
	else if (http && top->http)
		check_http_is_free(r, http->value, &a);
	if (host && top->http_host && !config_is_host(top->http_host))
		reader_error(r, host->value, "`http-host` must be a domain name (letters, digits, `-`, `_` and dots; no `-` first), not %s",
			     reader_shown(host->value, shown));
}

static void read_root(struct reading *r, const struct yaml *root)
{
	if (!root || root->kind == YAML_NOTHING) {
		diagnostics_add(r->d, DIAGNOSTIC_ERROR, 0, 0, "the file is empty");
		return;
	}
	if (!reader_map(r, root, "the file", &top_shape, r->config))
		return;
	check_control(r, root);
	check_http(r, root);
	if (!yaml_tree_find(root, "zones"))
		diagnostics_add(r->d, DIAGNOSTIC_ERROR, 0, 0, "`zones` is missing; it may be an empty list: zones: []");
	/* Wrong zones go nowhere: then an endpoint is not unused. */
	if (r->d->errors == 0)
		endpoints_warn_unused(r, root);
}

/* Where the caller has us listen, if it does. */
static bool take_listen(struct reading *r, const struct addr *listen, size_t count)
{
	struct config *c = r->config;

	if (count == 0)
		return true;
	struct addr *copy = reader_allocate(r, count, sizeof(*copy));
	if (!copy)
		return false;
	memcpy(copy, listen, count * sizeof(*copy));
	free(c->listen);
	c->listen = copy;
	c->listen_count = count;
	c->listen_default = false;
	return true;
}

static struct config *load_text(const char *text, size_t len, const struct addr *listen, size_t count, struct diagnostics *d)
{
	struct yaml_tree *tree = yaml_tree_read(text, len, d);
	struct reading r = {.d = d, .listen_given = count > 0};

	if (!tree)
		return NULL;
	r.config = reader_allocate(&r, 1, sizeof(*r.config));
	if (r.config && set_defaults(&r, r.config) && take_listen(&r, listen, count))
		read_root(&r, yaml_tree_root(tree));
	yaml_tree_free(tree);
	diagnostics_sort(d);
	if (d->errors == 0)
		return r.config;
	config_free(r.config);
	return NULL;
}

struct config *config_load_text(const char *text, size_t len, struct diagnostics *d)
{
	return load_text(text, len, NULL, 0, d);
}

/* Who may wait reads pipes and terminals too. Who must not gets -ENXIO for them: to open a FIFO alone can last for ever. */
enum patience { MAY_WAIT, AT_ONCE };

static int open_file(const char *path, enum patience patience)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | (patience == AT_ONCE ? O_NONBLOCK : 0));
	struct stat s;

	if (fd < 0 || patience == MAY_WAIT || fstat(fd, &s) < 0 || S_ISREG(s.st_mode) || S_ISDIR(s.st_mode))
		return fd;
	close(fd);
	errno = ENXIO;
	return -1;
}

/* Reads a file to its end; pipes have no size to ask for. Returns octets, -errno, or -EFBIG above the bound. */
static ssize_t read_file(const char *path, enum patience patience, char **text)
{
	size_t allocated = 64 << 10, len = 0;
	int fd = open_file(path, patience);
	ssize_t got = fd < 0 ? -1 : 0;

	*text = malloc(allocated);
	while (fd >= 0 && *text && (got = read(fd, *text + len, allocated - len)) > 0) {
		len += (size_t)got;
		if (len > YAML_MAX_BYTES)
			break;
		if (len < allocated)
			continue;
		allocated *= 2;
		char *grown = realloc(*text, allocated);
		if (!grown)
			free(*text);
		*text = grown;
	}
	ssize_t result = !*text && fd >= 0 ? -ENOMEM : got < 0 ? -errno : len > YAML_MAX_BYTES ? -EFBIG : (ssize_t)len;
	if (fd >= 0)
		close(fd);
	return result;
}

const char *config_default_path(const char *path)
{
	const char *text = getenv(CONFIG_INLINE);

	return text && *text != '\0' ? CONFIG_INLINE : path;
}

/* The text of zones.conf, wherever it stands; the caller frees. Returns as read_file does. */
static ssize_t read_source(const char *path, enum patience patience, char **text)
{
	const char *inline_text = getenv(CONFIG_INLINE);

	if (strcmp(path, CONFIG_INLINE) != 0)
		return read_file(path, patience, text);
	*text = inline_text ? strdup(inline_text) : NULL;
	if (!*text)
		return inline_text ? -ENOMEM : -ENOENT;
	size_t len = strlen(*text);
	return len > YAML_MAX_BYTES ? -EFBIG : (ssize_t)len;
}

/* Not against forgers, who could write the file itself: the same in every process is what counts. */
static uint64_t digest_of(const char *text, ssize_t len)
{
	static const struct hash_key nobody;

	return hash_bytes(&nobody, text, (size_t)len);
}

int config_read_digest(const char *path, uint64_t *digest)
{
	char *text;
	ssize_t len = read_source(path, AT_ONCE, &text);

	if (len >= 0)
		*digest = digest_of(text, len);
	free(text);
	return len < 0 ? (int)len : 0;
}

static struct config *load(const char *path, enum patience patience, const struct addr *listen, size_t count, struct diagnostics *d)
{
	struct config *c = NULL;
	char *text;
	ssize_t len = read_source(path, patience, &text);

	if (len == -EFBIG)
		diagnostics_add(d, DIAGNOSTIC_ERROR, 0, 0, "the file is larger than %d MiB", YAML_MAX_BYTES >> 20);
	else if (len == -ENOMEM)
		diagnostics_no_memory(d);
	else if (len == -ENXIO)
		diagnostics_add(d, DIAGNOSTIC_ERROR, 0, 0, "cannot be read: it is a pipe or a device, which might keep the daemon waiting");
	else if (len < 0)
		diagnostics_add(d, DIAGNOSTIC_ERROR, 0, 0, "cannot be read: %s", strerror((int)-len));
	else
		c = load_text(text, (size_t)len, listen, count, d);
	if (c)
		c->digest = digest_of(text, len);
	free(text);
	return c;
}

struct config *config_load_listening(const char *path, const struct addr *listen, size_t count, struct diagnostics *d)
{
	return load(path, MAY_WAIT, listen, count, d);
}

struct config *config_load_again(const char *path, const struct addr *listen, size_t count, struct diagnostics *d)
{
	return load(path, AT_ONCE, listen, count, d);
}

struct config *config_load(const char *path, struct diagnostics *d)
{
	return config_load_listening(path, NULL, 0, d);
}

/* What the map says; NULL: nothing that could be a path. */
static const char *find_control(const struct yaml_tree *tree, bool *there)
{
	const struct yaml *root = tree ? yaml_tree_root(tree) : NULL;
	const struct yaml *key = root && root->kind == YAML_MAP ? yaml_tree_find(root, "control") : NULL;

	*there = key != NULL;
	return key && key->value->kind == YAML_WORD && key->value->text[0] != '\0' ? key->value->text : NULL;
}

/* The line of a text that is no YAML as a whole, as a text of its own: it begins with the key. Returns its octets, 0: there is none. */
static size_t find_control_line(const char *text, size_t len, const char **line)
{
	static const char key[] = "control:";
	const char *end = text + len;

	for (*line = text; *line < end;) {
		const char *stop = memchr(*line, '\n', (size_t)(end - *line));
		size_t octets = (size_t)((stop ? stop : end) - *line);
		if (octets >= sizeof(key) - 1 && memcmp(*line, key, sizeof(key) - 1) == 0)
			return octets;
		*line += octets + (stop != NULL);
	}
	return 0;
}

static bool is_of_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == '/';
}

/* `at` stands behind a word that may be a key: quoted, with blanks behind it, or the long way, `? control`. */
static bool is_key(const char *line, const char *word, const char *at, const char *end)
{
	if ((word > line && is_of_word(word[-1])) || (at < end && is_of_word(*at)))
		return false;
	while (at < end && strchr("\"' \t", *at) != NULL && *at != '\0')
		at++;
	while (word > line && strchr("\"' \t", word[-1]) != NULL && word[-1] != '\0')
		word--;
	return (at < end && *at == ':') || (word > line && word[-1] == '?');
}

/* Whether a text that is no YAML as a whole may say `control` in a way that find_control_line does not understand. */
static bool may_say_control(const char *text, size_t len)
{
	static const char word[] = "control";
	const char *end = text + len, *stop;

	for (const char *line = text; line < end; line = stop < end ? stop + 1 : end) {
		stop = memchr(line, '\n', (size_t)(end - line));
		stop = stop ? stop : end;
		while (line < stop && (*line == ' ' || *line == '\t'))
			line++;
		const char *at = line < stop && *line != '#' ? line : stop;
		while ((at = memmem(at, (size_t)(stop - at), word, sizeof(word) - 1)) != NULL) {
			at += sizeof(word) - 1;
			if (is_key(line, at - (sizeof(word) - 1), at, stop))
				return true;
		}
	}
	return false;
}

int config_read_control(const char *path, char **control)
{
	struct yaml_tree *tree = NULL;
	struct diagnostics d;
	const char *line;
	bool there;
	char *text;

	diagnostics_init(&d);
	ssize_t len = read_source(path, MAY_WAIT, &text);
	if (len >= 0)
		tree = yaml_tree_read(text, (size_t)len, &d);
	bool broken = len >= 0 && !tree;
	size_t octets = broken ? find_control_line(text, (size_t)len, &line) : 0;
	bool unclear = broken && octets == 0 && may_say_control(text, (size_t)len);
	if (octets > 0) {
		diagnostics_deinit(&d);
		tree = yaml_tree_read(line, octets, &d);
	}
	const char *found = find_control(tree, &there);
	*control = strdup(found ? found : option_find(SECTION_top, "control")->standard);
	yaml_tree_free(tree);
	free(text);
	diagnostics_deinit(&d);
	if (!*control)
		return -ENOMEM;
	return len < 0 ? (int)len : unclear ? -EBADMSG : (there || octets > 0) && !found ? -EINVAL : 0;
}
