#ifndef POSTRIDER_SESSION_CERTIFICATE_H
#define POSTRIDER_SESSION_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When the certificate of one side's server ends: told while it still works, once a day.  Embedded;
 * zeroed memory begins it.
 */
struct certificate_watch {
	int64_t ends; /* wall ms, as last seen; 0: unknown, or the date does not matter */
	int64_t told; /* boot ms of the last warning, for that certificate; 0: none */
};

/* It ends within 14 days, or has ended. */
bool certificate_ends_soon(int64_t ends);

/* What a session has seen; 0: none was shown, which says nothing of the one before. */
void certificate_note(
    struct certificate_watch *watch, const char *account, const char *server, int64_t ends);

#endif
