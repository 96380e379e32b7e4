/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H
/* What is wrong with one address. Several faults combine: a slow address may lose packets too. */

#include "base/base.h"
#include "base/random.h"
#include "base/strbuf.h"

struct fault {
	bool silent;         /* takes every query, answers none */
	bool truncate;       /* UDP answers come empty, with TC */
	bool garbage;        /* the right id and question, then octets that are no records */
	bool wrong_id;       /* the id of somebody else */
	bool wrong_question; /* the answer to another question */
	bool tcp_cut;        /* a TCP connection ends in the middle of an answer */
	bool closed;         /* no socket: the kernel answers with ICMP or RST */
	bool no_edns;        /* FORMERR without OPT to every query with one, as servers before RFC 2671 do */
	bool lower_case;     /* the question is echoed in lower case, as some middleboxes do */
	bool has_rcode;      /* every answer is `rcode`, without records */
	uint16_t rcode;
	uint16_t loss_pm;    /* of UDP queries, per mille; over TCP the kernel would send again */
	uint64_t delay_us, jitter_us; /* the answer waits for delay, give or take up to jitter */
};

/* Longest text of fault_print, with the zero. */
enum { FAULT_TEXT_MAX = 192 };

/* Applies words as the command line has them, `delay 300ms loss 30%`, in their order to *f; `heal` takes back all before it.
 * Returns 0, or -EINVAL with a sentence in `error`: *f is untouched then. */
NODISCARD int fault_parse(struct fault *f, const char *text, struct strbuf *error);

/* The words that would bring a healthy address here; "none". */
void fault_print(const struct fault *f, struct strbuf *out);

/* Every word with what it does, a line each: for --help. */
const char *fault_help(void);

/* Draws the fate of one query: false when no answer may go out, else how long it waits. */
bool fault_draw(const struct fault *f, bool tcp, struct random *r, uint64_t *wait_us);

#endif
