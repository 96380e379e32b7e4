/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
/* zones.conf as data: read whole or not at all. Nothing here opens a socket or knows what the options do. */

#include "base/addr.h"
#include "base/log.h"
#include "config/diagnostic.h"
#include "wire/name.h"

enum policy_kind {
#define POLICY(value, ...) POLICY_##value,
#include "tables/policies.def"
#undef POLICY
	POLICY_KINDS
};

enum transport_kind {
#define TRANSPORT(value, ...) TRANSPORT_##value,
#include "tables/transports.def"
#undef TRANSPORT
	TRANSPORT_KINDS
};

enum config_log_queries { LOG_QUERIES_OFF, LOG_QUERIES_ERRORS, LOG_QUERIES_ALL };

/* An endpoint has at most 20 addresses (the API's own bound), a zone goes to at most 4 endpoints. */
enum { CONFIG_MAX_ADDRESSES = 20, CONFIG_MAX_TO = 4, CONFIG_HEDGE_AUTO = -1 };

/* Fields of the rows, per section: struct config_cache { uint64_t size_bytes; … }. */
#define CONFIG_TYPE_BOOL bool
#define CONFIG_TYPE_COUNT uint32_t
#define CONFIG_TYPE_COUNTOFF uint32_t
#define CONFIG_TYPE_AUTO uint32_t
#define CONFIG_TYPE_SIZE uint64_t
#define CONFIG_TYPE_TIME uint64_t
#define CONFIG_TYPE_TIMEOFF uint64_t
#define CONFIG_TYPE_SHAREOFF uint32_t
#define CONFIG_TYPE_HEDGE int64_t
#define CONFIG_TYPE_TEXT char *
#define CONFIG_TYPE_POLICY enum policy_kind
#define CONFIG_TYPE_TRANSPORT enum transport_kind
#define CONFIG_TYPE_LOG_LEVEL enum log_level
#define CONFIG_TYPE_LOG_FORMAT enum log_format
#define CONFIG_TYPE_LOG_QUERIES enum config_log_queries
#define CONFIG_FIELD_top(field, type)
#define CONFIG_FIELD_endpoint(field, type)
#define CONFIG_FIELD_probe(field, type)
#define CONFIG_FIELD_cache(field, type)
#define CONFIG_FIELD_tcp(field, type)
#define CONFIG_FIELD_rate_limit(field, type)
#define CONFIG_FIELD_log(field, type)
#define OPTION(section, key, field, type, ...) CONFIG_FIELD_##section(field, CONFIG_TYPE_##type)

struct config_top {
#undef CONFIG_FIELD_top
#define CONFIG_FIELD_top(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_top
#define CONFIG_FIELD_top(field, type)
};

struct config_endpoint_options {
#undef CONFIG_FIELD_endpoint
#define CONFIG_FIELD_endpoint(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_endpoint
#define CONFIG_FIELD_endpoint(field, type)
};

struct config_probe {
#undef CONFIG_FIELD_probe
#define CONFIG_FIELD_probe(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_probe
#define CONFIG_FIELD_probe(field, type)
};

struct config_cache {
#undef CONFIG_FIELD_cache
#define CONFIG_FIELD_cache(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_cache
#define CONFIG_FIELD_cache(field, type)
};

struct config_tcp {
#undef CONFIG_FIELD_tcp
#define CONFIG_FIELD_tcp(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_tcp
#define CONFIG_FIELD_tcp(field, type)
};

struct config_rate_limit {
#undef CONFIG_FIELD_rate_limit
#define CONFIG_FIELD_rate_limit(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_rate_limit
#define CONFIG_FIELD_rate_limit(field, type)
};

struct config_log {
#undef CONFIG_FIELD_log
#define CONFIG_FIELD_log(field, type) type field;
#include "tables/options.def"
#undef CONFIG_FIELD_log
#define CONFIG_FIELD_log(field, type)
};
#undef OPTION

struct config_address {
	struct addr addr; /* port filled in */
	char *az;         /* heap; NULL: a failure domain of its own */
};

enum config_endpoint_kind { ENDPOINT_LOCAL, ENDPOINT_INBOUND, ENDPOINT_RESOLVERS };

/* An inbound endpoint, a group of resolvers, or the local upstreams. */
struct config_endpoint {
	char *name; /* heap; "local" for the local upstreams */
	enum config_endpoint_kind kind;
	struct config_endpoint_options options;
	struct config_probe probe;
	struct config_address *addresses; /* heap; count 1 to 20, 0 for local upstreams that come from resolv.conf */
	size_t count;
	unsigned line;
};

enum config_zone_source { ZONE_NAME, ZONE_VPC_ENDPOINTS, ZONE_REVERSE };

/* What is done with an answer whose addresses are not as expected: nothing, a warning, or it is kept from clients. */
enum config_guard { GUARD_OFF, GUARD_WARN, GUARD_ENFORCE };

