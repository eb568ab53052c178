#ifndef POSTRIDER_TESTS_DIALOGUE_SCRIPT_H
#define POSTRIDER_TESTS_DIALOGUE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A dialogue script: a line a step, "WORD rest".  What the program under test does is collected
 * as text lines with script_happened(); a step that expects something takes the oldest one.
 */
struct script_step {
	const char *file;
	unsigned line;
	char word[16];
	char *rest; /* escapes \r \n \t \\ \xHH undone; may hold NULs */
	size_t rest_len;
};

typedef void script_play(const struct script_step *step, void *arg);

/* Calls play for each step.  False (with a message) when the file cannot be read. */
bool script_run(const char *file, script_play *play, void *arg);

/* Something the program did: kind 'C' (a line sent), 'O' (octets), 'H' (its owner was told) ... */
void script_happened(char kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The oldest happening of this kind must be the step's rest. */
void script_expect(const struct script_step *step, char kind);

/* A fault in this step; counts as failed and is printed. */
void script_complain(const struct script_step *step, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Nothing of this kind has happened. */
void script_forget(char kind);

/* Complains of what happened and was not expected, forgets it, and returns the faults so far. */
unsigned script_finish(const char *file);

#endif
