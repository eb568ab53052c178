/*
 * pop3_reader --port PORT --user NAME --ca FILE --output FILE
 *     What fetching would cost if nothing had to be kept apart: a blocking reader that lists the
 *     maildrop, retrieves every message with as many commands under way as postriderd has, undoes
 *     dot-stuffing and CRLF, appends all messages to one file and makes that durable once.
 *
 * pop3_reader --port PORT --user NAME --ca FILE --maildir DIRECTORY
 *     The same into a Maildir with one flush: what fetching would cost if a crash might lose or
 *     double everything.  A file for each message in tmp/, a syncfs for all of them together with
 *     the names in new/ that they were given.
 */
#include "loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW_COMMANDS = 1024 };
enum { WINDOW_OCTETS = 8 * 1024 * 1024 };
enum { INPUT_SIZE = 256 * 1024 };
enum { OUTPUT_SIZE = 1024 * 1024 };
enum { COMMAND_MAX = 32 };

struct reader {
	SSL *ssl;
	int fd;
	const char *path;
	int tmp, new; /* of the Maildir; -1: one file for all */
	char input[INPUT_SIZE];
	size_t input_start, input_end;
	char output[OUTPUT_SIZE];
	size_t output_len;
	uint64_t octets; /* stored */
};

static struct reader reader;

/* -- octets ---------------------------------------------------------------------------------- */

static _Noreturn void
die_of_tls(const char *what)
{
	ERR_print_errors_fp(stderr);
	loopback_die_text("%s failed", what);
}

static void
fill_input(struct reader *r)
{
	int n;

	memmove(r->input, r->input + r->input_start, r->input_end - r->input_start);
	r->input_end -= r->input_start;
	r->input_start = 0;
	if (r->input_end == sizeof r->input)
		loopback_die_text("a line of %d octets", INPUT_SIZE);
	n = SSL_read(r->ssl, r->input + r->input_end, (int)(sizeof r->input - r->input_end));
	if (n <= 0)
		die_of_tls("reading");
	r->input_end += (size_t)n;
}

/* The next line without its CRLF; borrowed until the next call. */
static char *
read_line(struct reader *r, size_t *len)
{
	size_t searched = 0;

	for (;;) {
		char *line = r->input + r->input_start;
		size_t have = r->input_end - r->input_start;
		char *end = memchr(line + searched, '\n', have - searched);

		if (end != NULL) {
			r->input_start += (size_t)(end - line) + 1;
			*len = (size_t)(end - line);
			if (*len > 0 && line[*len - 1] == '\r')
				(*len)--;
			return line;
		}
		searched = have;
		fill_input(r);
	}
}

static void
flush_output(struct reader *r)
{
	size_t done = 0;

	while (done < r->output_len) {
		ssize_t n = write(r->fd, r->output + done, r->output_len - done);

		if (n < 0)
			loopback_die(r->path);
		done += (size_t)n;
	}
	r->octets += r->output_len;
	r->output_len = 0;
}

static void
store_line(struct reader *r, const char *line, size_t len)
{
	if (r->output_len + len + 1 > sizeof r->output)
		flush_output(r);
	memcpy(r->output + r->output_len, line, len);
	r->output_len += len;
	r->output[r->output_len++] = '\n';
}

/* -- the conversation ------------------------------------------------------------------------ */

static void
send_text(struct reader *r, const char *text, size_t len)
{
	if (SSL_write(r->ssl, text, (int)len) <= 0)
		die_of_tls("writing");
}

static void __attribute__((format(printf, 2, 3)))
send_command(struct reader *r, const char *format, ...)
{
	char line[512];
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	if (len >= (int)sizeof line)
		loopback_die_text("too long a command");
	send_text(r, line, (size_t)len);
}

static void
expect_ok(struct reader *r, const char *command, char text[512])
{
	size_t len;
	const char *line = read_line(r, &len);

	if (len < 3 || strncmp(line, "+OK", 3) != 0)
		loopback_die_text("%s: %.*s", command, (int)len, line);
	if (text != NULL)
		snprintf(text, 512, "%.*s", (int)len, line);
}

static void
skip_lines(struct reader *r)
{
	size_t len;
	const char *line;

	do {
		line = read_line(r, &len);
	} while (len != 1 || line[0] != '.');
}

static void
log_in(struct reader *r, const char *user)
{
	expect_ok(r, "greeting", NULL);
	send_command(r, "CAPA\r\n");
	expect_ok(r, "CAPA", NULL);
	skip_lines(r);
	send_command(r, "USER %s\r\n", user);
	expect_ok(r, "USER", NULL);
	send_command(r, "PASS bench\r\n");
	expect_ok(r, "PASS", NULL);
}

/* The number of messages, and in *window how many may be under way. */
static uint32_t
list_maildrop(struct reader *r, uint32_t *window)
{
	char text[512];
	uint32_t count;
	uint64_t octets;

	send_command(r, "STAT\r\nUIDL\r\nLIST\r\n");
	expect_ok(r, "STAT", text);
	if (sscanf(text, "+OK %" SCNu32 " %" SCNu64, &count, &octets) != 2)
		loopback_die_text("STAT: %s", text);
	expect_ok(r, "UIDL", NULL);
	skip_lines(r);
	expect_ok(r, "LIST", NULL);
	skip_lines(r);
	*window = WINDOW_COMMANDS;
	if (count > 0 && WINDOW_OCTETS / (octets / count + 1) < WINDOW_COMMANDS)
		*window = (uint32_t)(WINDOW_OCTETS / (octets / count + 1)) + 1;
	return count;
}

