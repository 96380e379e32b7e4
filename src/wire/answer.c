/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: a record's fixed part takes 10 octets behind its owner (RFC 1035 section 3.2.1); TTLs have 31 bits (RFC 2181
 * section 8). A chain of CNAMEs is followed for 16 links, which is more than resolvers themselves follow (Unbound: 11,
 * BIND: 16), and no more records are looked at for it than two longest messages hold.
 *
 * The usual answer's owners are pointers to the question or to the CNAME target before them. Those are recognised by
 * their offset, without reading a name; whatever is not so plain is decided by comparing names.
 *
 * A name is accepted only if it can be read without looking behind the record it stands in, so records can be cut off
 * at the end without changing the ones before; and only if none of its octets is a TTL's: counting that down would make
 * another name of it. */
#include "wire/answer_private.h"

enum {
	MAX_LINKS = 16,
	SOA_MINIMUM_BYTES = 4,
};

/* Offset behind an owner name, 0 when it is refused. The name must be whole before its own end: see above. */
static inline size_t owner_end(const uint8_t *message, size_t len, size_t at)
{
	size_t end = answer_own_end(message, len, at);

	if (UNLIKELY(end > len))
		return 0;
	/* A pointer to the question's name, which was read before. */
	if (LIKELY(end - at == 2 && dns_get16(message + at) == (ANSWER_POINTER | DNS_HEADER_BYTES)))
		return end;
	return name_skip(message, end, at) == (int)end ? end : 0;
}

