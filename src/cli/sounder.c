/* SPDX-License-Identifier: Apache-2.0 */
/* One thread and poll(2). Questions for one address are a lane: one UDP socket, and a few questions out at a time, so that no address
 * meets a burst that real traffic would not bring. A TCP question has a connection of its own. */
#include "cli/sounder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/udp_socket.h"
#include "wire/edns.h"

/* LANES: sockets that are open at once, two or more for each. Padding is option 12 of EDNS. */
enum { WINDOW = 4, LANES = 200, HOPELESS = 3, FRAME_BYTES = 2, PADDING_OPTION = 12, OPTION_HEAD_BYTES = 4, MISFITS_MOST = 65535 };

enum phase { PHASE_WAITING, PHASE_CONNECTING, PHASE_WRITING, PHASE_READING, PHASE_OVER };

struct lane {
	struct sounder_question *questions; /* count of them */
	size_t count, next;		    /* next: the first that was not sent */
	size_t out, over;
	unsigned unheard[2]; /* in a row, while nothing was answered: over UDP, over TCP */
	bool heard[2];
	int fd; /* UDP; -1: not open */
};

struct sounding {
	const struct sounder *s;
	struct lane *lanes;
	size_t lane_count, first, sent; /* first: all lanes before it are done */
	uint64_t end_us;
	struct pollfd *polled;		 /* ears, then sockets */
	struct sounder_question **owner; /* of each polled socket that is a TCP question's */
	struct lane **lane_of;
	size_t polled_count, polled_size;
	uint8_t bytes[DNS_MESSAGE_MAX];
};

/* ---- queries */

/* An OPT with padding to `octets` in all: padding takes what the option's head leaves. */
static size_t write_opt(const struct sounder_question *q, uint8_t *at, size_t used)
{
	size_t pad = 0;

	memset(at, 0, EDNS_OPT_BYTES);
	at[2] = DNS_TYPE_OPT;
	dns_put16(at + 3, q->udp_bytes);
	if (q->octets >= used + EDNS_OPT_BYTES + OPTION_HEAD_BYTES && q->octets <= SOUNDER_QUERY_MAX)
		pad = q->octets - used - EDNS_OPT_BYTES;
	if (pad == 0)
		return EDNS_OPT_BYTES;
	dns_put16(at + EDNS_OPT_BYTES - 2, (uint16_t)pad);
	dns_put16(at + EDNS_OPT_BYTES, PADDING_OPTION);
	dns_put16(at + EDNS_OPT_BYTES + 2, (uint16_t)(pad - OPTION_HEAD_BYTES));
	memset(at + EDNS_OPT_BYTES + OPTION_HEAD_BYTES, 0, pad - OPTION_HEAD_BYTES);
	return EDNS_OPT_BYTES + pad;
}

static struct question_upstream asked(const struct sounder_question *q)
{
	return (struct question_upstream){
		.name = &q->name, .case_bits = q->case_bits, .id = q->id, .type = q->type, .class = DNS_CLASS_IN, .flags = DNS_RD};
}

size_t sounder_write(const struct sounder_question *q, uint8_t *out)
{
	struct question_upstream u = asked(q);
	size_t len = question_write(&u, out);

	if (q->udp_bytes == 0)
		return len;
	dns_put16(out + 10, 1);
	return len + write_opt(q, out + len, len);
}

/* ---- ends */

static void end(struct lane *l, struct sounder_question *q, enum sounder_outcome outcome, int error)
{
	if (q->fd >= 0)
		close(q->fd);
	free(q->stream);
	q->fd = -1;
	q->stream = NULL;
	q->outcome = outcome;
	q->error = error;
	q->phase = PHASE_OVER;
	l->out--;
	l->over++;
	if (outcome == SOUNDER_ANSWERED)
		l->heard[q->tcp] = true;
	else
		l->unheard[q->tcp]++;
}

static void end_by_errno(struct lane *l, struct sounder_question *q, int error)
{
	if (error == ECONNREFUSED)
		end(l, q, SOUNDER_REFUSED, 0);
	else if (error == ECONNRESET || error == EPIPE || error == EPROTO)
		end(l, q, SOUNDER_CUT, 0);
	else
		end(l, q, SOUNDER_UNREACHABLE, error);
}