/* RETR from one number up to and without another, in one write. */
static void
send_retrs(struct reader *r, uint32_t from, uint32_t to)
{
	char text[WINDOW_COMMANDS * COMMAND_MAX];
	size_t len = 0;

	for (; from < to; from++)
		len += (size_t)snprintf(text + len, COMMAND_MAX, "RETR %" PRIu32 "\r\n", from);
	send_text(r, text, len);
}

static void
read_message(struct reader *r)
{
	size_t len;
	const char *line;

	expect_ok(r, "RETR", NULL);
	for (;;) {
		line = read_line(r, &len);
		if (len > 0 && line[0] == '.') {
			if (len == 1)
				return;
			line++;
			len--;
		}
		store_line(r, line, len);
	}
}

/* -- a Maildir, with one flush --------------------------------------------------------------- */

static void
begin_file(struct reader *r, uint32_t number)
{
	char name[32];

	if (r->tmp < 0)
		return;
	snprintf(name, sizeof name, "%" PRIu32, number);
	r->fd = openat(r->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (r->fd < 0)
		loopback_die(name);
}

static void
end_file(struct reader *r)
{
	if (r->tmp < 0)
		return;
	flush_output(r);
	if (close(r->fd) < 0)
		loopback_die(r->path);
}

static void
publish_files(struct reader *r, uint32_t count)
{
	char name[32];

	for (uint32_t n = 1; n <= count; n++) {
		snprintf(name, sizeof name, "%" PRIu32, n);
		if (renameat(r->tmp, name, r->new, name) < 0)
			loopback_die(name);
	}
	if (syncfs(r->new) < 0)
		loopback_die(r->path);
}

static int
open_folder(const char *maildir, const char *folder)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/%s", maildir, folder);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		loopback_die(path);
	return fd;
}

static void
open_output(struct reader *r, const char *file, const char *maildir)
{
	r->tmp = r->new = -1;
	r->path = maildir != NULL ? maildir : file;
	if (maildir != NULL) {
		r->tmp = open_folder(maildir, "tmp");
		r->new = open_folder(maildir, "new");
		return;
	}
	r->fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (r->fd < 0)
		loopback_die(file);
}

static void
close_output(struct reader *r, uint32_t count)
{
	if (r->tmp >= 0) {
		publish_files(r, count);
		return;
	}
	flush_output(r);
	if (fsync(r->fd) < 0 || close(r->fd) < 0)
		loopback_die(r->path);
}

static void
retrieve(struct reader *r, uint32_t count, uint32_t window)
{
	uint32_t sent = 0;

	for (uint32_t done = 0; done < count; done++) {
		if (sent - done <= window / 2 && sent < count) {
			uint32_t to = count - done < window ? count : done + window;

			send_retrs(r, sent + 1, to + 1);
			sent = to;
		}
		begin_file(r, done + 1);
		read_message(r);
		end_file(r);
	}
	close_output(r, count);
}

/* -- start ----------------------------------------------------------------------------------- */

static void
start_tls(struct reader *r, uint16_t port, const char *ca)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL || SSL_CTX_load_verify_file(context, ca) != 1)
		die_of_tls(ca);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	r->ssl = SSL_new(context);
	if (r->ssl == NULL || SSL_set1_host(r->ssl, "localhost") != 1 ||
	    SSL_set_fd(r->ssl, loopback_connect(port)) != 1 || SSL_connect(r->ssl) != 1)
		die_of_tls("the TLS handshake");
}

struct options {
	uint16_t port;
	const char *user, *ca, *output, *maildir;
};

static struct options
parse_options(int argc, char **argv)
{
	static const struct option names[] = {{"port", required_argument, NULL, 'p'},
	    {"user", required_argument, NULL, 'u'}, {"ca", required_argument, NULL, 'c'},
	    {"output", required_argument, NULL, 'o'}, {"maildir", required_argument, NULL, 'm'},
	    {0}};
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'p')
			o.port = (uint16_t)loopback_number("port", optarg, UINT16_MAX);
		else if (c == 'u')
			o.user = optarg;
		else if (c == 'c')
			o.ca = optarg;
		else if (c == 'o')
			o.output = optarg;
		else if (c == 'm')
			o.maildir = optarg;
		else
			exit(EX_USAGE);
	}
	if (o.port == 0 || o.user == NULL || o.ca == NULL || optind < argc ||
	    (o.output == NULL) == (o.maildir == NULL)) {
		fprintf(stderr, "usage: pop3_reader --port PORT --user NAME --ca FILE "
				"--output FILE | --maildir DIRECTORY\n");
		exit(EX_USAGE);
	}
	return o;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	struct options o = parse_options(argc, argv);
	struct reader *r = &reader;
	double begun = now();
	uint32_t count, window;

	open_output(r, o.output, o.maildir);
	start_tls(r, o.port, o.ca);
	log_in(r, o.user);
	count = list_maildrop(r, &window);
	retrieve(r, count, window);
	send_command(r, "QUIT\r\n");
	expect_ok(r, "QUIT", NULL);
	printf("%" PRIu32 " messages, %" PRIu64 " octets stored, %.3f s\n", count, r->octets,
	    now() - begun);
	return EX_OK;
}
