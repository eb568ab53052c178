#include "queue/spool.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void
name_group(char *buf, size_t size, gid_t gid)
{
	char space[4096];
	struct group g, *found;

	if (getgrgid_r(gid, &g, space, sizeof space, &found) == 0 && found != NULL)
		snprintf(buf, size, "%s", g.gr_name);
	else
		snprintf(buf, size, "%ld", (long)gid);
}

static void
name_user(char *buf, size_t size, uid_t uid)
{
	char space[4096];
	struct passwd p, *found;

	if (getpwuid_r(uid, &p, space, sizeof space, &found) == 0 && found != NULL)
		snprintf(buf, size, "%s", p.pw_name);
	else
		snprintf(buf, size, "%ld", (long)uid);
}

void
spool_unreadable_explain(const struct stat *st, struct verdict *why)
{
	char owner[64], group[64], self[64];

	name_user(owner, sizeof owner, st->st_uid);
	name_group(group, sizeof group, st->st_gid);
	name_user(self, sizeof self, geteuid());
	verdict_fail(why, FAIL_LOCAL, "spool",
	    "unreadable: user %s, as whom the daemon runs, has no read permission: the file "
	    "belongs "
	    "to user %s and group %s with mode %04o; give the group or others read permission "
	    "(chmod g+r) before it is dropped",
	    self, owner, group, (unsigned)st->st_mode & 07777);
}
