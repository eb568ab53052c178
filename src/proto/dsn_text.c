#include "proto/dsn_text.h"

#include "base/utf8.h"
#include "proto/rfc5322_date.h"
#include "proto/smtp_address.h"

#include <openssl/evp.h>
#include <string.h>

enum { FOLD_AT = 78, BREAK_AT = 900 };

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Appends a word where the line has room, else on a line of its own; too long ones in pieces. */
static void
append_word(struct str *out, size_t *column, const char *word, size_t len)
{
	while (len > 0) {
		size_t n = len < BREAK_AT ? len : BREAK_AT;

		if (*column + 1 + n > FOLD_AT) {
			str_append_text(out, "\n");
			*column = 0;
		}
		str_append_char(out, ' ');
		str_append(out, word, n);
		*column += 1 + n;
		word += n;
		len -= n;
	}
}

/*
 * Behind "Name:".  A line is folded at the last of a run of blanks, so that the run comes back
 * whole (it may stand in a quoted local part); a run at the end, or one that no line has room for,
 * does not.
 */
static void
append_folded(struct str *out, size_t column, const char *text)
{
	text += strspn(text, " ");
	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		size_t run = strspn(text + len, " ");
		bool keeps = run > 1 && text[len + run] != '\0' && len + run <= BREAK_AT;

		append_word(out, &column, text, keeps ? len + run - 1 : len);
		text += len + run;
	}
	str_append_char(out, '\n');
}

static void
append_escaped(struct str *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text >= ' ' && *text < 0x7f)
			str_append_char(out, *text);
		else if (*text == '\t' || *text == '\n')
			str_append_char(out, ' ');
		else
			str_appendf(out, "\\x%02x", (unsigned char)*text);
	}
}

void
dsn_text_append_field(struct str *out, const char *name, const char *text)
{
	struct str plain = STR_INIT;

	append_escaped(&plain, text);
	if (strspn(str_text(&plain), " ") < plain.len) {
		str_appendf(out, "%s:", name);
		append_folded(out, strlen(name) + 1, plain.data);
	}
	str_clear(&plain);
}

/* C0 and C1 controls. */
static bool
is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* UTF-8 on one line, at most max octets. */
static void
append_clean(struct str *out, const char *text, size_t max)
{
	size_t len = strlen(text), begin = out->len;

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code = 0;
		const char *p = text + i;
		size_t size;

		n = utf8_sequence(p, len - i, &code);
		p = n == 0 ? REPLACEMENT : is_control(code) ? " " : p;
		size = n == 0 ? strlen(REPLACEMENT) : is_control(code) ? 1 : n;
		n = n == 0 ? 1 : n;
		if (out->len - begin + size > max)
			return;
		str_append(out, p, size);
	}
}

/*
 *	encoded-word = "=?" charset "?" encoding "?" encoded-text "?="     (RFC 2047 section 2)
 *
 * 75 characters at most, whole characters in each, and lines of 76.
 */
enum { ENCODED_MAX = 39 }; /* octets that fit beside a short field name */

static void
append_encoded_word(struct str *out, const char *text, size_t len)
{
	unsigned char coded[ENCODED_MAX / 3 * 4 + 1];

	EVP_EncodeBlock(coded, (const unsigned char *)text, (int)len);
	str_appendf(out, " =?UTF-8?B?%s?=", (const char *)coded);
}

static void
append_encoded_words(struct str *out, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = len < ENCODED_MAX ? len : ENCODED_MAX;

		while (n < len && n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		append_encoded_word(out, text, n);
		str_append_char(out, '\n');
		text += n;
		len -= n;
	}
}

void
dsn_text_append_encoded(struct str *out, const char *name, const char *text)
{
	struct str clean = STR_INIT;

	append_clean(&clean, text, DSN_SUBJECT_MAX);
	if (strspn(str_text(&clean), " ") < clean.len) {
		str_appendf(out, "%s:", name);
		if (smtp_is_ascii(clean.data) && strstr(clean.data, "=?") == NULL)
			append_folded(out, strlen(name) + 1, clean.data);
		else
			append_encoded_words(out, clean.data, clean.len);
	}
	str_clear(&clean);
}

void
dsn_text_append_body(struct str *out, const char *text)
{
	size_t len = strlen(text), begin = out->len, column = 0;

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code = 0;

		n = utf8_sequence(text + i, len - i, &code);
		if ((n > 0 && code == '\n') || column >= BREAK_AT) {
			str_append_char(out, '\n');
			column = 0;
		}
		if (n == 0) {
			str_append_text(out, REPLACEMENT);
			column += strlen(REPLACEMENT);
			n = 1;
		} else if (!is_control(code) || code == '\t') {
			str_append(out, text + i, n);
			column += n;
		}
	}
	if (column > 0 || out->len == begin)
		str_append_char(out, '\n');
}

void
dsn_text_append_date(struct str *out, const char *name, int64_t wall)
{
	char date[RFC5322_DATE_SIZE];

	if (wall != 0)
		str_appendf(out, "%s: %s\n", name, rfc5322_date_format(wall, 0, date));
}
