#include "session.h"

#include "loopback.h"
#include "mailbox.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_SIZE = 16 * 1024 }; /* the octets of a TLS record: RFC 8446 section 5.1 */
enum { INPUT_SIZE = 16 * 1024 };
enum { COMMAND_MAX = 1024 };
enum { USER_SIZE = 128 };

/* Lives for one session_serve(). */
struct session {
	SSL *ssl;
	bool ended; /* the peer is gone, or has said QUIT */
	bool logged_in;
	bool awaits_sasl; /* AUTH PLAIN came without its response */
	char user[USER_SIZE];
	uint32_t messages; /* of any maildrop here */
	uint64_t size;
	struct mailbox mailbox;
	unsigned char *deleted; /* a bit a message, from number 1 */
	uint32_t deleted_count;

	char output[RECORD_SIZE];
	size_t output_len;
	char input[INPUT_SIZE];
	size_t input_start, input_end;
};

/* -- octets ---------------------------------------------------------------------------------- */

/* After a TLS call that returned `result`: waits as it asked; false when the peer is gone. */
static bool
await_peer(struct session *s, int result)
{
	int error = SSL_get_error(s->ssl, result);
	struct pollfd fd = {.fd = SSL_get_fd(s->ssl)};

	if (error == SSL_ERROR_WANT_READ)
		fd.events = POLLIN;
	else if (error == SSL_ERROR_WANT_WRITE)
		fd.events = POLLOUT;
	else
		return false;
	return poll(&fd, 1, -1) == 1 || errno == EINTR;
}

static void
flush_output(struct session *s)
{
	while (s->output_len > 0 && !s->ended) {
		int n = SSL_write(s->ssl, s->output, (int)s->output_len);

		if (n > 0)
			s->output_len = 0;
		else
			s->ended = !await_peer(s, n);
	}
	s->output_len = 0;
}

/* A mailbox_write too. */
static void
put(const char *data, size_t len, void *arg)
{
	struct session *s = arg;

	while (len > 0) {
		size_t room = sizeof s->output - s->output_len;
		size_t n = len < room ? len : room;

		memcpy(s->output + s->output_len, data, n);
		s->output_len += n;
		data += n;
		len -= n;
		if (s->output_len == sizeof s->output)
			flush_output(s);
	}
}

static void __attribute__((format(printf, 2, 3))) reply(struct session *s, const char *format, ...)
{
	char line[512];
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(line, sizeof line - 2, format, ap);
	va_end(ap);
	if (len > (int)sizeof line - 3)
		len = sizeof line - 3;
	memcpy(line + len, "\r\n", 2);
	put(line, (size_t)len + 2, s);
}

/* More input; before it is waited for, everything that was answered goes out. */
static bool
fill_input(struct session *s)
{
	int n = 0;

	memmove(s->input, s->input + s->input_start, s->input_end - s->input_start);
	s->input_end -= s->input_start;
	s->input_start = 0;
	while (!s->ended) {
		n = SSL_read(s->ssl, s->input + s->input_end, (int)(INPUT_SIZE - s->input_end));
		if (n > 0)
			break;
		if (SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ && s->output_len > 0)
			flush_output(s);
		else
			s->ended = !await_peer(s, n);
	}
	if (s->ended)
		return false;
	s->input_end += (size_t)n;
	return true;
}

/* The next command without its line end; NULL when the peer has gone or sends no commands. */
static char *
next_line(struct session *s)
{
	for (;;) {
		char *line = s->input + s->input_start;
		size_t len = s->input_end - s->input_start;
		char *end = memchr(line, '\n', len);

		if (end != NULL) {
			s->input_start += (size_t)(end - line) + 1;
			if (end > line && end[-1] == '\r')
				end--;
			*end = '\0';
			return line;
		}
		if (len > COMMAND_MAX || !fill_input(s))
			return NULL;
	}
}

/* -- the maildrop ---------------------------------------------------------------------------- */

static bool
is_deleted(const struct session *s, uint32_t number)
{
	return (s->deleted[number / 8] >> number % 8 & 1) != 0;
}

