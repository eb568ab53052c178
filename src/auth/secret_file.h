#ifndef POSTRIDER_AUTH_SECRET_FILE_H
#define POSTRIDER_AUTH_SECRET_FILE_H

#include "base/verdict.h"

struct secret;

/*
 * Reads a secret from a regular file; blocks.  With `guarded` the file must be what a file with a
 * password has to be: owned by root or this user, not open to others, nor to another group than
 * this process's own.  Returns a new reference; NULL with why, FAIL_LOCAL.
 */
struct secret *secret_file_read(const char *path, bool guarded, struct verdict *why);

#endif
