#include "config/group.h"

#include "base/xalloc.h"
#include "config/config.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>

/* Members need room, and some groups have many. */
enum { ENTRY_MIN = 1024, ENTRY_MAX = 16 << 20 };

static bool
find_by_name(const char *name, gid_t *gid)
{
	struct group entry, *found = NULL;
	size_t size = ENTRY_MIN;
	char *buf = NULL;
	int error;

	do {
		size *= 2;
		free(buf);
		buf = xmalloc(size);
		error = getgrnam_r(name, &entry, buf, size, &found);
	} while (error == ERANGE && size < ENTRY_MAX);
	if (found != NULL)
		*gid = found->gr_gid;
	free(buf);
	return found != NULL;
}

gid_t
group_find(const char *name)
{
	unsigned long number;
	char *end;
	gid_t gid;

	if (find_by_name(name, &gid))
		return gid;
	number = strtoul(name, &end, 10);
	if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && number < NO_GID)
		return (gid_t)number;
	return NO_GID;
}
