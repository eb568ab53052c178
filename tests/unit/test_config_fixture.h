#ifndef POSTRIDER_TESTS_CONFIG_FIXTURE_H
#define POSTRIDER_TESTS_CONFIG_FIXTURE_H

#include "unit.h"

#include "base/str.h"
#include "config/config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory of a test's own, which is also $HOME; everything in it is deleted at the end. */
struct fixture {
	char directory[64];
	struct config_faults faults;
	struct config *config;
	bool unreadable;
};

static inline int
fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	strcpy(f->directory, "/tmp/postrider-test-XXXXXX");
	if (mkdtemp(f->directory) == NULL)
		return -1;
	umask(022);
	setenv("HOME", f->directory, 1);
	unsetenv("UNSET_VARIABLE");
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("POSTRIDER_CONFIG");
	unsetenv("CREDENTIALS_DIRECTORY");
	*state = f;
	return 0;
}

static inline void
fixture_forget(struct fixture *f)
{
	config_faults_clear(&f->faults);
	config_unref(&f->config);
}

static inline int
fixture_teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int status;

	fixture_forget(f);
	snprintf(command, sizeof command, "rm -rf '%s'", f->directory);
	status = system(command);
	free(f);
	return status;
}

/* "DIRECTORY/name"; the buffer is overwritten by the next call. */
static inline const char *
fixture_path(const struct fixture *f, const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", f->directory, name);
	return path;
}

static inline void
fixture_write_octets(
    const struct fixture *f, const char *name, const void *data, size_t len, mode_t mode)
{
	FILE *file = fopen(fixture_path(f, name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fchmod(fileno(file), mode), 0);
	assert_int_equal(fclose(file), 0);
}

static inline void
fixture_write(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
	fixture_write_octets(f, name, text, strlen(text), mode);
}

static inline void
fixture_load(struct fixture *f, const char *name)
{
	fixture_forget(f);
	f->config = config_load(fixture_path(f, name), &f->faults, &f->unreadable);
}

/* Writes c.conf with the text and loads it. */
static inline void
fixture_load_text(struct fixture *f, const char *text)
{
	fixture_write(f, "c.conf", text, 0600);
	fixture_load(f, "c.conf");
}

/* All faults, a line each, with the test's directory cut from their front; to free(3). */
static inline char *
fixture_faults(const struct fixture *f)
{
	struct str all = STR_INIT;
	size_t len = strlen(f->directory) + 1;

	for (size_t i = 0; i < f->faults.count; i++) {
		assert_memory_equal(f->faults.text[i], f->directory, len - 1);
		str_appendf(&all, "%s\n", f->faults.text[i] + len);
	}
	return str_take(&all);
}

/* Loads a text that must be good, and shows what was found in it if it is not. */
static inline struct config *
fixture_load_good(struct fixture *f, const char *text)
{
	char *faults;

	fixture_load_text(f, text);
	faults = fixture_faults(f);
	assert_string_equal(faults, "");
	free(faults);
	assert_non_null(f->config);
	return f->config;
}

#endif
