#ifndef POSTRIDER_CONFIG_LISTS_H
#define POSTRIDER_CONFIG_LISTS_H

#include "config/config.h"
#include "config/reader.h"

/*
 * Values that may be lists; a list and an array of libconfig are the same here.  See
 * convert_value() for what is returned.
 */

/* char **, NULL-terminated: text is { "/bin/sh", "-c", text, NULL }. */
bool lists_read_command(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);
bool lists_read_mailboxes(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);
bool lists_read_listen(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);

/* Into auth and auth_auto of the struct endpoint_config that dest is a member of. */
bool lists_read_auth(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);

/* Into a struct tls_config. */
bool lists_read_pins(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);

/* Frees a NULL-terminated list and its strings, and sets it to NULL; NULL inside is fine. */
void lists_free(char ***list);

#endif
