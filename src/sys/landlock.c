/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What came later than the header that Debian 12 has. */
enum { ACCESS_TRUNCATE = 1 << 14, ACCESS_IOCTL_DEVICE = 1 << 15 };

enum {
	READS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	CHANGES = READS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_TRUNCATE,
	ALL = CHANGES | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |
	      LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
	      LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | ACCESS_IOCTL_DEVICE,
	OF_FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE,
};

/* As many as the kernel follows. */
enum { LINKS_MAX = 40 };

/* What a version of landlock cannot tell apart yet, it refuses to hear of. */
static uint64_t known_to(int version)
{
	uint64_t known = ALL;

	if (version < 2)
		known &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
	if (version < 3)
		known &= ~(uint64_t)ACCESS_TRUNCATE;
	if (version < 5)
		known &= ~(uint64_t)ACCESS_IOCTL_DEVICE;
	return known;
}

int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? -errno : (int)version;
}

/* Cuts the last part off; false when only the root is left. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return false;
	*slash = '\0';
	return true;
}

/* The folder itself; if it is not there and `climb`, the nearest above it. What cannot be reached now needs no rule. */
static int open_nearest(char *path, bool climb)
{
	for (;;) {
		int fd = open(path, O_PATH | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT || !climb || !go_up(path))
			return fd;
	}
}

/* Also by another name: ".", "//", "/etc/..". */
static bool is_root(const struct stat *status)
{
	struct stat root;

	return stat("/", &root) == 0 && root.st_dev == status->st_dev && root.st_ino == status->st_ino;
}

static int add_fd(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	struct stat status;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (is_root(&status))
		return 0;
	if (!S_ISDIR(status.st_mode))
		rule.allowed_access &= OF_FILES;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ? 0 : -errno;
}

static int add_folder(int ruleset, char *path, uint64_t access)
{
	/* Where files are made, the folder has to be there. */
	int fd = open_nearest(path, (access & LANDLOCK_ACCESS_FS_MAKE_REG) == 0);

	if (fd < 0)
		return 0;
	int error = add_fd(ruleset, fd, access);
	close(fd);
	return error;
}

/* A device is named itself: the folder of devices is none that we need. */
static bool is_device(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISCHR(status.st_mode);
}

/* `file` with at least one slash. */
static int take_path(char path[PATH_MAX], const char *file)
{
	bool here = strchr(file, '/') == NULL;

	if (strlen(file) + 3 > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(path, "./", 3);
	memcpy(path + (here ? 2 : 0), file, strlen(file) + 1);
	return 0;
}

static int add_file(int ruleset, const char *file, uint64_t access)
{
	char path[PATH_MAX];
	int error = take_path(path, file);

	if (error != 0)
		return error;
	if (is_device(path))
		return add_folder(ruleset, path, access);
	return go_up(path) ? add_folder(ruleset, path, access) : 0;
}

/* The first link on the way along `path`: how many octets of `path` name it, and where it leads. 0: there is none. */
static size_t find_link(char *path, char leads_to[PATH_MAX])
{
	for (size_t end = 1 + strcspn(path + 1, "/");; end += 1 + strcspn(path + end + 1, "/")) {
		char behind = path[end];
		path[end] = '\0';
		ssize_t len = readlink(path, leads_to, PATH_MAX - 1);
		path[end] = behind;
		leads_to[MAX(len, 0)] = '\0';
		if (len > 0)
			return end;
		if (behind == '\0')
			return 0;
	}
}

/* The octets of the folder, with its slash, in which the first `end` octets of `path` lie. */
static size_t folder_octets(const char *path, size_t end)
{
	while (end > 0 && path[end - 1] != '/')
		end--;
	return end;
}

/* The folders that links on the way lie in: link for link the path is what the link says and what stands behind it. */
static int add_links(int ruleset, const char *file, uint64_t access)
{
	char path[PATH_MAX], leads_to[PATH_MAX], next[PATH_MAX];
	int error = take_path(path, file);
	size_t end;

	for (int links = 0; error == 0 && links < LINKS_MAX && (end = find_link(path, leads_to)) > 0; links++) {
		int folder = (int)folder_octets(path, end);
		if (snprintf(next, sizeof(next), "%.*s.", folder, path) >= (int)sizeof(next))
			return 0;
		error = add_folder(ruleset, next, access);
		if (leads_to[0] == '/')
			folder = 0;
		if (snprintf(next, sizeof(next), "%.*s%s%s", folder, path, leads_to, path + end) >= (int)sizeof(next))
			return 0;
		memcpy(path, next, strlen(next) + 1);
	}
	return error;
}

/* `real` is what realpath says. */
static bool lies_in_root(const char *real)
{
	struct stat status;

	return strrchr(real, '/') == real && stat(real, &status) == 0 && S_ISREG(status.st_mode);
}

bool landlock_in_root(const char *path)
{
	char real[PATH_MAX];

	return realpath(path, real) != NULL && lies_in_root(real);
}

static int add_rule(int ruleset, const struct landlock_rule *rule, uint64_t known)
{
	bool reads = rule->right == LANDLOCK_RIGHT_READ;
	uint64_t access = (reads ? READS : CHANGES) & known;
	char real[PATH_MAX];
	int error = add_file(ruleset, rule->path, access);

	if (error == 0 && reads)
		error = add_links(ruleset, rule->path, access);
	if (error != 0 || realpath(rule->path, real) == NULL)
		return error;
	return reads && lies_in_root(real) ? add_folder(ruleset, real, access) : add_file(ruleset, real, access);
}

static int restrict_by(int ruleset, const struct landlock_rule *rules, size_t count, uint64_t known)
{
	for (size_t i = 0; i < count; i++) {
		int error = add_rule(ruleset, &rules[i], known);
		if (error != 0)
			return error;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return -errno;
	return 0;
}

int landlock_enter(const struct landlock_rule *rules, size_t count)
{
	int version = landlock_version();

	if (version < 0)
		return version;
	struct landlock_ruleset_attr attr = {.handled_access_fs = known_to(version)};
	long ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (ruleset < 0)
		return -errno;
	int error = restrict_by((int)ruleset, rules, count, attr.handled_access_fs);
	close((int)ruleset);
	return error;
}
