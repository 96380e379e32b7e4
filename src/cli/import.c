/* SPDX-License-Identifier: Apache-2.0 */
/* Documents are told by their keys ("ResolverEndpoints", "Subnets", …), never by the name of the file. What has the wrong type is as good
 * as not there: only the JSON itself can be wrong enough to stop. jansson bounds the depth (2,048), we bound size and rows. */
#include "cli/import.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "cli/screen.h"

void import_init(struct import *i, FILE *notes)
{
	*i = (struct import){.notes = notes, .documents = json_array()};
	ASSERT(i->documents);
}

void import_deinit(struct import *i)
{
	free(i->endpoints);
	free(i->addresses);
	free(i->subnets);
	free(i->zones);
	free(i->vpc_endpoints);
	json_decref(i->documents);
}

void import_note(struct import *i, const char *format, ...)
{
	char line[SCREEN_CELL_MAX], cell[SCREEN_CELL_MAX];
	va_list arguments;

	if (i->notes_count++ >= IMPORT_MAX_NOTES)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fprintf(i->notes, "%s\n", screen_safe(line, cell));
}

/* ---- rows ---- */

static const char *text_of(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static bool is_same(const char *text, const char *word)
{
	return text != NULL && strcasecmp(text, word) == 0;
}

/* Makes room for one more row behind `count`: the array doubles at powers of two. False above `most`. */
static bool grow(void **rows, size_t count, size_t bytes, size_t most)
{
	if (count >= most)
		return false;
	if ((count & (count - 1)) == 0)
		*rows = reallocarray(*rows, count == 0 ? 1 : 2 * count, bytes);
	ASSERT(*rows);
	return true;
}

static void say_full(struct import *i)
{
	if (!i->full)
		import_note(i, "there is more than can be taken: the rest is left out");
	i->full = true;
}

static void read_endpoint(struct import *i, const json_t *row)
{
	const json_t *protocols = json_object_get(row, "Protocols"), *protocol;
	bool do53 = json_array_size(protocols) == 0; /* older answers do not name any */
	size_t k;

	json_array_foreach (protocols, k, protocol)
		do53 = do53 || is_same(json_string_value(protocol), "Do53");
	if (!grow((void **)&i->endpoints, i->endpoint_count, sizeof(*i->endpoints), IMPORT_MAX_ENDPOINTS)) {
		say_full(i);
		return;
	}
	i->endpoints[i->endpoint_count++] = (struct import_endpoint){
		.id = text_of(row, "Id"),
		.name = text_of(row, "Name"),
		.vpc = text_of(row, "HostVPCId"),
		.status = text_of(row, "Status"),
		.message = text_of(row, "StatusMessage"),
		.inbound = is_same(text_of(row, "Direction"), "INBOUND"),
		.do53 = do53,
		.addresses = json_integer_value(json_object_get(row, "IpAddressCount")),
	};
}

static void read_address(struct import *i, const json_t *row)
{
	if (!grow((void **)&i->addresses, i->address_count, sizeof(*i->addresses), IMPORT_MAX_ROWS)) {
		say_full(i);
		return;
	}
	i->addresses[i->address_count++] = (struct import_address){
		.ip = text_of(row, "Ip"),
		.ip6 = text_of(row, "Ipv6"),
		.subnet = text_of(row, "SubnetId"),
		.status = text_of(row, "Status"),
		.list = i->lists,
	};
}

static void read_subnet(struct import *i, const json_t *row)
{
	const char *az = text_of(row, "AvailabilityZoneId");

	if (!grow((void **)&i->subnets, i->subnet_count, sizeof(*i->subnets), IMPORT_MAX_ROWS)) {
		say_full(i);
		return;
	}
	i->subnets[i->subnet_count++] = (struct import_subnet){
		.id = text_of(row, "SubnetId"),
		.vpc = text_of(row, "VpcId"),
		.az = az != NULL ? az : text_of(row, "AvailabilityZone"),
	};
}

static void add_zone(struct import *i, const char *name, const char *comment, bool of_vpc)
{
	if (!grow((void **)&i->zones, i->zone_count, sizeof(*i->zones), IMPORT_MAX_ZONES)) {
		say_full(i);
		return;
	}
	i->zones[i->zone_count++] = (struct import_zone){.name = name, .comment = comment, .of_vpc = of_vpc};
}

static void read_hosted_zone(struct import *i, const json_t *row)
{
	const json_t *config = json_object_get(row, "Config");
	const char *name = text_of(row, "Name");

	if (json_is_true(json_object_get(config, "PrivateZone")))
		add_zone(i, name, text_of(config, "Comment"), false);
	else
		import_note(i, "%s is a public zone: left out", name != NULL ? name : "a hosted zone without a name");
}

static void read_zone_of_vpc(struct import *i, const json_t *row)
{
	i->vpc_zones_known = true;
	add_zone(i, text_of(row, "Name"), text_of(json_object_get(row, "Owner"), "OwningService"), true);
}

static void read_vpc_endpoint(struct import *i, const json_t *row)
{
	const char *id = text_of(row, "VpcEndpointId"), *type = text_of(row, "VpcEndpointType");
	const json_t *entries = json_object_get(row, "DnsEntries");

	if (type != NULL && !is_same(type, "Interface")) {
		import_note(i, "%s is a %s endpoint, which has no private names: left out", id != NULL ? id : "a VPC endpoint", type);
		return;
	}
	if (!grow((void **)&i->vpc_endpoints, i->vpc_endpoint_count, sizeof(*i->vpc_endpoints), IMPORT_MAX_ROWS)) {
		say_full(i);
		return;
	}
	i->vpc_endpoints[i->vpc_endpoint_count++] = (struct import_vpc_endpoint){
		.id = id,
		.vpc = text_of(row, "VpcId"),
		.service = text_of(row, "ServiceName"),
		.state = text_of(row, "State"),
		.private_dns = json_is_true(json_object_get(row, "PrivateDnsEnabled")),
		.entries = json_is_array(entries) ? entries : NULL,
	};
}

/* ---- documents ---- */

static const struct shape {
	const char *key;
	void (*read)(struct import *i, const json_t *row);
} shapes[] = {
	{"ResolverEndpoints", read_endpoint},
	{"ResolverEndpoint", read_endpoint},
	{"IpAddresses", read_address},
	{"Subnets", read_subnet},
	{"HostedZones", read_hosted_zone},
	{"HostedZone", read_hosted_zone},
	{"HostedZoneSummaries", read_zone_of_vpc},
	{"VpcEndpoints", read_vpc_endpoint},
};

static const struct shape *find_shape(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (strcmp(shapes[i].key, key) == 0)
			return &shapes[i];
	return NULL;
}

static bool is_about_pages(const char *key)
{
	static const char *const keys[] = {"MaxResults", "MaxItems",   "Marker",	  "IsTruncated",
					   "NextToken",	 "NextMarker", "ResponseMetadata"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static void read_rows(struct import *i, const char *name, const struct shape *shape, const json_t *value)
{
	const json_t *row;
	size_t k;

	if (json_is_object(value)) {
		shape->read(i, value);
		return;
	}
	if (!json_is_array(value)) {
		import_note(i, "%s: `%s` is no list: not used", name, shape->key);
		return;
	}
	if (shape->read == read_address && i->lists == IMPORT_MAX_LISTS) {
		say_full(i);
		return;
	}
	/* An empty list says something, too: the VPC sees no zone. */
	i->vpc_zones_known = i->vpc_zones_known || shape->read == read_zone_of_vpc;
	json_array_foreach (value, k, row)
		if (json_is_object(row))
			shape->read(i, row);
		else
			import_note(i, "%s: entry %zu of `%s` is no object: not used", name, k + 1, shape->key);
	i->lists += shape->read == read_address;
}

static void read_document(struct import *i, const char *name, json_t *document)
{
	const char *key;
	json_t *value;

	json_object_foreach(document, key, value)
	{
		const struct shape *shape = find_shape(key);
		if (shape != NULL)
			read_rows(i, name, shape, value);
		else if (!is_about_pages(key))
			import_note(i, "%s: `%.64s` is nothing that can be used here", name, key);
	}
	if (json_is_true(json_object_get(document, "IsTruncated")) || json_is_string(json_object_get(document, "NextToken")))
		import_note(i, "%s is one page of several: the rest is missing (do not use --no-paginate or --max-items)", name);
}

/* Documents one behind another, or in a list as `jq -s` makes it. */
static void read_value(struct import *i, const char *name, json_t *value)
{
	json_t *member;
	size_t k;

	json_array_append(i->documents, value);
	if (json_is_object(value))
		read_document(i, name, value);
	json_array_foreach (value, k, member)
		if (json_is_object(member))
			read_document(i, name, member);
		else
			import_note(i, "%s: entry %zu of the list is no object: not used", name, k + 1);
}

/* jansson's position is behind the word that it names (`… near 'word'`): its beginning is where one looks. */
static const char *place_of(const char *from, const char *end, const json_error_t *error)
{
	const char *at = MIN(from + MAX(error->position, 0), end), *near = strstr(error->text, "near '");
	size_t len = near != NULL && strlen(near) > 7 ? strlen(near) - 7 : 0;

	return len <= (size_t)(at - from) && memcmp(at - len, near != NULL ? near + 6 : at, len) == 0 ? at - len : at;
}

/* `at`: where in `text` it went wrong. Columns are octets. */
static void complain(struct import *i, const char *name, const char *text, const char *at, const char *sentence)
{
	unsigned line = 1, column = 1;

	for (; text < at; text++) {
		column = *text == '\n' ? 1 : column + 1;
		line += *text == '\n';
	}
	import_note(i, "%s:%u:%u: this is no JSON: %s", name, line, column, sentence);
}

static bool read_json(struct import *i, const char *name, const char *text, size_t len)
{
	const char *end = text + len, *from = text;
	unsigned documents = 0;
	json_error_t error;

	for (;; documents++) {
		while (from < end && strchr(" \t\r\n", *from) != NULL && *from != '\0')
			from++;
		if (from == end && documents > 0)
			return true;
		json_t *value = json_loadb(from, (size_t)(end - from), JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
		if (value == NULL) {
			complain(i, name, text, place_of(from, end, &error), error.text);
			return false;
		}
		read_value(i, name, value);
		json_decref(value);
		from += error.position;
	}
}

static bool is_resolv_conf(const char *text)
{
	const char *first = text + strspn(text, " \t\r\n");

	return *first != '{' && *first != '[' && (strncmp(first, "nameserver", 10) == 0 || strstr(text, "\nnameserver") != NULL);
}

/* What PowerShell 5 makes of `>`, with or without its mark. */
static bool is_utf16(const char *text, size_t len)
{
	return len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0 || (text[0] == '\0') != (text[1] == '\0'));
}

bool import_read(struct import *i, const char *name, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, which Windows likes to write and JSON does not know */

	i->bytes += len;
	if (i->bytes > IMPORT_MAX_BYTES) {
		import_note(i, "%s: more than %d MiB in all", name, IMPORT_MAX_BYTES >> 20);
		return false;
	}
	if (is_utf16(text, len)) {
		import_note(i, "%s: it is UTF-16, as `>` in PowerShell 5 writes; write it as UTF-8: aws ... | Out-File -Encoding utf8 FILE",
			    name);
		return false;
	}
	if (strncmp(text, mark, sizeof(mark) - 1) == 0) {
		text += sizeof(mark) - 1;
		len -= sizeof(mark) - 1;
	}
	if (!is_resolv_conf(text))
		return read_json(i, name, text, len);
	resolv_read_text(&i->resolv, text);
	i->resolv.path = name;
	if (i->resolv.count == 0)
		import_note(i, "%s names no server that can be used", name);
	return true;
}
