/* SPDX-License-Identifier: Apache-2.0 */
#include "http/page_endpoint.h"

#include <string.h>

#include <jansson.h>

#include "http/markup.h"
#include "http/spark.h"

/* The least that a sparkline's edge stands for: half a millisecond more or less is no mountain. */
static const double LEAST_TOP_MS = 2;

/* What the addresses of one endpoint have in common. */
struct frame {
	const json_t *addresses;
	double max_qps, qps, top_ms;
};

static const char *title_of(const json_t *endpoint)
{
	return strcmp(markup_text_of(endpoint, "kind"), "local") == 0 ? "Local upstreams" : markup_text_of(endpoint, "name");
}

static bool is_well(const json_t *address)
{
	return strcmp(markup_grade(markup_text_of(address, "state")), "up") == 0;
}

static bool may_be_asked(const json_t *address)
{
	return json_is_true(json_object_get(address, "up"));
}

/* ---- one address ---- */

static size_t read_history(const json_t *address, double samples[SPARK_SAMPLES])
{
	const json_t *history = json_object_get(address, "rtt_history_ms");
	size_t all = json_array_size(history), count = MIN(all, (size_t)SPARK_SAMPLES);

	for (size_t i = 0; i < count; i++) {
		const json_t *sample = json_array_get(history, all - count + i);
		samples[i] = json_is_number(sample) ? json_number_value(sample) : -1;
	}
	return count;
}

static void print_rtt(const struct frame *f, const json_t *address, FILE *out)
{
	double samples[SPARK_SAMPLES];
	size_t count = read_history(address, samples);

	fputs("<div class=\"rtt\"><b>", out);
	if (!may_be_asked(address) && markup_has_number(address, "last_answer_age_seconds")) {
		markup_time(markup_number_of(address, "last_answer_age_seconds"), out);
		fputs(" <small>silent</small>", out);
	} else if (markup_has_number(address, "rtt_ms"))
		fprintf(out, "%.1f <small>ms</small>", markup_number_of(address, "rtt_ms"));
	else
		fputs("&ndash; <small>ms</small>", out);
	fputs("</b>", out);
	spark_print(samples, count, f->top_ms, out);
	fputs("</div>", out);
}

static void print_load(const struct frame *f, const json_t *address, FILE *out)
{
	double qps = markup_number_of(address, "qps");

	fputs("<div class=\"line small num\"><span>", out);
	markup_count(qps, out);
	fputs(" <span class=\"dim\">of ", out);
	markup_count(f->max_qps, out);
	fputs(" queries/s</span></span><span>", out);
	if (f->qps > 0)
		fprintf(out, "%.0f %% <span class=\"dim\">of the traffic</span>", 100 * qps / f->qps);
	fputs("</span></div>", out);
	markup_bar(f->max_qps > 0 ? qps / f->max_qps : 0, true, out);
}

static void print_counter(const json_t *address, const char *key, const char *label, FILE *out)
{
	double n = markup_number_of(address, key);

	if (n == 0)
		return;
	fprintf(out, " &middot; %s ", label);
	markup_count(n, out);
}

static void print_counters(const json_t *address, FILE *out)
{
	fputs("<p class=\"small dim counts num\">asked ", out);
	markup_count(markup_number_of(address, "queries"), out);
	print_counter(address, "timeouts", "unanswered", out);
	print_counter(address, "servfail", "errors", out);
	print_counter(address, "refused", "refused", out);
	print_counter(address, "unreachable", "unreachable", out);
	print_counter(address, "hedges", "hedges", out);
	fputs("</p>", out);
}

/* What was last wrong with it; in the colour of now while it still is. */
static void print_cause(const json_t *address, FILE *out)
{
	const char *cause = markup_text_of(address, "cause");

	if (*cause == '\0')
		return;
	fprintf(out, "<p class=\"said%s\">%s", may_be_asked(address) ? "" : " now", may_be_asked(address) ? "last trouble: " : "");
	markup_text(cause, out);
	if (markup_has_number(address, "cause_age_seconds")) {
		fputs(", ", out);
		markup_time(markup_number_of(address, "cause_age_seconds"), out);
		fputs(" ago", out);
	}
	fputs("</p>", out);
}

