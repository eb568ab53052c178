#ifndef POSTRIDER_CTL_CTL_COMMAND_H
#define POSTRIDER_CTL_CTL_COMMAND_H

#include "base/str.h"
#include "ctl/ctl_text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* How long the daemon may take. */
enum ctl_wait { CTL_SOON, CTL_PATIENT, CTL_ENDLESS };

/* The table of commands: what each takes, and how its answer is put for people. */
struct ctl_command {
	const char *name;
	size_t min; /* operands */
	size_t max;
	enum ctl_wait wait; /* ENDLESS: lines come until somebody ends it, see ctl_watch.h */
	bool takes_name;    /* of a file: there may be blanks in the operand */
	/* The words are the operands of the command, NULL-terminated. */
	void (*append)(struct str *s, const json_t *answer, char *const *words,
	    const struct ctl_screen *screen);
	const char *operands;
	const char *help;
};

/*
 * The command with these operands, or NULL after saying on standard error what is wrong: an
 * unknown command, too few or too many operands, one that cannot be a word of a request.
 */
const struct ctl_command *ctl_command_find(const char *name, char *const *words, size_t count);

/* "name word word", the line that the daemon is asked. */
void ctl_command_append_request(
    struct str *s, const struct ctl_command *command, char *const *words);

/* One line for each command. */
void ctl_command_append_help(struct str *s);

#endif
