#ifndef POSTRIDER_TESTS_MODEL_MODEL_H
#define POSTRIDER_TESTS_MODEL_MODEL_H

#include "base/str.h"
#include "config/config.h"
#include "deliver/smtp_session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

/*
 * The real SMTP session (deliver/smtp_session.h) between two sides that do at random whatever they
 * may: a server that knows what it has taken (model_server.c reads and answers, model_command.c and
 * model_text.c have a part for each command, model_trouble.c what may befall any), and an owner
 * that calls the session from inside its own callbacks (model_owner.c, with the messages of
 * model_mail.c).  The connection is that of tests/dialogue/paper_conn.h; model_network.c says what
 * moves next.  model_check.c compares what the owner is told with what the server knows.
 *
 * All of it follows from one number, the seed: a run that breaks is the same every time.
 */

enum { MODEL_MAILS_MAX = 60, MODEL_RECIPIENTS_MAX = 4 };

enum model_stand {
	MODEL_WAITING,   /* for next() */
	MODEL_UNDER_WAY, /* given to the session */
	MODEL_OVER       /* done(), or taken back */
};

/* One message, as its owner has it and as the server knows it. */
struct model_mail {
	int number;
	char *text; /* as in a file, its line ends of any kind */
	size_t len;
	struct str wire; /* what has to arrive */
	char sender[32];
	char addresses[MODEL_RECIPIENTS_MAX][32];
	size_t recipient_count;

	/* The owner's: this transaction, with whoever is open. */
	struct smtp_message message;
	const char *recipients[MODEL_RECIPIENTS_MAX];
	size_t open[MODEL_RECIPIENTS_MAX]; /* message.recipients, by their index in addresses */
	enum model_stand stand;
	unsigned turn;         /* which of the transactions it is */
	unsigned transactions; /* it had so many */
	bool asked;            /* for a piece of text */
	size_t given;          /* octets of it */
	bool given_all;        /* and its end */
	uint64_t end;          /* octets out before which the end cannot have left */
	bool withdrawn;
	bool is_told[MODEL_RECIPIENTS_MAX]; /* of a fate that is final */
	enum smtp_fate fate[MODEL_RECIPIENTS_MAX];

	/* The server's. */
	bool has_begun; /* MAIL was accepted, in this transaction */
	bool text_came; /* DATA, or a chunk */
	bool end_came;
	bool taken[MODEL_RECIPIENTS_MAX];
};

enum model_reading { MODEL_COMMANDS, MODEL_DATA, MODEL_CHUNK };

struct model_server {
	/* What it is like. */
	bool pipelining, chunking, size, eight_bit, dsn, utf8; /* what it offers */
	bool knows_bdat, knows_parameters, knows_utf8;
	uint64_t size_limit;   /* 0: none */
	size_t recipients_max; /* in a transaction; 0: any */
	bool tells_limits;     /* in EHLO, RFC 9422 */
	unsigned messages_max; /* closes without a word behind so many; 0: never */
	unsigned trouble;      /* per mille of its answers */
	bool stays;            /* says 421, and may go on */
	bool is_wild;          /* says more than it was asked */

	/* What it is at. */
	struct str in, out; /* not read yet; not arrived yet */
	size_t read;        /* of in */
	bool closed;        /* reads and says nothing more */
	bool mute;          /* and does not even close */
	bool has_said_421;
	int last_code; /* of the replies that arrived */
	bool is_lax;   /* it refused RSET, so order is not to be expected, and it takes no text */
	enum model_reading reading;
	size_t chunk_left;
	bool chunk_is_last;
	int about;               /* what comes is about this mail: the last that MAIL named */
	struct model_mail *mail; /* the transaction's; NULL: there is none */
	bool accepted[MODEL_RECIPIENTS_MAX];
	size_t accepted_count;
	bool needs_rset; /* RFC 3030 section 2: behind a chunk that it refused */
	struct str text;
	unsigned mails, messages; /* MAIL commands; messages taken */
};

