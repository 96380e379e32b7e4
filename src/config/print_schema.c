/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON Schema (draft-07) of zones.conf, for editors that complete and underline. It is looser than config_load, which has the
 * last word: whatever loads is valid here. */
#include <string.h>

#include "config/option.h"
#include "config/services.h"

/* Rows hold printable ASCII. */
static void print_string(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* Words are taken in any letter case, and in quotes, in which true is a string too: "^([Oo][Nn]|[Oo][Ff][Ff])$". */
static void print_spellings(const struct config_option *o, FILE *out)
{
	fputs("{\"type\": \"string\", \"pattern\": \"^(", out);
	for (size_t i = 0; option_word(o, i); i++) {
		fputs(i > 0 ? "|" : "", out);
		for (const char *at = option_word(o, i); *at != '\0'; at++)
			if (*at >= 'a' && *at <= 'z')
				fprintf(out, "[%c%c]", *at - 'a' + 'A', *at);
			else
				fputc(*at, out);
	}
	fputs(")$\"}, ", out);
}

/* true and false are no strings to a YAML reader; on and off are to some and not to others. What editors offer. */
static void print_words(const struct config_option *o, FILE *out)
{
	fputs("{\"enum\": [", out);
	for (size_t i = 0; option_word(o, i); i++) {
		const char *word = option_word(o, i);
		fputs(i > 0 ? ", " : "", out);
		if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
			fputs(word, out);
		else
			print_string(word, out);
	}
	fputs("]}, ", out);
}

/* A number with one of the units; without units JSON can say the range as well, unless it is in quotes. */
static void print_number(const struct config_option *o, FILE *out)
{
	if (option_unit(o, 0)[0] == '\0') {
		fprintf(out, "{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}, ", (unsigned long long)o->min,
			(unsigned long long)o->max);
		fputs("{\"type\": \"string\", \"pattern\": \"^[0-9]+([.]0+)?$\"}, ", out);
		return;
	}
	fputs("{\"type\": \"string\", \"pattern\": \"^[0-9]+([.][0-9]+)?(", out);
	for (size_t i = 0; option_unit(o, i); i++)
		fprintf(out, "%s%s", i > 0 ? "|" : "", option_unit(o, i));
	fputs(")$\"}, ", out);
	if (o->min == 0)
		fputs("{\"enum\": [0, \"0\"]}, ", out);
}

static void print_row(const struct config_option *o, FILE *out)
{
	print_string(o->key, out);
	fputs(": {\"description\": ", out);
	print_string(o->help, out);
	if (o->standard[0] != '\0') {
		fputs(", \"default\": ", out);
		print_string(o->standard, out);
	}
	fputs(", \"anyOf\": [", out);
	if (option_word(o, 0)) {
		print_words(o, out);
		print_spellings(o, out);
	}
	if (option_unit(o, 0))
		print_number(o, out);
	fprintf(out, "{\"$ref\": \"#/definitions/%s\"}]}", o->type == OPTION_TEXT ? "word" : "variable");
}

/* The rows of a section as properties, each followed by a comma; the caller adds the rest of the map. */
static void print_rows(enum option_section section, FILE *out)
{
	size_t count;
	const struct config_option *rows = config_options(&count);

	for (size_t i = 0; i < count; i++) {
		if (rows[i].section != section)
			continue;
		print_row(&rows[i], out);
		fputs(",\n    ", out);
	}
}

/* A map that holds rows and `rest`: one more property at least, so that the last comma has something behind it. */
static void print_map(const char *name, enum option_section section, const char *rest, FILE *out)
{
	fprintf(out, "  \"%s\": {\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\n    ", name);
	print_rows(section, out);
	fprintf(out, "%s}},\n", rest);
}

static void print_services(FILE *out)
{
	size_t count;
	const struct service *all = services(&count);

	fputs("  \"service\": {\"enum\": [", out);
	for (size_t i = 0; i < count; i++) {
		if (all[i].kind == SERVICE_REFUSED)
			continue;
		fputs(i > 0 ? ", " : "", out);
		print_string(all[i].id, out);
	}
	fputs("]},\n", out);
}

/* "$comment" is the property that every map may have: maps whose keys are all rows need one more behind the comma. */
static const char nothing_else[] = "\"$comment\": false";

static const char zone_definition[] =
	"  \"zone\": {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"to\"], \"properties\": {\n"
	"    \"name\": {\"description\": \"a domain and all below it\", \"anyOf\": [{\"$ref\": \"#/definitions/word\"}, {\"$ref\": "
	"\"#/definitions/words\"}]},\n"
	"    \"vpc-endpoints\": {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"region\", \"services\"], "
	"\"properties\": {\"region\": {\"$ref\": \"#/definitions/word\"}, \"services\": {\"type\": \"array\", \"minItems\": 1, "
	"\"items\": {\"anyOf\": [{\"$ref\": \"#/definitions/service\"}, {\"$ref\": \"#/definitions/variable\"}]}}}},\n"
	"    \"reverse\": {\"description\": \"a network\", \"$ref\": \"#/definitions/word\"},\n"
	"    \"to\": {\"description\": \"endpoints in order, or local\", \"anyOf\": [{\"$ref\": \"#/definitions/word\"}, "
	"{\"$ref\": \"#/definitions/words\"}]},\n"
	"    \"expect\": {\"description\": \"addresses that answers may hold: private, or networks\", \"anyOf\": [{\"enum\": "
	"[\"private\"]}, {\"type\": \"string\", \"pattern\": \"^[Pp][Rr][Ii][Vv][Aa][Tt][Ee]$\"}, "
	"{\"$ref\": \"#/definitions/words\"}, {\"$ref\": \"#/definitions/variable\"}]},\n"
	"    \"guard\": {\"description\": \"what becomes of answers with others\", \"anyOf\": [{\"enum\": [\"off\", \"warn\", "
	"\"enforce\", \"no\", false]}, {\"type\": \"string\", \"pattern\": "
	"\"^([Oo][Ff][Ff]|[Ww][Aa][Rr][Nn]|[Ee][Nn][Ff][Oo][Rr][Cc][Ee]|[Nn][Oo]|[Ff][Aa][Ll][Ss][Ee])$\"}, "
	"{\"$ref\": \"#/definitions/variable\"}]},\n"
	"    \"association\": {\"description\": \"check that the zone is private at its inbound endpoints\", \"anyOf\": ["
	"{\"$ref\": \"#/definitions/switch\"}, {\"$ref\": \"#/definitions/variable\"}]},\n"
	"    \"keep-warm\": {\"description\": \"names kept resolved, or true with vpc-endpoints\", \"anyOf\": ["
	"{\"$ref\": \"#/definitions/switch\"}, {\"$ref\": \"#/definitions/words\"}, {\"$ref\": \"#/definitions/variable\"}]}},\n"
	"    \"oneOf\": [{\"required\": [\"name\"]}, {\"required\": [\"vpc-endpoints\"]}, {\"required\": [\"reverse\"]}]}\n";

static const char top_properties[] = "\"listen\": {\"description\": \"where to answer\", \"$ref\": \"#/definitions/words\"},\n    "
				     "\"allow-from\": {\"description\": \"who may ask\", \"$ref\": \"#/definitions/words\"},\n    "
				     "\"inbound-endpoints\": {\"$ref\": \"#/definitions/endpoints\"},\n    "
				     "\"resolvers\": {\"$ref\": \"#/definitions/endpoints\"},\n    "
				     "\"local-upstreams\": {\"$ref\": \"#/definitions/addresses\"},\n    "
				     "\"zones\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/definitions/zone\"}},\n    "
				     "\"cache\": {\"$ref\": \"#/definitions/cache\"},\n    "
				     "\"tcp\": {\"$ref\": \"#/definitions/tcp\"},\n    "
				     "\"rate-limit\": {\"$ref\": \"#/definitions/rate-limit\"},\n    "
				     "\"log\": {\"$ref\": \"#/definitions/log\"}\n";

void config_print_schema(FILE *out)
{
	fputs("{\"$schema\": \"http://json-schema.org/draft-07/schema#\", \"title\": \"zones.conf of r53fwd\",\n"
	      " \"definitions\": {\n"
	      "  \"variable\": {\"type\": \"string\", \"pattern\": \"[$][{]\"},\n"
	      "  \"switch\": {\"anyOf\": [{\"enum\": [\"on\", \"off\", \"yes\", \"no\", true, false]}, {\"type\": \"string\", \"pattern\": "
	      "\"^([Oo][Nn]|[Oo][Ff][Ff]|[Yy][Ee][Ss]|[Nn][Oo]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$\"}]},\n"
	      "  \"word\": {\"type\": [\"string\", \"number\", \"boolean\"]},\n"
	      "  \"words\": {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/definitions/word\"}},\n",
	      out);
	fprintf(out,
		"  \"addresses\": {\"type\": \"array\", \"minItems\": 1, \"maxItems\": %d, \"items\": {\"anyOf\": ["
		"{\"$ref\": \"#/definitions/word\"}, {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"ip\"], "
		"\"properties\": {\"ip\": {\"$ref\": \"#/definitions/word\"}, \"port\": {\"$ref\": \"#/definitions/word\"}, "
		"\"az\": {\"$ref\": \"#/definitions/word\"}}}]}},\n",
		CONFIG_MAX_ADDRESSES);
	print_services(out);
	print_map("probe", SECTION_probe, nothing_else, out);
	print_map("cache", SECTION_cache, nothing_else, out);
	print_map("tcp", SECTION_tcp, nothing_else, out);
	print_map("rate-limit", SECTION_rate_limit,
		  "\"exempt\": {\"description\": \"whom it leaves alone\", \"$ref\": \"#/definitions/words\"}", out);
	print_map("log", SECTION_log, nothing_else, out);
	print_map("endpoint", SECTION_endpoint,
		  "\"addresses\": {\"$ref\": \"#/definitions/addresses\"}, \"probe\": {\"$ref\": \"#/definitions/probe\"}", out);
	fputs("  \"endpoints\": {\"type\": \"object\", \"additionalProperties\": {\"$ref\": \"#/definitions/endpoint\"}},\n", out);
	fputs(zone_definition, out);
	fputs(" },\n \"type\": \"object\", \"additionalProperties\": false, \"required\": [\"zones\"], \"properties\": {\n    ", out);
	print_rows(SECTION_top, out);
	fprintf(out, "%s }}\n", top_properties);
}
