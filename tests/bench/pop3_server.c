/*
 * pop3_server --cert FILE --key FILE [--messages N] [--size OCTETS]
 *     A POP3 server (RFC 1939, 2449, 5034) with TLS from the first octet, on a free port of
 *     127.0.0.1, which it prints.  Every user name is a maildrop of its own, any password fits,
 *     and deletions are forgotten after QUIT.  It ends with its standard input.
 * pop3_server --show NUMBER --user NAME [--messages N] [--size OCTETS]
 *     Prints one message as a Maildir holds it.
 */
#include "loopback.h"
#include "mailbox.h"
#include "server.h"
#include "session.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

struct options {
	const char *cert, *key, *user;
	uint32_t messages, show;
	uint64_t size;
};

static struct options options = {.user = "bench", .messages = 10000, .size = 4096};

static void
serve(int fd, SSL_CTX *context)
{
	session_serve(fd, context, options.messages, options.size);
}

static void
print_octets(const char *data, size_t len, void *arg)
{
	(void)arg;
	fwrite(data, 1, len, stdout);
}

static void
show_message(void)
{
	struct mailbox m = mailbox_of_user(options.user, options.messages, options.size);

	mailbox_write_message(
	    &m, options.show, MAILBOX_STORED, MAILBOX_ALL_LINES, print_octets, NULL);
	if (fflush(stdout) != 0)
		loopback_die("standard output");
}

static void
set_option(int c, const char *value)
{
	if (c == 'c')
		options.cert = value;
	else if (c == 'k')
		options.key = value;
	else if (c == 'u')
		options.user = value;
	else if (c == 'm')
		options.messages = (uint32_t)loopback_number("messages", value, 10000000);
	else if (c == 's')
		options.size = loopback_number("size", value, UINT32_MAX);
	else if (c == 'n')
		options.show = (uint32_t)loopback_number("show", value, 10000000);
	else
		exit(EX_USAGE);
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {{"cert", required_argument, NULL, 'c'},
	    {"key", required_argument, NULL, 'k'}, {"user", required_argument, NULL, 'u'},
	    {"messages", required_argument, NULL, 'm'}, {"size", required_argument, NULL, 's'},
	    {"show", required_argument, NULL, 'n'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		set_option(c, optarg);
	if (options.size < MAILBOX_SIZE_MIN)
		loopback_die_text("--size is at least %d", MAILBOX_SIZE_MIN);
	mailbox_prepare();
	if (options.show > 0) {
		show_message();
	} else if (options.cert != NULL && options.key != NULL && optind == argc) {
		server_run(options.cert, options.key, serve);
	} else {
		fprintf(stderr, "usage: pop3_server --cert FILE --key FILE [--messages N] "
				"[--size OCTETS]\n");
		return EX_USAGE;
	}
	return EX_OK;
}
