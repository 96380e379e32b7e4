/* SPDX-License-Identifier: Apache-2.0 */
#include "server/persist.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "server/persist_file.h"

/* Who frees a job: whoever comes second. */
enum { JOB_RUNNING, JOB_DONE, JOB_ABANDONED };

/* One writing of the file. It holds all that it needs: the snapshot may change meanwhile, and the program may end. */
struct job {
	struct persist_plan plan;
	char *path; /* heap */
	_Atomic bool cancelled;
	_Atomic int state;
	struct persist_outcome outcome;
};

/* What the cache looked like when it was last written. */
struct mark {
	uint64_t entries, evictions, answers;
};

struct persist {
	char *path;       /* heap; NULL: nothing is kept */
	struct job *job;  /* NULL: nobody writes */
	pthread_t thread; /* meaningful with a job */
	struct mark written, being_written;
	uint64_t interval_from_us; /* the interval runs from here */
	uint64_t began_us;         /* 0: never */
	bool soon, disabled, stopping;
	struct persist_outcome said; /* the failure that was last warned of … */
	uint64_t said_us;            /* … and when; 0: all is well */
};

static struct persist_time read_clocks(uint64_t now_us)
{
	return (struct persist_time){.now_s = (uint32_t)(now_us / US_PER_S), .wall_s = (uint64_t)MAX(time(NULL), 0)};
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* ---- what is said */

static void report_failure(struct persist *p, const struct persist_outcome *o, uint64_t now_us)
{
	bool same = p->said_us != 0 && p->said.verdict == o->verdict && p->said.error == o->error;

	if (same && now_us - p->said_us < PERSIST_QUIET_US)
		return;
	p->said = *o;
	p->said_us = MAX(now_us, UINT64_C(1));
	log_warn("the cache could not be written to %s: %s; %s", p->path, persist_file_reason(o),
		 p->stopping ? "what was there before stays" : "what was there before stays, the next try is at the next interval");
}

static void report(struct persist *p, const struct job *j, uint64_t now_us)
{
	const struct persist_outcome *o = &j->outcome;

	/* The path was changed meanwhile: it is of no interest any more. */
	if (o->verdict == PERSIST_CANCELLED || !same_text(p->path, j->path))
		return;
	if (o->verdict != PERSIST_DONE) {
		report_failure(p, o, now_us);
		return;
	}
	p->written = p->being_written;
	if (p->stopping || p->said_us != 0)
		log_info("%llu answers are kept in %s", (unsigned long long)o->entries, p->path);
	else
		log_debug("%llu answers are kept in %s: %llu bytes", (unsigned long long)o->entries, p->path, (unsigned long long)o->bytes);
	p->said_us = 0;
}

/* ---- the thread that writes */

static void free_job(struct job *j)
{
	cache_unref(j->plan.cache);
	free(j->path);
	free(j);
}

static void *run(void *arg)
{
	struct job *j = arg;

	j->outcome = persist_file_write(&j->plan);
	if (atomic_exchange(&j->state, JOB_DONE) == JOB_ABANDONED)
		free_job(j);
	return NULL;
}

static struct job *new_job(const struct persist *p, const struct snapshot *s, uint64_t now_us)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL || (j->path = strdup(p->path)) == NULL) {
		free(j);
		return NULL;
	}
	j->plan = (struct persist_plan){
		.path = j->path,
		.cache = cache_ref(s->cache),
		.serve_stale_s = s->cache_rules.serve_stale_s,
		.time = read_clocks(now_us),
		.cancelled = &j->cancelled,
	};
	return j;
}

