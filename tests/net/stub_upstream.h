/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NET_STUB_UPSTREAM_H
#define TESTS_NET_STUB_UPSTREAM_H
/* An upstream in the test's own thread, looked after between turns of the loop, and all that a test of a transport
 * needs around it: a loop that flushes at the end of each turn as a worker does, attempts, and a record of what was
 * reported. */

#include "net/transport.h"

enum { STUB_QUERIES = 4096, STUB_CONNECTIONS = 16, STUB_QUERY_BYTES = 300 };

/* A query as it arrived. */
struct stub_query {
	uint8_t bytes[STUB_QUERY_BYTES];
	size_t len;
	struct addr from;
	int connection; /* number in the order of their arrival; -1: UDP */
};

/* Listens over UDP and TCP on one port of loopback. */
struct stub {
	struct addr addr;
	int udp, tcp; /* -1: closed */
	int connections[STUB_CONNECTIONS]; /* -1: closed */
	size_t accepted, received;
	uint8_t partial[STUB_CONNECTIONS][STUB_QUERY_BYTES];
	size_t have[STUB_CONNECTIONS];
	struct stub_query queries[STUB_QUERIES];
};

void stub_init(struct stub *s, const char *ip);
void stub_deinit(struct stub *s);
void stub_close_udp(struct stub *s);
void stub_reopen_udp(struct stub *s);
void stub_poll(struct stub *s); /* takes what has arrived */
void stub_close_connection(struct stub *s, int connection);
/* Sends bytes to where the query came from; over TCP with the length before them. */
void stub_send(struct stub *s, const struct stub_query *q, const uint8_t *bytes, size_t len);

/* The answer without records; returns its length. */
size_t stub_answer(const struct stub_query *q, uint8_t out[STUB_QUERY_BYTES]);
void stub_send_answer(struct stub *s, const struct stub_query *q);
uint16_t stub_id(const struct stub_query *q);

enum { REPORTS = 4096 };
enum report_kind { REPORT_ANSWERED, REPORT_FAILED, REPORT_HINT };
struct report {
	enum report_kind kind;
	struct transport_attempt *attempt;
	int detail; /* errno, or the hint's detail */
	enum transport_hint hint;
	uint16_t flags; /* of the answer */
};

struct fixture {
	struct loop *loop;
	struct loop_timer *tick;
	struct random random;
	struct transport_env env;
	struct transport *transport;
	const struct transport_ops *ops;
	struct name name;
	struct stub stub;
	struct report reports[REPORTS];
	size_t reported;
	void (*on_report)(struct fixture *f, const struct report *r); /* what the owner does inside a report */
	bool (*done)(struct fixture *f);
	uint64_t deadline_us;
	size_t wanted; /* what the ready-made conditions wait for */
	int descriptors;
};

/* Opens a transport of this row towards a stub on `ip`. */
struct fixture *fixture_new(const struct transport_ops *ops, const char *ip, uint32_t source_ports);
/* Closes all, and asserts that no descriptor is left. */
void fixture_free(struct fixture *f);

/* Runs the loop until `done`; fails the test after 10 s. */
void run_until(struct fixture *f, bool (*done)(struct fixture *f));
void run_until_received(struct fixture *f, size_t queries); /* in all, by the stub */
void run_until_reported(struct fixture *f, size_t reports); /* in all */
/* Until what is on the way has arrived: some turns. */
void run_quietly(struct fixture *f);

/* Asks for A of www.example in this letter case; the attempt was ended or is new. */
int try_ask(struct fixture *f, struct transport_attempt *a, uint64_t case_bits);
void ask(struct fixture *f, struct transport_attempt *a);
void ask_many(struct fixture *f, struct transport_attempt *attempts, size_t count);
void cancel_many(struct transport_attempt *attempts, size_t count);
size_t count_reports(const struct fixture *f, enum report_kind kind);
size_t count_hints(const struct fixture *f, enum transport_hint hint);

/* Asks once and waits for the answer. */
void ask_answered(struct fixture *f);
/* The local port of the query that the stub received as number `i`, over UDP. */
uint16_t port_of(const struct fixture *f, size_t i);
/* Sends `count` answers with ids that are not the query's. */
void guess(struct fixture *f, const struct stub_query *q, uint16_t count);

#endif
