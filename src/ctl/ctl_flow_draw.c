#include "ctl/ctl_flow_draw.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "ctl/ctl_flow_arrow.h"
#include "ctl/ctl_flow_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arrows across a wider screen are hard to follow; a narrower one wraps. */
enum {
	WIDTH_MAX = 140,
	WIDTH_CLOCK = 100,
	MARGIN = 11, /* "+1.234 s", right of one blank, and a blank */
	CLOCK = 13
};

void
ctl_flow_draw_init(struct ctl_flow_draw *d, const struct ctl_screen *screen, struct str *out)
{
	size_t width = screen->width < WIDTH_MAX ? screen->width : WIDTH_MAX;

	*d = (struct ctl_flow_draw){.screen = screen, .out = out};
	d->glyphs = screen->ascii ? &ctl_flow_ascii : &ctl_flow_utf8;
	d->clock = width >= WIDTH_CLOCK;
	d->margin = d->clock ? MARGIN + CLOCK : MARGIN;
	/* Two lifelines, and the last column stays free. */
	d->inner = width - d->margin - 3;
}

void
ctl_flow_draw_clear(struct ctl_flow_draw *d)
{
	str_clear(&d->row);
}

/* -- the head --------------------------------------------------------------------------------- */

static void
draw_title(struct ctl_flow_draw *d, const struct ctl_logfile_head *head, int64_t began)
{
	const char *dot = d->screen->ascii ? "-" : "·";
	char stamp[CLOCK_RFC3339_SIZE];
	struct str raw = STR_INIT, safe = STR_INIT;
	char *title;

	clock_rfc3339(began, stamp);
	str_appendf(&raw, "session %s %s %s %s %s %s %.10s %.8sZ", head->session, dot,
	    head->account, dot, head->protocol, dot, stamp, stamp + 11);
	ctl_text_append(&safe, str_text(&raw), d->screen->ascii);
	title = str_take(&safe);
	ctl_text_cut(title, (size_t)d->margin + d->inner);
	str_append_char(d->out, ' ');
	ctl_table_append_tone(d->out, d->screen, CTL_BOLD, title);
	str_append_text(d->out, "\n\n");
	str_clear(&raw);
	free(title);
}

/* One row of the two boxes: `fill` between the corners of each, or the names. */
static void
draw_boxes(struct ctl_flow_draw *d, const char *const corner[4], const char *const name[2],
    const char *fill)
{
	size_t left = ctl_text_width(name[0]) + 2, right = ctl_text_width(name[1]) + 2;

	ctl_flow_row_begin_with(d, 0, corner[0]);
	if (*fill == ' ') {
		ctl_flow_row_put(d, CTL_PLAIN, " ");
		ctl_flow_row_put(d, CTL_BOLD, name[0]);
	}
	ctl_flow_row_fill(d, CTL_DIM, fill, left);
	ctl_flow_row_put(d, CTL_DIM, corner[1]);
	ctl_flow_row_fill(d, CTL_DIM, " ", d->inner - right - 1);
	ctl_flow_row_put(d, CTL_DIM, corner[2]);
	if (*fill == ' ') {
		ctl_flow_row_put(d, CTL_PLAIN, " ");
		ctl_flow_row_put(d, CTL_BOLD, name[1]);
	}
	ctl_flow_row_fill(d, CTL_DIM, fill, d->inner);
	ctl_flow_row_end_with(d, corner[3]);
}

void
ctl_flow_draw_head(struct ctl_flow_draw *d, const struct ctl_logfile_head *head, int64_t began)
{
	static const char client[] = "postrider";
	const struct ctl_flow_glyphs *g = d->glyphs;
	struct str server = STR_INIT;
	char *name;

	ctl_text_append(&server, head->server, d->screen->ascii);
	name = str_take(&server);
	ctl_text_cut(name, d->inner - (sizeof client + 8));
	draw_title(d, head, began);
	draw_boxes(d, (const char *const[]){g->top_left, g->top_right, g->top_left, g->top_right},
	    (const char *const[]){client, name}, g->edge);
	draw_boxes(d, (const char *const[]){g->side, g->side, g->side, g->side},
	    (const char *const[]){client, name}, " ");
	draw_boxes(d, (const char *const[]){g->tee_left, g->low_right, g->low_left, g->tee_right},
	    (const char *const[]){client, name}, g->edge);
	free(name);
}

/* -- remarks ---------------------------------------------------------------------------------- */

/* A line in the middle, between blanks or as part of a rule. */
static void
put_centred(struct ctl_flow_draw *d, enum ctl_tone tone, const char *text, const char *fill)
{
	size_t width = ctl_text_width(text) + 2;
	size_t before = d->inner > width ? (d->inner - width) / 2 : 0;

	ctl_flow_row_fill(d, tone, fill, before);
	ctl_flow_row_put(d, tone, " ");
	ctl_flow_row_put(d, tone, text);
	ctl_flow_row_put(d, tone, " ");
	ctl_flow_row_fill(d, tone, fill, d->inner);
}

