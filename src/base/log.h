#ifndef POSTRIDER_BASE_LOG_H
#define POSTRIDER_BASE_LOG_H

/*
 * The daemon's own log on standard error, one line a call; under systemd (JOURNAL_STREAM names
 * standard error) each line carries its "<N>" priority, elsewhere a time.  A message is written as
 * `account=… session=… reason=…` fields or a sentence; peer octets are escaped by the caller.  The
 * journal gets the first of these as fields of its own, see base/journal.h.  Safe from any thread.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above the level are dropped.  The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
