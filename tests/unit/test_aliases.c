#include "unit.h"

#include "base/str.h"
#include "deliver/alias_targets.h"
#include "deliver/aliases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct aliases *
parse(const char *text, struct verdict *why)
{
	struct aliases *aliases = aliases_parse(text, strlen(text), why);

	assert_non_null(aliases);
	return aliases;
}

/* "a@b|\c@d": the targets, a backslash before those that are final; "!text" for a refusal. */
static char *
spell_targets(const struct alias *alias)
{
	struct alias_targets targets = alias_targets_begin(alias);
	struct str out = STR_INIT;
	struct rfc5322_address address;
	struct verdict why = VERDICT_OK;
	enum alias_target kind;

	do {
		kind = alias_targets_next(&targets, &address, &why);
		if (kind != ALIAS_TARGET_END && out.len > 0)
			str_append_char(&out, '|');
		if (kind == ALIAS_TARGET_FINAL)
			str_append_char(&out, '\\');
		if (kind == ALIAS_TARGET_BAD)
			str_appendf(&out, "!%s", why.text);
		rfc5322_address_append(&address, &out);
		rfc5322_address_clear(&address);
	} while (kind == ALIAS_TARGET_ADDRESS || kind == ALIAS_TARGET_FINAL);
	return str_take(&out);
}

static void
assert_targets(const struct aliases *aliases, const char *name, const char *expected)
{
	struct alias alias;
	char *found;

	if (expected == NULL) {
		assert_false(aliases_find(aliases, name, &alias));
		return;
	}
	assert_true(aliases_find(aliases, name, &alias));
	found = spell_targets(&alias);
	assert_string_equal(found, expected);
	free(found);
}

static void
a_file_as_debian_has_it(void **state)
{
	static const char text[] = "# See man 5 aliases for format\n"
				   "postmaster:    root\n"
				   "mailer-daemon: postmaster\n"
				   "\n"
				   "root: me@example.org, \n"
				   "\tother,\n"
				   "  # not the end\n"
				   "\n"
				   "  Third <third@example.net>\n"
				   "\"John Doe\" : john@example.org\r\n"
				   "Clerk:boss@example.org";
	struct verdict why;
	struct aliases *aliases = parse(text, &why);
	struct alias alias;

	(void)state;
	assert_int_equal(why.kind, FAIL_NONE);
	assert_int_equal(aliases_count(aliases), 5);
	assert_targets(aliases, "postmaster", "root");
	assert_targets(aliases, "PostMaster", "root");
	assert_targets(aliases, "root", "me@example.org|other|third@example.net");
	assert_targets(aliases, "\"John Doe\"", "john@example.org");
	assert_targets(aliases, "\"root\"", "me@example.org|other|third@example.net");
	assert_targets(aliases, "clerk", "boss@example.org");
	assert_targets(aliases, "nobody", NULL);
	assert_targets(aliases, "", NULL);
	assert_targets(aliases, "\"open", NULL);
	assert_true(aliases_find(aliases, "ROOT", &alias));
	assert_string_equal(alias.name, "root");
	assert_int_equal(alias.line, 5);
	aliases_free(&aliases);
	assert_null(aliases);
}

