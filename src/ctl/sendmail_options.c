#include "ctl/sendmail_options.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/*
 * Those of sendmail(8) that programs use.  "+": options end at the first recipient; ":": we say
 * what is wrong.
 */
#define OPTIONS "+:A:B:C:F:GL:N:O:R:UV:b:e:f:h:imno:q::r:tv"

static const char usage[] =
    "usage: postrider-sendmail [-t] [-i] [-f sender] [-F name] [-C file] [--] [recipient ...]\n";

static const char option_help[] =
    "\nReads a message and puts it into postrider's spool, durably.\n"
    "\n"
    "  -t         the recipients are in the header: To, Cc, Bcc\n"
    "  -i, -oi    a line with a single \".\" does not end the message\n"
    "  -f, -r A   the envelope sender; \"\" or \"<>\" is the null sender\n"
    "  -F NAME    the full name in a From field that has to be added\n"
    "  -C FILE    the configuration that names the spool\n"
    "\n"
    "Other options of sendmail(8) are accepted and mean nothing here: see "
    "postrider-sendmail(8).\n";

static int
refuse(const char *text)
{
	fprintf(stderr, "postrider-sendmail: %s\n", text);
	return EX_USAGE;
}

/* -b: what to be. */
static int
set_mode(const char *mode)
{
	if (strcmp(mode, "m") == 0)
		return EX_OK;
	if (strcmp(mode, "s") == 0)
		return refuse("SMTP is not spoken on standard input; the daemon's submission "
			      "listener speaks it on a socket (postrider.conf(5), `submission`)");
	if (strcmp(mode, "p") != 0)
		return refuse("of -b only -bm is known here");
	fputs("postrider-sendmail: the queue is the daemon's; `postriderctl queue` shows it\n",
	    stderr);
	return EX_UNAVAILABLE;
}

static int
set_option(struct sendmail_options *o, int option, const char *value)
{
	switch (option) {
	case 'C':
		o->config = value;
		break;
	case 'F':
		o->name = value;
		break;
	case 'f':
	case 'r':
		o->sender = value;
		break;
	case 'i':
		o->ignore_dots = true;
		break;
	case 'o':
		o->ignore_dots = o->ignore_dots || strcmp(value, "i") == 0;
		break;
	case 't':
		o->use_header = true;
		break;
	case 'b':
		return set_mode(value);
	default:
		break;
	}
	return EX_OK;
}

static int
refuse_option(int problem, int option)
{
	fprintf(stderr, "postrider-sendmail: %s -%c\n%s",
	    problem == ':' ? "an argument is missing after" : "unknown option",
	    option > ' ' && option < 0x7f ? option : '?', usage);
	return EX_USAGE;
}

static int
check_operands(struct sendmail_options *o, bool is_queue_run, bool is_after_dashes)
{
	for (size_t i = 0; i < o->operand_count && !is_after_dashes; i++)
		if (o->operands[i][0] == '-')
			return refuse("options stand before the recipients; a recipient that "
				      "begins with \"-\" stands behind \"--\"");
	if (o->operand_count > 0 || o->use_header)
		return EX_OK;
	o->is_done = is_queue_run;
	if (is_queue_run)
		return EX_OK;
	fprintf(stderr, "postrider-sendmail: no recipients: name them, or use -t\n%s", usage);
	return EX_USAGE;
}

/* Alone on the line, where they can mean nothing else. */
static bool
answer_person(int argc, char **argv)
{
	if (argc != 2)
		return false;
	if (strcmp(argv[1], "--version") == 0)
		printf("postrider-sendmail %s\n", PACKAGE_VERSION);
	else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		printf("%s%s", usage, option_help);
	else
		return false;
	return true;
}

int
sendmail_options_parse(struct sendmail_options *o, int argc, char **argv)
{
	bool is_queue_run = false;
	int option, code;

	*o = (struct sendmail_options){.is_done = answer_person(argc, argv)};
	if (o->is_done)
		return EX_OK;
	while ((option = getopt(argc, argv, OPTIONS)) != -1) {
		if (option == '?' || option == ':')
			return refuse_option(option, optopt);
		is_queue_run = is_queue_run || option == 'q';
		code = set_option(o, option, optarg);
		if (code != EX_OK)
			return code;
	}
	o->operands = argv + optind;
	o->operand_count = optind < argc ? (size_t)(argc - optind) : 0;
	return check_operands(o, is_queue_run, optind > 1 && strcmp(argv[optind - 1], "--") == 0);
}
