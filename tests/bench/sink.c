#include "sink.h"

#include "loopback.h"
#include "tally.h"
#include "wire.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Lives for one sink_serve(). */
struct sink {
	struct wire wire;
	SSL_CTX *context;
	bool logged_in;
	bool awaits_sasl; /* AUTH PLAIN came without its response */
	bool has_sender;
	unsigned recipients;

	char *message; /* as it came, or comes with DATA: dots stuffed */
	size_t message_len, message_cap;
};

/* -- the session ----------------------------------------------------------------------------- */

static void
on_ehlo(struct sink *s, const char *argument)
{
	(void)argument;
	wire_reply(&s->wire, "250-sink.example.net");
	if (s->wire.ssl == NULL)
		wire_reply(&s->wire, "250-STARTTLS");
	else
		wire_reply(&s->wire, "250-AUTH PLAIN");
	wire_reply(
	    &s->wire, "250-SIZE 100000000\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME");
}

static void
on_starttls(struct sink *s, const char *argument)
{
	(void)argument;
	if (s->wire.ssl != NULL) {
		wire_reply(&s->wire, "503 5.5.1 TLS is there");
		return;
	}
	wire_reply(&s->wire, "220 2.0.0 ready");
	wire_accept_tls(&s->wire, s->context);
}

static void
on_sasl_response(struct sink *s, const char *response)
{
	(void)response;
	s->awaits_sasl = false;
	s->logged_in = true;
	tally_add_session();
	wire_reply(&s->wire, "235 2.7.0 welcome");
}

static void
on_auth(struct sink *s, const char *argument)
{
	if (s->wire.ssl == NULL) {
		wire_reply(&s->wire, "538 5.7.11 TLS first");
	} else if (strcasecmp(argument, "PLAIN") == 0) {
		s->awaits_sasl = true;
		wire_reply(&s->wire, "334 ");
	} else if (strncasecmp(argument, "PLAIN ", 6) == 0) {
		on_sasl_response(s, argument + 6);
	} else {
		wire_reply(&s->wire, "504 5.5.4 unknown mechanism");
	}
}

static void
on_noop(struct sink *s, const char *argument)
{
	(void)argument;
	wire_reply(&s->wire, "250 2.0.0 OK");
}

static void
on_quit(struct sink *s, const char *argument)
{
	(void)argument;
	wire_reply(&s->wire, "221 2.0.0 bye");
	wire_flush(&s->wire);
	s->wire.ended = true;
}

/* -- a transaction --------------------------------------------------------------------------- */

static void
forget_transaction(struct sink *s)
{
	s->message_len = 0;
	s->has_sender = false;
	s->recipients = 0;
}

static void
on_rset(struct sink *s, const char *argument)
{
	forget_transaction(s);
	on_noop(s, argument);
}

static void
on_mail(struct sink *s, const char *argument)
{
	if (!s->logged_in) {
		wire_reply(&s->wire, "530 5.7.0 who are you?");
	} else if (s->has_sender || strncasecmp(argument, "FROM:", 5) != 0) {
		wire_reply(&s->wire, "503 5.5.1 not now");
	} else {
		s->has_sender = true;
		wire_reply(&s->wire, "250 2.1.0 OK");
	}
}

static void
on_rcpt(struct sink *s, const char *argument)
{
	if (!s->has_sender || strncasecmp(argument, "TO:", 3) != 0) {
		wire_reply(&s->wire, "503 5.5.1 not now");
		return;
	}
	s->recipients++;
	wire_reply(&s->wire, "250 2.1.5 OK");
}

static void
message_make_room(struct sink *s, size_t len)
{
	if (s->message_len + len > s->message_cap) {
		s->message_cap = s->message_cap * 2 + len;
		s->message = realloc(s->message, s->message_cap);
		if (s->message == NULL)
			loopback_die("realloc");
	}
}

static void
message_add(struct sink *s, const char *data, size_t len)
{
	message_make_room(s, len);
	memcpy(s->message + s->message_len, data, len);
	s->message_len += len;
}

