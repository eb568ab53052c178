#ifndef POSTRIDER_STORE_FILENAME_H
#define POSTRIDER_STORE_FILENAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Names of message files, unique on this machine and among machines:
 * SECONDS.M<microseconds>P<pid>Q<counter>.HOST,S=<octets stored>
 */
enum { FILENAME_SIZE = 160 };

/* A new name up to the host; safe from any thread.  Returns name. */
const char *filename_make(char name[FILENAME_SIZE]);

/* Puts ",S=octets" behind a name that filename_make() gave. */
void filename_add_size(char name[FILENAME_SIZE], uint64_t octets);

/* True for a name that a postrider on this host made; *pid is the process that did. */
bool filename_is_ours(const char *name, pid_t *pid);

/*
 * True for a regular file in the directory whose name is one of those, or has one behind its first
 * `skip` octets, and that was not written for 36 h, as Maildirs have it: another process left it,
 * and is gone.
 */
bool filename_is_leftover(int dir, const char *name, size_t skip);

#endif
