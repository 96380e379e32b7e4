/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of region names and the suffixes are those of the SDKs' partition data (botocore partitions.json). A form, not a list of
 * regions: AWS opens new ones, and a forwarder that is a year old must take them. */
#include "config/services.h"

#include <stdio.h>
#include <string.h>

static const struct service table[] = {
#define SERVICE(id, apexes, kind, note) {id, apexes, SERVICE_##kind, note},
#include "tables/services.def"
#undef SERVICE
};

/* A region is PREFIX-\w+-\d+, where \w has no hyphen: us-gov-west-1 is none of the prefix us. */
static const struct partition {
	const char *prefix;
	struct services_region region;
} partitions[] = {
	{"us", {"aws", "amazonaws.com", "api.aws"}},
	{"eu", {"aws", "amazonaws.com", "api.aws"}},
	{"ap", {"aws", "amazonaws.com", "api.aws"}},
	{"sa", {"aws", "amazonaws.com", "api.aws"}},
	{"ca", {"aws", "amazonaws.com", "api.aws"}},
	{"me", {"aws", "amazonaws.com", "api.aws"}},
	{"af", {"aws", "amazonaws.com", "api.aws"}},
	{"il", {"aws", "amazonaws.com", "api.aws"}},
	{"mx", {"aws", "amazonaws.com", "api.aws"}},
	{"cn", {"aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"}},
	{"us-gov", {"aws-us-gov", "amazonaws.com", "api.aws"}},
	/* Only eks-auth has names under {api}, and here it keeps them under the plain suffix; so do the isolated partitions, which
	 * have no dual-stack names. */
	{"eusc-de", {"aws-eusc", "amazonaws.eu", "amazonaws.eu"}},
	{"us-iso", {"aws-iso", "c2s.ic.gov", "c2s.ic.gov"}},
	{"us-isob", {"aws-iso-b", "sc2s.sgov.gov", "sc2s.sgov.gov"}},
	{"eu-isoe", {"aws-iso-e", "cloud.adc-e.uk", "cloud.adc-e.uk"}},
	{"us-isof", {"aws-iso-f", "csp.hci.ic.gov", "csp.hci.ic.gov"}},
};

const struct service *services(size_t *count)
{
	*count = ARRAY_SIZE(table);
	return table;
}

const struct service *services_find(const char *id)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].id, id) == 0)
			return &table[i];
	return NULL;
}

/* `name` is `prefix`, a word and a number with hyphens between. */
static bool has_form(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(name, prefix, len) != 0 || name[len] != '-')
		return false;
	const char *word = name + len + 1;
	size_t word_len = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (word_len == 0 || word[word_len] != '-')
		return false;
	const char *number = word + word_len + 1;
	size_t digits = strspn(number, "0123456789");
	return digits > 0 && number[digits] == '\0';
}

bool services_read_region(const char *name, struct services_region *region)
{
	if (strlen(name) >= SERVICES_REGION_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++) {
		if (!has_form(name, partitions[i].prefix))
			continue;
		*region = partitions[i].region;
		return true;
	}
	return false;
}

/* What stands for the `{…}` at `at`; *len gets its length in the template. */
static const char *placeholder(const char *at, const char *region_name, const struct services_region *region, size_t *len)
{
	const char *const names[] = {"{r}", "{s}", "{api}"};
	const char *const values[] = {region_name, region->suffix, region->api};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		*len = strlen(names[i]);
		if (strncmp(at, names[i], *len) == 0)
			return values[i];
	}
	return NULL;
}

bool services_next_apex(const char **at, const char *region_name, const struct services_region *region, char out[SERVICES_APEX_MAX])
{
	const char *from = *at;
	size_t used = 0;

	while (*from != '\0' && *from != ' ') {
		size_t len = 1;
		const char *value = *from == '{' ? placeholder(from, region_name, region, &len) : NULL;
		size_t value_len = value ? strlen(value) : 1;
		ASSERT(used + value_len < SERVICES_APEX_MAX);
		memcpy(out + used, value ? value : from, value_len);
		used += value_len;
		from += len;
	}
	out[used] = '\0';
	*at = *from == ' ' ? from + 1 : from;
	return used > 0;
}
