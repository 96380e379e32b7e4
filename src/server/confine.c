/* SPDX-License-Identifier: Apache-2.0 */
#include "server/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/resolv.h"
#include "sys/privilege.h"
#include "sys/sandbox.h"

/* zones.conf, resolv.conf in some places, the control socket, the cache's file, two devices. */
enum { RULES_MAX = 16 };

bool confine_become(const struct config *c)
{
	const char *name = c->top.user;
	struct privilege_user u;

	if (name == NULL)
		return true;
	int error = privilege_find(name, &u);
	if (error != 0) {
		log_error("cannot start: `user: %s`: %s", name, error == -ENOENT ? "there is no such user" : strerror(-error));
		return false;
	}
	privilege_make_folder(c->top.control, &u);
	error = privilege_become(&u);
	if (error == 0)
		return true;
	log_error("cannot start: `user: %s`: %s", name, error == -EPERM ? "only root can become another user" : strerror(-error));
	return false;
}

uid_t confine_uid(const struct config *c)
{
	struct privilege_user u;

	return c->top.user != NULL && privilege_find(c->top.user, &u) == 0 ? u.uid : geteuid();
}

bool confine_same_user(const struct config *a, const struct config *b)
{
	const char *x = a->top.user, *y = b->top.user;

	return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
}

/* The folder of a file; empty if there is no file, or it is too long to be one. */
static void take_folder(char out[CONFINE_FOLDER_MAX], const char *file)
{
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	size_t len = slash != NULL && slash - file < CONFINE_FOLDER_MAX ? (size_t)(slash - file) : 0;

	if (len > 0)
		memcpy(out, file, len);
	out[len] = '\0';
}

bool confine_denies(const char *path)
{
	/* Opened, not asked about: whatever it is that denies it. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), error = errno;

	if (fd >= 0)
		close(fd);
	return fd < 0 && (error == EACCES || error == EPERM);
}

/* It was read at the start, by whoever we were then. A reload that fails for this reason should not be the first to say so. */
static void warn_of_unreadable(const struct config *c, const char *zones_path)
{
	unsigned uid = (unsigned)geteuid();

	if (strcmp(zones_path, CONFIG_INLINE) != 0 && confine_denies(zones_path))
		log_warn("%s cannot be read by this process any more (it runs as uid %u now, without root's powers): no reload will work "
			 "until it can", zones_path, uid);
	for (const char *const *path = resolv_paths(); c->local_from_resolv && *path != NULL; path++)
		if (confine_denies(*path))
			log_warn("%s cannot be read by this process (it runs as uid %u now, without root's powers): local upstreams that "
				 "it comes to name are not seen", *path, uid);
}

/* One inode is all that landlock can be told of there. */
static void warn_of_root(const struct sandbox_plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->rules[i].right == LANDLOCK_RIGHT_READ && landlock_in_root(p->rules[i].path))
			log_warn("%s lies in / itself: once another file takes its place it cannot be read until a restart; "
				 "keep it in a folder, or write it in place", p->rules[i].path);
}

static bool enter(const struct config *c, const char *zones_path)
{
	struct sandbox_plan plan = {.count = 0};
	struct landlock_rule rules[RULES_MAX];

	rules[plan.count++] = (struct landlock_rule){zones_path, LANDLOCK_RIGHT_READ};
	rules[plan.count++] = (struct landlock_rule){"/dev/null", LANDLOCK_RIGHT_READ};
	rules[plan.count++] = (struct landlock_rule){"/dev/urandom", LANDLOCK_RIGHT_READ}; /* jansson's hashes */
	rules[plan.count++] = (struct landlock_rule){c->top.control, LANDLOCK_RIGHT_CHANGE};
	if (c->cache.persist != NULL)
		rules[plan.count++] = (struct landlock_rule){c->cache.persist, LANDLOCK_RIGHT_CHANGE};
	for (const char *const *path = resolv_paths(); *path != NULL && plan.count < RULES_MAX; path++)
		rules[plan.count++] = (struct landlock_rule){*path, LANDLOCK_RIGHT_READ};
	plan.rules = rules;
	if (landlock_version() >= 0)
		warn_of_root(&plan);
	struct sandbox_outcome o = sandbox_enter(&plan);
	if (o.files == -ENOSYS || o.files == -EOPNOTSUPP)
		log_info("this kernel has no landlock: files elsewhere are not out of reach");
	else if (o.files != 0)
		log_warn("files elsewhere are not out of reach: landlock: %s", strerror(-o.files));
	if (o.calls != 0)
		log_warn("system calls are not filtered: seccomp: %s", strerror(-o.calls));
	return o.files == 0;
}

void confine_forbid_rings(const struct config *c)
{
	int error = c->top.sandbox ? sandbox_forbid_rings() : 0;

	if (error != 0)
		log_warn("io_uring is not switched off: seccomp: %s", strerror(-error));
}

void confine_enter(struct confine *k, const struct config *c, const char *zones_path)
{
	memset(k, 0, sizeof(*k));
	take_folder(k->folder, c->cache.persist);
	int error = c->top.sandbox ? privilege_shed() : 0;
	warn_of_unreadable(c, zones_path);
	if (!c->top.sandbox) {
		log_warn("`sandbox: off`: whoever takes this process over has all that its user has");
		return;
	}
	if (error != 0)
		log_warn("capabilities are kept: %s", strerror(-error));
	k->walled = enter(c, zones_path);
}

bool confine_reaches(const struct confine *k, const char *persist)
{
	char folder[CONFINE_FOLDER_MAX];

	take_folder(folder, persist);
	return !k->walled || persist == NULL || strcmp(folder, k->folder) == 0;
}
