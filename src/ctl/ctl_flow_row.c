#include "ctl/ctl_flow_row.h"

#include "base/clock.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

const struct ctl_flow_glyphs ctl_flow_utf8 = {
    .rail = {"│", "║"},
    .rule = {"─", "═"},
    .join_left = {"├", "╠"},
    .join_right = {"┤", "╣"},
    .end_left = {"└", "╚"},
    .end_right = {"┘", "╝"},
    .shaft = "─",
    .to_right = "►",
    .to_left = "◄",
    .run = {"─", "┌", "├", "└"},
    .top_left = "╭",
    .top_right = "╮",
    .low_left = "╰",
    .low_right = "╯",
    .tee_left = "├",
    .tee_right = "┤",
    .side = "│",
    .edge = "─",
    .dots = "…",
};

const struct ctl_flow_glyphs ctl_flow_ascii = {
    .rail = {"|", "#"},
    .rule = {"-", "="},
    .join_left = {"+", "#"},
    .join_right = {"+", "#"},
    .end_left = {"+", "#"},
    .end_right = {"+", "#"},
    .shaft = "-",
    .to_right = ">",
    .to_left = "<",
    .run = {"-", ".", ":", "'"},
    .top_left = ".",
    .top_right = ".",
    .low_left = "'",
    .low_right = "'",
    .tee_left = "+",
    .tee_right = "+",
    .side = "|",
    .edge = "-",
    .dots = "...",
};

/* -- rows ------------------------------------------------------------------------------------- */

/* "+9 ms", "+1.234 s", "+12 min"; nothing when it is not worth a word. */
static enum ctl_tone
append_delta(struct str *s, int64_t ms)
{
	if (ms == 0)
		return CTL_DIM;
	if (ms > -1000 && ms < 1000)
		str_appendf(s, "%+d ms", (int)ms);
	else if (ms > -100000 && ms < 100000)
		str_appendf(s, "%+.3f s", (double)ms / 1000);
	else
		str_appendf(s, "%+.1f min", (double)ms / 60000);
	return ms >= 10000 ? CTL_BAD : ms >= 1000 ? CTL_WARN : CTL_DIM;
}

static void
append_margin(struct ctl_flow_draw *d, int64_t time)
{
	char stamp[CLOCK_RFC3339_SIZE];
	struct str delta = STR_INIT, padded = STR_INIT;
	enum ctl_tone tone = CTL_DIM;

	if (time != 0 && d->last != 0)
		tone = append_delta(&delta, time - d->last);
	if (d->clock && time != 0 && (d->last == 0 || time != d->last))
		str_appendf(&padded, " %.12s", clock_rfc3339(time, stamp) + strlen("2026-11-20T"));
	else if (d->clock)
		str_appendf(&padded, "%13s", "");
	str_appendf(&padded, "%10s ", str_text(&delta));
	ctl_table_append_tone(&d->row, d->screen, tone, str_text(&padded));
	if (time != 0)
		d->last = time;
	str_clear(&delta);
	str_clear(&padded);
}

void
ctl_flow_row_begin_with(struct ctl_flow_draw *d, int64_t time, const char *left)
{
	append_margin(d, time);
	ctl_table_append_tone(&d->row, d->screen, d->secret ? CTL_GOOD : CTL_DIM, left);
	d->at = 0;
}

void
ctl_flow_row_begin(struct ctl_flow_draw *d, int64_t time)
{
	ctl_flow_row_begin_with(d, time, d->glyphs->rail[d->secret]);
}

void
ctl_flow_row_put(struct ctl_flow_draw *d, enum ctl_tone tone, const char *text)
{
	if (*text != '\0')
		ctl_table_append_tone(&d->row, d->screen, tone, text);
	d->at += ctl_text_width(text);
}

void
ctl_flow_row_fill(struct ctl_flow_draw *d, enum ctl_tone tone, const char *glyph, size_t until)
{
	struct str s = STR_INIT;

	while (d->at < until) {
		str_append_text(&s, glyph);
		d->at++;
	}
	if (s.len > 0)
		ctl_table_append_tone(
		    &d->row, d->screen, *glyph == ' ' ? CTL_PLAIN : tone, str_text(&s));
	str_clear(&s);
}

void
ctl_flow_row_end_with(struct ctl_flow_draw *d, const char *right)
{
	if (*right != '\0') {
		ctl_flow_row_fill(d, CTL_PLAIN, " ", d->inner);
		ctl_table_append_tone(&d->row, d->screen, d->secret ? CTL_GOOD : CTL_DIM, right);
	}
	str_append(d->out, str_text(&d->row), d->row.len);
	str_append_char(d->out, '\n');
	str_truncate(&d->row, 0);
}

void
ctl_flow_row_end(struct ctl_flow_draw *d)
{
	ctl_flow_row_end_with(d, d->glyphs->rail[d->secret]);
}

/* -- lines ------------------------------------------------------------------------------------ */

/* The octets of the line that begins here: up to a blank if there is one, else what fits. */
static size_t
break_at(const char *text, size_t width)
{
	size_t fits = ctl_text_fitting(text, width);
	size_t len = fits;

	if (text[fits] == '\0')
		return fits;
	while (len > 0 && text[len] != ' ')
		len--;
	if (len > fits / 4)
		return len;
	return fits > 0 ? fits : strlen(text);
}

static void
add_line(struct ctl_flow_lines *lines, const char *text, size_t len)
{
	char *line = xstrndup(text, len);
	size_t width = ctl_text_width(line);

	lines->line[lines->count++] = line;
	lines->width = width > lines->width ? width : lines->width;
}

static void
add_cut(struct ctl_flow_lines *lines, const struct ctl_flow_draw *d, const char *text, size_t width)
{
	size_t dots = ctl_text_width(d->glyphs->dots);
	char *cut =
	    xasprintf("%.*s%s", (int)ctl_text_fitting(text, width - dots), text, d->glyphs->dots);

	add_line(lines, cut, strlen(cut));
	free(cut);
}

void
ctl_flow_lines_break(
    struct ctl_flow_lines *lines, const struct ctl_flow_draw *d, const char *text, size_t width)
{
	struct str safe = STR_INIT;
	const char *rest;

	*lines = (struct ctl_flow_lines){0};
	ctl_text_append(&safe, text, d->screen->ascii);
	rest = str_text(&safe);
	for (;;) {
		size_t len;

		if (ctl_text_width(rest) <= width) {
			add_line(lines, rest, strlen(rest));
			break;
		}
		if (lines->count + 1 == CTL_FLOW_LINES_MAX) {
			add_cut(lines, d, rest, width);
			break;
		}
		len = break_at(rest, width);
		add_line(lines, rest, len);
		rest += len;
		rest += strspn(rest, " ");
	}
	str_clear(&safe);
}

void
ctl_flow_lines_clear(struct ctl_flow_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->line[i]);
	*lines = (struct ctl_flow_lines){0};
}
