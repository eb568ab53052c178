#include "ctl/ctl_text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

/* Narrower terminals get lines of this width, and wrap them as they like. */
#define WIDTH_MIN     40
#define WIDTH_DEFAULT 80

static size_t
terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	size_t width = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width == 0 && columns != NULL)
		width = strtoul(columns, NULL, 10);
	if (width == 0 || width > 10000)
		width = WIDTH_DEFAULT;
	return width > WIDTH_MIN ? width : WIDTH_MIN;
}

static bool
locale_is_utf8(void)
{
	bool is_utf8;

	setlocale(LC_CTYPE, "");
	is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	/* For the widths alone; they are needed whatever the locale is. */
	setlocale(LC_CTYPE, "C.UTF-8");
	return is_utf8;
}

void
ctl_text_init_screen(struct ctl_screen *screen)
{
	const char *term = getenv("TERM");
	bool is_utf8 = locale_is_utf8();

	*screen = (struct ctl_screen){0};
	if (isatty(STDOUT_FILENO)) {
		screen->width = terminal_width();
		screen->colour =
		    str_empty(getenv("NO_COLOR")) && !str_empty(term) && strcmp(term, "dumb") != 0;
		screen->ascii = !is_utf8;
	}
}

void
ctl_text_init_drawing(struct ctl_screen *screen)
{
	ctl_text_init_screen(screen);
	screen->width = terminal_width();
	screen->ascii = !locale_is_utf8();
}

static void
append_ascii(struct str *s, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] >= 0x80)
			str_appendf(s, "\\x%02x", (unsigned char)text[i]);
		else
			str_append_char(s, text[i]);
	}
}

void
ctl_text_append(struct str *s, const char *text, bool ascii)
{
	struct str escaped = STR_INIT;

	while (*text != '\0') {
		size_t len = strcspn(text, "\\");

		str_append_escaped(&escaped, text, len);
		if (text[len] == '\\')
			str_append_char(&escaped, text[len++]);
		text += len;
	}
	if (ascii)
		append_ascii(s, str_text(&escaped), escaped.len);
	else
		str_append(s, str_text(&escaped), escaped.len);
	str_clear(&escaped);
}

/* The columns of the character at p, and its octets.  What is no character counts one of each. */
static size_t
char_width(const char *p, size_t *octets)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, p, MB_CUR_MAX, &state);
	int width;

	if (n == 0 || n > MB_CUR_MAX) {
		*octets = 1;
		return 1;
	}
	*octets = n;
	width = wcwidth(c);
	return width >= 0 ? (size_t)width : 1;
}

size_t
ctl_text_fitting(const char *text, size_t width)
{
	size_t len = 0, octets, columns;

	for (; text[len] != '\0'; len += octets, width -= columns) {
		columns = char_width(text + len, &octets);
		if (columns > width)
			break;
	}
	return len;
}

static size_t
width_of(const char *text, size_t len)
{
	size_t width = 0, octets;

	for (size_t i = 0; i < len; i += octets)
		width += char_width(text + i, &octets);
	return width;
}

size_t
ctl_text_width(const char *text)
{
	return width_of(text, strlen(text));
}

void
ctl_text_cut(char *text, size_t width)
{
	if (ctl_text_width(text) > width)
		memcpy(text + ctl_text_fitting(text, width - 3), "...", 4);
}

void
ctl_text_append_wrapped(struct str *s, const char *text, const char *indent, size_t width)
{
	size_t left = ctl_text_width(indent);
	size_t at = left;

	str_append_text(s, indent);
	for (;;) {
		size_t len = strcspn(text, " ");
		size_t columns = width_of(text, len);

		if (at > left && width != 0 && at + 1 + columns > width) {
			str_appendf(s, "\n%s", indent);
			at = left;
		} else if (at > left) {
			str_append_char(s, ' ');
			at++;
		}
		str_append(s, text, len);
		at += columns;
		text += len;
		text += strspn(text, " ");
		if (*text == '\0')
			break;
	}
	str_append_char(s, '\n');
}

void
ctl_text_append_size(struct str *s, uint64_t octets)
{
	static const char *const unit[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	double size = (double)octets / 1000;
	size_t i = 0;

	if (octets < 1000) {
		str_appendf(s, "%u octet%s", (unsigned)octets, octets == 1 ? "" : "s");
		return;
	}
	while (size >= 999.5 && i + 1 < sizeof unit / sizeof unit[0]) {
		size /= 1000;
		i++;
	}
	str_appendf(s, "%.*f %s", size < 9.95 ? 1 : 0, size, unit[i]);
}
