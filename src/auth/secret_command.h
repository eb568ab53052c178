#ifndef POSTRIDER_AUTH_SECRET_COMMAND_H
#define POSTRIDER_AUTH_SECRET_COMMAND_H

#include "base/child.h"
#include "base/verdict.h"

#include <stdint.h>

struct secret;
struct secret_source;

/* Octets of output that are read: a token endpoint's JSON holds more than the token. */
enum { SECRET_COMMAND_OUTPUT_MAX = 256 * 1024 };

/*
 * Makes a secret of how a password_command or token_command ended.  A token is the output itself,
 * or `access_token` of a token endpoint's JSON (RFC 6749 section 5.1), whose `expires_in` goes to
 * *lifetime in ms; -1: not said.  Returns a new reference; NULL with why, FAIL_LOCAL, naming the
 * command by its first word, its exit and the first line of standard error, never its output.
 */
struct secret *secret_command_judge(const struct secret_source *source,
    const struct child_result *result, int64_t *lifetime, struct verdict *why);

#endif