struct model_owner {
	unsigned mischief; /* per mille of its turns */
	unsigned turns;    /* transactions begun */
	unsigned writing;  /* the latest that was asked for its text */
	bool is_idle, has_stopped, has_quit, is_closed;
};

/* Over all seeds, to see that nothing was left out. */
struct model_tally {
	unsigned fates[SMTP_UNTRIED + 1];
	unsigned again, without, withdrawn, unreadable, stopped, short_of;
};

struct model {
	unsigned seed;
	bool is_verbose;
	uint64_t state; /* of the generator */
	struct event_base *base;
	struct smtp_config config;
	struct smtp_session *session;
	struct model_mail mails[MODEL_MAILS_MAX];
	size_t mail_count;
	struct model_server server;
	struct model_owner owner;
	struct model_tally tally;
};

/* -- model_smtp.c ------------------------------------------------------------------------------ */

/* Below n, which is above 0. */
unsigned model_below(struct model *m, unsigned n);
bool model_chance(struct model *m, unsigned per_mille);

/* For whoever watches one run. */
void model_say(const struct model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An invariant does not hold: says how to see the run, and aborts. */
void model_broken(const struct model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* -- model_mail.c ------------------------------------------------------------------------------ */

void model_make_mails(struct model *m);
void model_free_mails(struct model *m);

/* The next transaction is for those that are in open. */
void model_mail_prepare(struct model_mail *mail, size_t open_count);

/* -- model_server.c ---------------------------------------------------------------------------- */

void model_server_begin(struct model *m);
void model_server_end(struct model *m);

/* These octets arrive, and are acted upon at once; the answers wait in out. */
void model_server_receive(struct model *m, const char *data, size_t len);

/* One reply, of one line or more. */
void model_server_reply(struct model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* With a reset, what was said and has not arrived is lost. */
void model_server_close(struct model *m, bool with_reset);

/* -- model_trouble.c --------------------------------------------------------------------------- */

/* Says which mail and command it is about, for model_check.c to find in what the owner is told. */
void model_answer(struct model *m, const char *code, const char *what);

#define MODEL_ANSWER_ONE_OF(m, what, ...)                                                          \
	do {                                                                                       \
		static const char *const codes[] = {__VA_ARGS__};                                  \
		model_answer(m, codes[model_below(m, sizeof codes / sizeof *codes)], what);        \
	} while (false)

bool model_is_in_trouble(struct model *m);

/* What may befall any command; true when it has no other answer. */
bool model_fails_at(struct model *m, const char *what);

void model_end_transaction(struct model_server *s);

/* -- model_command.c --------------------------------------------------------------------------- */

void model_on_command(struct model *m, const char *line);

/* -- model_text.c ------------------------------------------------------------------------------ */

void model_on_data(struct model *m);
void model_on_bdat(struct model *m, const char *line);

/* All of a chunk is in text; the end of the data is. */
void model_on_chunk(struct model *m);
void model_on_data_end(struct model *m);

/* Some of either has arrived. */
void model_on_part(struct model *m);

/* -- model_owner.c ----------------------------------------------------------------------------- */

extern const struct smtp_handler model_handler;

void model_owner_begin(struct model *m);

/* Something that it may do at any time, now and then. */
void model_owner_meddle(struct model *m);

/* It needs the session no more, rarely. */
void model_owner_leave(struct model *m);

/* Gives what it was asked for. */
void model_owner_answer(struct model *m);

/* Goes on from idle. */
void model_owner_go_on(struct model *m);

/* -- model_check.c ----------------------------------------------------------------------------- */

/* The server takes the text that it has, for whom it has accepted. */
void model_check_taken(struct model *m, const struct model_mail *mail);

void model_check_asked(struct model *m, const struct model_mail *mail);
void model_check_results(
    struct model *m, const struct model_mail *mail, const struct smtp_result *results);
void model_check_closed(struct model *m);

/* The silence timer runs when the server has something to do, and only then. */
void model_check_silence(struct model *m);

/* -- model_network.c --------------------------------------------------------------------------- */

/* Something moves; fair: nobody dawdles. */
void model_step(struct model *m, bool fair);

#endif
