#ifndef POSTRIDER_CTL_CTL_SNAPSHOT_H
#define POSTRIDER_CTL_CTL_SNAPSHOT_H

#include <sqlite3.h>

/*
 * The state database to read from, as it was at one moment.
 *
 * The daemon holds an exclusive lock on it as long as it runs, and its index of the write-ahead log
 * is in its own memory, so that nobody else can read the database in place.  With a write-ahead log
 * a copy will do instead, of the database first and of the log then: what is written into the
 * database comes out of the log, where it stays until the log begins anew, with another head.  If
 * the log's head is the same before and after, then whatever the copy of the database has half is
 * whole in the copy of the log.  Else it is copied again.
 *
 * Without a write-ahead log (network file systems) there is no such way: then the database is
 * opened in place, for which the daemon must be stopped.
 */

/*
 * Opens it: NULL with *code set after saying on standard error what is wrong.  EX_TEMPFAIL: the
 * daemon must be stopped first.  Nothing of the copy has a name any more.
 */
sqlite3 *ctl_snapshot_open(const char *directory, int *code);

#endif
