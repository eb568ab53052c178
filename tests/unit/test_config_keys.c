#include "test_config_fixture.h"

#include "config/keys.h"

#include <ctype.h>

/* The manual page's section for each group. */
static const char *const sections[KEYS_GROUP_COUNT] = {
    [KEYS_TOP] = "TOP OF THE FILE",
    [KEYS_CONTROL] = "CONTROL",
    [KEYS_LOG] = "LOG",
    [KEYS_SUBMISSION] = "SUBMISSION",
    [KEYS_LOCAL] = "LOCAL",
    [KEYS_LIMITS] = "LIMITS",
    [KEYS_RETRY] = "RETRY",
    [KEYS_DEFAULTS] = "DEFAULTS",
    [KEYS_ACCOUNT] = "ACCOUNTS",
    [KEYS_SERVER] = "SERVERS",
    [KEYS_POP3] = "POP3",
    [KEYS_SMTP] = "SMTP",
    [KEYS_DSN] = "DSN",
};

static const char *
source_directory(void)
{
	const char *directory = getenv("SRCDIR");

#ifdef SRCDIR
	if (directory == NULL)
		directory = SRCDIR;
#endif
	return directory != NULL ? directory : ".";
}

/* A file of the source tree, to free(3). */
static char *
read_file(const char *name)
{
	struct str text = STR_INIT;
	char path[4096], buf[4096];
	size_t n;
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", source_directory(), name);
	file = fopen(path, "r");
	if (file == NULL)
		print_error("%s cannot be opened; SRCDIR names the top of the source\n", path);
	assert_non_null(file);
	while ((n = fread(buf, 1, sizeof buf, file)) > 0)
		str_append(&text, buf, n);
	fclose(file);
	return str_take(&text);
}

/* The text between two markers; to free(3).  The end of the text is an end, too. */
static char *
cut_between(const char *text, const char *from, const char *to)
{
	const char *begin = strstr(text, from);
	const char *end;

	if (begin == NULL)
		return NULL;
	begin += strlen(from);
	end = strstr(begin, to);
	return end != NULL ? strndup(begin, (size_t)(end - begin)) : strdup(begin);
}

static char *
section_of(const char *page, enum key_group group)
{
	char heading[64];
	char *section;

	snprintf(heading, sizeof heading, "\n.Sh %s\n", sections[group]);
	section = cut_between(page, heading, "\n.Sh ");
	if (section == NULL)
		print_error("the manual page has no section %s\n", sections[group]);
	assert_non_null(section);
	return section;
}

/* What the manual page says about a key; to free(3). */
static char *
row_of(const char *page, const struct key *key)
{
	char *section = section_of(page, key->group);
	char heading[64];
	char *row;

	snprintf(heading, sizeof heading, "\n.It Ic %s\n", key->name);
	row = cut_between(section, heading, "\n.It ");
	if (row == NULL)
		print_error("section %s lacks .It Ic %s\n", sections[key->group], key->name);
	assert_non_null(row);
	free(section);
	return row;
}

static void
every_key_is_in_the_manual(void **state)
{
	char *page = read_file("man/postrider.conf.5");

	(void)state;
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		free(row_of(page, key));
	free(page);
}

static void
the_manual_names_the_defaults(void **state)
{
	char *page = read_file("man/postrider.conf.5");

	(void)state;
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;) {
		char *row = row_of(page, key);
		const char *preset = strstr(row, "\nDefault:");

		if (key->preset != NULL && (preset == NULL || strstr(preset, key->preset) == NULL))
			print_error("the default of %s is not \"%s\"\n", key->name, key->preset);
		if (key->preset != NULL)
			assert_non_null(strstr(preset != NULL ? preset : "", key->preset));
		if (key->required)
			assert_non_null(strstr(row, "must be "));
		free(row);
	}
	free(page);
}

static void
the_manual_names_all_choices(void **state)
{
	char *page = read_file("man/postrider.conf.5");

	(void)state;
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;) {
		char *row = row_of(page, key);

		for (const struct key_choice *c = key->choices; c != NULL && c->word != NULL; c++) {
			char quoted[64];

			snprintf(quoted, sizeof quoted, ".Qq %s", c->word);
			assert_non_null(strstr(row, quoted));
		}
		free(row);
	}
	free(page);
}

static void
the_manual_has_no_other_keys(void **state)
{
	char *page = read_file("man/postrider.conf.5");

	(void)state;
	for (unsigned group = 0; group < KEYS_GROUP_COUNT; group++) {
		char *section = section_of(page, (enum key_group)group);
		const char *p = section;

		while ((p = strstr(p, ".It Ic ")) != NULL) {
			char *name = cut_between(p, ".It Ic ", "\n");
			const struct key *key = keys_find((enum key_group)group, name);

			if (key == NULL)
				print_error("section %s has no key %s\n", sections[group], name);
			assert_non_null(key);
			free(name);
			p++;
		}
		free(section);
	}
	free(page);
}

