/* SPDX-License-Identifier: Apache-2.0 */
/* The text is a resolv.conf, and each of its lines an address and a network. The servers that are found can be asked, each once; and what
 * is written of an address or a network reads as the same one. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/resolv.h"
#include "fuzz.h"

static void check_servers(const struct resolv *r)
{
	char text[RESOLV_MAX_SERVERS * (ADDR_TEXT_MAX + 16)] = "", ip[ADDR_TEXT_MAX];
	struct resolv again;
	size_t len = 0;

	ASSERT(r->path == NULL && r->count <= RESOLV_MAX_SERVERS);
	for (size_t i = 0; i < r->count; i++) {
		ASSERT(addr_port(&r->servers[i]) == 53 && !addr_is_any(&r->servers[i]));
		for (size_t k = 0; k < i; k++)
			ASSERT(!addr_equal(&r->servers[i], &r->servers[k]));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "nameserver %s\n", addr_format_ip(&r->servers[i], ip));
	}
	resolv_read_text(&again, text);
	ASSERT(resolv_same_servers(r, &again));
}

static void check_addr(const char *line)
{
	char text[ADDR_TEXT_MAX];
	struct addr a, again;

	if (addr_parse(&a, line, 53) != 0)
		return;
	ASSERT(addr_port(&a) != 0 && strlen(addr_format(&a, text)) < ADDR_TEXT_MAX);
	ASSERT(addr_parse(&again, text, 53) == 0 && addr_equal(&a, &again) && addr_equal_ip(&a, &again));
}

static void check_cidr(const char *line)
{
	char text[CIDR_TEXT_MAX];
	struct cidr c, again;
	struct addr a;
	int error = cidr_parse(&c, line);

	if (error != 0 && error != -EDOM)
		return;
	ASSERT(strlen(cidr_format(&c, text)) < CIDR_TEXT_MAX);
	ASSERT(cidr_parse(&again, text) == 0 && memcmp(c.bytes, again.bytes, c.family == AF_INET ? 4 : 16) == 0);
	ASSERT(c.bits == again.bits && c.family == again.family);
	text[strcspn(text, "/")] = '\0';
	ASSERT(addr_parse(&a, text, 53) == 0 && cidr_contains(&c, &a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *line;
	struct resolv r;

	ASSERT(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	resolv_read_text(&r, text);
	check_servers(&r);
	while ((line = strsep(&rest, "\n")) != NULL) {
		check_addr(line);
		check_cidr(line);
	}
	free(text);
	return 0;
}