/* A message number out of an argument, its rest in *rest; says -ERR and gives 0 if it is none. */
static uint32_t
message_number(struct session *s, const char *argument, char **rest)
{
	unsigned long number = strtoul(argument, rest, 10);

	if (!isdigit((unsigned char)*argument) || number == 0 || number > s->mailbox.count ||
	    is_deleted(s, (uint32_t)number)) {
		reply(s, "-ERR no such message");
		return 0;
	}
	return (uint32_t)number;
}

static void
open_maildrop(struct session *s)
{
	s->mailbox = mailbox_of_user(s->user, s->messages, s->size);
	s->deleted = calloc(s->messages / 8 + 1, 1);
	if (s->deleted == NULL)
		loopback_die("calloc");
	s->logged_in = true;
	reply(s, "+OK %" PRIu32 " messages", s->mailbox.count);
}

static void
on_stat(struct session *s, const char *argument)
{
	uint32_t left = s->mailbox.count - s->deleted_count;

	(void)argument;
	reply(s, "+OK %" PRIu32 " %" PRIu64, left, left * s->mailbox.size);
}

static void
on_list(struct session *s, const char *argument)
{
	uint32_t number;
	char *rest;

	if (*argument != '\0') {
		if ((number = message_number(s, argument, &rest)) > 0)
			reply(s, "+OK %" PRIu32 " %" PRIu64, number, s->mailbox.size);
		return;
	}
	reply(s, "+OK");
	for (number = 1; number <= s->mailbox.count; number++)
		if (!is_deleted(s, number))
			reply(s, "%" PRIu32 " %" PRIu64, number, s->mailbox.size);
	reply(s, ".");
}

static void
on_uidl(struct session *s, const char *argument)
{
	uint32_t number;
	char *rest;

	if (*argument != '\0') {
		if ((number = message_number(s, argument, &rest)) > 0)
			reply(s, "+OK %" PRIu32 " %08x%08x", number, s->mailbox.id, number);
		return;
	}
	reply(s, "+OK");
	for (number = 1; number <= s->mailbox.count; number++)
		if (!is_deleted(s, number))
			reply(s, "%" PRIu32 " %08x%08x", number, s->mailbox.id, number);
	reply(s, ".");
}

static void
on_retr(struct session *s, const char *argument)
{
	char *rest;
	uint32_t number = message_number(s, argument, &rest);

	if (number == 0)
		return;
	reply(s, "+OK %" PRIu64 " octets", s->mailbox.size);
	mailbox_write_message(&s->mailbox, number, MAILBOX_WIRE, MAILBOX_ALL_LINES, put, s);
	reply(s, ".");
}

static void
on_top(struct session *s, const char *argument)
{
	char *rest;
	uint32_t number = message_number(s, argument, &rest);

	if (number == 0)
		return;
	reply(s, "+OK");
	mailbox_write_message(&s->mailbox, number, MAILBOX_WIRE, strtoull(rest, NULL, 10), put, s);
	reply(s, ".");
}

static void
on_dele(struct session *s, const char *argument)
{
	char *rest;
	uint32_t number = message_number(s, argument, &rest);

	if (number == 0)
		return;
	s->deleted[number / 8] |= (unsigned char)(1u << number % 8);
	s->deleted_count++;
	reply(s, "+OK");
}

static void
on_rset(struct session *s, const char *argument)
{
	(void)argument;
	memset(s->deleted, 0, s->mailbox.count / 8 + 1);
	s->deleted_count = 0;
	reply(s, "+OK");
}

/* -- commands of any state, and the login ---------------------------------------------------- */

static void
on_capa(struct session *s, const char *argument)
{
	(void)argument;
	reply(s, "+OK\r\nUSER\r\nSASL PLAIN\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\n.");
}

static void
on_noop(struct session *s, const char *argument)
{
	(void)argument;
	reply(s, "+OK");
}

static void
on_quit(struct session *s, const char *argument)
{
	(void)argument;
	reply(s, "+OK bye");
	flush_output(s);
	s->ended = true;
}

