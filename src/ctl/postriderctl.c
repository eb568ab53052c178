#include "base/str.h"
#include "ctl/ctl_ask.h"
#include "ctl/ctl_command.h"
#include "ctl/ctl_place.h"
#include "ctl/ctl_text.h"
#include "ctl/ctl_watch.h"
#include "ctl/ctl_tool.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct options {
	const char *config;
	const char *socket;
	bool json;
	bool done; /* -h, -V: nothing is left to do */
};

static const char usage[] =
    "usage: postriderctl [-c FILE | -s SOCKET] [--json] [-V] [-h] [COMMAND [OPERAND ...]]\n";

static const char option_help[] =
    "\noptions, before the command:\n"
    "  -c, --config FILE      the configuration that names the control socket\n"
    "  -s, --socket SOCKET    the control socket\n"
    "      --json             print the daemon's answer as it is, for programs\n"
    "  -V, --version          the version of postriderctl\n"
    "  -h, --help             this text\n"
    "\ncommands (status, when none is given):\n";

static void
print_help(void)
{
	struct str s = STR_INIT;

	ctl_command_append_help(&s);
	printf("%s%s%s", usage, option_help, str_text(&s));
	str_clear(&s);
}

static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option list[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"socket", required_argument, NULL, 's'},
	    {"json", no_argument, NULL, 'j'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	/* "+": options end where the command begins. */
	while ((option = getopt_long(argc, argv, "+c:s:Vh", list, NULL)) != -1) {
		switch (option) {
		case 'c':
			o->config = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'V':
			printf("postriderctl %s\n", PACKAGE_VERSION);
			o->done = true;
			return EX_OK;
		case 'h':
			print_help();
			o->done = true;
			return EX_OK;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (o->config == NULL || o->socket == NULL)
		return EX_OK;
	fprintf(stderr, "postriderctl: -c and -s exclude each other\n%s", usage);
	return EX_USAGE;
}

static void
print_for_people(const struct ctl_command *command, const json_t *answer, char *const *words)
{
	struct ctl_screen screen;
	struct str s = STR_INIT;

	ctl_text_init_screen(&screen);
	command->append(&s, answer, words, &screen);
	fputs(str_text(&s), stdout);
	str_clear(&s);
}

static int
print_answer(const struct options *o, const struct ctl_command *command, const struct str *line,
    char *const *words)
{
	json_t *answer = json_loadb(str_text(line), line->len, 0, NULL);
	int code = EX_OK;

	if (!json_is_boolean(json_object_get(answer, "ok"))) {
		fputs("postriderctl: the answer is not understood; is this postriderd's socket?\n",
		    stderr);
		json_decref(answer);
		return EX_PROTOCOL;
	}
	if (!json_is_true(json_object_get(answer, "ok")))
		code = CTL_EXIT_REFUSED;
	if (o->json)
		printf("%s\n", str_text(line));
	else if (code == CTL_EXIT_REFUSED)
		ctl_ask_print_refusal(answer);
	else
		print_for_people(command, answer, words);
	json_decref(answer);
	return code;
}

static int
ask_once(const struct options *o, const struct ctl_command *command,
    const struct ctl_places *places, const char *request, char *const *words)
{
	struct str answer = STR_INIT;
	int code = ctl_ask(places, request, command->wait == CTL_PATIENT, &answer);

	if (code == EX_OK)
		code = print_answer(o, command, &answer, words);
	str_clear(&answer);
	return code;
}

static int
ask(const struct options *o, const struct ctl_command *command, char *const *words)
{
	struct str request = STR_INIT;
	struct ctl_places places;
	int code = ctl_place_find(&places, o->socket, o->config);

	ctl_command_append_request(&request, command, words);
	if (code == EX_OK && command->wait == CTL_ENDLESS)
		code = ctl_watch(&places, str_text(&request), o->json);
	else if (code == EX_OK)
		code = ask_once(o, command, &places, str_text(&request), words);
	str_clear(&request);
	ctl_place_clear(&places);
	return code;
}

static int
run(int argc, char **argv)
{
	char *none[] = {NULL};
	struct options o = {0};
	const struct ctl_command *command;
	const struct ctl_tool *tool;
	int code = parse_options(argc, argv, &o);
	char **words = optind < argc ? argv + optind + 1 : none;
	size_t count = optind < argc ? (size_t)(argc - optind - 1) : 0;

	if (code != EX_OK || o.done)
		return code;
	tool = optind < argc ? ctl_tool_find(argv[optind]) : NULL;
	if (tool != NULL)
		return ctl_tool_run(tool, &(struct ctl_call){o.config, o.socket, o.json},
		    argc - optind, argv + optind);
	command = ctl_command_find(optind < argc ? argv[optind] : "status", words, count);
	if (command == NULL)
		return EX_USAGE;
	if (command->append != NULL || command->wait == CTL_ENDLESS || o.json)
		return ask(&o, command, words);
	print_help();
	return EX_OK;
}

int
main(int argc, char **argv)
{
	int code = run(argc, argv);

	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "postriderctl: cannot write: %s\n", strerror(errno));
	return EX_IOERR;
}
