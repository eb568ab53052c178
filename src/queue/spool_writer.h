#ifndef POSTRIDER_QUEUE_SPOOL_WRITER_H
#define POSTRIDER_QUEUE_SPOOL_WRITER_H

#include "base/verdict.h"
#include "store/filename.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Puts one message into a spool from the outside, as any program may: no daemon is needed, and the
 * directory need not be readable (mode 3733).  The octets go into a file whose name begins with
 * "."; the commit makes them durable and only then gives the file a name that the daemon looks at.
 * The file has mode 0640 and the directory's group where that has its set-group-ID bit; written by
 * root it belongs to the directory's owner and group.
 *
 * All of it blocks.  Failures are FAIL_LOCAL, stage "spool", with the errno as code.
 */
struct spool_writer;

/* The directory must be there.  NULL on failure. */
struct spool_writer *spool_writer_open(const char *spool, struct verdict *why);

/* Writes all of it.  After a failure the writer is of no use but to be cancelled. */
bool spool_writer_append(
    struct spool_writer *writer, const void *data, size_t len, struct verdict *why);

/*
 * Ends the writer.  True: the message and its entry are on stable storage, and name (may be NULL)
 * says what it is called in the spool; nothing that was there before is replaced.  False: nothing
 * of it is left, save where the daemon has taken it in the instant before the disk failed.
 */
bool spool_writer_commit(
    struct spool_writer **writer, char name[FILENAME_SIZE], struct verdict *why);

/* Ends the writer and leaves nothing.  Sets the pointer to NULL; NULL inside is fine. */
void spool_writer_cancel(struct spool_writer **writer);

#endif
