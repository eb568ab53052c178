#include "unit.h"

#include "control/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[64];
static char path[96];

static int
set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof directory, "/tmp/test_control_socket.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/control", directory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static struct control_config
config_of(mode_t mode)
{
	return (struct control_config){.socket = path, .mode = mode};
}

static int
try_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int error = 0;

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		error = errno;
	close(fd);
	return error;
}

/* A bound socket; listening or, as after a crash, not. */
static int
bind_socket(int type, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
has_its_mode_whatever_the_umask(void **state)
{
	static const mode_t modes[] = {0600, 0660, 0666, 0620};

	(void)state;
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		struct control_config config = config_of(modes[i]);
		mode_t before = umask(i % 2 == 0 ? 077 : 0);
		struct control_socket s;
		struct verdict why;
		struct stat st;

		assert_true(control_socket_open(&s, &config, &why));
		umask(before);
		assert_int_equal(stat(path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, modes[i]);
		assert_int_equal(s.group_count, 1);
		assert_int_equal(s.groups[0], st.st_gid);
		assert_int_equal(try_connect(), 0);
		control_socket_close(&s);
		assert_int_equal(stat(path, &st), -1);
		control_socket_close(&s);
	}
}

static void
makes_missing_directories_for_its_user_alone(void **state)
{
	struct control_config config = config_of(0600);
	char deep[160], inner[96];
	struct control_socket s;
	struct verdict why;
	struct stat st;

	(void)state;
	snprintf(inner, sizeof inner, "%s/a/b", directory);
	snprintf(deep, sizeof deep, "%s/control", inner);
	config.socket = deep;
	assert_true(control_socket_open(&s, &config, &why));
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	control_socket_close(&s);
	assert_int_equal(rmdir(inner), 0);
	*strrchr(inner, '/') = '\0';
	assert_int_equal(rmdir(inner), 0);
}

static void
a_dead_daemon_is_replaced(void **state)
{
	struct control_config config = config_of(0600);
	struct control_socket s;
	struct verdict why;

	(void)state;
	close(bind_socket(SOCK_STREAM, true));
	assert_int_equal(try_connect(), ECONNREFUSED);
	assert_true(control_socket_open(&s, &config, &why));
	assert_int_equal(try_connect(), 0);
	control_socket_close(&s);
}

static void
a_living_daemon_is_left_alone(void **state)
{
	struct control_config config = config_of(0600);
	int daemon = bind_socket(SOCK_STREAM, true);
	struct control_socket s;
	struct verdict why;

	(void)state;
	/* The second finds the backlog full. */
	for (int i = 0; i < 4; i++) {
		assert_false(control_socket_open(&s, &config, &why));
		assert_int_equal(why.kind, FAIL_LOCAL);
		assert_non_null(strstr(why.text, "another daemon answers"));
		assert_non_null(strstr(why.text, path));
	}
	close(daemon);
}

static void
what_is_no_socket_of_ours_is_left_alone(void **state)
{
	struct control_config config = config_of(0600);
	struct control_socket s;
	struct verdict why;
	struct stat st;

	(void)state;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_false(control_socket_open(&s, &config, &why));
	assert_non_null(strstr(why.text, "in the way"));
	assert_int_equal(stat(path, &st), 0);
	unlink(path);

	assert_int_equal(symlink("/nonexistent", path), 0);
	assert_false(control_socket_open(&s, &config, &why));
	assert_non_null(strstr(why.text, "in the way"));
	unlink(path);

	int datagram = bind_socket(SOCK_DGRAM, false);
	assert_false(control_socket_open(&s, &config, &why));
	assert_non_null(strstr(why.text, "in the way"));
	assert_int_equal(stat(path, &st), 0);
	close(datagram);
}

static void
places_that_cannot_be_had_are_explained(void **state)
{
	static char no_group[] = "no-such-group-here";
	struct control_config config = config_of(0600);
	char too_long[200], through_file[160];
	struct control_socket s;
	struct verdict why;
	struct stat st;

	(void)state;
	config.group = no_group;
	config.gid = NO_GID;
	assert_false(control_socket_open(&s, &config, &why));
	assert_non_null(strstr(why.text, "no group \"no-such-group-here\""));
	assert_int_equal(stat(path, &st), -1);

	config = config_of(0600);
	memset(too_long, 'x', sizeof too_long - 1);
	too_long[0] = '/';
	too_long[sizeof too_long - 1] = '\0';
	config.socket = too_long;
	assert_false(control_socket_open(&s, &config, &why));
	assert_non_null(strstr(why.text, "shorter"));

	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(through_file, sizeof through_file, "%s/control", path);
	config.socket = through_file;
	assert_false(control_socket_open(&s, &config, &why));
	assert_non_null(strstr(why.text, "not a directory"));
}

static void
only_its_own_socket_is_removed(void **state)
{
	struct control_config config = config_of(0600);
	struct control_socket s;
	struct verdict why;
	struct stat st;
	int other;

	(void)state;
	assert_true(control_socket_open(&s, &config, &why));
	unlink(path);
	other = bind_socket(SOCK_STREAM, true);
	assert_false(control_socket_protect(&s, &config, &why));
	control_socket_close(&s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(try_connect(), 0);
	close(other);
}

static void
a_socket_of_the_service_manager_stays_when_closed(void **state)
{
	struct control_config config = config_of(0600);
	int fd = bind_socket(SOCK_STREAM, true);
	struct control_socket s;
	struct verdict why;
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_true(control_socket_take(&s, fd, &config, &why));
	assert_int_equal(s.group_count, 1);
	assert_int_equal(s.groups[0], st.st_gid);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	control_socket_close(&s);
	assert_int_equal(stat(path, &st), 0);
}

static void
an_abstract_socket_has_no_group(void **state)
{
	struct control_config config = config_of(0600);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct control_socket s;
	struct verdict why;

	(void)state;
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_true(control_socket_take(&s, fd, &config, &why));
	assert_int_equal(s.group_count, 0);
	control_socket_close(&s);
}

static void
other_descriptors_are_refused(void **state)
{
	struct control_config config = config_of(0600);
	struct control_socket s;
	struct verdict why;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_false(control_socket_take(&s, pipes[0], &config, &why));
	assert_non_null(strstr(why.text, "not a listening UNIX stream"));
	close(pipes[1]);
	assert_false(control_socket_take(&s, bind_socket(SOCK_STREAM, false), &config, &why));
	assert_false(control_socket_take(&s, socket(AF_INET, SOCK_STREAM, 0), &config, &why));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(has_its_mode_whatever_the_umask, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		makes_missing_directories_for_its_user_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_dead_daemon_is_replaced, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_living_daemon_is_left_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_is_no_socket_of_ours_is_left_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		places_that_cannot_be_had_are_explained, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(only_its_own_socket_is_removed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_socket_of_the_service_manager_stays_when_closed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_abstract_socket_has_no_group, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(other_descriptors_are_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
