/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CLI_SURVEYED_H
#define TESTS_CLI_SURVEYED_H
/* Measurements are put together by hand; each test begins with a healthy endpoint, and spoils something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/diagnosis.h"
#include "wire/text.h"

enum { ENDPOINTS = 3, ADDRESSES = 3, ZONES = 3, SAMPLES = 5, MS = 1000, PLACES = 8 };

/* seoul (inbound, three AZs, two zones), ad (resolvers), local. */
struct bed {
	struct survey survey;
	struct survey_endpoint endpoints[ENDPOINTS];
	struct survey_address addresses[ENDPOINTS][ADDRESSES];
	struct survey_zone zones[ENDPOINTS][ZONES];
	struct config_expect expect;
	struct host host;
	struct addr listen[2];
	struct findings found;
};

static struct bed *bed;
static struct survey_endpoint *seoul, *ad, *local;

static inline struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text, 53), 0);
	return a;
}

static inline struct name name(const char *text)
{
	struct name n;

	assert_int_equal(text_read_name(&n, text), 0);
	return n;
}

static inline void make_healthy(struct survey_address *a, const char *ip, const char *az)
{
	*a = (struct survey_address){.addr = address(ip),
				     .az = az,
				     .asked = SAMPLES,
				     .answered = SAMPLES,
				     .min_us = MS,
				     .median_us = 2 * MS,
				     .p95_us = 3 * MS,
				     .tcp = SOUNDER_ANSWERED,
				     .tcp_large = SOUNDER_ANSWERED,
				     .has_ttl = true,
				     .ttl_s = 60};
	a->rcodes[DNS_NOERROR] = SAMPLES;
	for (size_t i = 0; i < SURVEY_SIZES; i++)
		a->sizes[i] = SOUNDER_ANSWERED;
}

static inline void make_look(struct survey_look *l, uint8_t place)
{
	*l = (struct survey_look){.place = place,
				  .outcome = SOUNDER_ANSWERED,
				  .rcode = DNS_NOERROR,
				  .origin = ORIGIN_PRIVATE,
				  .server = name("ns-0.awsdns-00.com")};
}

static inline void make_zone(struct survey_endpoint *e, const char *text, enum config_zone_source source)
{
	struct survey_zone *z = &e->zones[e->zone_count++];

	*z = (struct survey_zone){.name = name(text),
				  .source = source,
				  .association = e->kind == ENDPOINT_INBOUND && source != ZONE_REVERSE,
				  .look_count = MIN(e->count, (size_t)SURVEY_LOOKS)};
	for (size_t i = 0; i < z->look_count; i++)
		make_look(&z->looks[i], (uint8_t)i);
	e->zones_in_file = e->zone_count;
}

static inline void make_endpoint(int number, const char *endpoint, enum config_endpoint_kind kind)
{
	bed->endpoints[number] = (struct survey_endpoint){
		.name = endpoint, .kind = kind, .addresses = bed->addresses[number], .zones = bed->zones[number], .loop = SURVEY_LOOP_NONE};
}

static inline int set_up(void **state)
{
	static const char *const azs[] = {"az1", "az2", "az3"}, *const ips[] = {"10.10.1.10", "10.10.2.10", "10.10.3.10"};

	(void)state;
	bed = calloc(1, sizeof(*bed));
	make_endpoint(0, "seoul", ENDPOINT_INBOUND);
	make_endpoint(1, "ad", ENDPOINT_RESOLVERS);
	make_endpoint(2, "local", ENDPOINT_LOCAL);
	seoul = &bed->endpoints[0];
	ad = &bed->endpoints[1];
	local = &bed->endpoints[2];
	for (size_t i = 0; i < ADDRESSES; i++)
		make_healthy(&seoul->addresses[i], ips[i], azs[i]);
	make_healthy(&ad->addresses[0], "192.168.10.10", NULL);
	make_healthy(&local->addresses[0], "192.168.0.2", NULL);
	seoul->count = ADDRESSES;
	ad->count = local->count = 1;
	make_zone(seoul, "corp.example", ZONE_NAME);
	make_zone(seoul, "ssm.ap-northeast-2.amazonaws.com", ZONE_VPC_ENDPOINTS);
	seoul->zones[1].expect = &bed->expect;
	seoul->zones[1].a = SURVEY_A_EXPECTED;
	make_zone(ad, "corp.local", ZONE_NAME);
	make_zone(local, ".", ZONE_NAME);
	local->zones_in_file = 0;
	bed->survey = (struct survey){.endpoints = bed->endpoints, .count = ENDPOINTS};
	bed->listen[0] = address("127.0.0.1:53");
	bed->host = (struct host){.listen = bed->listen, .listen_count = 1, .ear_count = 1, .programs_path = "/etc/resolv.conf"};
	bed->host.programs.servers[0] = address("127.0.0.1");
	bed->host.programs.count = 1;
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	findings_free(&bed->found);
	free(bed);
	return 0;
}

static inline void diagnose(void)
{
	findings_free(&bed->found);
	diagnosis_make(&bed->survey, &bed->host, &bed->found);
}

static inline const struct finding *find(enum finding_kind kind)
{
	for (size_t i = 0; i < bed->found.count; i++)
		if (bed->found.rows[i].kind == kind)
			return &bed->found.rows[i];
	return NULL;
}

/* These kinds and no others, in any order; SILENCE ends the list. */
enum { END_OF_LIST = -1 };
static inline void found_are(int first, ...)
{
	va_list kinds;
	size_t count = 0;

	diagnose();
	va_start(kinds, first);
	for (int kind = first; kind != END_OF_LIST; kind = va_arg(kinds, int), count++)
		if (find((enum finding_kind)kind) == NULL)
			fail_msg("%s was not found", finding_row((enum finding_kind)kind)->id);
	va_end(kinds);
	if (bed->found.count > count)
		for (size_t i = 0; i < bed->found.count; i++)
			print_message("found %s\n", finding_row(bed->found.rows[i].kind)->id);
	assert_int_equal(bed->found.count, count);
}

static inline void nothing_is_found(void)
{
	found_are(END_OF_LIST);
}

static inline void make_silent(struct survey_address *a)
{
	const char *az = a->az;
	struct addr addr = a->addr;

	*a = (struct survey_address){.addr = addr, .az = az, .asked = 3, .tcp = SOUNDER_UNCONNECTED};
}

static inline void detail_is(enum finding_kind kind, const char *text)
{
	const struct finding *f = find(kind);

	assert_non_null(f);
	assert_string_equal(f->detail, text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
