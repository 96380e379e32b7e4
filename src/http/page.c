/* SPDX-License-Identifier: Apache-2.0 */
/* From above: what must be known now (stale answers, an endpoint that is down), four numbers, the endpoints, the zones. The style sheet
 * and the script stand beside this file; the build puts them into the program. The script fetches the page again and exchanges <main>,
 * so that all of it is made here, once. */
#include "http/page.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "http/markup.h"
#include "http/page_endpoint.h"

extern const char page_css[], page_js[];

/* What AWS asks for a million queries through an endpoint, up to a thousand million a month. */
static const double USD_PER_MILLION = 0.40;

enum { ZONES_OPEN = 12 };

/* ---- what must be known now ---- */

/* Endpoints that are down, with a comma between. Returns how many. */
static unsigned print_down(const json_t *endpoints, FILE *out)
{
	const json_t *e;
	unsigned down = 0;
	size_t i;

	json_array_foreach(endpoints, i, e) {
		bool counts = json_array_size(json_object_get(e, "addresses")) > 0;
		if (!counts || strcmp(markup_text_of(e, "state"), "down") != 0)
			continue;
		fputs(down++ > 0 ? ", " : "", out);
		markup_text(strcmp(markup_text_of(e, "kind"), "local") == 0 ? "the local upstreams" : markup_text_of(e, "name"), out);
	}
	return down;
}

static void print_hero(const json_t *s, FILE *out)
{
	double stale = markup_number_of(json_object_get(s, "cache"), "stale_qps");
	char *names = NULL;
	size_t len;
	FILE *into = open_memstream(&names, &len);
	unsigned down = into != NULL ? print_down(json_object_get(s, "endpoints"), into) : 0;

	if (into == NULL || fclose(into) != 0 || (stale == 0 && down == 0)) {
		free(names);
		return;
	}
	fprintf(out, "<section class=\"hero%s\"><span class=\"huge\">", down == 0 ? " calm" : "");
	if (stale > 0)
		markup_count(stale, out);
	else
		fputs("down", out);
	fprintf(out, "</span><div><h2>%s</h2><p>",
		stale > 0 ? "stale answers are being served every second" : "An endpoint does not answer");
	if (down > 0)
		fprintf(out,
			"No address of <b>%s</b> answers. What was known before is served with a TTL of 30 s; other names get SERVFAIL.",
			names);
	else
		fputs("Some names get no answer in time from addresses that otherwise answer; what was known of them before is served.",
		      out);
	fputs("</p></div></section>\n", out);
	free(names);
}

/* Names go to local upstreams, and there are none. */
static bool lacks_local(const json_t *s)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(s, "endpoints"), i, e)
		if (json_array_size(json_object_get(e, "addresses")) == 0 && json_is_true(json_object_get(e, "used")))
			return true;
	return false;
}

/* Everything in one line, the worst first. */
static void print_verdict(const json_t *s, FILE *out)
{
	static const char *const order[] = {"bad", "warn"};
	const json_t *e;
	size_t i;

	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		json_array_foreach(json_object_get(s, "endpoints"), i, e)
			if (strcmp(markup_grade(markup_text_of(e, "state")), order[k]) == 0 && page_endpoint_print_verdict(e, out))
				return;
	fputs(lacks_local(s) ? "no local upstream is known: names that no zone routes get SERVFAIL" : "all endpoints answer", out);
}

static const char *worst(const json_t *s)
{
	const char *grade = lacks_local(s) ? "warn" : "up";
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(s, "endpoints"), i, e) {
		const char *one = markup_grade(markup_text_of(e, "state"));
		if (json_array_size(json_object_get(e, "addresses")) > 0 && strcmp(grade, "bad") != 0 && strcmp(one, "up") != 0)
			grade = one;
	}
	return grade;
}

static void print_header(const struct page *p, FILE *out)
{
	fputs("<header><h1>r53fwd</h1><span class=\"mono dim\">", out);
	markup_text(p->host, out);
	fputs("</span><span class=\"dim\">", out);
	if (p->status != NULL) {
		markup_text(markup_text_of(p->status, "version"), out);
		fputs(", up ", out);
		markup_time(markup_number_of(p->status, "uptime_seconds"), out);
	}
	fprintf(out, "</span><span class=\"verdict\"><span class=\"pill %s\">", p->status != NULL ? worst(p->status) : "bad");
	if (p->status != NULL)
		print_verdict(p->status, out);
	else
		fputs("no daemon", out);
	fputs("</span></span></header>\n", out);
}

