/* SPDX-License-Identifier: Apache-2.0 */
/* Options as zones.conf would spell them: those in force, and an example with all defaults. Both load again. */
#include <string.h>

#include "config/option.h"

static void print_rows(enum option_section section, const void *fields, const char *indent, FILE *out)
{
	size_t count;
	const struct config_option *rows = config_options(&count);

	for (size_t i = 0; i < count; i++) {
		/* A text that nobody set has no line: there is no way to write it. */
		if (rows[i].section != section ||
		    (rows[i].type == OPTION_TEXT && !*(char *const *)(const void *)((const char *)fields + rows[i].offset)))
			continue;
		fprintf(out, "%s%s: ", indent, rows[i].key);
		option_print(&rows[i], fields, out);
		fputc('\n', out);
	}
}

static void print_networks(const struct cidr *networks, size_t count, FILE *out)
{
	char text[CIDR_TEXT_MAX];

	fputc('[', out);
	for (size_t i = 0; i < count; i++) {
		fputs(i > 0 ? ", " : "", out);
		option_print_word(cidr_format(&networks[i], text), out);
	}
	fputc(']', out);
}

void config_print_expect(const struct config_expect *e, FILE *out)
{
	if (e->is_private)
		fputs("private", out);
	else
		print_networks(e->networks, e->count, out);
}

static void print_listen(const struct config *c, FILE *out)
{
	char text[ADDR_TEXT_MAX];

	fputs("listen: [", out);
	for (size_t i = 0; i < c->listen_count; i++) {
		fputs(i > 0 ? ", " : "", out);
		option_print_word(addr_format(&c->listen[i], text), out);
	}
	fputs("]\n", out);
}

static void print_allow_from(const struct config *c, FILE *out)
{
	fputs("allow-from: ", out);
	print_networks(c->allow_from, c->allow_from_count, out);
	fputc('\n', out);
}

static void print_rate_limit(const struct config *c, FILE *out)
{
	fputs("rate-limit:\n", out);
	print_rows(SECTION_rate_limit, &c->rate_limit, "  ", out);
	if (c->rate_exempt_count == 0)
		return;
	fputs("  exempt: ", out);
	print_networks(c->rate_exempt, c->rate_exempt_count, out);
	fputc('\n', out);
}

static void print_address(const struct config_address *a, FILE *out)
{
	char text[ADDR_TEXT_MAX];

	addr_format(&a->addr, text);
	if (!a->az) {
		option_print_word(text, out);
		return;
	}
	fputs("{ip: ", out);
	option_print_word(text, out);
	fputs(", az: ", out);
	option_print_word(a->az, out);
	fputc('}', out);
}

static void print_endpoint(const struct config_endpoint *e, FILE *out)
{
	fputs("  ", out);
	option_print_word(e->name, out);
	fputs(":\n    addresses:\n", out);
	for (size_t i = 0; i < e->count; i++) {
		fputs("      - ", out);
		print_address(&e->addresses[i], out);
		fputc('\n', out);
	}
	print_rows(SECTION_endpoint, &e->options, "    ", out);
	fputs("    probe:\n", out);
	print_rows(SECTION_probe, &e->probe, "      ", out);
}

static void print_endpoints(const struct config *c, enum config_endpoint_kind kind, const char *key, FILE *out)
{
	bool begun = false;

	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (c->endpoints[i].kind != kind)
			continue;
		if (!begun)
			fprintf(out, "%s:\n", key);
		begun = true;
		print_endpoint(&c->endpoints[i], out);
	}
}

static void print_local(const struct config *c, FILE *out)
{
	const struct config_endpoint *local = &c->endpoints[0];

	if (c->local_from_resolv)
		return;
	fputs("local-upstreams: [", out);
	for (size_t i = 0; i < local->count; i++) {
		fputs(i > 0 ? ", " : "", out);
		print_address(&local->addresses[i], out);
	}
	fputs("]\n", out);
}

void config_print_effective(const struct config *c, FILE *out)
{
	print_listen(c, out);
	print_rows(SECTION_top, &c->top, "", out);
	print_allow_from(c, out);
	print_endpoints(c, ENDPOINT_INBOUND, "inbound-endpoints", out);
	print_endpoints(c, ENDPOINT_RESOLVERS, "resolvers", out);
	print_local(c, out);
	fputs("cache:\n", out);
	print_rows(SECTION_cache, &c->cache, "  ", out);
	fputs("tcp:\n", out);
	print_rows(SECTION_tcp, &c->tcp, "  ", out);
	print_rate_limit(c, out);
	fputs("log:\n", out);
	print_rows(SECTION_log, &c->log, "  ", out);
}

