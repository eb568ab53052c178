#include "session.h"

#include "loopback.h"
#include "mailbox.h"
#include "wire.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER_SIZE = 128 };

/* Lives for one session_serve(). */
struct session {
	struct wire wire;
	bool logged_in;
	bool awaits_sasl; /* AUTH PLAIN came without its response */
	char user[USER_SIZE];
	uint32_t messages; /* of any maildrop here */
	uint64_t size;
	struct mailbox mailbox;
	unsigned char *deleted; /* a bit a message, from number 1 */
	uint32_t deleted_count;
};

/* A mailbox_write. */
static void
put(const char *data, size_t len, void *arg)
{
	wire_put(arg, data, len);
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
		wire_reply(&s->wire, "-ERR no such message");
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
	wire_reply(&s->wire, "+OK %" PRIu32 " messages", s->mailbox.count);
}

static void
on_stat(struct session *s, const char *argument)
{
	uint32_t left = s->mailbox.count - s->deleted_count;

	(void)argument;
	wire_reply(&s->wire, "+OK %" PRIu32 " %" PRIu64, left, left * s->mailbox.size);
}

static void
on_list(struct session *s, const char *argument)
{
	uint32_t number;
	char *rest;

	if (*argument != '\0') {
		if ((number = message_number(s, argument, &rest)) > 0)
			wire_reply(&s->wire, "+OK %" PRIu32 " %" PRIu64, number, s->mailbox.size);
		return;
	}
	wire_reply(&s->wire, "+OK");
	for (number = 1; number <= s->mailbox.count; number++)
		if (!is_deleted(s, number))
			wire_reply(&s->wire, "%" PRIu32 " %" PRIu64, number, s->mailbox.size);
	wire_reply(&s->wire, ".");
}

static void
on_uidl(struct session *s, const char *argument)
{
	uint32_t number;
	char *rest;

	if (*argument != '\0') {
		if ((number = message_number(s, argument, &rest)) > 0)
			wire_reply(
			    &s->wire, "+OK %" PRIu32 " %08x%08x", number, s->mailbox.id, number);
		return;
	}
	wire_reply(&s->wire, "+OK");
	for (number = 1; number <= s->mailbox.count; number++)
		if (!is_deleted(s, number))
			wire_reply(&s->wire, "%" PRIu32 " %08x%08x", number, s->mailbox.id, number);
	wire_reply(&s->wire, ".");
}

static void
on_retr(struct session *s, const char *argument)
{
	char *rest;
	uint32_t number = message_number(s, argument, &rest);

	if (number == 0)
		return;
	wire_reply(&s->wire, "+OK %" PRIu64 " octets", s->mailbox.size);
	mailbox_write_message(&s->mailbox, number, MAILBOX_WIRE, MAILBOX_ALL_LINES, put, &s->wire);
	wire_reply(&s->wire, ".");
}

static void
on_top(struct session *s, const char *argument)
{
	char *rest;
	uint32_t number = message_number(s, argument, &rest);

	if (number == 0)
		return;
	wire_reply(&s->wire, "+OK");
	mailbox_write_message(
	    &s->mailbox, number, MAILBOX_WIRE, strtoull(rest, NULL, 10), put, &s->wire);
	wire_reply(&s->wire, ".");
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
	wire_reply(&s->wire, "+OK");
}

static void
on_rset(struct session *s, const char *argument)
{
	(void)argument;
	memset(s->deleted, 0, s->mailbox.count / 8 + 1);
	s->deleted_count = 0;
	wire_reply(&s->wire, "+OK");
}

/* -- commands of any state, and the login ---------------------------------------------------- */

static void
on_capa(struct session *s, const char *argument)
{
	(void)argument;
	wire_reply(
	    &s->wire, "+OK\r\nUSER\r\nSASL PLAIN\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\n.");
}

static void
on_noop(struct session *s, const char *argument)
{
	(void)argument;
	wire_reply(&s->wire, "+OK");
}

static void
on_quit(struct session *s, const char *argument)
{
	(void)argument;
	wire_reply(&s->wire, "+OK bye");
	wire_flush(&s->wire);
	s->wire.ended = true;
}

static void
on_user(struct session *s, const char *argument)
{
	if (*argument == '\0' || strlen(argument) >= sizeof s->user) {
		wire_reply(&s->wire, "-ERR no such user");
		return;
	}
	strcpy(s->user, argument);
	wire_reply(&s->wire, "+OK");
}

static void
on_pass(struct session *s, const char *argument)
{
	(void)argument;
	if (s->user[0] == '\0')
		wire_reply(&s->wire, "-ERR USER first");
	else
		open_maildrop(s);
}

/* RFC 4616: [authzid] NUL authcid NUL passwd, in base64. */
static void
on_sasl_response(struct session *s, const char *response)
{
	unsigned char plain[WIRE_LINE_MAX + 1];
	const char *authcid, *end = (const char *)plain + sizeof plain - 1;
	size_t len = strlen(response);

	s->awaits_sasl = false;
	memset(plain, 0, sizeof plain);
	if (len > WIRE_LINE_MAX ||
	    EVP_DecodeBlock(plain, (const unsigned char *)response, (int)len) < 0) {
		wire_reply(&s->wire, "-ERR not base64");
		return;
	}
	authcid = memchr(plain, '\0', sizeof plain);
	if (authcid == NULL || authcid >= end || authcid[1] == '\0' ||
	    strlen(authcid + 1) >= sizeof s->user) {
		wire_reply(&s->wire, "-ERR [AUTH] no such user");
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
		wire_reply(&s->wire, "+ ");
	} else if (strncasecmp(argument, "PLAIN ", 6) == 0) {
		on_sasl_response(s, argument + 6);
	} else {
		wire_reply(&s->wire, "-ERR unknown mechanism");
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
			wire_reply(&s->wire, "-ERR not now");
		else
			c->run(s, argument);
		return;
	}
	wire_reply(&s->wire, "-ERR unknown command");
}

/* -- the session ----------------------------------------------------------------------------- */

static void
converse(struct session *s)
{
	char *line;

	wire_reply(&s->wire, "+OK ready");
	while (!s->wire.ended && (line = wire_line(&s->wire)) != NULL) {
		if (s->awaits_sasl)
			on_sasl_response(s, line);
		else
			run_command(s, line);
	}
}

void
session_serve(int fd, SSL_CTX *context, uint32_t messages, uint64_t size)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		loopback_die("calloc");
	s->messages = messages;
	s->size = size;
	wire_init(&s->wire, fd);
	if (wire_accept_tls(&s->wire, context))
		converse(s);
	wire_clear(&s->wire);
	free(s->deleted);
	free(s);
}
