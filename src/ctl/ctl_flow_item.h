#ifndef POSTRIDER_CTL_CTL_FLOW_ITEM_H
#define POSTRIDER_CTL_CTL_FLOW_ITEM_H

#include "ctl/ctl_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One arrow of a sequence chart, or one remark in it. */

enum ctl_flow_kind {
	CTL_FLOW_SENT,
	CTL_FLOW_RECEIVED,
	CTL_FLOW_NOTE,
	CTL_FLOW_TLS, /* the remark from which on the connection is encrypted */
	CTL_FLOW_END  /* the last remark, without "closed: " */
};

/* Where an arrow stands among those that were sent without waiting for an answer. */
enum ctl_flow_place { CTL_FLOW_ALONE, CTL_FLOW_FIRST, CTL_FLOW_AMID, CTL_FLOW_LAST };

/* Of a text of many lines the first few, or all when they are not many more, and a summary. */
enum { CTL_FLOW_KEPT = 5, CTL_FLOW_HEAD = 3, CTL_FLOW_SIGN = 40 };

struct ctl_flow_text {
	int64_t time; /* wall ms */
	char *text;   /* as it is in the log: not safe to print */
};

/* Owned by whom it was handed to last. */
struct ctl_flow_item {
	enum ctl_flow_kind kind;
	enum ctl_flow_place place;
	enum ctl_tone tone;
	struct ctl_flow_text lines[CTL_FLOW_KEPT];
	size_t count;                 /* of all lines, without the summary */
	int64_t latest;               /* when the last of them came */
	struct ctl_flow_text summary; /* "(message 1: 3681 octets)"; its text is NULL without one */
	char *label; /* the command that it answers, where several waited for an answer; or NULL */
	char sign[CTL_FLOW_SIGN]; /* items that are alike have the same */
};

void ctl_flow_item_free(struct ctl_flow_item **item);

/* Takes the item. */
typedef void ctl_flow_item_cb(struct ctl_flow_item *item, void *arg);

#endif
