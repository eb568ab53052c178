#ifndef POSTRIDER_TESTS_LOG_FILES_H
#define POSTRIDER_TESTS_LOG_FILES_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

#define LOG_HEAD "# postrider session 1 account=a protocol=pop3 server=x:1\n"
#define LOG_DONE LOG_HEAD "T --- closed: ok, 1 fetched, 0 deleted, 9 octets in, 0.1 s\n"
#define LOG_IDLE LOG_HEAD "T --- closed: ok, 0 fetched, 0 deleted, 9 octets in, 0.1 s\n"

#define LOG_WALL ((int64_t)1795169700123) /* 2026-11-20T10:15:00.123Z */
#define LOG_DAY  ((int64_t)24 * 60 * 60 * 1000)

/* A directory for session logs, and the clock at LOG_WALL.  One a test program. */
struct log_files {
	struct log_config log; /* keep 14 days, 1 day when idle, 1 MiB */
};

void log_files_begin(struct log_files *files);
void log_files_end(struct log_files *files);

/* "SESSIONS/path"; static, of the last call. */
const char *log_files_path(const struct log_files *files, const char *path);

/* The name of a log that began so long ago; static, of the last call. */
const char *log_files_name(int64_t age, unsigned id);

/* Makes SESSIONS/ACCOUNT/NAME, with directories; the other makes it that large. */
void log_files_make(
    const struct log_files *files, const char *account, const char *name, const char *text);
void log_files_grow(
    const struct log_files *files, const char *account, const char *name, size_t size);

bool log_files_has(const struct log_files *files, const char *account, const char *name);

#endif