static void print_address(const struct frame *f, const json_t *address, FILE *out)
{
	fputs("<div class=\"address\"><div class=\"line\"><span class=\"mono\">", out);
	markup_text(markup_text_of(address, "address"), out);
	fputs("</span>", out);
	markup_pill(markup_text_of(address, "state"), out);
	fputs("</div>", out);
	print_rtt(f, address, out);
	print_load(f, address, out);
	print_counters(address, out);
	print_cause(address, out);
	fputs("</div>\n", out);
}

/* ---- AZs ---- */

static bool is_in_az(const json_t *address, const char *az)
{
	return strcmp(markup_text_of(address, "az"), az) == 0;
}

/* An address without an AZ is a failure domain of its own. */
static bool begins_az(const struct frame *f, size_t i)
{
	const char *az = markup_text_of(json_array_get(f->addresses, i), "az");

	for (size_t k = 0; k < i && *az != '\0'; k++)
		if (is_in_az(json_array_get(f->addresses, k), az))
			return false;
	return true;
}

static void print_az(const struct frame *f, size_t first, FILE *out)
{
	const json_t *address = json_array_get(f->addresses, first);
	const char *az = markup_text_of(address, "az");

	fputs("<div class=\"az\">", out);
	if (*az != '\0') {
		fputs("<h3>", out);
		markup_text(az, out);
		fputs("</h3>", out);
	}
	print_address(f, address, out);
	for (size_t i = first + 1; i < json_array_size(f->addresses) && *az != '\0'; i++)
		if (is_in_az(json_array_get(f->addresses, i), az))
			print_address(f, json_array_get(f->addresses, i), out);
	fputs("</div>\n", out);
}

/* ---- the endpoint ---- */

static void measure(struct frame *f)
{
	const json_t *address;
	double samples[SPARK_SAMPLES];
	size_t i;

	json_array_foreach(f->addresses, i, address) {
		size_t count = read_history(address, samples);
		f->qps += markup_number_of(address, "qps");
		for (size_t k = 0; k < count; k++)
			f->top_ms = MAX(f->top_ms, samples[k]);
	}
}

static void print_head(const json_t *endpoint, FILE *out)
{
	double outages = markup_number_of(endpoint, "outages");

	fputs("<div class=\"head\"><h2>", out);
	markup_text(title_of(endpoint), out);
	fputs("</h2>", out);
	markup_pill(markup_text_of(endpoint, "state"), out);
	fputs("<span class=\"dim\">", out);
	markup_text(markup_text_of(endpoint, "kind"), out);
	fputs(" &middot; policy ", out);
	markup_text(markup_text_of(endpoint, "policy"), out);
	if (outages > 0) {
		fputs(" &middot; outages so far: ", out);
		markup_count(outages, out);
	}
	fputs("</span></div>\n", out);
}

void page_endpoint_print(const struct json_t *endpoint, FILE *out)
{
	struct frame f = {.addresses = json_object_get(endpoint, "addresses"),
			  .max_qps = markup_number_of(endpoint, "max_qps"),
			  .top_ms = LEAST_TOP_MS};

	measure(&f);
	fprintf(out, "<section class=\"endpoint %s\">", markup_grade(markup_text_of(endpoint, "state")));
	print_head(endpoint, out);
	fputs("<div class=\"azs\">", out);
	for (size_t i = 0; i < json_array_size(f.addresses); i++)
		if (begins_az(&f, i))
			print_az(&f, i, out);
	if (json_array_size(f.addresses) == 0)
		fputs("<div class=\"az dim\">no address is known</div>", out);
	fputs("</div></section>\n", out);
}

bool page_endpoint_print_verdict(const struct json_t *endpoint, FILE *out)
{
	const json_t *addresses = json_object_get(endpoint, "addresses"), *address;
	size_t i, all = json_array_size(addresses), well = 0, up = 0;

	json_array_foreach(addresses, i, address) {
		well += is_well(address);
		up += may_be_asked(address);
	}
	if (all == 0 || well == all)
		return false;
	markup_text(title_of(endpoint), out);
	if (strcmp(markup_text_of(endpoint, "state"), "down") == 0)
		fprintf(out, all == 1 ? ": its address does not answer" : ": none of its %zu addresses answers", all);
	else if (strcmp(markup_text_of(endpoint, "state"), "drained") == 0)
		fputs(": every address is drained", out);
	else if (up < all)
		fprintf(out, ": %zu of %zu addresses %s out of favour", all - up, all, all - up == 1 ? "is" : "are");
	else
		fprintf(out, ": %zu of %zu addresses %s slow", all - well, all, all - well == 1 ? "is" : "are");
	return true;
}