/* An answer to `q`, or not: then nothing happens. */
static bool take_answer(struct sounding *x, struct lane *l, struct sounder_question *q, const uint8_t *message, size_t len)
{
	struct question_upstream u = asked(q);
	enum question_echo echo = question_echo(&u, message, len);

	if (echo == ECHO_NO)
		return false;
	q->wrong_case = echo == ECHO_WRONG_CASE;
	q->took_us = (uint32_t)(loop_clock_us() - q->sent_us);
	end(l, q, SOUNDER_ANSWERED, 0);
	x->s->heard(x->s->arg, q, message, len);
	return true;
}

/* ---- UDP */

/* The next of the lane's open UDP questions, from `q` on; NULL: none. */
static struct sounder_question *open_from(const struct lane *l, struct sounder_question *q)
{
	while (q < l->questions + l->next && (q->tcp || q->phase != PHASE_READING))
		q++;
	return q < l->questions + l->next ? q : NULL;
}

static void take_datagram(struct sounding *x, struct lane *l, size_t len)
{
	struct sounder_question *first = open_from(l, l->questions);

	for (struct sounder_question *q = first; q != NULL; q = open_from(l, q + 1))
		if (take_answer(x, l, q, x->bytes, len))
			return;
	if (first != NULL && first->misfits < MISFITS_MOST)
		first->misfits++;
}

static void read_udp(struct sounding *x, struct lane *l)
{
	struct udp_socket_error e;
	ssize_t len;

	while (udp_socket_take_error(l->fd, &e)) {
		struct sounder_question *q = open_from(l, l->questions);
		while (q != NULL && e.has_id && q->id != e.id)
			q = open_from(l, q + 1);
		if (q != NULL && e.error != 0)
			end_by_errno(l, q, e.error);
	}
	while ((len = recv(l->fd, x->bytes, sizeof(x->bytes), 0)) >= 0 || errno == ECONNREFUSED || errno == EHOSTUNREACH)
		if (len >= 0)
			take_datagram(x, l, (size_t)len);
}

/* Two questions of a lane never share an id. */
static uint16_t fresh_id(const struct sounding *x, const struct lane *l)
{
	for (;;) {
		uint16_t id = random_u16(x->s->random);
		struct sounder_question *q = open_from(l, l->questions);
		while (q != NULL && q->id != id)
			q = open_from(l, q + 1);
		if (q == NULL)
			return id;
	}
}

static void send_udp(struct lane *l, struct sounder_question *q)
{
	uint8_t query[SOUNDER_QUERY_MAX];
	size_t len = sounder_write(q, query);

	q->phase = PHASE_READING;
	/* A pending ICMP error would be told here, of another question: send again. */
	for (int try = 0; try < WINDOW; try++)
		if (send(l->fd, query, len, 0) >= 0)
			return;
	if (errno != EAGAIN && errno != ENOBUFS)
		end_by_errno(l, q, errno);
}

/* ---- TCP */

static void begin_tcp(struct lane *l, struct sounder_question *q)
{
	q->stream = malloc(FRAME_BYTES + DNS_MESSAGE_MAX);
	ASSERT(q->stream);
	q->size = FRAME_BYTES + sounder_write(q, q->stream + FRAME_BYTES);
	dns_put16(q->stream, (uint16_t)(q->size - FRAME_BYTES));
	q->have = 0;
	q->phase = PHASE_CONNECTING;
	if (connect(q->fd, &q->to.sa, addr_len(&q->to)) < 0 && errno != EINPROGRESS)
		end_by_errno(l, q, errno);
}

static bool finish_connecting(struct lane *l, struct sounder_question *q)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	q->phase = PHASE_WRITING;
	if (error == 0)
		return true;
	end_by_errno(l, q, error);
	return false;
}

static void write_tcp(struct lane *l, struct sounder_question *q)
{
	ssize_t sent = send(q->fd, q->stream + q->have, q->size - q->have, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN)
			end_by_errno(l, q, errno);
		return;
	}
	q->have += (size_t)sent;
	if (q->have < q->size)
		return;
	q->phase = PHASE_READING;
	q->have = 0;
	q->size = FRAME_BYTES;
}

