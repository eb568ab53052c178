#include "store_fixture.h"

#include "store/delivery.h"
#include "store/disk.h"
#include "store/filename.h"
#include "store/maildir.h"
#include "store/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/time.h>

static char root[64], path[100];

static int
make_root(void **state)
{
	snprintf(root, sizeof root, "/tmp/postrider-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof path, "%s/deep/er/box", root);
	*state = root;
	return 0;
}

static int
remove_root(void **state)
{
	remove_tree(*state);
	return 0;
}

static mode_t
mode_of(const char *name)
{
	char full[400];
	struct stat st;

	snprintf(full, sizeof full, "%s%s", path, name);
	assert_int_equal(stat(full, &st), 0);
	return st.st_mode & 07777;
}

static void
make_file(const char *name)
{
	char full[400];
	int fd;

	snprintf(full, sizeof full, "%s/%s", path, name);
	fd = open(full, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static bool
has_file(const char *name)
{
	char full[400];

	snprintf(full, sizeof full, "%s/%s", path, name);
	return access(full, F_OK) == 0;
}

static void
names_are_unique_and_known_again(void **state)
{
	char a[FILENAME_SIZE], b[FILENAME_SIZE];
	pid_t pid = 0;

	(void)state;
	filename_make(a);
	filename_make(b);
	assert_string_not_equal(a, b);
	assert_null(strpbrk(a, "/:,"));
	assert_true(filename_is_ours(a, &pid));
	assert_int_equal(pid, getpid());
	filename_add_size(a, UINT64_MAX);
	assert_non_null(strstr(a, ",S=18446744073709551615"));
	assert_true(filename_is_ours(a, &pid));
	assert_false(filename_is_ours("1.M2P3Q4.elsewhere,S=5", &pid));
	assert_false(filename_is_ours("1.M2P3Q4.", &pid));
	assert_false(filename_is_ours("1.2.host", &pid));
	assert_false(filename_is_ours("", &pid));
}

static const struct {
	mode_t file, directory;
} modes[] = {{0600, 0700}, {0640, 0750}, {0644, 0755}, {0660, 0770}, {0400, 0700}};

static void
directories_follow_the_mode(void **state)
{
	struct verdict why = VERDICT_OK;
	mode_t before = umask(077);

	(void)state;
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		snprintf(path, sizeof path, "%s/p%zu/box", root, i);
		assert_true(maildir_create(path, modes[i].file, &why));
		assert_int_equal(mode_of(""), modes[i].directory);
		assert_int_equal(mode_of("/tmp"), modes[i].directory);
		assert_int_equal(mode_of("/cur"), modes[i].directory);
		assert_int_equal(mode_of("/.."), 0700);
		assert_true(maildir_create(path, modes[i].file, &why));
	}
	umask(before);
}

static void
files_have_the_mode_whatever_the_umask(void **state)
{
	struct verdict why = VERDICT_OK;
	struct maildir_identity identity;
	struct delivery_file file;
	struct delivery d;
	mode_t before = umask(077);
	char name[200];
	bool gone;

	(void)state;
	assert_true(maildir_create(path, 0640, &why));
	assert_true(maildir_identify(path, &identity));
	delivery_init(&d, path, 0640, &identity);
	delivery_put(&d, &file, "text", 4);
	assert_int_equal(file.state, DELIVERY_WHOLE);
	assert_true(delivery_flush(&d));
	assert_true(delivery_publish(&d, &file, &gone));
	assert_true(delivery_flush_published(&d));
	snprintf(name, sizeof name, "/new/%s", file.name);
	assert_int_equal(mode_of(name), 0640);
	delivery_clear(&d);
	umask(before);
}

static void
a_move_never_replaces(void **state)
{
	struct verdict why = VERDICT_OK;
	struct maildir m;

	(void)state;
	assert_true(maildir_create(path, 0600, &why));
	assert_true(maildir_open(&m, path, &why));
	make_file("tmp/x");
	make_file("new/x");
	assert_int_equal(delivery_move(m.tmp, m.new, "x"), EEXIST);
	assert_true(has_file("tmp/x"));
	assert_int_equal(delivery_move(m.tmp, m.new, "y"), ENOENT);
	maildir_close(&m);
}

static const struct {
	const char *name;
	struct maildir_identity a, b;
	bool same;
} identities[] = {
    {"equal", {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, true},
    {"inode reused", {1, 2, 3, 4, 5}, {1, 2, 9, 4, 5}, false},
    {"other inode", {1, 2, 0, 4, 5}, {1, 3, 0, 4, 5}, false},
    {"device renumbered, birth known", {0x801, 2, 3, 4, 5}, {0x811, 2, 3, 6, 5}, true},
    {"device renumbered, same file system id", {0x801, 2, 0, 4, 5}, {0x811, 2, 0, 4, 5}, true},
    {"other device", {0x801, 2, 0, 4, 5}, {0x811, 2, 0, 6, 5}, false},
    {"no file system id", {0x801, 2, 0, 0, 5}, {0x811, 2, 0, 0, 5}, false},
    {"network file system", {0x31, 2, 0, 0, 5}, {0x32, 2, 0, 0, 5}, true},
    {"network file system, other kind", {0x31, 2, 0, 0, 5}, {0x32, 2, 0, 0, 6}, false},
};

static void
identities_are_compared(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
		if (maildir_is_same(&identities[i].a, &identities[i].b) != identities[i].same ||
		    maildir_is_same(&identities[i].b, &identities[i].a) != identities[i].same)
			fail_msg("%s", identities[i].name);
	}
}

static bool
keep_by_name(const char *name, void *arg)
{
	return strcmp(name, arg) == 0;
}

/* Only what a dead process of this host left long ago, and no intent names. */
static void
old_leftovers_are_swept(void **state)
{
	char mine[FILENAME_SIZE], name[FILENAME_SIZE + 8], other[5][FILENAME_SIZE + 8], *p;
	const struct timeval old[2] = {{1000000000, 0}, {1000000000, 0}};
	struct verdict why = VERDICT_OK;
	struct maildir m;
	pid_t pid;

	(void)state;
	assert_true(maildir_create(path, 0600, &why));
	assert_true(maildir_open(&m, path, &why));
	filename_make(mine);
	p = strchr(mine, 'Q');
	for (int i = 0; i < 3; i++)
		snprintf(other[i], sizeof other[i], "100%d.M5P1%.100s,S=7", i, p);
	snprintf(other[3], sizeof other[3], "1003.M5P1Q1.elsewhere,S=7");
	snprintf(other[4], sizeof other[4], "%.150s", mine);
	assert_true(filename_is_ours(other[0], &pid));
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "tmp/%.150s", other[i]);
		make_file(name);
		if (i != 2)
			assert_int_equal(futimesat(m.tmp, other[i], old), 0);
	}
	maildir_sweep(&m, keep_by_name, other[1]);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "tmp/%.150s", other[i]);
		assert_int_equal(has_file(name), i != 0);
	}
	maildir_close(&m);
}

