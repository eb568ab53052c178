#ifndef POSTRIDER_AUTH_FINGERPRINT_H
#define POSTRIDER_AUTH_FINGERPRINT_H

struct config;
struct endpoint_config;

enum { FINGERPRINT_SIZE = 65 };

/*
 * What a refused password belongs to, in hexadecimal: server, user, mechanisms and the source of
 * the secret.  The secret itself has no part in it, since it is kept on disk; where it is written
 * in a file, that file's time and size stand for it.  Another fingerprint means that something was
 * changed, and a blocked account may try again.
 */
void fingerprint_endpoint(const struct config *config, const struct endpoint_config *endpoint,
    char out[FINGERPRINT_SIZE]);

#endif
