#ifndef POSTRIDER_STORE_ACCOUNT_H
#define POSTRIDER_STORE_ACCOUNT_H

#include "base/verdict.h"
#include "store/maildir.h"

#include <stdbool.h>
#include <stdint.h>

struct state;

/*
 * An account's row in the state database, and the Maildir that it is known to have.
 * State thread only.  False with why filled (FAIL_LOCAL) on failure.
 */

/* The account's id; made on its first use. */
bool account_find(struct state *state, const char *name, int64_t *account, struct verdict *why);

/* The Maildir that the state knows: *path to free(3), NULL on the account's first use. */
bool account_load_maildir(struct state *state, int64_t account, char **path,
    struct maildir_identity *identity, struct verdict *why);
bool account_save_maildir(struct state *state, int64_t account, const char *path,
    const struct maildir_identity *identity, struct verdict *why);

#endif
