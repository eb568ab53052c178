#ifndef POSTRIDER_BASE_SECRET_H
#define POSTRIDER_BASE_SECRET_H

#include <stddef.h>

/*
 * A password or token in memory that is locked (never swapped), kept out of core dumps, and
 * overwritten before it is released.  Counted references, for one thread at a time.
 */
struct secret;

/* Copies len octets.  The caller wipes its own copy. */
struct secret *secret_new(const void *data, size_t len);
struct secret *secret_ref(struct secret *secret);

/* Drops a reference and sets the caller's pointer to NULL; NULL inside is fine. */
void secret_unref(struct secret **secret);

/* NUL-terminated for convenience; the NUL is not counted.  Borrowed while a reference is held. */
const char *secret_text(const struct secret *secret);
size_t secret_len(const struct secret *secret);

/* Overwrites memory in a way that the compiler keeps. */
void secret_wipe(void *data, size_t len);

#endif
