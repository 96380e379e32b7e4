/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SURVEY_H
#define CLI_SURVEY_H
/* What doctor measures: every address of zones.conf and of the local upstreams, and every zone where it goes. Measures only; what a
 * measurement means is diagnosis.h's.
 *
 * Asked, to each address: `NS` of zones over UDP, five times at least, and once over TCP; then, if it answers, a question of 512, 1232,
 * 1400 and 4096 octets over UDP and one of 4096 over TCP (padded, so that the path carries that much one way whatever the answer's
 * size). Each zone is asked for at two addresses of each endpoint that it goes to. Once for an endpoint: a question that only we ask,
 * to see whether it comes back to where r53fwd listens. Once for a vpc-endpoints zone: its A. What stayed silent is asked once more, and a
 * zone that was not answered for at one more address that works. */

#include "cli/sounder.h"
#include "config/config.h"
#include "core/origin.h"

enum {
	SURVEY_SIZES = 4,
	SURVEY_SAMPLES = 5,	 /* questions to one address at the least */
	SURVEY_ZONES_MOST = 500, /* at one endpoint: each question is billed */
	SURVEY_LOOKS = 2,	 /* addresses that are asked for one zone */
	SURVEY_RCODES = 16,
	SURVEY_TIMES_MOST = 1024,
	SURVEY_MOST_US = 9500000, /* for all of it */
};

/* The sizes, in octets, smallest first. */
extern const uint16_t survey_sizes[SURVEY_SIZES];

struct survey_address {
	struct addr addr;
	const char *az;					/* lent; NULL: none */
	unsigned asked, answered, refused, unreachable; /* small questions, over the endpoint's own transport */
	int error;					/* errno of the last that was unreachable */
	unsigned rcodes[SURVEY_RCODES];
	unsigned malformed, cut, misfits;
	bool wrong_case, no_recursion, no_edns;
	uint32_t min_us, median_us, p95_us; /* round trips of small questions; 0: none */
	enum sounder_outcome tcp, tcp_large, sizes[SURVEY_SIZES];
	int tcp_error;
	bool has_ttl;
	uint32_t ttl_s;	    /* of the endpoint's first zone */
	uint32_t *times_us; /* heap, sorted in the end */
	size_t times;
};

/* What one address said of a zone. */
struct survey_look {
	uint8_t place;
	enum sounder_outcome outcome;
	bool malformed, cut; /* cut: nothing is known of the rest */
	uint16_t rcode;
	enum origin origin;
	struct name server; /* of origin PRIVATE and ELSEWHERE */
};

enum survey_a { SURVEY_A_UNASKED, SURVEY_A_EXPECTED, SURVEY_A_OTHER, SURVEY_A_NONE, SURVEY_A_FAILED };

struct survey_zone {
	struct name name;
	enum config_zone_source source;
	bool association;		    /* it should be private there */
	const struct config_expect *expect; /* NULL: anything */
	struct survey_look looks[SURVEY_LOOKS];
	size_t look_count;
	enum survey_a a;  /* vpc-endpoints only */
	struct addr seen; /* of A_OTHER: the address that is not as expected */
	uint16_t a_rcode;
};

enum survey_loop { SURVEY_LOOP_UNKNOWN, SURVEY_LOOP_NONE, SURVEY_LOOP_FOUND };

struct survey_endpoint {
	const char *name; /* lent */
	enum config_endpoint_kind kind;
	bool tcp;			  /* `transport: tcp`: UDP is not asked */
	struct survey_address *addresses; /* heap */
	size_t count;
	struct survey_zone *zones; /* heap; those that are looked at */
	size_t zone_count, zones_in_file;
	enum survey_loop loop;
	size_t loop_place;	 /* which address the question went to */
	struct addr loop_client; /* who brought it back */
	uint64_t nonce;
};

struct survey {
	struct survey_endpoint *endpoints; /* heap; as in the file, the local upstreams last */
	size_t count;
	size_t questions, billed; /* sent; those to inbound endpoints */
	uint64_t took_us;
};

/* What is to be asked, nothing of it asked yet: `local` are the local upstreams in force. `c` is lent until survey_free. */
NODISCARD struct survey *survey_new(const struct config *c, const struct addr *local, size_t local_count);
void survey_free(struct survey *s);

/* Asks. `ears`: UDP sockets bound where r53fwd would listen, to see what comes back; queries there are refused. None: loops stay
 * unknown. */
void survey_run(struct survey *s, struct random *random, const int *ears, size_t ear_count);

/* It answers, and never with anything but an error. */
bool survey_is_failing(const struct survey_address *a);

/* The number of its answers that are NOERROR or NXDOMAIN; of those with another rcode. */
unsigned survey_good_answers(const struct survey_address *a);
unsigned survey_errors(const struct survey_address *a);

#endif
