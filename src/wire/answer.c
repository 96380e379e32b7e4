/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: a record's fixed part takes 10 octets behind its owner (RFC 1035 section 3.2.1); TTLs have 31 bits (RFC 2181
 * section 8). A chain of CNAMEs is followed for 16 links, which is more than resolvers themselves follow (Unbound: 11,
 * BIND: 16), and no more records are looked at for it than two longest messages hold.
 *
 * The usual answer's owners are pointers to the question or to the CNAME target before them. Those are recognised by
 * their offset, without reading a name; whatever is not so plain is decided by comparing names.
 *
 * A name is accepted only if it can be read without looking behind the record it stands in, so records can be cut off
 * at the end without changing the ones before. */
#include "wire/answer.h"

enum {
	MAX_LINKS = 16,
	MAX_VISITS = 2 * ANSWER_MAX_RECORDS,
	FIXED_BYTES = 10,
	POINTER = 0xc000,
	POINTER_MAX = 0x3fff, /* farther than that no pointer reaches */
	LABEL_POINTER = 0xc0,
	SOA_MINIMUM_BYTES = 4,
	SOA_NUMBERS_BYTES = 20,
	TYPE_RRSIG = 46,
	/* How many written names answer_trim remembers to point at; later ones are spelled out. */
	MAX_MOVED = 96,
};

/* Offsets in the message, each checked against its length. */
struct record {
	size_t owner, fixed, rdata, end;
	uint16_t type;
};

/* Checked rdata: so many octets, then names, then octets, and no more. */
struct layout {
	bool checked;
	uint8_t before, names, after;
};

static inline struct layout layout_of(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_A:
		return (struct layout){true, 4, 0, 0};
	case DNS_TYPE_AAAA:
		return (struct layout){true, 16, 0, 0};
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
	case DNS_TYPE_DNAME:
		return (struct layout){true, 0, 1, 0};
	case DNS_TYPE_MX:
		return (struct layout){true, 2, 1, 0};
	case DNS_TYPE_SRV:
		return (struct layout){true, 6, 1, 0};
	case DNS_TYPE_SOA:
		return (struct layout){true, 0, 2, SOA_NUMBERS_BYTES};
	default:
		return (struct layout){false, 0, 0, 0};
	}
}

/* Where a name's own octets end, its pointer or root included; beyond the message if they do not fit. */
static inline size_t own_end(const uint8_t *message, size_t len, size_t at)
{
	while (at < len && message[at] != 0) {
		if (message[at] >= LABEL_POINTER)
			return at + 2;
		at += message[at] + 1u;
	}
	return at + 1;
}

/* Offset behind an owner name, 0 when it is refused. The name must be whole before its own end: see above. */
static inline size_t owner_end(const uint8_t *message, size_t len, size_t at)
{
	size_t end = own_end(message, len, at);

	if (UNLIKELY(end > len))
		return 0;
	/* A pointer to the question's name, which was read before. */
	if (LIKELY(end - at == 2 && dns_get16(message + at) == (POINTER | DNS_HEADER_BYTES)))
		return end;
	return name_skip(message, end, at) == (int)end ? end : 0;
}

static inline bool rdata_is_sound(const uint8_t *message, const struct record *r)
{
	struct layout layout = layout_of(r->type);
	size_t at = r->rdata + layout.before;

	if (!layout.checked)
		return true;
	for (unsigned i = 0; i < layout.names; i++) {
		int after = name_skip(message, r->end, at);
		if (after < 0)
			return false;
		at = (size_t)after;
	}
	return at + layout.after == r->end;
}

/* A record that answer_read has kept, found again by its TTL. */
static struct record record_at(const struct answer *a, size_t i)
{
	size_t ttl = a->ttl_at[i];
	size_t owner = a->body_at;

	if (i > 0) {
		size_t before = a->ttl_at[i - 1];
		owner = before + 6 + dns_get16(a->message + before + 4);
	}
	return (struct record){
		.owner = owner,
		.fixed = ttl - 4,
		.rdata = ttl + 6,
		.end = ttl + 6 + dns_get16(a->message + ttl + 4),
		.type = dns_get16(a->message + ttl - 4),
	};
}

/* ---- the chain, by comparing names ---- */

/* The chain from the question's name on. */
struct chain {
	struct name name;   /* where it has come to */
	unsigned links;
	unsigned visits;
	bool found;         /* a record of the asked type stands at `name` */
	uint8_t *keep;      /* a bit for each record of the answer section that belongs to the chain, or NULL */
};

static void mark(uint8_t *keep, size_t i)
{
	if (keep)
		keep[i / 8] |= (uint8_t)(1u << i % 8);
}

static bool is_marked(const uint8_t *keep, size_t i)
{
	return keep[i / 8] >> i % 8 & 1;
}

