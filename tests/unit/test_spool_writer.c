#include "unit.h"

#include "base/str.h"
#include "queue/spool_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static const char message[] = "To: you@example.org\n\nhello\n";

static char spool[] = "/tmp/postrider-test-XXXXXX";

static int
set_up(void **state)
{
	(void)state;
	memcpy(spool + sizeof spool - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(spool));
	return 0;
}

struct found {
	size_t named;
	size_t hidden;
	char name[256]; /* of the last named one */
};

static struct found
look(void)
{
	struct found found = {0};
	DIR *dir = opendir(spool);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_name[0] == '.') {
			found.hidden++;
		} else {
			found.named++;
			strcpy(found.name, entry->d_name);
		}
	}
	closedir(dir);
	return found;
}

static void
assert_empty(void)
{
	assert_int_equal(look().named + look().hidden, 0);
}

static void
empty_spool(void)
{
	DIR *dir = opendir(spool);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

static int
tear_down(void **state)
{
	(void)state;
	empty_spool();
	return rmdir(spool);
}

/* The one named file of the spool. */
static struct stat
stat_message(void)
{
	struct found found = look();
	char path[512];
	struct stat st;

	assert_int_equal(found.named, 1);
	assert_int_equal(found.hidden, 0);
	snprintf(path, sizeof path, "%s/%s", spool, found.name);
	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void
assert_whole(const char *name)
{
	char path[512], buf[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/%s", spool, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, buf, sizeof buf);
	close(fd);
	assert_int_equal(n, strlen(message));
	assert_memory_equal(buf, message, strlen(message));
}

static bool
write_message(char name[FILENAME_SIZE], struct verdict *why)
{
	struct spool_writer *w = spool_writer_open(spool, why);
	bool good = w != NULL;

	for (size_t at = 0; good && at < strlen(message); at += 3)
		good = spool_writer_append(w, message + at, strnlen(message + at, 3), why);
	if (good)
		return spool_writer_commit(&w, name, why);
	spool_writer_cancel(&w);
	return false;
}

static void
a_message_appears_whole(void **state)
{
	struct verdict why;
	char name[FILENAME_SIZE];
	mode_t mask = umask(0777);
	struct stat st;

	(void)state;
	assert_true(write_message(name, &why));
	umask(mask);
	st = stat_message();
	assert_string_equal(look().name, name);
	assert_whole(name);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_nlink, 1);
}

static void
it_has_no_name_before_the_commit(void **state)
{
	struct verdict why;
	struct spool_writer *w = spool_writer_open(spool, &why);

	(void)state;
	assert_non_null(w);
	assert_true(spool_writer_append(w, message, strlen(message), &why));
	assert_int_equal(look().named, 0);
	assert_int_equal(look().hidden, 1);
	assert_true(spool_writer_commit(&w, NULL, &why));
	assert_null(w);
	assert_whole(look().name);
}

static void
a_cancelled_one_leaves_nothing(void **state)
{
	struct verdict why;
	struct spool_writer *w = spool_writer_open(spool, &why);

	(void)state;
	assert_non_null(w);
	assert_true(spool_writer_append(w, message, strlen(message), &why));
	spool_writer_cancel(&w);
	assert_null(w);
	spool_writer_cancel(&w);
	assert_empty();
}

static void
names_are_never_the_same(void **state)
{
	struct spool_writer *w[50];
	struct verdict why;

	(void)state;
	for (size_t i = 0; i < 50; i++)
		assert_non_null(w[i] = spool_writer_open(spool, &why));
	for (size_t i = 0; i < 50; i++)
		assert_true(spool_writer_commit(&w[i], NULL, &why));
	assert_int_equal(look().named, 50);
}

static void
what_is_no_directory_is_refused(void **state)
{
	struct verdict why;
	char path[512], name[FILENAME_SIZE];

	(void)state;
	assert_true(write_message(name, &why));
	snprintf(path, sizeof path, "%s/%s", spool, name);
	assert_null(spool_writer_open(path, &why));
	assert_int_equal(why.code, ENOTDIR);
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_non_null(strstr(why.text, path));
	snprintf(path, sizeof path, "%s/missing", spool);
	assert_null(spool_writer_open(path, &why));
	assert_int_equal(why.code, ENOENT);
}

/* Runs f in a child, which exits with what f returns; a signal gives its number, negative. */
static int
in_child(int (*f)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(f());
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int
write_in_child(void)
{
	struct verdict why;

	return write_message(NULL, &why) ? 0 : why.code;
}

static int
write_beyond_a_limit(void)
{
	struct rlimit limit = {10, 10};

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	return write_in_child();
}

static void
a_failed_write_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(in_child(write_beyond_a_limit), EFBIG);
	assert_empty();
}

static int
write_as_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 255;
	return write_in_child();
}

/* The system's spool: others may add, not look; files inherit the group. */
static void
a_directory_need_not_be_readable(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(spool, 1, 2), 0);
	assert_int_equal(chmod(spool, 03733), 0);
	assert_int_equal(in_child(write_as_nobody), 0);
	st = stat_message();
	assert_int_equal(st.st_uid, NOBODY);
	assert_int_equal(st.st_gid, 2);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(chmod(spool, 0755), 0);
	assert_int_equal(in_child(write_as_nobody), EACCES);
}

static void
what_root_writes_belongs_to_the_directory(void **state)
{
	struct verdict why;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(spool, NOBODY, NOBODY), 0);
	assert_true(write_message(NULL, &why));
	st = stat_message();
	assert_int_equal(st.st_uid, NOBODY);
	assert_int_equal(st.st_gid, NOBODY);
	assert_int_equal(st.st_mode & 07777, 0640);
}

/* Killed before each step in turn: what has a name is whole.  No step may have been taken yet. */
static void
killed_anywhere_it_is_whole_or_hidden(void **state)
{
	int number = 0, status = -SIGKILL;

	(void)state;
	while (status == -SIGKILL) {
		struct found found;
		char text[16];

		snprintf(text, sizeof text, "%d", ++number);
		setenv("POSTRIDER_KILL_STEP", text, 1);
		status = in_child(write_in_child);
		found = look();
		assert_true(found.named + found.hidden <= 1);
		if (found.named > 0)
			assert_whole(found.name);
		assert_true(found.named == 1 || status != 0);
		empty_spool();
	}
	unsetenv("POSTRIDER_KILL_STEP");
	assert_int_equal(status, 0);
	assert_true(number > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		killed_anywhere_it_is_whole_or_hidden, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_message_appears_whole, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(it_has_no_name_before_the_commit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_cancelled_one_leaves_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(names_are_never_the_same, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_no_directory_is_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_failed_write_leaves_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_directory_need_not_be_readable, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_root_writes_belongs_to_the_directory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
