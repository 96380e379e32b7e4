/* SPDX-License-Identifier: Apache-2.0 */
#include "http/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_OCTETS = 255 };

/* The part before `:PORT`, which must be digits; brackets and a dot at the end are taken off. False if that is no host. */
static bool cut_port(const char *field, char out[NAME_MAX_OCTETS + 1])
{
	bool brackets = *field == '[';
	const char *from = field + brackets;
	size_t len = strcspn(from, brackets ? "]" : ":");
	const char *rest = from + len;

	if (len == 0 || len > NAME_MAX_OCTETS || (brackets && *rest != ']'))
		return false;
	rest += brackets;
	if (*rest == ':')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (*rest != '\0')
		return false;
	memcpy(out, from, len);
	out[len] = '\0';
	if (len > 1 && out[len - 1] == '.')
		out[len - 1] = '\0';
	return true;
}

static bool is_ip(const char *host, bool brackets)
{
	struct in6_addr a;

	return inet_pton(brackets ? AF_INET6 : AF_INET, host, &a) == 1;
}

static bool is_own(const char *own, const char *host)
{
	size_t label = own != NULL ? strcspn(own, ".") : 0;

	if (label == 0)
		return false;
	return strcasecmp(own, host) == 0 || (strlen(host) == label && strncasecmp(own, host, label) == 0);
}

static bool is_at_or_below(const char *name, const char *host)
{
	size_t wanted = strlen(name), len = strlen(host);

	/* As names may be written; the host has lost its own. */
	wanted -= wanted > 1 && name[wanted - 1] == '.';
	if (wanted == 0 || len < wanted || strncasecmp(host + len - wanted, name, wanted) != 0)
		return false;
	return len == wanted || host[len - wanted - 1] == '.';
}

bool host_is_right(const struct host_names *names, const char *field)
{
	char host[NAME_MAX_OCTETS + 1];

	if (!cut_port(field, host))
		return false;
	if (*field == '[' || is_ip(host, false))
		return is_ip(host, *field == '[');
	if (strcasecmp(host, "localhost") == 0 || is_own(names->own, host))
		return true;
	for (size_t i = 0; i < names->count; i++)
		if (is_at_or_below(names->names[i], host))
			return true;
	return false;
}
