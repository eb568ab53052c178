#ifndef POSTRIDER_CONFIG_GROUP_H
#define POSTRIDER_CONFIG_GROUP_H

#include <sys/types.h>

/*
 * The number of a group that is given by its name or its number; NO_GID (config.h) when there is
 * none.  Asks whatever directory service the machine has, and waits for it.
 */
gid_t group_find(const char *name);

#endif