static bool
is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* True when the word stands at p, with " =" behind it. */
static bool
is_set_at(const char *text, const char *p, const char *name)
{
	size_t len = strlen(name);

	return (p == text || !is_word_char(p[-1])) && strncmp(p, name, len) == 0 &&
	       strncmp(p + len, " =", 2) == 0;
}

static void
every_key_is_in_the_sample(void **state)
{
	char *sample = read_file("etc/postrider.conf.sample");

	(void)state;
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;) {
		const char *p = sample;

		while ((p = strstr(p, key->name)) != NULL && !is_set_at(sample, p, key->name))
			p++;
		if (p == NULL)
			print_error("the sample has no \"%s =\"\n", key->name);
		assert_non_null(p);
	}
	free(sample);
}

static bool
is_key_anywhere(const char *name)
{
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (strcmp(key->name, name) == 0)
			return true;
	return false;
}

static void
the_sample_has_no_other_keys(void **state)
{
	char *sample = read_file("etc/postrider.conf.sample");

	(void)state;
	for (const char *p = strstr(sample, " ="); p != NULL; p = strstr(p + 1, " =")) {
		const char *begin = p;
		char *name;

		while (begin > sample && is_word_char(begin[-1]))
			begin--;
		name = strndup(begin, (size_t)(p - begin));
		if (!is_key_anywhere(name))
			print_error("\"%s\" of the sample is no key\n", name);
		assert_true(is_key_anywhere(name));
		free(name);
	}
	free(sample);
}

static void
the_sample_is_good(void **state)
{
	char *sample = read_file("etc/postrider.conf.sample");
	const struct config *c = fixture_load_good(*state, sample);

	assert_int_equal(c->account_count, 1);
	assert_non_null(c->accounts[0].pop3);
	assert_non_null(c->accounts[0].smtp);
	free(sample);
}

/* The first lines of a file's groups may hide behind a "#" without a blank after it. */
static char *
uncomment(const char *sample)
{
	struct str text = STR_INIT;

	for (const char *p = sample; *p != '\0'; p++) {
		bool fresh = p == sample || p[-1] == '\n';

		if (!(fresh && p[0] == '#' && p[1] != '\n' &&
			(isalpha((unsigned char)p[1]) || p[1] == '}' ||
			    strncmp(p + 1, "  ", 2) == 0)))
			str_append_char(&text, *p);
	}
	return str_take(&text);
}

/* Everything the sample offers is accepted, but for what cannot be true at once. */
static void
the_sample_is_good_without_its_comments(void **state)
{
	static const char *const wanted[] = {
	    "pop3.password_file: '",
	    "pop3.password_file: found a second source",
	    "pop3.password_command: found a second source",
	    "pop3.credential: found a second source",
	    "pop3.token_command: found a second source",
	    "pop3.tls_ca_file: '",
	    "pop3.tls_fingerprint: found \"spki-sha256:0f1e2d3c...\"",
	    "pop3.tls_cert: '",
	    "pop3.tls_key: '",
	    "smtp.bounce_to: bounce_maildir is given as well",
	};
	char *sample = read_file("etc/postrider.conf.sample");
	char *text = uncomment(sample);
	struct fixture *f = *state;

	fixture_load_text(f, text);
	assert_true(f->faults.count >= 7);
	for (size_t i = 0; i < f->faults.count; i++) {
		bool expected = false;

		for (size_t j = 0; j < sizeof wanted / sizeof wanted[0]; j++)
			expected |= strstr(f->faults.text[i], wanted[j]) != NULL;
		if (!expected)
			print_error("%s\n", f->faults.text[i]);
		assert_true(expected);
	}
	free(text);
	free(sample);
}

static void
the_table_is_sound(void **state)
{
	(void)state;
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;) {
		struct str text = STR_INIT;

		assert_non_null(key->help);
		assert_ptr_equal(keys_find(key->group, key->name), key);
		keys_describe(key, &text);
		assert_true(text.len > 0);
		assert_true(key->min <= key->max);
		assert_true(
		    (key->choices != NULL) ==
		    (key->type == KEY_CHOICE || key->type == KEY_FLAG || key->type == KEY_WORD));
		str_clear(&text);
	}
	assert_ptr_equal(keys_find(KEYS_POP3, "host"), keys_find(KEYS_SMTP, "host"));
	assert_null(keys_find(KEYS_ACCOUNT, "host"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(every_key_is_in_the_manual),
	    TEST(the_manual_names_the_defaults),
	    TEST(the_manual_names_all_choices),
	    TEST(the_manual_has_no_other_keys),
	    TEST(every_key_is_in_the_sample),
	    TEST(the_sample_has_no_other_keys),
	    TEST(the_sample_is_good),
	    TEST(the_sample_is_good_without_its_comments),
	    TEST(the_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
