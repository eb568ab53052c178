#include "unit.h"

#include "config/path.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
paths_expand(void **state)
{
	static const struct {
		const char *text;
		const char *path; /* NULL: a mistake */
	} rows[] = {
	    {"/a/b", "/a/b"},
	    {"/", "/"},
	    {"//a///b/", "/a/b"},
	    {"/a/./b/.", "/a/b"},
	    {"/a/../b", "/a/../b"},
	    {"b", "/base/b"},
	    {"./b", "/base/b"},
	    {"..", "/base/.."},
	    {".", "/base"},
	    {"~", "/home/me"},
	    {"~/", "/home/me"},
	    {"~/x", "/home/me/x"},
	    {"a~", "/base/a~"},
	    {"/a/~", "/a/~"},
	    {"~root/x", "/root/x"},
	    {"~no-such-user-here", NULL},
	    {"${VAR}", "/base/v"},
	    {"/x/${VAR}y${VAR}/z", "/x/vyv/z"},
	    {"${TRICKY}", "/base/${VAR}"},
	    {"${ROOTED}/x", "/abs/x"},
	    {"$VAR", "/base/$VAR"},
	    {"a$", "/base/a$"},
	    {"${UNSET_VARIABLE}", NULL},
	    {"${EMPTY}/x", NULL},
	    {"${}", NULL},
	    {"${VAR", NULL},
	    {"${", NULL},
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *why;
		char *path = path_expand(rows[i].text, "/base", &why);

		if (rows[i].path == NULL) {
			assert_null(path);
			assert_non_null(why);
			free(why);
		} else {
			assert_non_null(path);
			assert_string_equal(path, rows[i].path);
		}
		free(path);
	}
}

static void
too_long_paths_are_mistakes(void **state)
{
	char text[5000];
	char *why;

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_null(path_expand(text, "/base", &why));
	free(why);
	text[4093] = '\0';
	assert_null(path_expand(text, "/base", &why));
	free(why);
}

static void
directories_of_files(void **state)
{
	static const struct {
		const char *file;
		const char *directory;
	} rows[] = {
	    {"a", "."},
	    {"/a", "/"},
	    {"/a/b", "/a"},
	    {"a/b", "a"},
	    {"./a", "."},
	    {"", "."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *directory = path_directory(rows[i].file);

		assert_string_equal(directory, rows[i].directory);
		free(directory);
	}
}

static void
bases_are_absolute(void **state)
{
	char *base = path_base("x.conf");
	char *working = getcwd(NULL, 0);

	(void)state;
	assert_string_equal(base, working);
	free(base);
	free(working);
	base = path_base("/etc/postrider/x.conf");
	assert_string_equal(base, "/etc/postrider");
	free(base);
	base = path_base("/x.conf");
	assert_string_equal(base, "/");
	free(base);
}

static void
the_system_is_below_etc(void **state)
{
	(void)state;
	assert_true(path_is_system("/etc/postrider/postrider.conf"));
	assert_true(path_is_system("/etc/postrider.conf"));
	assert_true(path_is_system("//etc/./x.conf"));
	assert_false(path_is_system("/etcetera/x.conf"));
	assert_false(path_is_system("/home/me/etc/x.conf"));
	assert_false(path_is_system("x.conf"));
}

static void
xdg_directories(void **state)
{
	char *path;

	(void)state;
	setenv("XDG_TEST", "/x", 1);
	path = path_xdg("XDG_TEST", ".test", "name");
	assert_string_equal(path, "/x/name");
	free(path);
	setenv("XDG_TEST", "relative", 1);
	path = path_xdg("XDG_TEST", ".test", "name");
	assert_string_equal(path, "/home/me/.test/name");
	free(path);
	assert_null(path_xdg("XDG_TEST", NULL, "name"));
}

static void
home_comes_from_the_database_too(void **state)
{
	const struct passwd *me = getpwuid(geteuid());
	char *home;

	(void)state;
	unsetenv("HOME");
	home = path_home();
	if (me != NULL && me->pw_dir[0] == '/')
		assert_string_equal(home, me->pw_dir);
	else
		assert_null(home);
	free(home);
}

static int
setup(void **state)
{
	(void)state;
	setenv("HOME", "/home/me", 1);
	setenv("VAR", "v", 1);
	setenv("TRICKY", "${VAR}", 1);
	setenv("ROOTED", "/abs", 1);
	setenv("EMPTY", "", 1);
	unsetenv("UNSET_VARIABLE");
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(paths_expand, setup),
	    cmocka_unit_test_setup(too_long_paths_are_mistakes, setup),
	    cmocka_unit_test_setup(directories_of_files, setup),
	    cmocka_unit_test_setup(bases_are_absolute, setup),
	    cmocka_unit_test_setup(the_system_is_below_etc, setup),
	    cmocka_unit_test_setup(xdg_directories, setup),
	    cmocka_unit_test_setup(home_comes_from_the_database_too, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
