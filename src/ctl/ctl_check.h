#ifndef POSTRIDER_CTL_CTL_CHECK_H
#define POSTRIDER_CTL_CTL_CHECK_H

#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctl_call;

/* The command "check": one line for monitoring. */
#define CTL_CHECK_OPERANDS "[--max-age TIME] [--max-queued TIME]"
int ctl_check_run(const struct ctl_call *call, int argc, char **argv);

/* The exit codes; the worst counts. */
enum ctl_check_level { CTL_CHECK_OK = 0, CTL_CHECK_WARNING = 1, CTL_CHECK_TROUBLE = 2 };

struct ctl_check_limits {
	int64_t max_age;    /* ms that an account may fail */
	int64_t max_queued; /* ms that a message may wait */
};

/*
 * Judges the answer to "status" and appends the line, without its end: what is wrong, the worst
 * first, and behind a bar the numbers, as monitoring plugins have them.  now: wall ms.
 */
enum ctl_check_level ctl_check_append(
    struct str *s, const json_t *answer, const struct ctl_check_limits *limits, int64_t now);

#endif
