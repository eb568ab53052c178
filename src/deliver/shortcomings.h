#ifndef POSTRIDER_DELIVER_SHORTCOMINGS_H
#define POSTRIDER_DELIVER_SHORTCOMINGS_H

#include "deliver/smtp_session.h"

struct record;
struct sending_result;

/*
 * What a server offers and cannot do (enum smtp_shortcoming; standing_lacking() knows those of
 * earlier sessions).
 *
 * Networks break more often than servers do: when two sessions broke on the same with none between
 * them that went well, one is held without it.  When that one gets a message through, the server
 * was to blame.  Zeroed memory begins a trial.
 */
struct shortcomings_trial {
	unsigned suspect; /* one of them, or 0 */
	unsigned breaks;
	unsigned without; /* the suspect, while the trial is on */
};

void shortcomings_judge(struct record *record, struct shortcomings_trial *trial,
    const char *account, const struct sending_result *result);

/* "CHUNKING", as the server says it; static. */
const char *shortcomings_name(unsigned what);

#endif