/* ---- four numbers ---- */

static void open_tile(const char *title, FILE *out)
{
	fprintf(out, "<div class=\"tile\"><h3>%s</h3><div class=\"big\">", title);
}

static void print_hits(const json_t *cache, FILE *out)
{
	double hits = markup_number_of(cache, "hits"), stale = markup_number_of(cache, "stale");
	double all = hits + markup_number_of(cache, "misses");

	open_tile("Answered from the cache", out);
	/* Who gets a stale one has missed a fresh one. */
	if (all > 0)
		fprintf(out, "%.1f <small>%%</small>", 100 * MIN(hits + stale, all) / all);
	else
		fputs("&ndash;", out);
	fputs("</div><p class=\"num\">", out);
	markup_count(hits, out);
	fputs(" fresh, ", out);
	markup_count(stale, out);
	fputs(" stale, ", out);
	markup_count(markup_number_of(cache, "coalesced"), out);
	fputs(" joined</p></div>\n", out);
}

static void print_saved(const json_t *billed, FILE *out)
{
	double avoided = markup_number_of(billed, "avoided");

	open_tile("Endpoint queries avoided", out);
	markup_count(avoided, out);
	fprintf(out, "</div><p class=\"num\">%.2f USD at %.2f a million; ", avoided * USD_PER_MILLION / 1e6, USD_PER_MILLION);
	markup_count(markup_number_of(billed, "sent"), out);
	fputs(" were sent, probes included</p></div>\n", out);
}

static void print_room(const json_t *cache, FILE *out)
{
	double bytes = markup_number_of(cache, "bytes"), size = markup_number_of(cache, "size_bytes");

	open_tile("Cache", out);
	markup_count(markup_number_of(cache, "entries"), out);
	fputs(" <small>answers</small></div>", out);
	markup_bar(size > 0 ? bytes / size : 0, false, out);
	fputs("<p class=\"num\">", out);
	markup_size(bytes, out);
	fputs(" of ", out);
	markup_size(size, out);
	fputs("</p></div>\n", out);
}

static void print_tiles(const json_t *s, FILE *out)
{
	const json_t *cache = json_object_get(s, "cache"), *metrics = json_object_get(s, "metrics");

	fputs("<section class=\"tiles\">", out);
	open_tile("Queries a second", out);
	markup_count(markup_number_of(s, "qps"), out);
	fputs("</div><p class=\"num\">", out);
	markup_count(markup_number_of(metrics, "r53fwd_queries_total{proto=\"udp\"}") +
			     markup_number_of(metrics, "r53fwd_queries_total{proto=\"tcp\"}"),
		     out);
	fputs(" so far, ", out);
	markup_count(markup_number_of(metrics, "r53fwd_responses_total{rcode=\"SERVFAIL\"}"), out);
	fputs(" SERVFAIL</p></div>\n", out);
	print_hits(cache, out);
	print_saved(json_object_get(s, "inbound_queries"), out);
	print_room(cache, out);
	fputs("</section>\n", out);
}

/* ---- zones ---- */

static void print_to(const json_t *zone, FILE *out)
{
	const json_t *to;
	size_t i;

	json_array_foreach(json_object_get(zone, "to"), i, to) {
		fputs(i > 0 ? ", then " : "", out);
		markup_text(json_is_string(to) ? json_string_value(to) : "", out);
	}
}

static bool is_detached(const json_t *zone)
{
	return strcmp(markup_text_of(zone, "association"), "detached") == 0;
}

static void print_notices(const json_t *zone, FILE *out)
{
	double violations = markup_number_of(zone, "guard_violations");

	if (is_detached(zone)) {
		fputs("<p class=\"notice bad\"><b class=\"mono\">", out);
		markup_text(markup_text_of(zone, "name"), out);
		fputs("</b> is detached: an endpoint answers for it, but not from a private hosted zone. "
		      "Is the zone still associated with the endpoint's VPC?</p>\n",
		      out);
	}
	if (violations > 0) {
		fputs("<p class=\"notice\"><b class=\"mono\">", out);
		markup_text(markup_text_of(zone, "name"), out);
		fputs("</b>: ", out);
		markup_count(violations, out);
		fprintf(out, " answer%s held addresses that the zone does not expect.</p>\n", violations == 1 ? "" : "s");
	}
}

