#ifndef POSTRIDER_CONFIG_CONVERT_H
#define POSTRIDER_CONFIG_CONVERT_H

#include "config/reader.h"

/*
 * Checks a value against its key and puts it at dest (see enum key_type).  False when it is not
 * what keys_describe() says; what is wrong beyond that is said here, and counts as true.
 */
bool convert_value(struct reader *reader, const struct key *key, const struct raw *raw, void *dest);

/*
 * Expands a path of the file and makes it absolute, to free(3).  NULL when it was not text, or
 * after saying why it does not expand.
 */
char *convert_path(struct reader *reader, const struct key *key, const struct raw *raw);

#endif
