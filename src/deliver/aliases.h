#ifndef POSTRIDER_DELIVER_ALIASES_H
#define POSTRIDER_DELIVER_ALIASES_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The system's aliases, aliases(5) as sendmail and Postfix have it:
 *
 *	entry  = name ":" target *("," target)     name = atom / DQUOTE text DQUOTE
 *	target = address / "\" address             a backslash: not looked up again
 *
 * Lines that begin with a blank continue an entry; empty lines, and those whose first octet that is
 * no blank is "#", are nothing, wherever they stand.  Case does not matter in names, and the first
 * of several entries for one counts.  Targets that are commands, files, ":include:" or the like are
 * read and refused when they are used: a courier does none of that.
 *
 * Immutable once parsed, so it may be read by any thread.
 */
struct aliases;

enum { ALIASES_MAX = 1024 * 1024 }; /* octets of a file */

/*
 * Entries that cannot be read are left out, and the first of them is told in why (FAIL_LOCAL, stage
 * "aliases"; FAIL_NONE when all is well).  NULL only for more than ALIASES_MAX octets.
 */
struct aliases *aliases_parse(const char *text, size_t len, struct verdict *why);
void aliases_free(struct aliases **aliases);

/* Reads a regular file; blocks on disk, so in a worker.  NULL also when it cannot be read. */
struct aliases *aliases_load(const char *path, struct verdict *why);

/* The file is not the one that was loaded, or has changed; blocks.  True when it cannot be seen. */
bool aliases_is_stale(const struct aliases *aliases, const char *path);

struct alias {
	size_t index;     /* below aliases_count() */
	const char *name; /* in lower case; borrowed from the aliases, as is the next */
	const char *targets;
	unsigned line; /* of its beginning, 1.. */
};

size_t aliases_count(const struct aliases *aliases);

/* local: a local part as it stands on the wire, quoted or not.  False when it has no alias. */
bool aliases_find(const struct aliases *aliases, const char *local, struct alias *alias);

#endif
