#ifndef POSTRIDER_DELIVER_ALIAS_KEEPER_H
#define POSTRIDER_DELIVER_ALIAS_KEEPER_H

#include <stdbool.h>

struct alias_keeper;
struct aliases;
struct worker;

/*
 * Keeps the aliases of the configuration in memory: read in a worker, looked at again once a minute
 * while they are asked for, and kept as they are while their file cannot be read.
 */

/* Reads them for the first time, which blocks: at start.  path NULL: none.  worker is borrowed. */
struct alias_keeper *alias_keeper_new(struct worker *worker, const char *path);

/* Only while alias_keeper_is_busy() is false.  Sets the pointer to NULL; NULL inside is fine. */
void alias_keeper_free(struct alias_keeper **keeper);

/* After a reload: reads these, soon.  idle() runs when that is over, and after later readings. */
void alias_keeper_set(
    struct alias_keeper *keeper, const char *path, void (*idle)(void *arg), void *arg);

/* As they are known; NULL: none.  Borrowed for this turn of the loop. */
const struct aliases *alias_keeper_get(struct alias_keeper *keeper);

/* A worker reads. */
bool alias_keeper_is_busy(const struct alias_keeper *keeper);

#endif
