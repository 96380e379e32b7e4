/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a load fails once, the first, the second, and so on: the load says so, and gives back all that it had (a sanitizer
 * looks), or did not need it. */
#include "load.h"

#include <errno.h>
#include <unistd.h>

#include "config/resolv.h"
#include "config/zones.h"
#include "faults.h"

enum { ALLOCATIONS_MOST = 5000 };

static const char good[] =
	"listen: [127.0.0.1:5353, '[::1]:5353']\n"
	"allow-from: [127.0.0.0/8]\n"
	"control: /tmp/${HOME}/r53fwd.sock\n"
	"inbound-endpoints:\n"
	"  seoul: {addresses: [{ip: 10.10.1.10, az: a}, {ip: 10.10.2.10, az: b}], prefer-az: a}\n"
	"  tokyo: {addresses: [10.20.1.10, 10.20.2.10], probe: {interval: 3s}}\n"
	"resolvers: {ad: {addresses: [192.168.10.10]}}\n"
	"zones:\n"
	"  - {name: [a.internal, b.internal, c.internal], to: [seoul, tokyo], expect: [10.0.0.0/8],\n"
	"     guard: warn, keep-warm: [w.a.internal]}\n"
	"  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, s3, ecr]}, to: seoul, keep-warm: true}\n"
	"  - {reverse: 10.20.0.0/14, to: seoul}\n"
	"  - {name: corp.local, to: ad, expect: [10.0.0.0/8]}\n"
	"local-upstreams: [192.168.0.2]\n"
	"cache: {persist: /var/lib/r53fwd/cache}\n"
	"log: {level: warn}\n";

static const char bad[] =
	"listen: [nowhere, 127.0.0.1, 127.0.0.1]\n"
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.1.10], colour: blue}, seoul: 1}\n"
	"zones: [{name: a.internal, to: nobody}, {name: a.internal, to: seoul}, *alias, !tag b, {reverse: 10.1.2.3/8, to: seoul}]\n"
	"wrong: ${R53FWD_NOT_SET}\n"
	"cache: {size: many}\n";

/* Loads with the n-th allocation failing. True: it came to that. */
static bool load_with_fault(const char *text, uint64_t n, struct config **c, struct diagnostics *d)
{
	uint64_t before = faults->failed;

	diagnostics_init(d);
	faults_arm(n);
	*c = config_load_text(text, strlen(text), d);
	faults_arm(0);
	return faults->failed > before;
}

static bool says(const struct diagnostics *d, const char *sentence)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	diagnostics_print(d, "z", out);
	fclose(out);
	bool found = strstr(text, sentence) != NULL;
	free(text);
	return found;
}

static void a_good_file_does_not_load_without_memory_and_says_so(void **state)
{
	struct diagnostics d;
	struct config *c;
	uint64_t n = 1;

	(void)state;
	for (; load_with_fault(good, n, &c, &d); n++) {
		assert_true(n < ALLOCATIONS_MOST);
		assert_true((c == NULL) == (d.errors > 0));
		if (c == NULL)
			assert_true(says(&d, "z: out of memory\n"));
		config_free(c);
		diagnostics_deinit(&d);
	}
	assert_non_null(c);
	assert_true(n > 60);
	config_free(c);
	diagnostics_deinit(&d);
}

static void a_bad_file_stays_bad_without_memory(void **state)
{
	struct diagnostics d;
	struct config *c;
	uint64_t n = 1;

	(void)state;
	for (; load_with_fault(bad, n, &c, &d); n++) {
		assert_true(n < ALLOCATIONS_MOST);
		assert_null(c);
		assert_true(d.errors > 0);
		diagnostics_deinit(&d);
	}
	assert_null(c);
	assert_true(n > 30 && d.count > 5);
	diagnostics_deinit(&d);
}

static void a_file_that_cannot_be_held_is_not_read(void **state)
{
	char path[] = "/tmp/r53fwd-memory-XXXXXX";
	struct diagnostics d;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, good, strlen(good)), (ssize_t)strlen(good));
	close(fd);
	diagnostics_init(&d);
	faults_arm(1);
	assert_null(config_load(path, &d));
	faults_arm(0);
	assert_true(says(&d, "z: out of memory\n"));
	diagnostics_deinit(&d);
	unlink(path);
}

/* A call, and what it fails with. */
struct way {
	const char *call;
	int error;
};

static void arm_way(const struct way *w)
{
	faults_mean(w->call);
	faults->error = (uint64_t)w->error;
	faults_arm(1);
}

static void disarm(void)
{
	faults_mean("memory");
	faults->error = 0;
}

static void a_file_that_cannot_be_opened_or_read_is_said_to_be_so(void **state)
{
	static const struct way ways[] = {{"open", EMFILE}, {"open", ENFILE}, {"read", EIO}};
	char path[] = "/tmp/r53fwd-memory-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, good, strlen(good)), (ssize_t)strlen(good));
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct diagnostics d;
		diagnostics_init(&d);
		arm_way(&ways[i]);
		assert_null(config_load(path, &d));
		disarm();
		assert_true(says(&d, strerror(ways[i].error)));
		diagnostics_deinit(&d);
	}
	unlink(path);
}

static void make_list(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void no_other_resolv_conf_is_taken_when_the_first_cannot_be_looked_at(void **state)
{
	static const struct way ways[] = {{"memory", 0},      {"open", EMFILE},    {"open", ENFILE},    {"open", ENOMEM},
					  {"read", EIO},      {"socket", EMFILE},  {"socket", ENOBUFS}};
	static const struct way forbidden = {"open", EACCES};
	char first[] = "/tmp/r53fwd-memory-XXXXXX", second[] = "/tmp/r53fwd-memory-XXXXXX";
	const char *const paths[] = {first, second, NULL};
	struct addr own;
	struct resolv r;

	(void)state;
	assert_int_equal(addr_parse(&own, "0.0.0.0", 53), 0);
	make_list(first, "nameserver 127.0.0.1\nnameserver 203.0.113.81\n");
	make_list(second, "nameserver 203.0.113.82\n");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		arm_way(&ways[i]);
		assert_false(resolv_read(&r, paths, &own, 1));
		assert_int_equal(r.count, 0);
		assert_null(r.path);
		assert_true(resolv_read(&r, paths, &own, 1));
		assert_int_equal(r.count, 1);
		assert_ptr_equal(r.path, first);
	}
	/* What may not be read at all is as good as not there. */
	arm_way(&forbidden);
	assert_true(resolv_read(&r, paths, &own, 1));
	assert_ptr_equal(r.path, second);
	disarm();
	unlink(first);
	unlink(second);
}

static void zones_are_not_sorted_without_memory(void **state)
{
	struct config *c;
	char *problems = load_problems("zones: []\n", &c);

	(void)state;
	free(problems);
	faults_arm(1);
	assert_null(zones_by_length(c));
	faults_arm(0);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_file_does_not_load_without_memory_and_says_so),
		cmocka_unit_test(a_bad_file_stays_bad_without_memory),
		cmocka_unit_test(a_file_that_cannot_be_held_is_not_read),
		cmocka_unit_test(a_file_that_cannot_be_opened_or_read_is_said_to_be_so),
		cmocka_unit_test(no_other_resolv_conf_is_taken_when_the_first_cannot_be_looked_at),
		cmocka_unit_test(zones_are_not_sorted_without_memory),
	};
	faults_mean("memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
