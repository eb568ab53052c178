#include "base/str.h"

#include "base/utf8.h"
#include "base/xalloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
reserve(struct str *s, size_t more)
{
	size_t need = s->len + more + 1;
	size_t cap = s->cap != 0 ? s->cap : 64;

	if (need <= s->cap)
		return;
	while (cap < need)
		cap += cap / 2;
	s->data = xrealloc(s->data, cap);
	s->cap = cap;
}

void
str_clear(struct str *s)
{
	free(s->data);
	*s = (struct str)STR_INIT;
}

void
str_truncate(struct str *s, size_t len)
{
	if (len >= s->len)
		return;
	s->len = len;
	s->data[len] = '\0';
}

void
str_append(struct str *s, const void *data, size_t len)
{
	reserve(s, len);
	if (len > 0)
		memcpy(s->data + s->len, data, len);
	s->len += len;
	s->data[s->len] = '\0';
}

void
str_append_text(struct str *s, const char *text)
{
	str_append(s, text, strlen(text));
}

void
str_append_char(struct str *s, char c)
{
	str_append(s, &c, 1);
}

void
str_vappendf(struct str *s, const char *format, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return;
	reserve(s, (size_t)n);
	vsnprintf(s->data + s->len, (size_t)n + 1, format, ap);
	s->len += (size_t)n;
}

void
str_appendf(struct str *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	str_vappendf(s, format, ap);
	va_end(ap);
}

const char *
str_text(const struct str *s)
{
	return s->data != NULL ? s->data : "";
}

char *
str_take(struct str *s)
{
	char *p = s->data != NULL ? s->data : xstrdup("");

	*s = (struct str)STR_INIT;
	return p;
}

/* Characters that change how the text around them is shown, or show as nothing. */
static bool
is_deceptive(uint32_t c)
{
	return (c >= 0x80 && c <= 0x9f) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

void
str_append_escaped(struct str *s, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t code = 0;

	for (size_t i = 0; i < len;) {
		size_t n = p[i] >= 0x80 ? utf8_sequence(p + i, len - i, &code) : 0;

		if (p[i] == '\\')
			str_append(s, "\\\\", 2);
		else if (p[i] >= 0x20 && p[i] < 0x7f)
			str_append_char(s, (char)p[i]);
		else if (n > 0 && !is_deceptive(code))
			str_append(s, p + i, n);
		else
			str_appendf(s, "\\x%02x", p[i]);
		i += n > 0 && !is_deceptive(code) ? n : 1;
	}
}

void
str_trim_partial(char *text)
{
	unsigned char *p = (unsigned char *)text;
	size_t len = strlen(text), lead = len;
	uint32_t code;

	while (lead > 0 && len - lead < 4 && (p[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead > 0 && p[lead - 1] >= 0xc0 &&
	    utf8_sequence(p + lead - 1, len - lead + 1, &code) == 0)
		text[lead - 1] = '\0';
}

const char *
str_escape(char *buf, size_t size, const void *data, size_t len)
{
	static const char more[] = "...";
	struct str s = STR_INIT;
	size_t fits;

	str_append_escaped(&s, data, len);
	fits = s.len < size ? s.len : size - 1;
	memcpy(buf, str_text(&s), fits);
	buf[fits] = '\0';
	if (fits < s.len && fits >= sizeof more) {
		buf[fits - (sizeof more - 1)] = '\0';
		str_trim_partial(buf);
		memcpy(buf + strlen(buf), more, sizeof more);
	}
	str_clear(&s);
	return buf;
}

bool
str_empty(const char *s)
{
	return s == NULL || *s == '\0';
}
