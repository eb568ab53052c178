#include "ctl/ctl_flow_arrow.h"

#include "base/xalloc.h"
#include "ctl/ctl_flow_row.h"

#include <stdlib.h>
#include <string.h>

enum {
	SHAFT_MIN = 6, /* the least of an arrow that bears no text */
	LABEL_MIN = 6,
	ROWS_MAX = (CTL_FLOW_KEPT + 2) * CTL_FLOW_LINES_MAX
};

/* The rows of one item, broken into lines. */
struct block {
	struct {
		char *text;
		int64_t time; /* 0 behind the first row of a line */
		enum ctl_tone tone;
	} rows[ROWS_MAX];
	size_t count;
	size_t width;
};

static void
add(struct block *b, const struct ctl_flow_draw *d, const struct ctl_flow_text *text,
    enum ctl_tone tone, size_t width)
{
	struct ctl_flow_lines lines;

	ctl_flow_lines_break(&lines, d, text->text, width);
	for (size_t i = 0; i < lines.count; i++) {
		b->rows[b->count].text = xstrdup(lines.line[i]);
		b->rows[b->count].time = i == 0 ? text->time : 0;
		b->rows[b->count++].tone = tone;
	}
	b->width = lines.width > b->width ? lines.width : b->width;
	ctl_flow_lines_clear(&lines);
}

static void
add_more(struct block *b, const struct ctl_flow_draw *d, const struct ctl_flow_item *item,
    size_t shown, size_t width)
{
	size_t more = item->count - shown;
	/* The summary has the time of the last line, when it comes. */
	struct ctl_flow_text text = {.time = item->summary.text == NULL ? item->latest : 0};

	text.text = xasprintf("%s %zu more lines", d->glyphs->dots, more);
	add(b, d, &text, CTL_DIM, width);
	free(text.text);
}

static void
fill(struct block *b, const struct ctl_flow_draw *d, const struct ctl_flow_item *item, size_t width)
{
	size_t shown = item->count <= CTL_FLOW_KEPT ? item->count : CTL_FLOW_HEAD;
	enum ctl_tone rest = item->kind == CTL_FLOW_SENT ? item->tone : CTL_PLAIN;

	*b = (struct block){0};
	for (size_t i = 0; i < shown; i++)
		add(b, d, &item->lines[i], i == 0 ? item->tone : rest, width);
	if (shown < item->count)
		add_more(b, d, item, shown, width);
	if (item->summary.text != NULL)
		add(b, d, &item->summary, rest, width);
}

static void
clear(struct block *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->rows[i].text);
}

/* -- sent ------------------------------------------------------------------------------------- */

/* A bracket holds together what was sent without waiting for an answer. */
static const char *
lead(const struct ctl_flow_draw *d, const struct ctl_flow_item *item, bool is_first, bool is_last)
{
	const struct ctl_flow_glyphs *g = d->glyphs;

	if (item->place == CTL_FLOW_ALONE)
		return is_last ? g->shaft : " ";
	if (is_first)
		return g->run[item->place];
	return item->place == CTL_FLOW_LAST ? " " : g->side;
}

void
ctl_flow_arrow_sent(struct ctl_flow_draw *d, const struct ctl_flow_item *item)
{
	struct block b;

	fill(&b, d, item, d->inner - SHAFT_MIN - 2);
	for (size_t i = 0; i < b.count; i++) {
		bool is_last = i + 1 == b.count;

		ctl_flow_row_begin(d, b.rows[i].time);
		ctl_flow_row_put(d, CTL_DIM, lead(d, item, i == 0, is_last));
		ctl_flow_row_put(d, CTL_PLAIN, " ");
		ctl_flow_row_put(d, b.rows[i].tone, b.rows[i].text);
		if (is_last) {
			ctl_flow_row_put(d, CTL_PLAIN, " ");
			ctl_flow_row_fill(d, CTL_DIM, d->glyphs->shaft, d->inner - 1);
			ctl_flow_row_put(d, item->tone, d->glyphs->to_right);
		}
		ctl_flow_row_end(d);
	}
	clear(&b);
}

/* -- received --------------------------------------------------------------------------------- */

/* The command that is answered stands in the shaft, when there is room for it. */
static void
put_shaft(struct ctl_flow_draw *d, const struct ctl_flow_item *item, size_t until)
{
	const char *shaft = d->glyphs->shaft;
	size_t room = until > SHAFT_MIN ? until - SHAFT_MIN : 0;
	struct ctl_flow_lines lines;

	ctl_flow_row_put(d, item->tone == CTL_PLAIN ? CTL_DIM : item->tone, d->glyphs->to_left);
	if (item->label != NULL && room >= LABEL_MIN) {
		ctl_flow_lines_break(&lines, d, item->label, d->inner);
		ctl_text_cut(lines.line[0], room);
		ctl_flow_row_fill(d, CTL_DIM, shaft, 3);
		ctl_flow_row_put(d, CTL_PLAIN, " ");
		ctl_flow_row_put(d, CTL_DIM, lines.line[0]);
		ctl_flow_row_put(d, CTL_PLAIN, " ");
		ctl_flow_lines_clear(&lines);
	}
	ctl_flow_row_fill(d, CTL_DIM, shaft, until);
}

void
ctl_flow_arrow_received(struct ctl_flow_draw *d, const struct ctl_flow_item *item)
{
	struct block b;
	size_t left;

	fill(&b, d, item, item->label != NULL ? d->inner * 2 / 3 : d->inner - SHAFT_MIN - 3);
	left = d->inner - b.width - 3;
	for (size_t i = 0; i < b.count; i++) {
		ctl_flow_row_begin(d, b.rows[i].time);
		if (i == 0)
			put_shaft(d, item, left);
		ctl_flow_row_fill(d, CTL_PLAIN, " ", left + 1);
		ctl_flow_row_put(d, b.rows[i].tone, b.rows[i].text);
		if (i == 0) {
			ctl_flow_row_put(d, CTL_PLAIN, " ");
			ctl_flow_row_fill(d, CTL_DIM, d->glyphs->shaft, d->inner);
		}
		ctl_flow_row_end(d);
	}
	clear(&b);
}
