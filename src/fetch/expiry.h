#ifndef POSTRIDER_FETCH_EXPIRY_H
#define POSTRIDER_FETCH_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

struct pop3_config;
struct record;

/*
 * A server that deletes mail by itself (RFC 2449 section 6.7, EXPIRE) sooner than `keep` wants it
 * kept: said in the log when it is seen first, and again when the server or `keep` has changed.
 */

/* True when mail that is to be kept is gone before `keep` is over.  days: pop3_session_expire(). */
bool expiry_cuts_keep(const struct pop3_config *config, int64_t days);

/* What a session has heard; -1 says nothing of what was heard before.  True: record has changed. */
bool expiry_note(
    struct record *record, const char *account, const struct pop3_config *config, int64_t days);

#endif
