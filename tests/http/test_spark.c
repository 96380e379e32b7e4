/* SPDX-License-Identifier: Apache-2.0 */
#include "http/spark.h"

#include "pretend.h"

static char *draw(const double *samples, size_t count, double top)
{
	char *svg = PRINTED(spark_print(samples, count, top, out));

	expect_well_formed(svg);
	return svg;
}

static void nothing_known_is_an_empty_drawing(void **state)
{
	char *svg = draw(NULL, 0, 2);

	(void)state;
	expect_part(svg, "<path class=\"l\" d=\"\"/>");
	expect_part(svg, "<path class=\"g\" d=\"\"/>");
	free(svg);
}

static void latest_sample_is_at_the_right_and_the_top_is_the_top(void **state)
{
	const double samples[] = {0, 5, 10};
	char *svg = draw(samples, 3, 10);

	(void)state;
	expect_part(svg, "<path class=\"l\" d=\"M114 32.0 116 17.0 118 2.0\"/>");
	expect_part(svg, "<path class=\"a\" d=\"M114 32L 114 32.0 116 17.0 118 2.0 118 32z\"/>");
	free(svg);
}

static void gap_divides_the_line_and_is_marked(void **state)
{
	const double samples[] = {10, -1, -1, 10};
	char *svg = draw(samples, 4, 10);

	(void)state;
	expect_part(svg, "<path class=\"l\" d=\"M112 2.0h.1M118 2.0h.1\"/>");
	expect_part(svg, "<path class=\"g\" d=\"M114 32v-5M116 32v-5\"/>");
	free(svg);
}

static void only_the_latest_are_drawn(void **state)
{
	double samples[SPARK_SAMPLES + 40];

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		samples[i] = i < 40 ? -1 : 1;
	char *svg = draw(samples, sizeof(samples) / sizeof(samples[0]), 2);
	expect_part(svg, "<path class=\"g\" d=\"\"/>");
	expect_part(svg, "M0 17.0 ");
	free(svg);
}

static void what_is_above_the_top_stays_in_the_frame(void **state)
{
	const double samples[] = {1e12, 3, 0};
	char *svg = draw(samples, 2, 1), *flat = draw(samples, 3, 0);

	(void)state;
	expect_part(svg, "M116 2.0 118 2.0");
	expect_part(flat, "M114 32.0 116 32.0 118 32.0");
	free(svg);
	free(flat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_known_is_an_empty_drawing),
		cmocka_unit_test(latest_sample_is_at_the_right_and_the_top_is_the_top),
		cmocka_unit_test(gap_divides_the_line_and_is_marked),
		cmocka_unit_test(only_the_latest_are_drawn),
		cmocka_unit_test(what_is_above_the_top_stays_in_the_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
