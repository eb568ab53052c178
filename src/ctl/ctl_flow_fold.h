#ifndef POSTRIDER_CTL_CTL_FLOW_FOLD_H
#define POSTRIDER_CTL_CTL_FLOW_FOLD_H

#include "ctl/ctl_flow_item.h"

/*
 * A session of a thousand messages is a thousand times the same few arrows.  Where items repeat,
 * one by one or in rounds, the first rounds and the last are handed on and the rest is counted.
 */
struct ctl_flow_fold;

/* This many were left out, until this time. */
typedef void ctl_flow_fold_cb(size_t count, int64_t latest, void *arg);

struct ctl_flow_fold *ctl_flow_fold_new(
    ctl_flow_item_cb *on_item, ctl_flow_fold_cb *on_left_out, void *arg);

/* Takes the item. */
void ctl_flow_fold_add(struct ctl_flow_fold *fold, struct ctl_flow_item *item);

/* Hands on what is left, and sets the pointer to NULL. */
void ctl_flow_fold_end(struct ctl_flow_fold **fold);

#endif