/* RFC 6672 section 2.2: the labels below the DNAME's owner, before its target. False when that grows too long. */
static bool substitute(struct name *n, const struct name *owner, const struct name *target)
{
	uint8_t octets[2 * NAME_MAX_OCTETS];
	size_t prefix = (size_t)n->len - owner->len;

	memcpy(octets, n->octets, prefix);
	memcpy(octets + prefix, target->octets, target->len);
	return name_read(n, octets, prefix + target->len) > 0;
}

/* DNAMEs act on the names below them only, and their signatures go with them. */
static bool is_dname_above(const struct answer *a, const struct record *r, const struct name *owner,
			   const struct name *n)
{
	bool signs = r->type == TYPE_RRSIG && r->end - r->rdata >= 2 &&
		     dns_get16(a->message + r->rdata) == DNS_TYPE_DNAME;

	return (signs || r->type == DNS_TYPE_DNAME) && name_is_within(n, owner) && n->labels > owner->labels;
}

/* Looks through the answer section for c->name and goes on to what it is an alias of. A record of the asked type comes
 * before a CNAME, and that before a DNAME, in whatever order they stand. False at the chain's end. */
static bool follow_link(const struct answer *a, struct chain *c)
{
	struct name owner, target;
	size_t cname = 0;
	struct record dname = {0};

	for (size_t i = 0; i < a->ancount && c->visits < MAX_VISITS; i++, c->visits++) {
		struct record r = record_at(a, i);
		if (name_unpack(&owner, a->message, r.end, r.owner) < 0)
			continue;
		if (name_equal(&owner, &c->name)) {
			mark(c->keep, i);
			c->found = c->found || r.type == a->type || a->type == DNS_TYPE_ANY;
			if (r.type == DNS_TYPE_CNAME && cname == 0)
				cname = r.rdata;
		} else if (is_dname_above(a, &r, &owner, &c->name)) {
			mark(c->keep, i);
			if (r.type == DNS_TYPE_DNAME && dname.rdata == 0)
				dname = r;
		}
	}
	if (c->found || cname + dname.rdata == 0 || c->links >= MAX_LINKS)
		return false;
	c->links++;
	if (cname > 0)
		return name_unpack(&c->name, a->message, a->body_end, cname) > 0;
	return name_unpack(&owner, a->message, a->body_end, dname.owner) > 0 &&
	       name_unpack(&target, a->message, a->body_end, dname.rdata) > 0 && substitute(&c->name, &owner, &target);
}

static void follow_chain(const struct answer *a, struct chain *c, uint8_t *keep)
{
	c->links = 0;
	c->visits = 0;
	c->found = false;
	c->keep = keep;
	if (name_unpack(&c->name, a->message, a->body_at, DNS_HEADER_BYTES) < 0)
		return;
	while (follow_link(a, c))
		;
}

/* ---- reading ---- */

struct reading {
	const uint8_t *message;
	size_t len, at;
	uint32_t least;     /* TTL so far */
	uint32_t minimum;   /* of the authority section's SOAs */
	size_t chain_at;    /* where the name stands that the chain has come to; 0: out of any pointer's reach */
	unsigned links;
	bool found, strays; /* a record at the chain's end / one that is not plainly a link of it */
};

/* Reads the record at in->at and moves behind it. */
static inline bool take_record(struct reading *in, struct record *r)
{
	const uint8_t *message = in->message;
	size_t fixed = owner_end(message, in->len, in->at);

	if (UNLIKELY(fixed == 0 || in->len - fixed < FIXED_BYTES))
		return false;
	r->owner = in->at;
	r->fixed = fixed;
	r->type = dns_get16(message + fixed);
	r->rdata = fixed + FIXED_BYTES;
	r->end = r->rdata + dns_get16(message + fixed + 8);
	if (UNLIKELY(r->end > in->len || !rdata_is_sound(message, r)))
		return false;
	in->at = r->end;
	return true;
}

static inline void keep_ttl(struct answer *a, struct reading *in, const struct record *r)
{
	size_t at = r->fixed + 4;
	uint32_t ttl = dns_get32(in->message + at);

	if (UNLIKELY(ttl >> 31))
		ttl = 0;
	in->least = MIN(in->least, ttl);
	a->ttl_at[a->ttls++] = (uint16_t)at;
}

/* Follows the chain as far as owners are plain pointers to it. */
static inline void trace(const struct answer *a, struct reading *in, const struct record *r)
{
	bool on = r->fixed - r->owner == 2 && dns_get16(in->message + r->owner) == (POINTER | in->chain_at);

	if (on && (r->type == a->type || a->type == DNS_TYPE_ANY)) {
		in->found = true;
	} else if (on && r->type == DNS_TYPE_CNAME && in->links < MAX_LINKS) {
		in->links++;
		in->chain_at = r->rdata <= POINTER_MAX ? r->rdata : 0;
	} else {
		in->strays = true;
	}
}