static void
on_data(struct sink *s, const char *argument)
{
	char *line;

	(void)argument;
	if (s->recipients == 0) {
		wire_reply(&s->wire, "503 5.5.1 not now");
		return;
	}
	wire_reply(&s->wire, "354 go on");
	s->message_len = 0;
	while ((line = wire_line(&s->wire)) != NULL && strcmp(line, ".") != 0) {
		message_add(s, line, strlen(line));
		message_add(s, "\r\n", 2);
	}
	if (line == NULL)
		return;
	tally_add(s->message, s->message_len);
	forget_transaction(s);
	wire_reply(&s->wire, "250 2.0.0 taken");
}

/* A text of chunks, as DATA would have brought it. */
static void
message_stuff(struct sink *s)
{
	for (size_t at = 0; at < s->message_len; at++) {
		if (s->message[at] != '.' || (at > 0 && s->message[at - 1] != '\n'))
			continue;
		message_make_room(s, 1);
		memmove(s->message + at + 1, s->message + at, s->message_len - at);
		s->message_len++;
		at++;
	}
}

/* RFC 3030: the chunk is there, whatever is said of it. */
static void
on_bdat(struct sink *s, const char *argument)
{
	char *rest;
	size_t len = strtoul(argument, &rest, 10);
	bool wanted = s->recipients > 0;

	message_make_room(s, len);
	if (!wire_octets(&s->wire, s->message + s->message_len, len))
		return;
	s->message_len += len;
	if (!wanted) {
		wire_reply(&s->wire, "503 5.5.1 not now");
	} else if (strcasecmp(rest, " LAST") != 0) {
		wire_reply(&s->wire, "250 2.0.0 more");
		return;
	} else {
		message_stuff(s);
		tally_add(s->message, s->message_len);
		wire_reply(&s->wire, "250 2.0.0 taken");
	}
	forget_transaction(s);
}

/* -- what the benchmark asks ----------------------------------------------------------------- */

static void
on_tally(struct sink *s, const char *argument)
{
	struct tally_sums sums = tally_sums();

	(void)argument;
	wire_reply(&s->wire, "250 %u %u %u %u %u", sums.accepted, sums.distinct, sums.spoilt,
	    sums.strangers, sums.sessions);
}

static void
on_reset(struct sink *s, const char *argument)
{
	tally_reset();
	on_noop(s, argument);
}

static const struct command {
	const char *name;
	void (*run)(struct sink *s, const char *argument);
} commands[] = {
    {"MAIL", on_mail},
    {"RCPT", on_rcpt},
    {"DATA", on_data},
    {"BDAT", on_bdat},
    {"RSET", on_rset},
    {"NOOP", on_noop},
    {"EHLO", on_ehlo},
    {"HELO", on_noop},
    {"STARTTLS", on_starttls},
    {"AUTH", on_auth},
    {"QUIT", on_quit},
    {"XTALLY", on_tally},
    {"XRESET", on_reset},
};

static void
run_command(struct sink *s, char *line)
{
	char *argument = line + strcspn(line, " ");

	if (*argument != '\0')
		*argument++ = '\0';
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcasecmp(line, commands[i].name) == 0) {
			commands[i].run(s, argument);
			return;
		}
	wire_reply(&s->wire, "500 5.5.2 unknown command");
}

static void
converse(struct sink *s)
{
	char *line;

	wire_reply(&s->wire, "220 sink.example.net ESMTP");
	while (!s->wire.ended && (line = wire_line(&s->wire)) != NULL) {
		if (s->awaits_sasl)
			on_sasl_response(s, line);
		else
			run_command(s, line);
	}
}

static void
serve(int fd, SSL_CTX *context, bool tls_first)
{
	struct sink *s = calloc(1, sizeof *s);

	if (s == NULL)
		loopback_die("calloc");
	s->context = context;
	wire_init(&s->wire, fd);
	if (!tls_first || wire_accept_tls(&s->wire, context))
		converse(s);
	wire_clear(&s->wire);
	free(s->message);
	free(s);
}

void
sink_serve_tls(int fd, SSL_CTX *context)
{
	serve(fd, context, true);
}

void
sink_serve_starttls(int fd, SSL_CTX *context)
{
	serve(fd, context, false);
}
