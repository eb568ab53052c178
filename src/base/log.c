#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic enum log_level current_level = LOG_LEVEL_INFO;

static bool stderr_is_journal;

/* systemd sets JOURNAL_STREAM=device:inode; it counts only while standard error is that stream. */
static void
detect_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	stderr_is_journal = stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
			    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

__attribute__((format(printf, 2, 0))) static void
write_line(enum log_level level, const char *format, va_list ap)
{
	static const int priority[] = {3, 4, 6, 7};
	static const char *const name[] = {"error", "warning", "info", "debug"};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char stamp[CLOCK_RFC3339_SIZE];
	int saved = errno;
	char line[2048];
	int n, m;

	if (level > current_level)
		return;
	pthread_once(&once, detect_journal);
	if (stderr_is_journal)
		n = snprintf(line, sizeof line, "<%d>", priority[level]);
	else
		n = snprintf(
		    line, sizeof line, "%s %s: ", clock_rfc3339(clock_wall(), stamp), name[level]);
	m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, ap);
	if (m < 0)
		m = 0;
	n += m < (int)sizeof line - n - 1 ? m : (int)sizeof line - n - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		errno = saved; /* nowhere left to say it */
	errno = saved;
}

void
log_set_level(enum log_level level)
{
	current_level = level;
}

void
log_at(enum log_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	write_line(level, format, ap);
	va_end(ap);
}

#define DEFINE_LOG(function, level)                                                                \
	void function(const char *format, ...)                                                     \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, format);                                                              \
		write_line(level, format, ap);                                                     \
		va_end(ap);                                                                        \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
