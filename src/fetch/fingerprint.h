#ifndef POSTRIDER_FETCH_FINGERPRINT_H
#define POSTRIDER_FETCH_FINGERPRINT_H

struct account_config;
struct config;

enum { FINGERPRINT_SIZE = 65 };

/*
 * What a refused password belongs to, in hexadecimal: server, user, mechanisms and the source of
 * the secret.  The secret itself has no part in it, since it is kept on disk; where it is written
 * in a file, that file's time and size stand for it.  Another fingerprint means that something was
 * changed, and a blocked account may try again.
 */
void fingerprint_account(
    const struct config *config, const struct account_config *account, char out[FINGERPRINT_SIZE]);

#endif
