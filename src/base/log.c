#include "base/log.h"

#include "base/clock.h"
#include "base/journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic enum log_level current_level = LOG_LEVEL_INFO;

enum { LINE_SIZE = 2048 };

/* In one piece, so that lines of several threads stay whole. */
static void
write_stderr(enum log_level level, int priority, const char *text)
{
	static const char *const name[] = {"error", "warning", "info", "debug"};
	char stamp[CLOCK_RFC3339_SIZE], line[LINE_SIZE + 64];
	int n;

	if (journal_is_stderr())
		n = snprintf(line, sizeof line, "<%d>%s\n", priority, text);
	else
		n = snprintf(line, sizeof line, "%s %s: %s\n", clock_rfc3339(clock_wall(), stamp),
		    name[level], text);
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}

__attribute__((format(printf, 2, 0))) static void
write_line(enum log_level level, const char *format, va_list ap)
{
	static const int priority[] = {3, 4, 6, 7};
	char text[LINE_SIZE];
	int saved = errno;

	if (level > current_level)
		return;
	if (vsnprintf(text, sizeof text, format, ap) < 0)
		text[0] = '\0';
	if (!journal_send(priority[level], text))
		write_stderr(level, priority[level], text);
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