static void print_zone(const json_t *zone, FILE *out)
{
	fputs("<tr><td class=\"mono\">", out);
	markup_text(markup_text_of(zone, "name"), out);
	fputs("</td><td>", out);
	print_to(zone, out);
	fputs("</td><td>", out);
	markup_pill(is_detached(zone) ? "detached" : markup_text_of(zone, "state"), out);
	fputs("</td><td class=\"n\">", out);
	markup_count(markup_number_of(zone, "queries"), out);
	fputs("</td></tr>\n", out);
}

static void print_zones(const json_t *s, FILE *out)
{
	const json_t *zones = json_object_get(s, "zones"), *zone;
	double total = markup_number_of(s, "zones_total");
	size_t i;

	fputs("<section class=\"panel\"><h2>Zones</h2>\n", out);
	json_array_foreach(zones, i, zone)
		print_notices(zone, out);
	fprintf(out, "<details id=\"zones\"%s><summary>", json_array_size(zones) <= ZONES_OPEN ? " open" : "");
	markup_count(total, out);
	fprintf(out, " zone%s", total == 1 ? "" : "s");
	if (total > (double)json_array_size(zones))
		fprintf(out, ", of which %zu are listed", json_array_size(zones));
	fputs("</summary><table><thead><tr><th>Zone</th><th>Goes to</th><th>State</th><th class=\"n\">Queries</th></tr></thead>"
	      "<tbody>\n",
	      out);
	json_array_foreach(zones, i, zone)
		print_zone(zone, out);
	fputs("</tbody></table></details></section>\n", out);
}

static void print_footer(const json_t *s, FILE *out)
{
	const json_t *config = json_object_get(s, "config"), *reloads = json_object_get(config, "reloads");

	fputs("<footer><span>", out);
	markup_text(markup_text_of(config, "path"), out);
	fputs(", loaded ", out);
	markup_text(markup_text_of(config, "loaded_at"), out);
	fputs("</span><span class=\"num\">reloads: ", out);
	markup_count(markup_number_of(reloads, "ok"), out);
	fputs(", failed: ", out);
	markup_count(markup_number_of(reloads, "failed"), out);
	fputs("</span><span><a href=\"/status.json\">status.json</a> &middot; <a href=\"/metrics\">metrics</a></span></footer>\n", out);
}

/* ---- the whole ---- */

static void print_body(const struct page *p, FILE *out)
{
	const json_t *e;
	size_t i;

	print_header(p, out);
	if (p->status == NULL) {
		fputs("<section class=\"hero\"><span class=\"huge\">no daemon</span><div><h2>", out);
		markup_text(p->trouble, out);
		fputs("</h2><p>This page is served by r53fwd-http, which asks r53fwd over its control socket.</p></div></section>\n", out);
		return;
	}
	print_hero(p->status, out);
	print_tiles(p->status, out);
	/* The local upstreams come last: they are not what this is for. */
	json_array_foreach(json_object_get(p->status, "endpoints"), i, e)
		if (strcmp(markup_text_of(e, "kind"), "local") != 0)
			page_endpoint_print(e, out);
	json_array_foreach(json_object_get(p->status, "endpoints"), i, e)
		if (strcmp(markup_text_of(e, "kind"), "local") == 0)
			page_endpoint_print(e, out);
	print_zones(p->status, out);
	print_footer(p->status, out);
}

static void print_title(const struct page *p, FILE *out)
{
	if (p->status != NULL)
		print_verdict(p->status, out);
	else
		fputs("no daemon", out);
	fputs(" - r53fwd on ", out);
	markup_text(p->host, out);
}

/* The title stands in <main> as well: for the script, which takes nothing else of a new page. */
void page_print(const struct page *p, FILE *out)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>",
	      out);
	print_title(p, out);
	fprintf(out,
		"</title><link rel=\"icon\" href=\"data:,\"><noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"
		"<style nonce=\"%s\">%s</style></head>\n<body>"
		"<div id=\"lost\" hidden>r53fwd-http does not answer; this is what it said last</div><main id=\"page\" data-title=\"",
		p->nonce, page_css);
	print_title(p, out);
	fputs("\">\n", out);
	print_body(p, out);
	fprintf(out, "</main><script nonce=\"%s\">%s</script></body></html>\n", p->nonce, page_js);
}