static void
draw_centred(struct ctl_flow_draw *d, enum ctl_tone tone, int64_t time, const char *text)
{
	ctl_flow_row_begin(d, time);
	put_centred(d, tone, text, " ");
	ctl_flow_row_end(d);
}

/* Lines in the middle are about as long as one another. */
static void
break_centred(struct ctl_flow_lines *lines, const struct ctl_flow_draw *d, const char *text)
{
	size_t most = d->inner - 6, width = ctl_text_width(text);
	size_t count = (width + most - 1) / most;
	size_t even = count > 1 ? width / count + 12 : most;

	even = even < most ? even : most;
	ctl_flow_lines_break(lines, d, text, even);
}

static void
draw_note(struct ctl_flow_draw *d, enum ctl_tone tone, int64_t time, const char *text)
{
	struct ctl_flow_lines lines;

	break_centred(&lines, d, text);
	for (size_t i = 0; i < lines.count; i++)
		draw_centred(d, tone, i == 0 ? time : 0, lines.line[i]);
	ctl_flow_lines_clear(&lines);
}

/* What of the last remark does not fit into its rule stands below the lifelines' end. */
static void
draw_below(struct ctl_flow_draw *d, enum ctl_tone tone, const char *text)
{
	struct ctl_flow_lines lines;

	break_centred(&lines, d, text);
	for (size_t i = 0; i < lines.count; i++) {
		ctl_flow_row_begin_with(d, 0, " ");
		ctl_flow_row_fill(
		    d, CTL_PLAIN, " ", (d->inner - ctl_text_width(lines.line[i])) / 2);
		ctl_flow_row_put(d, tone, lines.line[i]);
		ctl_flow_row_end_with(d, "");
	}
	ctl_flow_lines_clear(&lines);
}

static void
draw_rule(struct ctl_flow_draw *d, const struct ctl_flow_item *item, char *text)
{
	const struct ctl_flow_glyphs *g = d->glyphs;
	bool is_end = item->kind == CTL_FLOW_END;
	const char *left = is_end ? g->end_left[d->secret] : g->join_left[d->secret];
	const char *right = is_end ? g->end_right[d->secret] : g->join_right[d->secret];

	ctl_text_cut(text, d->inner - 8);
	ctl_flow_row_begin_with(d, item->lines[0].time, left);
	put_centred(d, item->tone, text, g->rule[d->secret]);
	ctl_flow_row_end_with(d, right);
}

/* The rule bears the text up to the first comma when it cannot bear all of it. */
static void
draw_ruled(struct ctl_flow_draw *d, const struct ctl_flow_item *item)
{
	const char *text = item->lines[0].text;
	struct str safe = STR_INIT;
	size_t len = strlen(text);
	char *head;

	ctl_text_append(&safe, text, d->screen->ascii);
	if (ctl_text_width(str_text(&safe)) + 8 > d->inner) {
		len = strcspn(text, ",");
		str_truncate(&safe, strcspn(str_text(&safe), ","));
	}
	head = str_take(&safe);
	draw_rule(d, item, head);
	free(head);
	text += len;
	text += strspn(text, ", ");
	if (*text != '\0' && item->kind == CTL_FLOW_END)
		draw_below(d, item->tone, text);
	else if (*text != '\0')
		draw_note(d, item->tone, 0, text);
}

/* -- the interface ---------------------------------------------------------------------------- */

void
ctl_flow_draw_item(struct ctl_flow_draw *d, const struct ctl_flow_item *item)
{
	switch (item->kind) {
	case CTL_FLOW_SENT:
		ctl_flow_arrow_sent(d, item);
		break;
	case CTL_FLOW_RECEIVED:
		ctl_flow_arrow_received(d, item);
		break;
	case CTL_FLOW_NOTE:
		draw_note(d, item->tone, item->lines[0].time, item->lines[0].text);
		break;
	case CTL_FLOW_TLS:
		d->secret = true;
		draw_ruled(d, item);
		break;
	case CTL_FLOW_END:
		draw_ruled(d, item);
		break;
	}
}

void
ctl_flow_draw_left_out(struct ctl_flow_draw *d, size_t count, int64_t latest)
{
	const char *dots = d->glyphs->dots;
	char *text = xasprintf("%s %zu more like these %s", dots, count, dots);

	draw_centred(d, CTL_DIM, latest, text);
	free(text);
}

void
ctl_flow_draw_open_end(struct ctl_flow_draw *d, bool is_running)
{
	const char *text =
	    is_running ? "it is still running"
		       : "the log breaks off here: the daemon was killed, or the disk was full";

	draw_note(d, is_running ? CTL_GOOD : CTL_WARN, 0, text);
}
