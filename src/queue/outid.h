#ifndef POSTRIDER_QUEUE_OUTID_H
#define POSTRIDER_QUEUE_OUTID_H

#include <stdbool.h>
#include <stddef.h>

/*
 * IDs of queued messages: sixteen characters of [0-9a-v] that sort by the time they were made in.
 */
enum { OUTID_LEN = 16, OUTID_SIZE = 32 };

/* A new one, unique on this machine; safe from any thread.  Returns id. */
const char *outid_make(char id[OUTID_SIZE]);

/* True when text begins with an ID. */
bool outid_begins(const char *text);

#endif
