/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/privilege.h"

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "walled.h"

static void needs_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void a_user_is_found_by_name(void **state)
{
	struct privilege_user u;

	(void)state;
	assert_int_equal(privilege_find("root", &u), 0);
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.name, "root");
	assert_int_equal(privilege_find("nobody-of-this-name", &u), -ENOENT);
}

/* 0, or what binding UDP port `port` of loopback fails with. */
static int try_bind(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f35357f)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	WALLED_NEED(fd >= 0);
	return WALLED_ERROR(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

/* The bounding set holds CAP_NET_BIND_SERVICE (10) and, of the 64 that a kernel may know, nothing else. */
static bool is_bound_to_the_port(void)
{
	for (unsigned long c = 0; c < 64; c++)
		if ((prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1) != (c == 10))
			return false;
	return true;
}

static int become_nobody(void)
{
	struct privilege_user u;

	WALLED_NEED(privilege_find("nobody", &u) == 0 && privilege_become(&u) == 0 && privilege_shed() == 0);
	WALLED_NEED(getuid() == u.uid && geteuid() == u.uid && getgid() == u.gid);
	WALLED_NEED(is_bound_to_the_port());
	WALLED_NEED(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0);
	WALLED_NEED(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
	return try_bind(53);
}

static void another_user_keeps_the_right_to_bind_port_53_and_no_other(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(walled_run(become_nobody), 0);
}

static int shed(void)
{
	WALLED_NEED(privilege_shed() == 0 && is_bound_to_the_port());
	WALLED_NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	WALLED_NEED(try_bind(53) == 0);
	return WALLED_ERROR(chown("/tmp", 1, 1));
}

static int shed_all(void)
{
	WALLED_NEED(privilege_shed_all() == 0);
	WALLED_NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	WALLED_NEED(try_bind(53) != 0);
	return WALLED_ERROR(chown("/tmp", 1, 1));
}

static void who_sheds_all_cannot_bind_port_53_either(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(walled_run(shed_all), EPERM);
}

static int shed_to_start(void)
{
	struct privilege_user u;

	WALLED_NEED(privilege_find("nobody", &u) == 0 && privilege_shed_to_start() == 0);
	WALLED_NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	WALLED_NEED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 10 /* CAP_NET_BIND_SERVICE */, 0, 0) == 1);
	WALLED_NEED(try_bind(53) == 0);
	WALLED_NEED(chown("/tmp", 1, 1) != 0 && errno == EPERM);
	return WALLED_ERROR(setresuid(u.uid, u.uid, u.uid));
}

static void who_starts_a_program_passes_on_the_port_and_may_become_another(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(walled_run(shed_to_start), 0);
}

static void root_alone_is_no_power(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(walled_run(shed), EPERM);
}

static int become_another_without_root(void)
{
	struct privilege_user u, root;

	WALLED_NEED(privilege_find("nobody", &u) == 0 && privilege_find("root", &root) == 0 && privilege_become(&u) == 0);
	WALLED_NEED(privilege_become(&u) == 0);
	return -privilege_become(&root);
}

static void nobody_else_becomes_another(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(walled_run(become_another_without_root), EPERM);
}

static void a_folder_that_was_not_there_is_the_users(void **state)
{
	struct privilege_user u;
	struct stat status;
	char base[] = "/tmp/r53fwd-folder-XXXXXX", file[64], folder[64];

	(void)state;
	needs_root();
	assert_non_null(mkdtemp(base));
	snprintf(folder, sizeof(folder), "%s/run", base);
	snprintf(file, sizeof(file), "%s/run/socket", base);
	assert_int_equal(privilege_find("nobody", &u), 0);
	privilege_make_folder(file, &u);
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_uid, u.uid);
	assert_int_equal(status.st_mode & 0777, 0750);
	/* One that is there stays whose it is. */
	assert_int_equal(chown(folder, 0, 0), 0);
	privilege_make_folder(file, &u);
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_uid, 0);
	privilege_make_folder("no-folder", &u);
	rmdir(folder);
	rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_is_found_by_name),
		cmocka_unit_test(another_user_keeps_the_right_to_bind_port_53_and_no_other),
		cmocka_unit_test(who_sheds_all_cannot_bind_port_53_either),
		cmocka_unit_test(root_alone_is_no_power),
		cmocka_unit_test(who_starts_a_program_passes_on_the_port_and_may_become_another),
		cmocka_unit_test(nobody_else_becomes_another),
		cmocka_unit_test(a_folder_that_was_not_there_is_the_users),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
