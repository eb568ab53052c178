#ifndef POSTRIDER_CTL_CTL_TOOL_H
#define POSTRIDER_CTL_CTL_TOOL_H

#include "base/str.h"
#include "control/control_suggest.h"
#include "ctl/ctl_call.h"

/*
 * The commands that do more than ask the daemon and print its answer, most of them without it.
 * Each has options of its own behind its name, and exit codes of its own.
 */
struct ctl_tool {
	const char *name;
	/*
	 * Does it, and returns the exit code after saying on standard error what is wrong.  argv[0]
	 * is how messages begin; getopt(3) can start at once.
	 */
	int (*run)(const struct ctl_call *call, int argc, char **argv);
	const char *operands;
	const char *help;
};

/* NULL when it is none of them. */
const struct ctl_tool *ctl_tool_find(const char *name);

/* Runs it with its words: argv[0] is its name. */
int ctl_tool_run(const struct ctl_tool *tool, const struct ctl_call *call, int argc, char **argv);

void ctl_tool_suggest(struct control_suggest *suggest);

/* One line for each of them. */
void ctl_tool_append_help(struct str *s);

#endif
