#include "ctl/ctl_tool.h"

#include "base/xalloc.h"
#include "ctl/ctl_check.h"
#include "ctl/ctl_dump.h"
#include "ctl/ctl_flow.h"
#include "ctl/ctl_log.h"
#include "ctl/ctl_test.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ctl_tool tools[] = {
    {"check", ctl_check_run, CTL_CHECK_OPERANDS,
	"one line for monitoring: exit 0 fine, 1 warning, 2 trouble"},
    {"test", ctl_test_run, CTL_TEST_OPERANDS,
	"log in to both servers, without the daemon; moves no mail"},
    {"log", ctl_log_run, CTL_LOG_OPERANDS, "the session logs, or one of them"},
    {"flow", ctl_flow_run, CTL_FLOW_OPERANDS, "a session as a chart between client and server"},
    {"dump", ctl_dump_run, CTL_DUMP_OPERANDS, "the state database as lines of JSON"},
};

#define TOOL_COUNT  (sizeof tools / sizeof tools[0])
#define HELP_COLUMN 22

const struct ctl_tool *
ctl_tool_find(const char *name)
{
	for (size_t i = 0; i < TOOL_COUNT; i++)
		if (strcmp(tools[i].name, name) == 0)
			return &tools[i];
	return NULL;
}

int
ctl_tool_run(const struct ctl_tool *tool, const struct ctl_call *call, int argc, char **argv)
{
	char *name = xasprintf("postriderctl %s", tool->name);
	char *word = argv[0];
	int code;

	argv[0] = name;
	optind = 0; /* glibc's getopt begins anew */
	code = tool->run(call, argc, argv);
	argv[0] = word;
	free(name);
	return code;
}

void
ctl_tool_suggest(struct control_suggest *suggest)
{
	for (size_t i = 0; i < TOOL_COUNT; i++)
		control_suggest_offer(suggest, tools[i].name);
}

void
ctl_tool_append_help(struct str *s)
{
	for (size_t i = 0; i < TOOL_COUNT; i++) {
		char use[64];

		snprintf(use, sizeof use, "%s %s", tools[i].name, tools[i].operands);
		/* What does not fit beside its use stands below it. */
		if (strlen(use) > HELP_COLUMN)
			str_appendf(s, "  %s\n  %*s %s\n", use, HELP_COLUMN, "", tools[i].help);
		else
			str_appendf(s, "  %-*s %s\n", HELP_COLUMN, use, tools[i].help);
	}
}
