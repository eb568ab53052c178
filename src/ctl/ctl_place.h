#ifndef POSTRIDER_CTL_CTL_PLACE_H
#define POSTRIDER_CTL_CTL_PLACE_H

#include <stddef.h>

/*
 * Where the control socket may be.  Embedded; ctl_place_clear() ends it.
 */
struct ctl_places {
	char *path[3];
	size_t count;
	char *config; /* the configuration that named the socket; NULL when none was usable */
	char *fault;  /* why the configuration was not usable; NULL when it was, or there is none */
};

/*
 * The socket, if it was named; else the one of the configuration.  When no configuration was named
 * and the usual one cannot be used (a member of the socket's group need not be able to read it),
 * the usual places: the user's daemon, then the system's.  Returns EX_OK, or an exit code after
 * saying on standard error what is wrong with the configuration that was named.
 */
int ctl_place_find(struct ctl_places *places, const char *socket, const char *config);
void ctl_place_clear(struct ctl_places *places);

/* The command that starts the daemon which would listen there.  free(3) it. */
char *ctl_place_start_command(const struct ctl_places *places, const char *path);

#endif