static void
targets_of_every_kind(void **state)
{
#define LINE "!line 1 of the aliases, "
	static const struct {
		const char *targets, *expected;
	} row[] = {
	    {"a@b.c", "a@b.c"},
	    {"a, b ,c", "a|b|c"},
	    {",,a,,", "a"},
	    {"\\root", "\\root"},
	    {"\\root, me@example.org", "\\root|me@example.org"},
	    {"\"a, b\"@example.org, c", "\"a, b\"@example.org|c"},
	    {"\"quoted\"", "quoted"},
	    {"Name, Second <a@b.c>", "Name|a@b.c"},
	    {"\"Name, Second\" <a@b.c>, d", "a@b.c|d"},
	    {"a (one, two), b", "a|b"},
	    {"a@B\xc3\x9c"
	     "cher.example",
		"a@b\xc3\xbc"
		"cher.example"},
	    {"|/usr/bin/procmail", LINE "|/usr/bin/procmail: a command; "},
	    {"\"|/usr/bin/vacation -a x, y\"", LINE "\"|/usr/bin/vacation -a x, y\": a command; "},
	    {"a, |cmd, b", "a|" LINE "|cmd: a command; "},
	    {"/var/mail/root", LINE "/var/mail/root: a file; "},
	    {"\"/var/my mail\"", LINE "\"/var/my mail\": a file; "},
	    {"/dev/null", LINE "/dev/null: a file; "},
	    {"/C=US/@gateway.example", "/C=US/@gateway.example"},
	    {":include:/etc/list", LINE ":include:/etc/list: a list in a file; "},
	    {"\":Include:/etc/list\"", LINE "\":Include:/etc/list\": a list in a file; "},
	    {":fail: gone", LINE ":fail: gone: a special target; "},
	    {"<>", LINE "<>: <> is nobody's address"},
	    {"a b", LINE "a b: "},
	    {"a@b.c d@e.f", LINE "a@b.c d@e.f: a comma is missing"},
	    {"a@", LINE "a@: "},
	    {"\"open", LINE "\"open: "},
	    {"\\", LINE "\\\\: no address"},
	    {"\\<>", LINE "\\\\<>: <> is nobody's address"},
	    {"(comment)", LINE "(comment): no address"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const char *expected = row[i].expected;
		struct alias alias = {.name = "x", .targets = row[i].targets, .line = 1};
		char *found = spell_targets(&alias);

		if (strchr(expected, '!') == NULL)
			assert_string_equal(found, expected);
		else
			assert_memory_equal(found, expected, strlen(expected));
		free(found);
	}
#undef LINE
}

static void
lines_that_cannot_be_read(void **state)
{
	static const struct {
		const char *text, *complaint;
		size_t count;
	} row[] = {
	    {"", NULL, 0},
	    {"\n\n# only\n   \n", NULL, 0},
	    {"a: b\n", NULL, 1},
	    {"nonsense\na: b\n", "line 1: expected", 1},
	    {"a: b\n\nc\n  d: e\n", "line 3: a name that is no local part", 1},
	    {"  x: y\na: b\n", "line 1: begins with a blank", 1},
	    {": b\n", "line 1: no name", 0},
	    {"a:\nb: c\n", "line 1: a name without an address", 1},
	    {"a:\n b\n", NULL, 1},
	    {"\"a: b\n", "line 1: a quoted name without", 0},
	    {"\"\": b\n", "line 1: an empty name", 0},
	    {"\"a\" b: c\n", "line 1: expected", 0},
	    {"a b: c\n", "line 1: a name that is no local part", 0},
	    {"a@b: c\n", "line 1: a name that is no local part", 0},
	    {"a: b\nA: c\n", "line 2: a name that has an alias already", 1},
	    {"x\ny\n", "line 1: expected", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct verdict why;
		struct aliases *aliases = parse(row[i].text, &why);

		assert_int_equal(aliases_count(aliases), row[i].count);
		if (row[i].complaint == NULL)
			assert_int_equal(why.kind, FAIL_NONE);
		else
			assert_memory_equal(why.text, row[i].complaint, strlen(row[i].complaint));
		aliases_free(&aliases);
	}
}

static void
the_first_of_equals_counts(void **state)
{
	struct verdict why;
	struct aliases *aliases = parse("b: 1\na: 2\nB: 3\n\"A\": 4\n", &why);

	(void)state;
	assert_targets(aliases, "a", "2");
	assert_targets(aliases, "b", "1");
	aliases_free(&aliases);
}

static void
a_nul_spoils_its_entry_only(void **state)
{
	static const char text[] = "a: x\nb: y\0z\nc\0: d\ne: f";
	struct verdict why;
	struct aliases *aliases = aliases_parse(text, sizeof text - 1, &why);

	(void)state;
	assert_int_equal(aliases_count(aliases), 2);
	assert_targets(aliases, "e", "f");
	assert_string_equal(why.text, "line 2: holds a NUL");
	aliases_free(&aliases);
}

static void
cut_at_each_octet(void **state)
{
	static const char text[] =
	    "a: \"x, y\"@z, \\q\n \"b (\n\"q\\\"r\": <a@b>\n#\nl: (c, \"|e\", :include:/f\n";
	static const char *const names[] = {"a", "l", "\"q\\\"r\""};

	(void)state;
	for (size_t len = 0; len < sizeof text; len++) {
		char *copy = malloc(len + 1);
		struct verdict why;
		struct aliases *aliases;
		struct alias alias;

		memcpy(copy, text, len);
		aliases = aliases_parse(copy, len, &why);
		free(copy);
		for (size_t i = 0; i < 3; i++)
			if (aliases_find(aliases, names[i], &alias))
				free(spell_targets(&alias));
		aliases_free(&aliases);
	}
}

static void
a_file_has_a_limit(void **state)
{
	char *text = malloc(ALIASES_MAX + 1);
	struct verdict why;
	struct aliases *aliases;

	(void)state;
	for (size_t i = 0; i <= ALIASES_MAX; i++)
		text[i] = "x: y\n"[i % 5];
	assert_null(aliases_parse(text, ALIASES_MAX + 1, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	aliases = aliases_parse(text, ALIASES_MAX, &why);
	assert_int_equal(aliases_count(aliases), 1);
	aliases_free(&aliases);
	free(text);
}

static void
write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void
loading(void **state)
{
	char directory[] = "/tmp/test_aliases.XXXXXX", path[64], fifo[64];
	struct verdict why;
	struct aliases *aliases;
	char *large = calloc(1, ALIASES_MAX + 1);

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/aliases", directory);
	snprintf(fifo, sizeof fifo, "%s/fifo", directory);

	assert_null(aliases_load(path, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_non_null(strstr(why.text, strerror(ENOENT)));
	assert_null(aliases_load(directory, &why));
	assert_non_null(strstr(why.text, "no regular file"));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_null(aliases_load(fifo, &why));
	assert_non_null(strstr(why.text, "no regular file"));

	write_file(path, "root: me@example.org\n", 21);
	aliases = aliases_load(path, &why);
	assert_non_null(aliases);
	assert_int_equal(why.kind, FAIL_NONE);
	assert_targets(aliases, "root", "me@example.org");
	assert_false(aliases_is_stale(aliases, path));
	write_file(path, "root: you@example.org\n", 22);
	assert_true(aliases_is_stale(aliases, path));
	aliases_free(&aliases);

	write_file(path, large, ALIASES_MAX + 1);
	assert_null(aliases_load(path, &why));
	assert_non_null(strstr(why.text, "larger than"));
	unlink(path);
	unlink(fifo);
	rmdir(directory);
	free(large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_as_debian_has_it),
	    cmocka_unit_test(targets_of_every_kind),
	    cmocka_unit_test(lines_that_cannot_be_read),
	    cmocka_unit_test(the_first_of_equals_counts),
	    cmocka_unit_test(a_nul_spoils_its_entry_only),
	    cmocka_unit_test(cut_at_each_octet),
	    cmocka_unit_test(a_file_has_a_limit),
	    cmocka_unit_test(loading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
