/* SPDX-License-Identifier: Apache-2.0 */
/* What stands before the first dropped record is copied as it is. Records behind it move, so the pointers in their
 * names are written anew: to the same place if that did not move, to where the labels went if they were written
 * before, and otherwise the labels are spelled out, once. So a message becomes shorter unless it was made to be awkward; what
 * then does not fit is left out from there on. */
#include "wire/answer_trim.h"

#include "wire/answer_private.h"

/* How many written names are remembered to point at; later ones are spelled out. */
enum { MAX_MOVED = 96 };

/* Labels of the message, a piece of a name, that also stand in the copy. */
struct moved {
	uint16_t from, end, to;
};

struct trimming {
	const struct answer *a;
	uint8_t *out;
	size_t at, room;
	size_t unmoved;  /* up to here message and copy are the same */
	unsigned count;
	struct moved moved[MAX_MOVED];
};

static bool put(struct trimming *t, const uint8_t *octets, size_t len)
{
	if (len > t->room - t->at)
		return false;
	memcpy(t->out + t->at, octets, len);
	t->at += len;
	return true;
}

/* `at` is where a label of the piece begins: a pointer into the middle of one would read on behind the piece. */
static bool begins_label(const uint8_t *message, const struct moved *m, size_t at)
{
	size_t label = m->from;

	while (label < at)
		label += message[label] + 1u;
	return label == at;
}

/* The name that is read from `at` on stands in the copy as it does in the message: with every piece that its pointers lead to, for a piece
 * may begin early and run far. */
static bool is_unmoved(const struct trimming *t, size_t at)
{
	const uint8_t *message = t->a->message;

	for (;;) {
		bool pointer = message[at] > NAME_MAX_LABEL_OCTETS;
		size_t next = at + (pointer ? 2 : message[at] + 1u);
		if (next > t->unmoved)
			return false;
		if (message[at] == 0)
			return true;
		at = pointer ? dns_get16(message + at) & ANSWER_POINTER_MAX : next;
	}
}

/* Where the copy has what stands at `from` of the message, 0 if nowhere. */
static size_t moved_to(const struct trimming *t, size_t from)
{
	if (is_unmoved(t, from))
		return from;
	for (unsigned i = 0; i < t->count; i++) {
		const struct moved *m = &t->moved[i];
		if (from >= m->from && from < m->end && begins_label(t->a->message, m, from))
			return m->to + (from - m->from);
	}
	return 0;
}

static void remember(struct trimming *t, size_t from, size_t end, size_t to)
{
	if (end > from && to + (end - from) <= ANSWER_POINTER_MAX && t->count < MAX_MOVED)
		t->moved[t->count++] = (struct moved){(uint16_t)from, (uint16_t)end, (uint16_t)to};
}

/* Writes the name at `*at` so that it says the same in the copy; `*at` moves behind it. */
static bool put_name(struct trimming *t, size_t *at)
{
	const uint8_t *message = t->a->message;
	size_t piece = *at;

	*at = answer_own_end(message, t->a->body_end, piece);
	for (;;) {
		size_t end = piece;
		while (message[end] > 0 && message[end] <= NAME_MAX_LABEL_OCTETS)
			end += message[end] + 1u;
		size_t to = t->at;
		if (!put(t, message + piece, end - piece + (message[end] == 0)))
			return false;
		remember(t, piece, end, to);
		if (message[end] == 0)
			return true;

		piece = dns_get16(message + end) & ANSWER_POINTER_MAX;
		to = moved_to(t, piece);
		if (to > 0) {
			uint8_t pointer[2];
			dns_put16(pointer, (uint16_t)(ANSWER_POINTER | to));
			return put(t, pointer, sizeof(pointer));
		}
	}
}

static bool put_record(struct trimming *t, const struct answer_record *r)
{
	const uint8_t *message = t->a->message;
	struct answer_layout layout = answer_layout_of(r->type);
	size_t at = r->owner;

	if (!put_name(t, &at) || !put(t, message + r->fixed, ANSWER_FIXED_BYTES))
		return false;
	size_t rdata = t->at;
	if (!put(t, message + r->rdata, layout.before))
		return false;
	at = r->rdata + layout.before;
	for (unsigned i = 0; i < layout.names; i++)
		if (!put_name(t, &at))
			return false;
	if (!put(t, message + at, r->end - at))
		return false;
	dns_put16(t->out + rdata - 2, (uint16_t)(t->at - rdata));
	return true;
}

