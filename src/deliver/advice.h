#ifndef POSTRIDER_DELIVER_ADVICE_H
#define POSTRIDER_DELIVER_ADVICE_H

struct smtp_result;

/*
 * What a server's reply about a recipient means for a person: what happens by itself, or what to do
 * ("the mailbox is full: ...").  Static; never NULL.
 */
const char *advice_on_result(const struct smtp_result *result);

#endif
