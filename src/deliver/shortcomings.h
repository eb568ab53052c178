#ifndef POSTRIDER_DELIVER_SHORTCOMINGS_H
#define POSTRIDER_DELIVER_SHORTCOMINGS_H

#include "deliver/smtp_session.h"

struct record;

/*
 * What a server offers and cannot do, remembered for 30 days after the last find, or until settings
 * have changed: sets of enum smtp_shortcoming.
 */
unsigned shortcomings_known(const struct record *record);
void shortcomings_note(struct record *record, unsigned found);

/* "CHUNKING", as the server says it; static. */
const char *shortcomings_name(enum smtp_shortcoming what);

#endif
