#ifndef POSTRIDER_NET_TRANSCRIPT_FILE_H
#define POSTRIDER_NET_TRANSCRIPT_FILE_H

#include "base/str.h"

#include <stddef.h>

struct worker;
struct transcript_file;

/*
 * The file of a transcript: made, written and closed by the worker, so that no disk delays the
 * loop.  Pieces are handed over in order and never waited for.
 */

/* Borrowed: the worker, until the file is closed; the rest for the call.  Nothing is done yet. */
struct transcript_file *transcript_file_new(
    struct worker *worker, const char *directory, const char *account, const char *name);

/* Takes the text, which is empty afterwards.  The file and its directories are made with it. */
void transcript_file_write(struct transcript_file *file, struct str *text);

/* Closes when everything is written; sets the pointer to NULL. */
void transcript_file_close(struct transcript_file **file);

/* Octets that the worker has not written yet. */
size_t transcript_file_waiting(const struct transcript_file *file);

#endif