/* One row of the example: its help, what it may be, and its default; what has no default is shown, but switched off. */
static void print_example_rows(enum option_section section, const char *indent, FILE *out)
{
	char expects[OPTION_TEXT_MAX];
	size_t count;
	const struct config_option *rows = config_options(&count);

	for (size_t i = 0; i < count; i++) {
		const struct config_option *o = &rows[i];
		if (o->section != section)
			continue;
		bool set = o->standard[0] != '\0';
		fprintf(out, "%s# %s", indent, o->help);
		/* The help of a row that takes words alone names them. */
		if (option_unit(o, 0))
			fprintf(out, " (%s)", option_expects(o, expects));
		fputs(o->reload == OPTION_START ? "; changing it takes a restart\n" : "\n", out);
		fprintf(out, "%s%s%s: %s\n", indent, set ? "" : "# ", o->key, set ? o->standard : "...");
	}
}

void config_print_example(FILE *out)
{
	fputs("# zones.conf of r53fwd, with every option at its default; see zones.conf(5).\n"
	      "# Check a change with `r53fwd check`; SIGHUP or `r53fwd reload` takes it up.\n\n"
	      "# where to answer, over UDP and TCP\n"
	      "listen: [127.0.0.1:53, \"[::1]:53\"]\n"
	      "# who may ask\n"
	      "allow-from: [127.0.0.0/8, \"::1/128\", 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, \"fc00::/7\","
	      " \"fe80::/10\"]\n",
	      out);
	print_example_rows(SECTION_top, "", out);
	fputs("\n# Route 53 inbound endpoints, by names of your choice\n"
	      "inbound-endpoints:\n"
	      "  seoul:\n"
	      "    # the endpoint's ENI addresses; without `az` an address is a failure domain of its own\n"
	      "    addresses:\n"
	      "      - {ip: 10.10.1.10, az: apne2-az1}\n"
	      "      - {ip: 10.10.2.10, az: apne2-az2}\n",
	      out);
	print_example_rows(SECTION_endpoint, "    ", out);
	fputs("    probe:\n", out);
	print_example_rows(SECTION_probe, "      ", out);
	fputs("  tokyo:\n"
	      "    addresses: [10.20.1.10, 10.20.2.10]\n"
	      "\n# other groups of DNS servers, with the same keys\n"
	      "resolvers:\n"
	      "  ad: {addresses: [192.168.10.10, 192.168.10.11], policy: ordered}\n"
	      "\n# what goes where; the longest matching suffix wins\n"
	      "zones:\n"
	      "  - {name: corp.example.internal, to: seoul}\n"
	      "  # tokyo only while seoul is wholly down\n"
	      "  - {name: [a.internal, b.internal], to: [seoul, tokyo]}\n"
	      "  # these expect private addresses and warn of others, as they are; their names are kept resolved\n"
	      "  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, ssmmessages, ec2messages, s3, ecr]}, to: seoul,\n"
	      "     keep-warm: true}\n"
	      "  - {reverse: 10.20.0.0/14, to: seoul}\n"
	      "  - {name: corp.local, to: ad}\n"
	      "  # an exception below a forwarded zone\n"
	      "  - {name: legacy.corp.example.internal, to: local}\n"
	      "  # an answer with other addresses is not passed on; that the zone is private there is checked anyway\n"
	      "  - {name: db.example.com, to: seoul, expect: [10.20.0.0/14], guard: enforce, association: on,\n"
	      "     keep-warm: [main.db.example.com]}\n"
	      "\n# for all other names; by default the nameservers of the host's resolv.conf\n"
	      "# local-upstreams: [192.168.0.2, 192.168.0.3]\n"
	      "\ncache:\n",
	      out);
	print_example_rows(SECTION_cache, "  ", out);
	fputs("\ntcp:\n", out);
	print_example_rows(SECTION_tcp, "  ", out);
	fputs("\nrate-limit:\n", out);
	print_example_rows(SECTION_rate_limit, "  ", out);
	fputs("  # whom it leaves alone: other resolvers, hosts that many share\n"
	      "  # exempt: [10.0.0.53, 10.1.0.0/16]\n",
	      out);
	fputs("\nlog:\n", out);
	print_example_rows(SECTION_log, "  ", out);
}
