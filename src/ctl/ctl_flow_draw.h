#ifndef POSTRIDER_CTL_CTL_FLOW_DRAW_H
#define POSTRIDER_CTL_CTL_FLOW_DRAW_H

#include "base/str.h"
#include "ctl/ctl_flow_item.h"
#include "ctl/ctl_logfile.h"
#include "ctl/ctl_text.h"

/*
 * The chart, row by row: the time on the left, two lifelines, and between them arrows that bear
 * what was said.  Double lines are an encrypted connection.  Embedded in its owner.
 */
struct ctl_flow_draw {
	const struct ctl_screen *screen;
	const struct ctl_flow_glyphs *glyphs;
	struct str *out;
	size_t margin; /* columns left of the lifelines */
	size_t inner;  /* columns between them */
	bool clock;    /* there is room for the time of the day */
	bool secret;   /* the connection is encrypted */
	int64_t last;  /* wall ms, of the row above; 0: none */
	struct str row;
	size_t at; /* columns of the row that are taken */
};

/* Both are borrowed until ctl_flow_draw_clear(). */
void ctl_flow_draw_init(
    struct ctl_flow_draw *draw, const struct ctl_screen *screen, struct str *out);
void ctl_flow_draw_clear(struct ctl_flow_draw *draw);

/* The title and the two ends.  began: wall ms. */
void ctl_flow_draw_head(
    struct ctl_flow_draw *draw, const struct ctl_logfile_head *head, int64_t began);
void ctl_flow_draw_item(struct ctl_flow_draw *draw, const struct ctl_flow_item *item);
void ctl_flow_draw_left_out(struct ctl_flow_draw *draw, size_t count, int64_t latest);

/* In place of the last remark, when there is none. */
void ctl_flow_draw_open_end(struct ctl_flow_draw *draw, bool is_running);

#endif