/* Which addresses a zone's answers may hold; core/guard.h says what that means. */
struct config_expect {
	bool is_private;       /* else the networks */
	struct cidr *networks; /* heap */
	size_t count;
	struct config_expect *next; /* in config->expects */
};

/* A name that is kept resolved though nobody asks. */
struct config_warm {
	struct name name;
	unsigned line, column;
};

/* One zone, after `name: [..]`, `vpc-endpoints` and `reverse` were expanded: its name and everything below it. */
struct config_zone {
	struct name name;
	enum config_zone_source source;
	char *source_text;            /* heap: "vpc-endpoints ap-northeast-2 ssm", "reverse 10.20.0.0/14"; NULL for ZONE_NAME */
	uint16_t to[CONFIG_MAX_TO];   /* indices into endpoints, in order; 0 is local */
	uint8_t to_count;
	uint8_t guard;                /* enum config_guard; GUARD_OFF when nothing is expected */
	bool association;             /* check at its inbound endpoints that it is private there; never for reverse zones and the root */
	const struct config_expect *expect; /* shared; NULL: anything */
	unsigned line, column;        /* of the name, service or prefix that it comes from */
};

struct config {
	struct config_top top;
	struct config_cache cache;
	struct config_tcp tcp;
	struct config_rate_limit rate_limit;
	struct config_log log;
	struct addr *listen; /* heap */
	size_t listen_count;
	bool listen_default; /* nobody wrote `listen:`: a missing IPv6 is then a warning */
	struct cidr *allow_from; /* heap */
	size_t allow_from_count;
	struct cidr *rate_exempt; /* heap; whom rate_limit leaves alone */
	size_t rate_exempt_count;
	struct config_endpoint *endpoints; /* heap; [0] is always the local upstreams */
	size_t endpoint_count;
	struct config_zone *zones; /* heap; in the order of the file */
	size_t zone_count;
	struct config_expect *expects; /* what zones share; but `private`, which is nobody's */
	struct config_warm *keep_warm; /* heap; in the order of the file */
	size_t keep_warm_count;
	bool local_from_resolv; /* no `local-upstreams:` in the file */
	bool control_default;   /* nobody wrote `control:`: then it may be missing */
	uint64_t digest;        /* of the file's octets: whether it has changed since */
};

/* The environment variable that may hold the text of zones.conf. Where a path is taken this name stands for the variable's value; a file of
 * that name is written ./R53FWD_ZONES_INLINE. */
#define CONFIG_INLINE "R53FWD_ZONES_INLINE"

/* What is read when nobody named a file: CONFIG_INLINE if there is something in it, else `path`. */
const char *config_default_path(const char *path);

/* Reads and checks `path`. Returns a config that config_free frees, or NULL when there was any error; warnings and errors are
 * in `d` either way, in the order of their places. */
NODISCARD struct config *config_load(const char *path, struct diagnostics *d);

/* The same with `listen` (--listen, lent) in the place of what the file says; `count` 0: the file's. An upstream at one of these
 * addresses is a loop, so they must be known here. */
NODISCARD struct config *config_load_listening(const char *path, const struct addr *listen, size_t count, struct diagnostics *d);

/* The same at a reload, when questions wait for an answer meanwhile: what is no regular file is an error and is not waited for. */
NODISCARD struct config *config_load_again(const char *path, const struct addr *listen, size_t count, struct diagnostics *d);

/* The same from memory, for tests: `len` octets of `text`. */
NODISCARD struct config *config_load_text(const char *text, size_t len, struct diagnostics *d);
void config_free(struct config *c);

/* Whether `text` may be `http-host`: a name without anything that a program could take for something else. Asked again by whoever has
 * that program started. */
enum { CONFIG_MAX_HOST = 253 };
bool config_is_host(const char *text);

/* `control:` of a file that may be wrong in all else, be no YAML even: whoever asks a running daemon for its state must not have to mend
 * the file first. Heap; the default where the file says none, and where it does not tell: then -errno is why it cannot be read, -EINVAL
 * that what it says is no path, -EBADMSG that it is no YAML and seems to say it, but not in a line of its own that begins with `control:`.
 * NULL and -ENOMEM without memory. */
NODISCARD int config_read_control(const char *path, char **control);

/* The digest that config_load would find now. 0, or -errno when the file cannot be read (-EFBIG: too large; -ENXIO: it is no regular
 * file, and could be read once only). */
NODISCARD int config_read_digest(const char *path, uint64_t *digest);

/* What the rows say, for `r53fwd --print example|man|schema`: a commented zones.conf with every default, the options' section of
 * zones.conf(5) in mdoc, and a JSON Schema for editors. */
void config_print_example(FILE *out);
void config_print_man(FILE *out);
void config_print_schema(FILE *out);

/* A zone's `expect` as zones.conf spells it: `private`, or a list of networks. */
void config_print_expect(const struct config_expect *e, FILE *out);

/* Every option with its value in force, in zones.conf's own syntax: what `check` prints after the routing table. */
void config_print_effective(const struct config *c, FILE *out);

#endif
