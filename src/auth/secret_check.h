#ifndef POSTRIDER_AUTH_SECRET_CHECK_H
#define POSTRIDER_AUTH_SECRET_CHECK_H

#include "base/verdict.h"

#include <stddef.h>

struct secret;

enum { SECRET_MAX = 64 * 1024 };

/*
 * What a source gave, less one line end at its end, as a secret: 1 to SECRET_MAX octets without
 * NUL, CR and LF.  Returns a new reference; NULL with why, FAIL_LOCAL, whose text begins with
 * `origin` ("the command \"pass\"") and never shows the octets.
 */
struct secret *secret_check(const char *data, size_t len, const char *origin, struct verdict *why);

#define SECRET_STAGE "secret"

#endif
