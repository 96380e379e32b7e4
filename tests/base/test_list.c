/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int number;
	struct list link;
};

static struct item items[4];

static void fill(struct list *head)
{
	list_init(head);
	for (int i = 0; i < 4; i++) {
		items[i].number = i;
		list_append(head, &items[i].link);
	}
}

static void members_come_out_in_the_order_they_went_in(void **state)
{
	struct list head;

	(void)state;
	fill(&head);
	for (int i = 0; i < 4; i++)
		assert_int_equal(CONTAINER_OF(list_take_first(&head), struct item, link)->number, i);
	assert_null(list_take_first(&head));
	assert_true(list_empty(&head));
}

static void removed_member_may_be_removed_again_and_appended(void **state)
{
	struct list head;

	(void)state;
	fill(&head);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	list_append(&head, &items[1].link);
	assert_ptr_equal(head.prev, &items[1].link);
	assert_ptr_equal(items[0].link.next, &items[2].link);
}

static void member_may_be_removed_while_the_list_is_walked(void **state)
{
	struct list head;
	int sum = 0;

	(void)state;
	fill(&head);
	LIST_FOR_EACH (link, &head) {
		sum += CONTAINER_OF(link, struct item, link)->number;
		list_remove(link);
	}
	assert_int_equal(sum, 6);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_out_in_the_order_they_went_in),
		cmocka_unit_test(removed_member_may_be_removed_again_and_appended),
		cmocka_unit_test(member_may_be_removed_while_the_list_is_walked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
