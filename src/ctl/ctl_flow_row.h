#ifndef POSTRIDER_CTL_CTL_FLOW_ROW_H
#define POSTRIDER_CTL_CTL_FLOW_ROW_H

#include "ctl/ctl_flow_draw.h"

/* What rows of a chart are made of. */

struct ctl_flow_glyphs {
	const char *rail[2], *rule[2]; /* by `secret` */
	const char *join_left[2], *join_right[2];
	const char *end_left[2], *end_right[2];
	const char *shaft, *to_right, *to_left;
	const char *run[4]; /* by enum ctl_flow_place */
	const char *top_left, *top_right, *low_left, *low_right, *tee_left, *tee_right;
	const char *side, *edge;
	const char *dots;
};

extern const struct ctl_flow_glyphs ctl_flow_utf8, ctl_flow_ascii;

/* Margin and left lifeline, with the time since the row above when it is not 0 (0: no time). */
void ctl_flow_row_begin(struct ctl_flow_draw *draw, int64_t time);

/* The same with these in place of the lifelines. */
void ctl_flow_row_begin_with(struct ctl_flow_draw *draw, int64_t time, const char *left);

/* Text that is safe; its columns count. */
void ctl_flow_row_put(struct ctl_flow_draw *draw, enum ctl_tone tone, const char *text);

/* The glyph so often that `until` columns between the lifelines are taken. */
void ctl_flow_row_fill(
    struct ctl_flow_draw *draw, enum ctl_tone tone, const char *glyph, size_t until);

/* The right lifeline, and the row goes out. */
void ctl_flow_row_end(struct ctl_flow_draw *draw);
void ctl_flow_row_end_with(struct ctl_flow_draw *draw, const char *right);

/* A text cut into lines that fit; free with ctl_flow_lines_clear(). */
enum { CTL_FLOW_LINES_MAX = 4 };

struct ctl_flow_lines {
	char *line[CTL_FLOW_LINES_MAX];
	size_t count;
	size_t width; /* of the widest */
};

/*
 * Makes text of a log safe for the screen and breaks it between words so that no line takes more
 * than width columns.  What is too long ends in dots.
 */
void ctl_flow_lines_break(
    struct ctl_flow_lines *lines, const struct ctl_flow_draw *draw, const char *text, size_t width);
void ctl_flow_lines_clear(struct ctl_flow_lines *lines);

#endif
