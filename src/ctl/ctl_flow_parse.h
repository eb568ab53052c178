#ifndef POSTRIDER_CTL_CTL_FLOW_PARSE_H
#define POSTRIDER_CTL_CTL_FLOW_PARSE_H

#include "ctl/ctl_flow_item.h"
#include "ctl/ctl_logfile.h"

/*
 * From the lines of a session log to the items of a chart: lines of one reply or message become
 * one, and what answers what is worked out as far as the log shows it.
 */
struct ctl_flow_parse;

/* The callback gets the items in order, one behind the line that ends it. */
struct ctl_flow_parse *ctl_flow_parse_new(bool is_smtp, ctl_flow_item_cb *cb, void *arg);
void ctl_flow_parse_line(struct ctl_flow_parse *parse, const struct ctl_logfile_line *line);

/* Hands out what is left, and sets the pointer to NULL. */
void ctl_flow_parse_end(struct ctl_flow_parse **parse);

#endif
