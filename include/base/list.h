/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIST_H
#define BASE_LIST_H
/* A doubly linked list whose links live inside its members: no allocation, removal without a search. */

#include "base/base.h"

/* Head and link alike. A link that is on no list points at itself. */
struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Puts `link` (on no list) at the end of `head`. */
static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Takes `link` off its list, if any; it may be appended again. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* Takes the first link off `head`; NULL from an empty list. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *link = head->next;
	if (link == head)
		return NULL;
	list_remove(link);
	return link;
}

/* Walks `head`; `link` may be removed inside the body. */
#define LIST_FOR_EACH(link, head)                                                                                      \
	for (struct list *link = (head)->next, *link##_next = link->next; link != (head);                              \
	     link = link##_next, link##_next = link->next)

#endif
