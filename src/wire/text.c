/* SPDX-License-Identifier: Apache-2.0 */
/* ldns reads text for us, and prints types and messages. Names are printed here: ldns escapes only what its own reader
 * would trip over (white space, `.`, `;`, brackets, the backslash) and leaves quotes, `<`, `&` and `$` as they are. */
#include "wire/text.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/dns.h"

/* Names of IANA's registry that a resolver sees. ldns has no BADVERS, and calls NOTIMP otherwise. */
static const char *const rcode_names[] = {
	[DNS_NOERROR] = "NOERROR",
	[DNS_FORMERR] = "FORMERR",
	[DNS_SERVFAIL] = "SERVFAIL",
	[DNS_NXDOMAIN] = "NXDOMAIN",
	[DNS_NOTIMP] = "NOTIMP",
	[DNS_REFUSED] = "REFUSED",
	[6] = "YXDOMAIN",
	[7] = "YXRRSET",
	[8] = "NXRRSET",
	[9] = "NOTAUTH",
	[10] = "NOTZONE",
	[11] = "DSOTYPENI",
	[DNS_BADVERS] = "BADVERS",
	[23] = "BADCOOKIE",
};

/* What means nothing to a shell, a terminal, HTML, JSON or a zone file. */
static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-_*/=", c));
}

/* \DDD: three decimal digits, as in zone files (RFC 1035 section 5.1). */
static char *put_escaped(char *out, uint8_t c)
{
	*out++ = '\\';
	*out++ = (char)('0' + c / 100);
	*out++ = (char)('0' + c / 10 % 10);
	*out++ = (char)('0' + c % 10);
	return out;
}

const char *text_name(const struct name *n, char out[TEXT_NAME_MAX])
{
	char *to = out;

	if (n->labels == 0)
		*to++ = '.';
	for (unsigned i = 0; i < n->labels; i++) {
		const uint8_t *label = n->octets + n->at[i];
		if (i > 0)
			*to++ = '.';
		for (unsigned j = 1; j <= label[0]; j++) {
			if (is_plain(label[j]))
				*to++ = (char)label[j];
			else
				to = put_escaped(to, label[j]);
		}
	}
	*to = '\0';
	return out;
}

/* ldns takes blanks, control characters and UTF-8 as they come. In a file or on a command line those are mistakes, and
 * an internationalised name must be written in its ASCII form; \DDD says any octet. */
static bool is_graphic(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

int text_read_name(struct name *n, const char *text)
{
	ldns_rdf *read = NULL;

	if (text[0] == '\0' || strlen(text) >= TEXT_NAME_MAX || !is_graphic(text))
		return -EINVAL;
	if (ldns_str2rdf_dname(&read, text) != LDNS_STATUS_OK)
		return -EINVAL;
	/* The one reader decides what a name is, and lower-cases it. */
	int len = name_read(n, ldns_rdf_data(read), ldns_rdf_size(read));
	ldns_rdf_deep_free(read);
	return len < 0 ? -EINVAL : 0;
}

const char *text_type(uint16_t type, char out[TEXT_TYPE_MAX])
{
	char *name = ldns_rr_type2str((ldns_rr_type)type);

	if (name)
		snprintf(out, TEXT_TYPE_MAX, "%s", name);
	else
		snprintf(out, TEXT_TYPE_MAX, "TYPE%u", type);
	free(name);
	return out;
}

int text_read_type(const char *text)
{
	/* TYPE and a number is read here: ldns would take TYPE65536, TYPE-1 and TYPE1x. */
	if (strncasecmp(text, "TYPE", 4) == 0) {
		size_t digits = strspn(text + 4, "0123456789");
		if (digits == 0 || digits > 5 || text[4 + digits] != '\0')
			return -EINVAL;
		long type = strtol(text + 4, NULL, 10);
		return type <= UINT16_MAX ? (int)type : -EINVAL;
	}
	/* 0 is what ldns says of a name that it does not know. */
	int type = (int)ldns_get_rr_type_by_name(text);
	return type > 0 && type <= UINT16_MAX ? type : -EINVAL;
}

const char *text_rcode(uint16_t rcode, char out[TEXT_TYPE_MAX])
{
	if (rcode < ARRAY_SIZE(rcode_names) && rcode_names[rcode])
		return rcode_names[rcode];
	if (rcode == DNS_UNREADABLE)
		return "unreadable";
	snprintf(out, TEXT_TYPE_MAX, "RCODE%u", rcode);
	return out;
}

/* Lines that ldns prints of a message that it received itself: ours it did not, so they say nothing. */
static bool is_of_transport(const char *line)
{
	return strncmp(line, ";; WHEN:", 8) == 0 || strncmp(line, ";; SERVER:", 10) == 0 ||
	       strncmp(line, ";; Query time:", 14) == 0;
}

/* Copies what ldns printed, line by line; what a terminal might obey becomes \DDD. `out` is four times as large. */
static void copy_safely(const char *from, char *out)
{
	bool line_begins = true;

	while (*from != '\0') {
		if (line_begins && is_of_transport(from)) {
			from += strcspn(from, "\n");
			from += *from == '\n';
			continue;
		}
		uint8_t c = (uint8_t)*from++;
		line_begins = c == '\n';
		if ((c >= ' ' && c <= '~') || c == '\n' || c == '\t')
			*out++ = (char)c;
		else
			out = put_escaped(out, c);
	}
	*out = '\0';
}

char *text_message(const uint8_t *message, size_t len)
{
	ldns_pkt *packet = NULL;

	if (ldns_wire2pkt(&packet, message, len) != LDNS_STATUS_OK)
		return NULL;
	char *printed = ldns_pkt2str(packet);
	char *out = printed ? malloc(4 * strlen(printed) + 1) : NULL;
	if (out)
		copy_safely(printed, out);
	free(printed);
	ldns_pkt_free(packet);
	return out;
}