/* MD, MF, MB, MG, MR, MINFO: obsolete types whose names may be compressed (RFC 3597 section 4) and are not read. */
static bool may_hide_pointers(uint16_t type)
{
	return type == 3 || type == 4 || (type >= 7 && type <= 9) || type == 14;
}

/* ---- what is kept ---- */

/* The server, exchange or service that a record points its reader to. False if it does not. */
static bool points_to(const struct answer *a, const struct answer_record *r, struct name *target)
{
	size_t before;

	switch (r->type) {
	case DNS_TYPE_NS:
		before = 0;
		break;
	case DNS_TYPE_MX:
	case DNS_TYPE_SVCB:
	case DNS_TYPE_HTTPS:
		before = 2;
		break;
	case DNS_TYPE_SRV:
		before = 6;
		break;
	default:
		return false;
	}
	if (name_unpack(target, a->message, r->end, r->rdata + before) < 0)
		return false;
	/* RFC 9460 section 2.5.2: the root stands for the owner. */
	return target->len > 1 || name_unpack(target, a->message, r->end, r->owner) > 0;
}

/* Of the additional section: addresses of what a kept record points to, and their signatures. */
static void mark_additional(const struct answer *a, struct answer_chain *c)
{
	size_t others = (size_t)a->ancount + a->nscount;
	struct name target, owner;

	for (size_t i = 0; i < others && a->arcount > 0 && c->visits < ANSWER_MAX_VISITS; i++, c->visits++) {
		struct answer_record r = answer_record_at(a, i);
		if (!answer_is_marked(c->keep, i) || !points_to(a, &r, &target))
			continue;
		for (size_t k = others; k < a->ttls && c->visits < ANSWER_MAX_VISITS; k++, c->visits++) {
			struct answer_record more = answer_record_at(a, k);
			if (more.type != DNS_TYPE_A && more.type != DNS_TYPE_AAAA && more.type != ANSWER_TYPE_RRSIG)
				continue;
			if (name_unpack(&owner, a->message, more.end, more.owner) > 0 && name_equal(&owner, &target))
				answer_mark(c->keep, k);
		}
	}
}

/* ---- the copy ---- */

static int section_of(const struct answer *a, size_t i)
{
	return i < a->ancount ? 0 : i < (size_t)a->ancount + a->nscount ? 1 : 2;
}

/* Copies the records from `first` on that are kept, and counts all that the copy has in counts[0..2]. */
static void put_records(struct trimming *t, size_t first, const uint8_t *keep, uint16_t counts[3])
{
	const struct answer *a = t->a;

	for (size_t i = first; i < a->ttls; i++) {
		struct answer_record r = answer_record_at(a, i);
		size_t start = t->at;
		if (!answer_is_marked(keep, i) || may_hide_pointers(r.type))
			continue;
		if (!put_record(t, &r)) {
			t->at = start;
			return;
		}
		counts[section_of(a, i)]++;
	}
}

size_t answer_trim(const struct answer *a, size_t len, uint8_t *out)
{
	uint8_t keep[ANSWER_MAX_RECORDS / 8 + 1] = {0};
	struct answer_chain chain;
	struct trimming t;
	size_t first = 0;

	answer_follow_chain(a, &chain, keep);
	mark_additional(a, &chain);
	uint16_t counts[3] = {0, 0, 0};
	while (first < a->ttls && answer_is_marked(keep, first))
		counts[section_of(a, first++)]++;
	if (first == a->ttls)
		return len;

	/* The OPT has no pointers and goes along as it is. The result stays below `len`, which means "nothing to do". */
	const uint8_t *opt = a->message + a->body_end;
	size_t opt_bytes = a->edns.present ? EDNS_OPT_BYTES + (size_t)dns_get16(opt + EDNS_OPT_BYTES - 2) : 0;
	t.a = a;
	t.out = out;
	t.at = t.unmoved = answer_record_at(a, first).owner;
	t.room = len - 1 - opt_bytes;
	t.count = 0;
	memcpy(out, a->message, t.at);
	put_records(&t, first, keep, counts);

	memcpy(out + t.at, opt, opt_bytes);
	dns_put16(out + 6, counts[0]);
	dns_put16(out + 8, counts[1]);
	dns_put16(out + 10, (uint16_t)(counts[2] + a->edns.present));
	return t.at + opt_bytes;
}
