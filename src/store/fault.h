#ifndef POSTRIDER_STORE_FAULT_H
#define POSTRIDER_STORE_FAULT_H

#include "base/verdict.h"

/*
 * A system call on a file failed: FAIL_LOCAL with the errno as code and "cannot WHAT PATH: reason;
 * next step".  Path may be NULL.  Returns false.
 */
bool fault_errno(
    struct verdict *why, const char *stage, int error, const char *what, const char *path);

#endif