static int start_thread(struct persist *p)
{
	sigset_t all, before;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&p->thread, NULL, run, p->job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void begin(struct persist *p, const struct snapshot *s, const struct mark *mark, uint64_t now_us)
{
	p->soon = false;
	p->interval_from_us = p->began_us = now_us;
	p->being_written = *mark;
	p->job = new_job(p, s, now_us);
	int error = p->job == NULL ? ENOMEM : start_thread(p);
	if (error == 0)
		return;
	if (p->job != NULL)
		free_job(p->job);
	p->job = NULL;
	report_failure(p, &(struct persist_outcome){.verdict = PERSIST_SYSTEM, .error = error}, now_us);
}

static void end(struct persist *p, uint64_t now_us)
{
	report(p, p->job, now_us);
	free_job(p->job);
	p->job = NULL;
}

/* Waits for the thread until `deadline`. One that hangs in a dead disk is left behind with all that is its own. */
static void await(struct persist *p, const struct timespec *deadline, uint64_t now_us)
{
	if (p->job == NULL)
		return;
	if (pthread_timedjoin_np(p->thread, NULL, deadline) == 0) {
		end(p, now_us);
		return;
	}
	log_warn("the disk does not take the cache within %d s: %s stays as it was", PERSIST_STOP_US / US_PER_S, p->job->path);
	atomic_store(&p->job->cancelled, true);
	pthread_detach(p->thread);
	if (atomic_exchange(&p->job->state, JOB_ABANDONED) == JOB_DONE)
		free_job(p->job);
	p->job = NULL;
}

static struct timespec stop_deadline(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* as pthread_timedjoin_np wants it */
	t.tv_sec += PERSIST_STOP_US / US_PER_S;
	return t;
}

static void cancel(struct persist *p, const struct timespec *deadline, uint64_t now_us)
{
	if (p->job != NULL)
		atomic_store(&p->job->cancelled, true);
	await(p, deadline, now_us);
}

/* ---- when */

/* Cheap, and enough: what an answer, an eviction or a flush changes shows in one of them. */
static struct mark take_mark(const struct snapshot *s, uint64_t answers)
{
	struct cache_counts counts;

	cache_count(s->cache, &counts);
	return (struct mark){.entries = counts.entries, .evictions = counts.evictions, .answers = answers};
}

static bool same_mark(const struct mark *a, const struct mark *b)
{
	return a->entries == b->entries && a->evictions == b->evictions && a->answers == b->answers;
}

/* The path of the configuration in force. False without memory: as it was, then. */
static bool follow_path(struct persist *p, const struct snapshot *s)
{
	const char *path = s->config->cache.persist;
	char *copy = NULL;

	if (path != NULL && (copy = strdup(path)) == NULL)
		return false;
	free(p->path);
	p->path = copy;
	p->said_us = 0;
	return true;
}

/* After a reload. Wrong or not, the new one is in force: a disk must not keep zones from being changed. */
static void change_path(struct persist *p, const struct snapshot *s)
{
	if (!follow_path(p, s) || p->path == NULL)
		return;
	p->soon = true;
	p->began_us = 0;
}

bool persist_clock(struct persist *p, struct snapshot *s, uint64_t answers, uint64_t now_us)
{
	if (p->job != NULL && atomic_load(&p->job->state) == JOB_DONE) {
		pthread_join(p->thread, NULL);
		end(p, now_us);
	}
	if (!same_text(p->path, s->config->cache.persist))
		change_path(p, s);
	if (p->path == NULL || p->disabled || p->job != NULL)
		return false;
	bool soon = p->soon && (p->began_us == 0 || now_us - p->began_us >= PERSIST_GAP_US);
	bool due = now_us - p->interval_from_us >= s->config->cache.persist_interval_us;
	if (!soon && !due)
		return false;
	struct mark now = take_mark(s, answers);
	if (!soon && same_mark(&now, &p->written))
		return false;
	begin(p, s, &now, now_us);
	return p->job != NULL;
}

void persist_soon(struct persist *p)
{
	p->soon = true;
}

/* ---- start and stop */

/* The path is right, and the disk or the system has no room, or is ill: names must be resolved all the same. */
static bool passes(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EIO || error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* What stands there and may not be touched is a matter for a warning; a path that leads nowhere is one for the operator. */
static bool may_start(const char *path)
{
	struct persist_outcome o = persist_file_try(path);

	if (o.verdict != PERSIST_SYSTEM && o.verdict != PERSIST_IRREGULAR)
		return true;
	if (o.verdict == PERSIST_SYSTEM && passes(o.error)) {
		log_warn("`persist`: the cache cannot be written to %s now: %s; it is tried again at the next interval", path,
			 persist_file_reason(&o));
		return true;
	}
	log_error("`persist`: the cache cannot be written to %s: %s%s", path, persist_file_reason(&o),
		  strrchr(path, '/') == path ? "; the sandbox lets no file be made in / itself: name one in a folder, such as "
					       "/var/lib/r53fwd/cache" : "");
	return false;
}

void persist_load(struct persist *p, struct snapshot *s, uint64_t now_us)
{
	struct persist_time time = read_clocks(now_us);

	if (p->path == NULL)
		return;
	struct persist_outcome o = persist_file_read(p->path, s, &time);

	if (o.verdict == PERSIST_DONE)
		log_info("%llu answers were taken from %s, %llu were left out", (unsigned long long)o.entries, p->path,
			 (unsigned long long)o.left_out);
	else if (o.verdict == PERSIST_LINK || o.verdict == PERSIST_OWNER)
		log_warn("%s is neither read nor written: %s", p->path, persist_file_reason(&o));
	else if (o.verdict != PERSIST_ABSENT)
		log_warn("%s was not read, the cache starts empty: %s", p->path, persist_file_reason(&o));
	p->written = take_mark(s, 0);
}

struct persist *persist_new(struct snapshot *s, uint64_t now_us)
{
	struct persist *p = calloc(1, sizeof(*p));

	if (p == NULL || !follow_path(p, s)) {
		log_error("cannot start: out of memory");
		free(p);
		return NULL;
	}
	p->interval_from_us = now_us;
	if (p->path == NULL)
		return p;
	if (!may_start(p->path)) {
		persist_free(p);
		return NULL;
	}
	return p;
}

void persist_stop(struct persist *p, struct snapshot *s, uint64_t now_us)
{
	struct timespec deadline = stop_deadline();
	struct mark now = take_mark(s, 0);

	cancel(p, &deadline, now_us);
	if (!same_text(p->path, s->config->cache.persist))
		change_path(p, s);
	if (p->path == NULL || p->disabled)
		return;
	p->stopping = true;
	begin(p, s, &now, now_us);
	await(p, &deadline, now_us);
}

void persist_disable(struct persist *p)
{
	struct timespec deadline = stop_deadline();

	p->disabled = true;
	cancel(p, &deadline, 0);
}

void persist_enable(struct persist *p)
{
	p->disabled = false;
}

void persist_free(struct persist *p)
{
	struct timespec deadline = stop_deadline();

	cancel(p, &deadline, 0);
	free(p->path);
	free(p);
}

/* ---- from one instance to the next */

int persist_pack(const struct snapshot *s, uint64_t now_us)
{
	const struct persist_plan plan = {
		.cache = s->cache, .serve_stale_s = s->cache_rules.serve_stale_s, .time = read_clocks(now_us)};
	struct persist_outcome o = {.verdict = PERSIST_SYSTEM};
	int fd = memfd_create("r53fwd-cache", MFD_CLOEXEC);

	if (fd >= 0)
		o = persist_file_write_to(fd, &plan);
	else
		o.error = errno;
	if (o.verdict == PERSIST_DONE)
		return fd;
	log_warn("the cache does not go along: %s", persist_file_reason(&o));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool persist_unpack(int fd, struct snapshot *s, uint64_t now_us)
{
	struct persist_time time = read_clocks(now_us);

	if (fd < 0)
		return false;
	struct persist_outcome o = persist_file_read_from(fd, s, &time);
	if (o.verdict == PERSIST_DONE)
		log_info("%llu answers came along, %llu were left out", (unsigned long long)o.entries, (unsigned long long)o.left_out);
	else
		log_warn("the cache did not come along: %s", persist_file_reason(&o));
	close(fd);
	return o.verdict == PERSIST_DONE;
}
