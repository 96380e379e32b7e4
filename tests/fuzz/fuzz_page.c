/* SPDX-License-Identifier: Apache-2.0 */
/* The text is what the daemon says to r53fwd-http, which must take it from one that was broken into: status and metrics. The page stays a
 * page: no tag and no attribute in it is the daemon's; the metrics stay lines of a name, labels and a number. The first line of the text is
 * also what a browser says in Host. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fuzz.h"
#include "http/host.h"
#include "http/page.h"
#include "http/prometheus.h"

/* Behind a tag's end; outside of values in quotes there is nothing but names. */
static const char *check_tag(const char *at)
{
	for (at++; *at != '>'; at++) {
		ASSERT(*at == ' ' || *at == '\n' || *at == '\t' || isalnum((unsigned char)*at) || strchr("/!-=:", *at) != NULL);
		if (*at == '=') {
			ASSERT(at[1] == '"');
			at = strchr(at + 2, '"');
			ASSERT(at != NULL);
		}
	}
	return at + 1;
}

static const char *skip_own_text(const char *at, const char *tag, const char *end)
{
	if (strncmp(at, tag, strlen(tag)) != 0)
		return at;
	at = strstr(at, end);
	ASSERT(at != NULL);
	return at;
}

static void check_page(const char *at, size_t len)
{
	unsigned scripts = 0;

	ASSERT(strlen(at) == len);
	while (*at != '\0') {
		ASSERT(isprint((unsigned char)*at) || *at == '\n' || *at == '\t' || (*at & 0x80));
		if (*at != '<') {
			at++;
			continue;
		}
		scripts += strncmp(at, "<script", 7) == 0;
		const char *own = skip_own_text(skip_own_text(at, "<script", "</script>"), "<style", "</style>");
		at = check_tag(own);
	}
	ASSERT(scripts <= 1);
}

static void check_line(const char *at, const char *end)
{
	if (end - at >= 7 && (memcmp(at, "# HELP ", 7) == 0 || memcmp(at, "# TYPE ", 7) == 0))
		return;
	ASSERT(isalpha((unsigned char)*at) || *at == '_' || *at == ':');
	at += strcspn(at, "{ \n");
	if (*at == '{')
		for (at++; at[-1] != '}';) {
			at += strcspn(at, "=\n");
			ASSERT(at < end && at[1] == '"');
			for (at += 2; *at != '"'; at++) {
				at += *at == '\\';
				ASSERT(at < end);
			}
			at += 2;
			ASSERT(at[-1] == ',' || at[-1] == '}');
		}
	ASSERT(*at == ' ' && at + 1 < end && strcspn(at + 1, " \n") == (size_t)(end - at - 1));
}

static void check_metrics(const char *at, size_t len)
{
	const char *end = at + len;

	ASSERT(strlen(at) == len);
	while (at < end) {
		const char *line_end = strchr(at, '\n');
		ASSERT(line_end != NULL);
		check_line(at, line_end);
		at = line_end + 1;
	}
}

static void check_host(const char *field)
{
	static const struct host_names names = {.names = {"proxy.example"}, .count = 1, .own = "gate.corp.example"};

	if (!host_is_right(&names, field) || *field == '[' || isdigit((unsigned char)*field))
		return;
	size_t len = strcspn(field, ":");
	len -= field[len - 1] == '.';
	bool own = strncasecmp(field, "gate.corp.example", len) == 0 && (len == 4 || len == 17);
	bool local = len == 9 && strncasecmp(field, "localhost", len) == 0;
	bool given = len >= 13 && strncasecmp(field + len - 13, "proxy.example", 13) == 0 && (len == 13 || field[len - 14] == '.');
	ASSERT(own || local || given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *html = NULL, *lines = NULL;
	size_t html_len, lines_len;
	FILE *page_out = open_memstream(&html, &html_len), *lines_out = open_memstream(&lines, &lines_len);

	ASSERT(text != NULL && page_out != NULL && lines_out != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	json_t *status = json_loadb(text, size, 0, NULL);
	text[strcspn(text, "\n")] = '\0';
	const struct page p = {.status = status, .trouble = status == NULL ? text : NULL, .host = "gate", .nonce = "abc123"};
	page_print(&p, page_out);
	ASSERT(prometheus_print(status, lines_out) == json_is_array(json_object_get(status, "families")));
	fclose(page_out);
	fclose(lines_out);
	check_page(html, html_len);
	check_metrics(lines, lines_len);
	check_host(text);
	json_decref(status);
	free(html);
	free(lines);
	free(text);
	return 0;
}