static inline bool rdata_is_sound(const uint8_t *message, const struct answer_record *r)
{
	struct answer_layout layout = answer_layout_of(r->type);
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

/* ---- the chain, by comparing names ---- */

static void mark(uint8_t *keep, size_t i)
{
	if (keep)
		answer_mark(keep, i);
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
static bool is_dname_above(const struct answer *a, const struct answer_record *r, const struct name *owner,
			   const struct name *n)
{
	bool signs = r->type == ANSWER_TYPE_RRSIG && r->end - r->rdata >= 2 &&
		     dns_get16(a->message + r->rdata) == DNS_TYPE_DNAME;

	return (signs || r->type == DNS_TYPE_DNAME) && name_is_within(n, owner) && n->labels > owner->labels;
}

/* Of the authority section: servers of zones that the chain's name lies in, and what nobody can be led astray by, namely SOAs, which bound
 * how long "nothing" holds (a policy's may name another zone), and what DNSSEC proves with. */
static void mark_authority(const struct answer *a, struct answer_chain *c)
{
	struct name owner;

	for (size_t i = a->ancount; i < (size_t)a->ancount + a->nscount && c->visits < ANSWER_MAX_VISITS; i++, c->visits++) {
		struct answer_record r = answer_record_at(a, i);
		bool serves = r.type == DNS_TYPE_NS && !answer_is_marked(c->keep, i) &&
			      name_unpack(&owner, a->message, r.end, r.owner) > 0 && name_is_within(&c->name, &owner);
		if (serves || r.type == DNS_TYPE_SOA || answer_is_proof(r.type))
			mark(c->keep, i);
	}
}

/* Looks through the answer section for c->name and goes on to what it is an alias of. A record of the asked type comes
 * before a CNAME, and that before a DNAME, in whatever order they stand. False at the chain's end. */
static bool follow_link(const struct answer *a, struct answer_chain *c)
{
	struct name owner, target;
	size_t cname = 0;
	struct answer_record dname = {0};

	if (c->keep)
		mark_authority(a, c);
	for (size_t i = 0; i < a->ancount && c->visits < ANSWER_MAX_VISITS; i++, c->visits++) {
		struct answer_record r = answer_record_at(a, i);
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

void answer_follow_chain(const struct answer *a, struct answer_chain *c, uint8_t *keep)
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

/* Whether a TTL that was kept, or that of `r` itself, has one of the octets from `at` to `end`. */
static bool has_ttl(const struct answer *a, const struct answer_record *r, size_t at, size_t end)
{
	size_t low = 0, high = a->ttls;

	if (r->fixed + 4 < end && at < r->fixed + 8)
		return true;
	/* The first TTL that ends behind `at`. */
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (a->ttl_at[middle] + 4u > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low < a->ttls && a->ttl_at[low] < end;
}

/* The name at `at`, which was checked, says the same whatever the TTLs are. Its own octets stand where no TTL does; those that it
 * points to may stand anywhere. */
static bool is_steady(const struct answer *a, const struct answer_record *r, size_t at)
{
	const uint8_t *message = a->message;

	for (;;) {
		size_t end = at;
		while (message[end] > 0 && message[end] <= NAME_MAX_LABEL_OCTETS)
			end += message[end] + 1u;
		bool pointer = message[end] != 0;
		end += 1u + pointer;
		/* Most names end in the question's, which lies before all TTLs. */
		if (UNLIKELY(end > a->body_at) && has_ttl(a, r, at, end))
			return false;
		if (!pointer)
			return true;
		at = dns_get16(message + end - 2) & ANSWER_POINTER_MAX;
	}
}

static bool names_are_steady(const struct answer *a, const struct answer_record *r)
{
	struct answer_layout layout = answer_layout_of(r->type);
	size_t at = r->rdata + layout.before;

	if (r->fixed - r->owner != 1 && !is_steady(a, r, r->owner))
		return false;
	for (unsigned i = 0; i < layout.names; i++) {
		if (!is_steady(a, r, at))
			return false;
		at = answer_own_end(a->message, r->end, at);
	}
	return true;
}

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
static inline bool take_record(const struct answer *a, struct reading *in, struct answer_record *r)
{
	const uint8_t *message = in->message;
	size_t fixed = owner_end(message, in->len, in->at);

	if (UNLIKELY(fixed == 0 || in->len - fixed < ANSWER_FIXED_BYTES))
		return false;
	r->owner = in->at;
	r->fixed = fixed;
	r->type = dns_get16(message + fixed);
	r->rdata = fixed + ANSWER_FIXED_BYTES;
	r->end = r->rdata + dns_get16(message + fixed + 8);
	if (UNLIKELY(r->end > in->len || !rdata_is_sound(message, r) || !names_are_steady(a, r)))
		return false;
	in->at = r->end;
	return true;
}

static inline void keep_ttl(struct answer *a, struct reading *in, const struct answer_record *r)
{
	size_t at = r->fixed + 4;
	uint32_t ttl = dns_get32(in->message + at);

	if (UNLIKELY(ttl >> 31))
		ttl = 0;
	in->least = MIN(in->least, ttl);
	a->own_names |= r->fixed - r->owner != 2 || r->type == DNS_TYPE_CNAME;
	a->ttl_at[a->ttls++] = (uint16_t)at;
}

/* Follows the chain as far as owners are plain pointers to it. */
static inline void trace(const struct answer *a, struct reading *in, const struct answer_record *r)
{
	bool on = r->fixed - r->owner == 2 && dns_get16(in->message + r->owner) == (ANSWER_POINTER | in->chain_at);

	if (on && (r->type == a->type || a->type == DNS_TYPE_ANY)) {
		in->found = true;
	} else if (on && r->type == DNS_TYPE_CNAME && in->links < MAX_LINKS) {
		in->links++;
		in->chain_at = r->rdata <= ANSWER_POINTER_MAX ? r->rdata : 0;
	} else {
		in->strays = true;
	}
}

static inline bool take_answers(struct answer *a, struct reading *in)
{
	struct answer_record r;

	for (unsigned left = dns_ancount(in->message); left > 0; left--) {
		if (!take_record(a, in, &r) || r.type == DNS_TYPE_OPT)
			return false;
		keep_ttl(a, in, &r);
		a->ancount++;
		trace(a, in, &r);
	}
	return true;
}

static inline bool take_authority(struct answer *a, struct reading *in)
{
	struct answer_record r;

	for (unsigned left = dns_nscount(in->message); left > 0; left--) {
		if (!take_record(a, in, &r) || r.type == DNS_TYPE_OPT)
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
	struct answer_record r;

	for (unsigned left = dns_arcount(in->message); left > 0; left--) {
		if (!take_record(a, in, &r))
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
	struct answer_chain chain;
	bool found = in->found, links = in->links > 0;

	if (a->rcode != DNS_NOERROR)
		return a->rcode == DNS_NXDOMAIN ? ANSWER_NXDOMAIN : ANSWER_FAILURE;
	/* Only records that are not plainly on the chain make it necessary to compare names. */
	if (UNLIKELY(!found && in->strays)) {
		answer_follow_chain(a, &chain, NULL);
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
	a->has_soa = a->own_names = false;
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
		struct answer_record r = answer_record_at(a, i);
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
		struct answer_record r = answer_record_at(a, i);
		if (r.type != DNS_TYPE_SOA && (r.type != DNS_TYPE_NS || i >= a->ancount))
			continue;
		/* MNAME is an SOA's first name. */
		if (name_unpack(&name, a->message, r.end, r.rdata) > 0 && !see(arg, &name))
			return false;
	}
	return true;
}