static inline bool take_answers(struct answer *a, struct reading *in)
{
	struct record r;

	for (unsigned left = dns_ancount(in->message); left > 0; left--) {
		if (!take_record(in, &r) || r.type == DNS_TYPE_OPT)
			return false;
		keep_ttl(a, in, &r);
		a->ancount++;
		trace(a, in, &r);
	}
	return true;
}

static inline bool take_authority(struct answer *a, struct reading *in)
{
	struct record r;

	for (unsigned left = dns_nscount(in->message); left > 0; left--) {
		if (!take_record(in, &r) || r.type == DNS_TYPE_OPT)
			return false;
		keep_ttl(a, in, &r);
		a->nscount++;
		if (r.type == DNS_TYPE_SOA) {
			a->has_soa = true;
			in->minimum = MIN(in->minimum, dns_get32(in->message + r.end - SOA_MINIMUM_BYTES));
		}
	}
	return true;
}

/* The OPT is the end of what is kept. Its owner must be the root's one octet (RFC 6891 section 6.1.2). */
static inline bool take_additional(struct answer *a, struct reading *in)
{
	struct record r;

	for (unsigned left = dns_arcount(in->message); left > 0; left--) {
		if (!take_record(in, &r))
			return false;
		if (r.type == DNS_TYPE_OPT) {
			if (a->edns.present || r.fixed - r.owner != 1 ||
			    edns_read(&a->edns, in->message + r.fixed, r.end - r.rdata) < 0)
				return false;
			a->body_end = (uint16_t)r.owner;
		} else if (!a->edns.present) {
			keep_ttl(a, in, &r);
			a->arcount++;
		}
	}
	if (!a->edns.present)
		a->body_end = (uint16_t)in->at;
	return true;
}

static inline enum answer_kind kind_of(const struct answer *a, const struct reading *in)
{
	struct chain chain;
	bool found = in->found, links = in->links > 0;

	if (a->rcode != DNS_NOERROR)
		return a->rcode == DNS_NXDOMAIN ? ANSWER_NXDOMAIN : ANSWER_FAILURE;
	/* Only records that are not plainly on the chain make it necessary to compare names. */
	if (UNLIKELY(!found && in->strays)) {
		follow_chain(a, &chain, NULL);
		found = chain.found;
		links = chain.links > 0;
	}
	return found || (links && !a->has_soa) ? ANSWER_POSITIVE : ANSWER_NODATA;
}

/* Field by field: ttl_at is large and need not be cleared. */
static inline void begin(struct answer *a, const uint8_t *message, size_t len)
{
	a->message = message;
	a->body_at = a->body_end = DNS_HEADER_BYTES;
	a->flags = len < DNS_HEADER_BYTES ? 0 : dns_flags(message);
	a->rcode = a->flags & DNS_RCODE;
	a->ancount = a->nscount = a->arcount = 0;
	a->type = 0;
	a->kind = ANSWER_FAILURE;
	a->edns = (struct edns){.present = false};
	a->has_soa = false;
	a->ttl_s = 0;
	a->ttls = 0;
}

enum answer_verdict answer_read(struct answer *a, const uint8_t *message, size_t len)
{
	struct reading in = {.message = message, .len = len, .least = UINT32_MAX, .minimum = UINT32_MAX,
			     .chain_at = DNS_HEADER_BYTES};

	begin(a, message, len);
	if (UNLIKELY(len < DNS_HEADER_BYTES || len > DNS_MESSAGE_MAX))
		return ANSWER_MALFORMED;
	if (UNLIKELY(dns_qdcount(message) == 0))
		return a->rcode == DNS_NOERROR || a->rcode == DNS_NXDOMAIN ? ANSWER_MALFORMED : ANSWER_OK;
	int name_end = name_skip(message, len, DNS_HEADER_BYTES);
	if (UNLIKELY(dns_qdcount(message) != 1 || name_end < 0 || len - (size_t)name_end < 4))
		return ANSWER_MALFORMED;
	a->type = dns_get16(message + name_end);
	in.at = (size_t)name_end + 4;
	a->body_at = (uint16_t)in.at;

	if (!take_answers(a, &in) || !take_authority(a, &in) || !take_additional(a, &in) || in.at != len)
		return ANSWER_MALFORMED;
	a->rcode = (uint16_t)(a->edns.rcode_upper << 4 | (a->flags & DNS_RCODE));
	a->kind = kind_of(a, &in);
	if (a->has_soa && (a->kind == ANSWER_NODATA || a->kind == ANSWER_NXDOMAIN))
		in.least = MIN(in.least, in.minimum);
	a->ttl_s = a->ttls > 0 ? in.least : 0;
	return ANSWER_OK;
}

