/*
 * smtp_sink --cert FILE --key FILE [--messages N] [--size OCTETS] [--starttls]
 *     An SMTP server (RFC 5321) on a free port of 127.0.0.1, which it prints, with TLS from the
 *     first octet or by STARTTLS.  It throws away what it takes and counts it: XTALLY answers with
 *     how many messages came, how many different ones, how many with another body than they should
 *     have and how many that are none of the N, and how many sessions; XRESET begins anew.  It ends
 *     with its standard input.
 * smtp_sink --write DIRECTORY [--messages N] [--size OCTETS]
 *     Writes the messages that it expects, a file each, named by the number.
 */
#include "loopback.h"
#include "mailbox.h"
#include "server.h"
#include "sink.h"
#include "tally.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

struct options {
	const char *cert, *key, *write;
	uint32_t messages;
	uint64_t size;
	bool starttls;
};

static struct options options = {.messages = 2000, .size = 4096};

static void
write_octets(const char *data, size_t len, void *arg)
{
	fwrite(data, 1, len, arg);
}

static void
write_file(const struct mailbox *m, uint32_t number)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/%010u", options.write, number);
	file = fopen(path, "wxe");
	if (file == NULL)
		loopback_die(path);
	mailbox_write_message(m, number, MAILBOX_STORED, MAILBOX_ALL_LINES, write_octets, file);
	if (fclose(file) != 0)
		loopback_die(path);
}

static void
write_files(void)
{
	struct mailbox m = mailbox_of_user("bench", options.messages, options.size);

	mailbox_prepare();
	for (uint32_t number = 1; number <= m.count; number++)
		write_file(&m, number);
}

static void
set_option(int c, const char *value)
{
	if (c == 'c')
		options.cert = value;
	else if (c == 'k')
		options.key = value;
	else if (c == 'w')
		options.write = value;
	else if (c == 't')
		options.starttls = true;
	else if (c == 'm')
		options.messages = (uint32_t)loopback_number("messages", value, 10000000);
	else if (c == 's')
		options.size = loopback_number("size", value, UINT32_MAX);
	else
		exit(EX_USAGE);
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {{"cert", required_argument, NULL, 'c'},
	    {"key", required_argument, NULL, 'k'}, {"write", required_argument, NULL, 'w'},
	    {"messages", required_argument, NULL, 'm'}, {"size", required_argument, NULL, 's'},
	    {"starttls", no_argument, NULL, 't'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		set_option(c, optarg);
	if (options.size < MAILBOX_SIZE_MIN)
		loopback_die_text("--size is at least %d", MAILBOX_SIZE_MIN);
	if (options.write != NULL && optind == argc) {
		write_files();
		return EX_OK;
	}
	if (options.cert == NULL || options.key == NULL || optind < argc) {
		fprintf(stderr, "usage: smtp_sink --cert FILE --key FILE [--messages N] "
				"[--size OCTETS] [--starttls]\n");
		return EX_USAGE;
	}
	tally_prepare(options.messages, options.size);
	server_run(
	    options.cert, options.key, options.starttls ? sink_serve_starttls : sink_serve_tls);
}
