#include "base/xalloc.h"
#include "config/config.h"
#include "ctl/sendmail_header.h"
#include "ctl/sendmail_input.h"
#include "ctl/sendmail_options.h"
#include "ctl/sendmail_place.h"
#include "queue/spool_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* One message on its way in. */
struct submission {
	struct sendmail_place place;
	struct sendmail_input input;
	struct sendmail_header header;
	struct spool_writer *writer; /* NULL until the header was read and judged */
	struct str piece;            /* octets of the message that go no further yet */
	bool is_interrupted;
};

/* Without these descriptors, files that are opened would take their places. */
static int
check_descriptors(void)
{
	if (fcntl(STDIN_FILENO, F_GETFD) < 0) {
		fputs("postrider-sendmail: standard input, the message, is closed\n", stderr);
		return EX_NOINPUT;
	}
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_WRONLY) < 0)
			return EX_OSERR;
	return EX_OK;
}

static int
say(const struct verdict *why, int code)
{
	fprintf(stderr, "postrider-sendmail: %s\n", why->text);
	return code;
}

/* What a file that could not be written means to the program that has a message to send. */
static int
say_spool_fault(const struct verdict *why)
{
	switch (why->code) {
	case ENOENT:
	case ENOTDIR:
		fprintf(stderr,
		    "postrider-sendmail: %s; postriderd makes the spool when it first runs\n",
		    why->text);
		return EX_CANTCREAT;
	case EACCES:
	case EPERM:
	case EROFS:
		return say(why, EX_CANTCREAT);
	case EIO:
		return say(why, EX_IOERR);
	default:
		return say(why, EX_TEMPFAIL);
	}
}

/* The full name of the password database: up to the first comma, "&" is the login name. */
static char *
full_name(const struct passwd *user)
{
	struct str name = STR_INIT;

	for (const char *p = user->pw_gecos; p != NULL && *p != '\0' && *p != ','; p++) {
		if (*p == '&')
			str_append_text(&name, user->pw_name);
		else
			str_append_char(&name, *p);
	}
	return str_take(&name);
}

static void
find_caller(char **login, char **name)
{
	const struct passwd *user = getpwuid(getuid());

	*login = user != NULL ? xstrdup(user->pw_name) : xasprintf("user%ld", (long)getuid());
	*name = user != NULL ? full_name(user) : NULL;
}

/* The default account's first full address: the sender of who has none. */
static const char *
find_own_address(const struct config *config)
{
	for (size_t i = 0; i < config->account_count; i++) {
		if (!config->accounts[i].is_default)
			continue;
		for (char **p = config->accounts[i].addresses; *p != NULL; p++)
			if (**p != '@')
				return *p;
	}
	return NULL;
}

static int
begin_header(struct submission *s, const struct sendmail_options *options)
{
	const struct config *config = s->place.config;
	struct verdict why = VERDICT_OK;
	struct sendmail_origin origin = {
	    .sender = options->sender,
	    .name = options->name,
	    .operands = options->operands,
	    .operand_count = options->operand_count,
	};
	char *login, *name;
	bool good;

	find_caller(&login, &name);
	origin.login = login;
	origin.login_name = name;
	if (config != NULL && config->local != NULL)
		origin.local_domain = config->local->domain;
	if (config != NULL)
		origin.own_address = find_own_address(config);
	good = sendmail_header_begin(&s->header, &origin, &why);
	free(login);
	free(name);
	return good ? EX_OK : say(&why, EX_DATAERR);
}

/* The header is over: it is judged before anything is written. */
static int
open_writer(struct submission *s)
{
	struct verdict why = VERDICT_OK;

	if (!sendmail_header_check(&s->header, &why))
		return say(&why, EX_DATAERR);
	s->writer = spool_writer_open(s->place.spool, &why);
	if (s->writer == NULL ||
	    !spool_writer_append(s->writer, str_text(&s->header.text), s->header.text.len, &why))
		return say_spool_fault(&why);
	return EX_OK;
}

/* The piece that was read goes where it belongs. */
static int
pass_piece(struct submission *s)
{
	struct verdict why = VERDICT_OK;
	size_t used = 0;
	int code = EX_OK;

	if (!s->header.is_over) {
		if (!sendmail_header_feed(
			&s->header, str_text(&s->piece), s->piece.len, &used, &why))
			return say(&why, EX_DATAERR);
		if (s->header.is_over)
			code = open_writer(s);
	}
	if (code == EX_OK && used < s->piece.len &&
	    !spool_writer_append(s->writer, s->piece.data + used, s->piece.len - used, &why))
		code = say_spool_fault(&why);
	str_truncate(&s->piece, 0);
	return code;
}

static int
end_message(struct submission *s)
{
	struct verdict why = VERDICT_OK;
	int code = EX_OK;

	if (!s->header.is_over) {
		if (!sendmail_header_finish(&s->header, &why))
			return say(&why, EX_DATAERR);
		code = open_writer(s);
	}
	if (code == EX_OK && !spool_writer_commit(&s->writer, NULL, &why))
		code = say_spool_fault(&why);
	return code;
}

static int
copy_message(struct submission *s)
{
	int code = EX_OK;

	while (code == EX_OK && !s->input.is_over) {
		switch (sendmail_input_read(&s->input, &s->piece)) {
		case SENDMAIL_READ_SOME:
		case SENDMAIL_READ_OVER:
			code = pass_piece(s);
			break;
		case SENDMAIL_READ_FAILED:
			fprintf(stderr, "postrider-sendmail: cannot read the message: %s\n",
			    strerror(errno));
			code = EX_IOERR;
			break;
		case SENDMAIL_READ_INTERRUPTED:
			s->is_interrupted = true;
			code = EX_TEMPFAIL;
			break;
		}
	}
	return code == EX_OK ? end_message(s) : code;
}

static int
submit(const struct sendmail_options *options)
{
	struct submission s = {0};
	int code = sendmail_place_find(&s.place, options->config);

	sendmail_input_init(&s.input, STDIN_FILENO, options->ignore_dots);
	if (code == EX_OK)
		code = begin_header(&s, options);
	if (code == EX_OK) {
		sendmail_input_catch_signals();
		code = copy_message(&s);
	}
	spool_writer_cancel(&s.writer);
	sendmail_header_clear(&s.header);
	str_clear(&s.piece);
	sendmail_place_clear(&s.place);
	if (s.is_interrupted)
		sendmail_input_die();
	return code;
}

int
main(int argc, char **argv)
{
	struct sendmail_options options;
	int code = check_descriptors();

	if (code == EX_OK)
		code = sendmail_options_parse(&options, argc, argv);
	if (code != EX_OK || options.is_done)
		return code;
	return submit(&options);
}
