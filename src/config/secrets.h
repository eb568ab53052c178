#ifndef POSTRIDER_CONFIG_SECRETS_H
#define POSTRIDER_CONFIG_SECRETS_H

#include "config/reader.h"

struct secret_source;

/*
 * The keys that say where a secret comes from, each into a struct secret_source: see
 * convert_value().  A second source in one group is a fault.
 */
bool secrets_read_password(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);
bool secrets_read_file(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);
bool secrets_read_command(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);
bool secrets_read_credential(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);

/* Releases what the source holds; a password is overwritten first.  Zeroed memory is fine. */
void secrets_clear(struct secret_source *source);

#endif