static void
on_user(struct session *s, const char *argument)
{
	if (*argument == '\0' || strlen(argument) >= sizeof s->user) {
		reply(s, "-ERR no such user");
		return;
	}
	strcpy(s->user, argument);
	reply(s, "+OK");
}

static void
on_pass(struct session *s, const char *argument)
{
	(void)argument;
	if (s->user[0] == '\0')
		reply(s, "-ERR USER first");
	else
		open_maildrop(s);
}

/* RFC 4616: [authzid] NUL authcid NUL passwd, in base64. */
static void
on_sasl_response(struct session *s, const char *response)
{
	unsigned char plain[COMMAND_MAX + 1];
	const char *authcid, *end = (const char *)plain + sizeof plain - 1;
	size_t len = strlen(response);

	s->awaits_sasl = false;
	memset(plain, 0, sizeof plain);
	if (len > COMMAND_MAX ||
	    EVP_DecodeBlock(plain, (const unsigned char *)response, (int)len) < 0) {
		reply(s, "-ERR not base64");
		return;
	}
	authcid = memchr(plain, '\0', sizeof plain);
	if (authcid == NULL || authcid >= end || authcid[1] == '\0' ||
	    strlen(authcid + 1) >= sizeof s->user) {
		reply(s, "-ERR [AUTH] no such user");
		return;
	}
	strcpy(s->user, authcid + 1);
	open_maildrop(s);
}

static void
on_auth(struct session *s, const char *argument)
{
	if (strcasecmp(argument, "PLAIN") == 0) {
		s->awaits_sasl = true;
		reply(s, "+ ");
	} else if (strncasecmp(argument, "PLAIN ", 6) == 0) {
		on_sasl_response(s, argument + 6);
	} else {
		reply(s, "-ERR unknown mechanism");
	}
}

enum when { ANY_TIME, BEFORE_LOGIN, AFTER_LOGIN };

static const struct command {
	const char *name;
	enum when when;
	void (*run)(struct session *s, const char *argument);
} commands[] = {
    {"RETR", AFTER_LOGIN, on_retr},
    {"DELE", AFTER_LOGIN, on_dele},
    {"TOP", AFTER_LOGIN, on_top},
    {"STAT", AFTER_LOGIN, on_stat},
    {"LIST", AFTER_LOGIN, on_list},
    {"UIDL", AFTER_LOGIN, on_uidl},
    {"RSET", AFTER_LOGIN, on_rset},
    {"NOOP", AFTER_LOGIN, on_noop},
    {"USER", BEFORE_LOGIN, on_user},
    {"PASS", BEFORE_LOGIN, on_pass},
    {"AUTH", BEFORE_LOGIN, on_auth},
    {"CAPA", ANY_TIME, on_capa},
    {"QUIT", ANY_TIME, on_quit},
};

static void
run_command(struct session *s, char *line)
{
	char *argument = line + strcspn(line, " ");

	if (*argument != '\0')
		*argument++ = '\0';
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const struct command *c = &commands[i];

		if (strcasecmp(line, c->name) != 0)
			continue;
		if (c->when != ANY_TIME && (c->when == AFTER_LOGIN) != s->logged_in)
			reply(s, "-ERR not now");
		else
			c->run(s, argument);
		return;
	}
	reply(s, "-ERR unknown command");
}

/* -- the session ----------------------------------------------------------------------------- */

static void
converse(struct session *s)
{
	char *line;

	reply(s, "+OK ready");
	while (!s->ended && (line = next_line(s)) != NULL) {
		if (s->awaits_sasl)
			on_sasl_response(s, line);
		else
			run_command(s, line);
	}
}

void
session_serve(SSL *ssl, uint32_t messages, uint64_t size)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		loopback_die("calloc");
	s->ssl = ssl;
	s->messages = messages;
	s->size = size;
	if (SSL_accept(ssl) == 1 && fcntl(SSL_get_fd(ssl), F_SETFL, O_RDWR | O_NONBLOCK) == 0) {
		converse(s);
		SSL_shutdown(ssl);
	}
	free(s->deleted);
	free(s);
	ERR_clear_error();
}
