#include "unit.h"

#include "log_files.h"

#include "base/clock.h"
#include "base/xalloc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t
fake_wall(void)
{
	return LOG_WALL;
}

static const struct clock_source fake_clock = {fake_wall, fake_wall, fake_wall};

void
log_files_begin(struct log_files *files)
{
	char directory[] = "/tmp/test_logs.XXXXXX";

	clock_set_source(&fake_clock);
	assert_non_null(mkdtemp(directory));
	files->log = (struct log_config){
	    .sessions = xstrdup(directory),
	    .keep = 14 * LOG_DAY,
	    .keep_idle = LOG_DAY,
	    .max_total = 1 << 20,
	};
}

void
log_files_end(struct log_files *files)
{
	char *command = xasprintf("rm -rf '%s'", files->log.sessions);

	assert_int_equal(system(command), 0);
	free(command);
	free(files->log.sessions);
	clock_set_source(NULL);
}

const char *
log_files_path(const struct log_files *files, const char *path)
{
	static char buf[PATH_MAX];

	snprintf(buf, sizeof buf, "%s/%s", files->log.sessions, path);
	return buf;
}

const char *
log_files_name(int64_t age, unsigned id)
{
	static char buf[NAME_MAX];
	char time[CLOCK_RFC3339_SIZE];

	snprintf(buf, sizeof buf, "%s-pop3-%06u.log", clock_compact(LOG_WALL - age, time), id);
	return buf;
}

static const char *
path_of(const struct log_files *files, const char *account, const char *name)
{
	char *path = xasprintf("%s/%s", account, name);
	const char *whole = log_files_path(files, path);

	free(path);
	return whole;
}

void
log_files_make(
    const struct log_files *files, const char *account, const char *name, const char *text)
{
	FILE *file;

	mkdir(log_files_path(files, account), 0700);
	file = fopen(path_of(files, account, name), "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

void
log_files_grow(const struct log_files *files, const char *account, const char *name, size_t size)
{
	assert_int_equal(truncate(path_of(files, account, name), (off_t)size), 0);
}

bool
log_files_has(const struct log_files *files, const char *account, const char *name)
{
	struct stat st;

	return lstat(path_of(files, account, name), &st) == 0;
}