static void
a_copy_in_tmp_is_not_published_twice(void **state)
{
	struct verdict why = VERDICT_OK;
	struct recovery r = {NULL, 0};
	struct maildir m;

	(void)state;
	assert_true(maildir_create(path, 0600, &why));
	assert_true(maildir_open(&m, path, &why));
	make_file("tmp/x");
	make_file("new/x");
	recovery_add(&r, 1, "x", false);
	assert_true(recovery_run(&r, &m, path, &why));
	assert_int_equal(r.intents[0].fate, RECOVERY_STORED);
	assert_true(has_file("tmp/x"));
	assert_true(has_file("new/x"));
	assert_true(recovery_names(&r, "x"));
	assert_false(recovery_names(&r, "y"));
	recovery_clear(&r);
	maildir_close(&m);
}

static void
a_file_in_the_way_is_said(void **state)
{
	struct verdict why = VERDICT_OK;
	char file[80];

	(void)state;
	snprintf(file, sizeof file, "%s/deep", root);
	assert_int_equal(close(creat(file, 0600)), 0);
	assert_false(maildir_create(path, 0600, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_int_equal(why.code, ENOTDIR);
	why = (struct verdict)VERDICT_OK;
	assert_false(disk_make_directory(file, 0700, &why));
	assert_int_equal(why.code, ENOTDIR);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_root, remove_root)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_unique_and_known_again),
	    TEST(directories_follow_the_mode),
	    TEST(files_have_the_mode_whatever_the_umask),
	    TEST(a_move_never_replaces),
	    cmocka_unit_test(identities_are_compared),
	    TEST(old_leftovers_are_swept),
	    TEST(a_copy_in_tmp_is_not_published_twice),
	    TEST(a_file_in_the_way_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
