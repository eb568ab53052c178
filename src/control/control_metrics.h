#ifndef POSTRIDER_CONTROL_CONTROL_METRICS_H
#define POSTRIDER_CONTROL_CONTROL_METRICS_H

#include "base/str.h"

struct control;

/*
 * Appends what `status` knows, and some counters more, in the text format that Prometheus reads
 * (version 0.0.4): for each family its HELP, its TYPE, its samples.
 */
void control_metrics_append(struct str *s, const struct control *control);

#endif
