#ifndef POSTRIDER_AUTH_FINGERPRINT_H
#define POSTRIDER_AUTH_FINGERPRINT_H

#include <stdbool.h>

struct endpoint_config;

enum { FINGERPRINT_SIZE = 65 };

/*
 * What a login belongs to, in hexadecimal, to be kept on disk and compared across a restart.  Its
 * two halves are the server and who logs in there in which way, and the rest: where the secret
 * comes from, and how the server is reached.
 *
 * The secret itself has no part in it, under whatever key: who can read the one can read the other,
 * and guess.  Where it is written in a file, that file's time and size stand for it.
 */
void fingerprint_endpoint(const struct endpoint_config *endpoint, char out[FINGERPRINT_SIZE]);

/* True when the first halves are equal: a server like before, and the same way to log in. */
bool fingerprint_same_server(const char *a, const char *b);

/* True when the second halves are. */
bool fingerprint_same_rest(const char *a, const char *b);

#endif
