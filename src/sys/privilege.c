/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RECORD_BYTES = 4096, FOLDER_BYTES = 256 };

/* A capability's bit, in two words of 32. */
static const uint32_t KEPT = UINT32_C(1) << CAP_NET_BIND_SERVICE;
static const uint32_t BECOME = UINT32_C(1) << CAP_SETUID | UINT32_C(1) << CAP_SETGID | UINT32_C(1) << CAP_KILL;

int privilege_find(const char *name, struct privilege_user *u)
{
	struct passwd record, *found = NULL;
	char room[RECORD_BYTES];
	int error = getpwnam_r(name, &record, room, sizeof(room), &found);

	if (found == NULL)
		return error == 0 ? -ENOENT : -error;
	if (strlen(name) >= sizeof(u->name))
		return -ENAMETOOLONG;
	*u = (struct privilege_user){.uid = record.pw_uid, .gid = record.pw_gid};
	memcpy(u->name, name, strlen(name));
	return 0;
}

void privilege_make_folder(const char *path, const struct privilege_user *u)
{
	char folder[FOLDER_BYTES];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);

	if (len == 0 || len >= sizeof(folder))
		return;
	memcpy(folder, path, len);
	folder[len] = '\0';
	/* Ours to give away only if we made it. */
	if (mkdir(folder, 0750) == 0 && lchown(folder, u->uid, u->gid) != 0)
		rmdir(folder);
}

/* `passed`: of these, what programs started later may have. */
static int set_capabilities(uint32_t kept, uint32_t passed)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) != 0)
		return -errno;
	passed &= data[0].permitted & kept;
	/* A service's own filter may forbid the call where there is nothing to do. */
	if ((data[0].permitted & ~kept) == 0 && data[1].permitted == 0 && data[0].effective == data[0].permitted &&
	    (data[0].inheritable & passed) == passed)
		return 0;
	memset(data + 1, 0, sizeof(data[1]));
	data[0].permitted &= kept;
	data[0].effective = data[0].permitted;
	data[0].inheritable = passed;
	return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

/* The bounding set ends with the first number that the kernel does not know; without CAP_SETPCAP it stays, which no_new_privs makes
 * harmless. */
static void bound(uint32_t kept)
{
	for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (c >= 32 || (kept >> c & 1) == 0)
			(void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
}

void privilege_bound(void)
{
	bound(KEPT);
}

int privilege_become(const struct privilege_user *u)
{
	if (geteuid() == u->uid)
		return 0;
	if (geteuid() != 0)
		return -EPERM;
	bound(KEPT); /* the right to do so goes with root */
	/* The change of user would take all capabilities along. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || initgroups(u->name, u->gid) != 0 || setresgid(u->gid, u->gid, u->gid) != 0 ||
	    setresuid(u->uid, u->uid, u->uid) != 0)
		return -errno;
	return set_capabilities(KEPT, 0);
}

static int forbid_more_than(uint32_t kept)
{
	bound(kept);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : 0;
}

int privilege_shed(void)
{
	int error = forbid_more_than(KEPT);

	return error != 0 ? error : set_capabilities(KEPT, 0);
}

int privilege_shed_all(void)
{
	int error = privilege_shed();

	return error != 0 ? error : set_capabilities(0, 0);
}

int privilege_shed_to_start(void)
{
	const uint32_t kept = KEPT | (geteuid() == 0 ? BECOME : 0);
	int error = forbid_more_than(kept);

	if (error == 0)
		error = set_capabilities(kept, KEPT);
	if (error == 0) /* not there: the program is told by its bind */
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
	return error;
}
