#ifndef POSTRIDER_CTL_CTL_ASK_H
#define POSTRIDER_CTL_CTL_ASK_H

#include "base/str.h"
#include "ctl/ctl_place.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * Connects to the first of the places where a daemon listens, sends the request (one line, without
 * its end) and appends the daemon's answer (one line, without its end).  With patient the answer
 * may take as long as it takes, else 30 s.  Returns EX_OK, or an exit code after saying on
 * standard error what is wrong: EX_UNAVAILABLE, EX_NOPERM, EX_IOERR, EX_PROTOCOL.
 */
int ctl_ask(const struct ctl_places *places, const char *request, bool patient, struct str *answer);

/*
 * For an answer that does not end: returns the connected descriptor after sending the request, or
 * -1 with *code set, as above.
 */
int ctl_ask_open(const struct ctl_places *places, const char *request, int *code);

/* Says on standard error that the daemon has not answered for so long.  Returns EX_UNAVAILABLE. */
int ctl_ask_no_answer(void);

/* The daemon's no on standard error, with the faults it may have listed. */
void ctl_ask_print_refusal(const json_t *answer);

#define CTL_ASK_PATIENCE 30 /* s */

/* The daemon answered, and the answer was no. */
#define CTL_EXIT_REFUSED 1

#endif
