#ifndef POSTRIDER_CONFIG_FAULTS_H
#define POSTRIDER_CONFIG_FAULTS_H

#include <stdarg.h>
#include <stddef.h>

struct config_faults;
struct source;

/* One mistake, at a line of the flattened source (1 is the first, 0 is the file as a whole). */
struct fault {
	size_t line;
	char *text;
};

/* What was found wrong so far.  Embedded in config_load(); zeroed memory begins it. */
struct faults {
	struct fault *list;
	size_t count;
};

void faults_clear(struct faults *faults);
void faults_add(struct faults *faults, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void faults_vadd(struct faults *faults, size_t line, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

/*
 * Appends them to out in the order of the source, each once, as "FILE:LINE: message" (without the
 * line where there is none).
 */
void faults_render(struct faults *faults, const struct source *source, struct config_faults *out);

/*
 * The word that was probably meant: the nearest by edit distance (Damerau, letter case ignored),
 * NULL when none is near.  count words, borrowed.
 */
const char *faults_nearest(const char *word, const char *const *words, size_t count);

#endif
