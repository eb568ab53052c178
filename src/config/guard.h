#ifndef POSTRIDER_CONFIG_GUARD_H
#define POSTRIDER_CONFIG_GUARD_H

#include "config/reader.h"

#include <sys/types.h>

/*
 * Files that settings name, and who may read what they hold.  A file with a secret in it must be
 * owned by root or by the daemon's user, must be closed to others, and may be open to the daemon's
 * own group only.  Root checking a configuration counts the user and group postrider as the
 * daemon's too.
 */

/* NULL when an owner, group and mode keep a secret; else what is wrong, to free(3). */
char *guard_find_leak(uid_t uid, gid_t gid, mode_t mode);

/* The file must be there, be a regular one, and be readable. */
void guard_check_readable(
    struct reader *reader, const struct key *key, const struct raw *raw, const char *path);

/* The same for a file that holds a secret. */
void guard_check_secret(
    struct reader *reader, const struct key *key, const struct raw *raw, const char *path);

/* The configuration file in which the value stands holds a secret.  Said once for each file. */
void guard_check_literal(struct reader *reader, const struct key *key, const struct raw *raw);

#endif