bool answer_each_address(const struct answer *a, bool (*see)(void *arg, const uint8_t *octets, size_t len), void *arg)
{
	for (size_t i = 0; i < a->ancount; i++) {
		struct record r = record_at(a, i);
		if (r.type != DNS_TYPE_A && r.type != DNS_TYPE_AAAA)
			continue;
		if (!see(arg, a->message + r.rdata, r.end - r.rdata))
			return false;
	}
	return true;
}

bool answer_each_server_name(const struct answer *a, bool (*see)(void *arg, const struct name *name), void *arg)
{
	struct name name;

	for (size_t i = 0; i < (size_t)a->ancount + a->nscount; i++) {
		struct record r = record_at(a, i);
		if (r.type != DNS_TYPE_SOA && (r.type != DNS_TYPE_NS || i >= a->ancount))
			continue;
		/* MNAME is an SOA's first name. */
		if (name_unpack(&name, a->message, r.end, r.rdata) > 0 && !see(arg, &name))
			return false;
	}
	return true;
}

/* ---- trimming ----
 *
 * What stands before the first dropped record is copied as it is. Records behind it move, so the pointers in their
 * names are written anew: to the same place if that did not move, to where the labels went if they were written
 * before, and otherwise the labels are spelled out, once. So a message becomes shorter unless it was made to be awkward; what
 * then does not fit is left out from there on. */

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

/* Where the copy has what stands at `from` of the message, 0 if nowhere. */
static size_t moved_to(const struct trimming *t, size_t from)
{
	if (own_end(t->a->message, t->a->body_end, from) <= t->unmoved)
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
	if (end > from && to + (end - from) <= POINTER_MAX && t->count < MAX_MOVED)
		t->moved[t->count++] = (struct moved){(uint16_t)from, (uint16_t)end, (uint16_t)to};
}

/* Writes the name at `*at` so that it says the same in the copy; `*at` moves behind it. */
static bool put_name(struct trimming *t, size_t *at)
{
	const uint8_t *message = t->a->message;
	size_t piece = *at;

	*at = own_end(message, t->a->body_end, piece);
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

		piece = dns_get16(message + end) & POINTER_MAX;
		to = moved_to(t, piece);
		if (to > 0) {
			uint8_t pointer[2];
			dns_put16(pointer, (uint16_t)(POINTER | to));
			return put(t, pointer, sizeof(pointer));
		}
	}
}

static bool put_record(struct trimming *t, const struct record *r)
{
	const uint8_t *message = t->a->message;
	struct layout layout = layout_of(r->type);
	size_t at = r->owner;

	if (!put_name(t, &at) || !put(t, message + r->fixed, FIXED_BYTES))
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

/* Copies the records from `first` on that are kept, and counts all that the copy has in counts[0..2]. */
static void put_records(struct trimming *t, size_t first, const uint8_t *keep, uint16_t counts[3])
{
	const struct answer *a = t->a;

	for (size_t i = first; i < a->ttls; i++) {
		struct record r = record_at(a, i);
		size_t start = t->at;
		if ((i < a->ancount && !is_marked(keep, i)) || may_hide_pointers(r.type))
			continue;
		if (!put_record(t, &r)) {
			t->at = start;
			return;
		}
		counts[i < a->ancount ? 0 : i < (size_t)a->ancount + a->nscount ? 1 : 2]++;
	}
}

size_t answer_trim(const struct answer *a, size_t len, uint8_t *out)
{
	uint8_t keep[ANSWER_MAX_RECORDS / 8 + 1] = {0};
	struct chain chain;
	struct trimming t;
	size_t first = 0;

	if (a->ancount == 0)
		return len;
	follow_chain(a, &chain, keep);
	while (first < a->ancount && is_marked(keep, first))
		first++;
	if (first == a->ancount)
		return len;

	/* The OPT has no pointers and goes along as it is. The result stays below `len`, which means "nothing to do". */
	const uint8_t *opt = a->message + a->body_end;
	size_t opt_bytes = a->edns.present ? EDNS_OPT_BYTES + (size_t)dns_get16(opt + EDNS_OPT_BYTES - 2) : 0;
	t.a = a;
	t.out = out;
	t.at = t.unmoved = record_at(a, first).owner;
	t.room = len - 1 - opt_bytes;
	t.count = 0;
	memcpy(out, a->message, t.at);
	uint16_t counts[3] = {(uint16_t)first, 0, 0};
	put_records(&t, first, keep, counts);

	memcpy(out + t.at, opt, opt_bytes);
	dns_put16(out + 6, counts[0]);
	dns_put16(out + 8, counts[1]);
	dns_put16(out + 10, (uint16_t)(counts[2] + a->edns.present));
	return t.at + opt_bytes;
}
