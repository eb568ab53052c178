#ifndef POSTRIDER_NET_TRANSCRIPT_FILE_H
#define POSTRIDER_NET_TRANSCRIPT_FILE_H

#include "base/str.h"

#include <stdbool.h>

struct worker;
struct transcript_file;

/*
 * The file of a transcript: made, written and closed by the worker, so that no disk delays the
 * loop.  Pieces are handed over in order and never waited for.
 *
 * Until it is closed its writer holds an exclusive lock on it, flock(2), so that whoever removes
 * old logs can tell, in another process as well.
 */

/* Borrowed: the worker, until the file is closed; the rest for the call.  Nothing is done yet. */
struct transcript_file *transcript_file_new(
    struct worker *worker, const char *directory, const char *account, const char *name);

/* Takes the text, which is empty afterwards.  The file and its directories are made with it. */
void transcript_file_write(struct transcript_file *file, struct str *text);

/* Closes when everything is written; sets the pointer to NULL. */
void transcript_file_close(struct transcript_file **file);

/*
 * True when so much of this file (TRANSCRIPT_BEHIND octets) or of all of them (four times that) is
 * not written yet that no more should be handed over.
 */
#define TRANSCRIPT_BEHIND (4 * 1024 * 1024)
bool transcript_file_is_behind(const struct transcript_file *file);

/*
 * Tells of every piece that was written, of all files; loop's thread.  One at a time: the last call
 * counts, and NULL ends it.
 */
typedef void transcript_file_watch_cb(size_t octets, void *arg);
void transcript_file_watch(transcript_file_watch_cb *cb, void *arg);

#endif
