#ifndef POSTRIDER_BASE_STR_H
#define POSTRIDER_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A growable string, always NUL-terminated once anything was appended.  Embedded in its owner:
 * STR_INIT or zeroed memory begins it, str_clear() ends it.
 */
struct str {
	char *data;
	size_t len;
	size_t cap;
};

#define STR_INIT                                                                                   \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void str_clear(struct str *s);
void str_truncate(struct str *s, size_t len);
void str_append(struct str *s, const void *data, size_t len);
void str_append_text(struct str *s, const char *text);
void str_append_char(struct str *s, char c);
void str_appendf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_vappendf(struct str *s, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* The text so far, "" when nothing was appended; borrowed until the next change. */
const char *str_text(const struct str *s);

/* Hands the buffer to the caller (free(3) it) and leaves the string empty. */
char *str_take(struct str *s);

/*
 * Appends octets that a peer chose so that they are safe in a log and on a terminal: printable
 * ASCII as it is, valid UTF-8 as it is unless it is a C1 control or a bidirectional or other
 * invisible formatting character, everything else as \xHH; a backslash becomes \\.
 */
void str_append_escaped(struct str *s, const void *data, size_t len);

/* The same into a fixed buffer, cut with "..." when it does not fit.  Returns buf. */
const char *str_escape(char *buf, size_t size, const void *data, size_t len);

/* Drops an incomplete UTF-8 sequence that a fixed buffer's end has cut, so that the text is whole.
 */
void str_trim_partial(char *text);

/* True for NULL or "". */
bool str_empty(const char *s);

#endif