static void read_tcp(struct sounding *x, struct lane *l, struct sounder_question *q)
{
	ssize_t got = recv(q->fd, q->stream + q->have, q->size - q->have, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		end_by_errno(l, q, got == 0 ? EPROTO : errno);
		return;
	}
	q->have += (size_t)got;
	if (q->have == FRAME_BYTES)
		q->size = FRAME_BYTES + dns_get16(q->stream);
	if (q->have < q->size || q->size == FRAME_BYTES)
		return;
	uint8_t *message = q->stream;
	q->stream = NULL;
	if (!take_answer(x, l, q, message + FRAME_BYTES, q->size - FRAME_BYTES)) {
		q->misfits++;
		end(l, q, SOUNDER_CUT, 0);
	}
	free(message);
}

static void step_tcp(struct sounding *x, struct lane *l, struct sounder_question *q)
{
	if (q->phase == PHASE_CONNECTING && !finish_connecting(l, q))
		return;
	if (q->phase == PHASE_WRITING)
		write_tcp(l, q);
	else if (q->phase == PHASE_READING)
		read_tcp(x, l, q);
}

/* ---- turns */

/* False when the system gives no descriptor now, and others may give one back. */
static bool start(struct sounding *x, struct lane *l, struct sounder_question *q)
{
	int fd = -EMFILE;

	if (q->tcp) {
		fd = socket(q->to.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		fd = fd < 0 ? -errno : fd;
	} else {
		fd = l->fd >= 0 ? l->fd : udp_socket_open(&q->to, x->s->random);
	}
	if (fd == -EMFILE || fd == -ENFILE)
		return false;
	l->next++;
	l->out++;
	q->id = fresh_id(x, l);
	q->case_bits = random_u64(x->s->random);
	q->sent_us = loop_clock_us();
	if (fd < 0) {
		end_by_errno(l, q, -fd);
		return true;
	}
	x->sent++;
	if (q->tcp) {
		q->fd = fd;
		begin_tcp(l, q);
	} else {
		l->fd = fd;
		send_udp(l, q);
	}
	return true;
}

/* UDP and TCP each speak for themselves. */
static bool is_hopeless(const struct lane *l, bool tcp)
{
	return !l->heard[tcp] && l->unheard[tcp] >= HOPELESS;
}

static bool is_done(const struct lane *l)
{
	return l->over == l->count;
}

static void close_lane(struct lane *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

/* What the address has not heard of yet may go out, as far as the window allows. */
static void advance(struct sounding *x, struct lane *l)
{
	while (l->next < l->count && l->out < WINDOW) {
		struct sounder_question *q = &l->questions[l->next];
		if (is_hopeless(l, q->tcp)) {
			q->phase = PHASE_OVER;
			l->next++;
			l->over++;
			continue;
		}
		if (!start(x, l, q))
			return;
	}
}

static void expire(const struct sounding *x, struct lane *l, uint64_t now_us)
{
	for (struct sounder_question *q = l->questions; q < l->questions + l->next; q++) {
		if (q->phase == PHASE_OVER || q->phase == PHASE_WAITING)
			continue;
		if (now_us >= q->sent_us + x->s->wait_us)
			end(l, q, q->phase == PHASE_CONNECTING ? SOUNDER_UNCONNECTED : SOUNDER_SILENT, 0);
		else if (now_us >= x->end_us)
			end(l, q, SOUNDER_SKIPPED, 0); /* it was not given its time */
	}
}

static void watch(struct sounding *x, int fd, short events, struct lane *l, struct sounder_question *q)
{
	ASSERT(x->polled_count < x->polled_size);
	x->polled[x->polled_count] = (struct pollfd){.fd = fd, .events = events};
	x->owner[x->polled_count] = q;
	x->lane_of[x->polled_count++] = l;
}

static void watch_lane(struct sounding *x, struct lane *l)
{
	if (l->fd >= 0)
		watch(x, l->fd, POLLIN, l, NULL);
	for (struct sounder_question *q = l->questions; q < l->questions + l->next; q++)
		if (q->tcp && q->phase != PHASE_OVER && q->fd >= 0)
			watch(x, q->fd, q->phase == PHASE_READING ? POLLIN : POLLOUT, l, q);
}

/* The earliest end of a question's time, as poll wants it. */
static int patience_ms(const struct sounding *x, uint64_t now_us)
{
	uint64_t until = x->end_us;

	for (size_t i = x->first; i < x->lane_count; i++)
		for (const struct sounder_question *q = x->lanes[i].questions; q < x->lanes[i].questions + x->lanes[i].next; q++)
			if (q->phase != PHASE_OVER && q->phase != PHASE_WAITING)
				until = MIN(until, q->sent_us + x->s->wait_us);
	return until <= now_us ? 0 : (int)((until - now_us) / US_PER_MS + 1);
}

static void look(struct sounding *x, uint64_t now_us)
{
	size_t ears = x->s->ear_count;

	if (poll(x->polled, (nfds_t)x->polled_count, patience_ms(x, now_us)) <= 0)
		return;
	for (size_t i = 0; i < x->polled_count; i++) {
		if (x->polled[i].revents == 0)
			continue;
		if (i < ears)
			x->s->ear(x->s->arg, x->polled[i].fd);
		else if (x->owner[i] == NULL)
			read_udp(x, x->lane_of[i]);
		else
			step_tcp(x, x->lane_of[i], x->owner[i]);
	}
}

/* Begins, moves on and ends lanes; false when all are done. */
static bool turn(struct sounding *x, uint64_t now_us)
{
	size_t open = 0;

	x->polled_count = 0;
	for (size_t i = 0; i < x->s->ear_count; i++)
		watch(x, x->s->ears[i], POLLIN, NULL, NULL);
	for (size_t i = x->first; i < x->lane_count && open < LANES; i++) {
		struct lane *l = &x->lanes[i];
		expire(x, l, now_us);
		if (now_us < x->end_us)
			advance(x, l);
		if (is_done(l)) {
			close_lane(l);
			x->first += i == x->first;
			continue;
		}
		open++;
		watch_lane(x, l);
	}
	return open > 0;
}

static size_t make_lanes(struct lane *lanes, struct sounder_question *questions, size_t count)
{
	size_t made = 0;

	for (size_t i = 0; i < count; i++) {
		struct sounder_question *q = &questions[i];
		q->outcome = SOUNDER_SKIPPED;
		q->phase = PHASE_WAITING;
		q->fd = -1;
		q->stream = NULL;
		q->misfits = 0;
		q->wrong_case = false;
		if (made == 0 || !addr_equal(&lanes[made - 1].questions[0].to, &q->to))
			lanes[made++] = (struct lane){.questions = q, .fd = -1};
		lanes[made - 1].count++;
	}
	return made;
}

size_t sounder_run(const struct sounder *s, struct sounder_question *questions, size_t count)
{
	struct sounding *x = calloc(1, sizeof(*x));
	uint64_t now_us = loop_clock_us();

	ASSERT(x);
	x->s = s;
	x->end_us = now_us + s->most_us;
	x->polled_size = s->ear_count + (size_t)LANES * (WINDOW + 1);
	x->lanes = calloc(count + 1, sizeof(*x->lanes));
	x->polled = calloc(x->polled_size, sizeof(*x->polled));
	x->owner = calloc(x->polled_size, sizeof(struct sounder_question *));
	x->lane_of = calloc(x->polled_size, sizeof(struct lane *));
	ASSERT(x->lanes && x->polled && x->owner && x->lane_of);
	x->lane_count = make_lanes(x->lanes, questions, count);
	for (; turn(x, now_us) && now_us < x->end_us; now_us = loop_clock_us())
		look(x, now_us);
	size_t sent = x->sent;
	for (size_t i = 0; i < x->lane_count; i++) {
		expire(x, &x->lanes[i], MAX(loop_clock_us(), x->end_us));
		close_lane(&x->lanes[i]);
	}
	free(x->lanes);
	free(x->polled);
	free(x->owner);
	free(x->lane_of);
	free(x);
	return sent;
}
