#ifndef POSTRIDER_BASE_XALLOC_H
#define POSTRIDER_BASE_XALLOC_H

#include <stddef.h>

/*
 * Allocation that never returns NULL: exhaustion of memory ends the process with EX_OSERR, so
 * no caller carries a branch that is never tested.  Everything here is released with free(3).
 */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));

/* Resizes to count elements; a product that overflows ends the process as well. */
void *xreallocarray(void *p, size_t count, size_t size) __attribute__((returns_nonnull));

/* NULL stays NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t max) __attribute__((returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#endif
