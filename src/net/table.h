#ifndef POSTRIDER_NET_TABLE_H
#define POSTRIDER_NET_TABLE_H

#include <stddef.h>

/*
 * Values by name, at most so many of them: the one used longest ago makes room for a new one.
 * Holds what the room remembers between connections (names, TLS sessions, winning addresses), so
 * that no number of servers makes it grow without end.  Loop's thread only.
 */
struct table;

struct table *table_new(size_t max, void (*free_value)(void *value));

/* Frees every value as well; sets the pointer to NULL.  NULL inside is fine. */
void table_free(struct table **table);
void table_clear(struct table *table);

/* The value, borrowed until the table changes, or NULL.  Counts as a use. */
void *table_get(struct table *table, const char *key);

/* Takes the value; an older one of that name is freed. */
void table_put(struct table *table, const char *key, void *value);

/* Removes the name and hands its value over; NULL when there is none. */
void *table_take(struct table *table, const char *key);

size_t table_count(const struct table *table);

#endif
