#ifndef POSTRIDER_PROTO_SMTP_OUTCOME_H
#define POSTRIDER_PROTO_SMTP_OUTCOME_H

#include "proto/smtp_reply.h"

/*
 * What a reply leads to, by the step it answers: one table over reply codes (RFC 5321 section 4.2)
 * and enhanced status codes (RFC 3463), never over the text.
 */

enum smtp_step {
	SMTP_STEP_GREETING,
	SMTP_STEP_EHLO,
	SMTP_STEP_HELO,
	SMTP_STEP_STARTTLS,
	SMTP_STEP_AUTH, /* the command and each response of its exchange */
	SMTP_STEP_RSET, /* before another MAIL */
	SMTP_STEP_MAIL,
	SMTP_STEP_RCPT,
	SMTP_STEP_DATA, /* the command */
	SMTP_STEP_BODY, /* behind the final dot, and after each BDAT */
};

enum smtp_outcome {
	SMTP_ACCEPTED,  /* go on; for BODY, the message is the server's */
	SMTP_CHALLENGE, /* AUTH: a step of the exchange follows */
	SMTP_TRY_HELO,  /* EHLO: the server does not know it */

	/* To the message, that is to all recipients that were accepted in this transaction. */
	SMTP_DEFER_MESSAGE,
	SMTP_FAIL_MESSAGE,

	/* To the recipient that was named. */
	SMTP_DEFER_RECIPIENT,
	SMTP_FAIL_RECIPIENT,
	/*
	 * Too many in this transaction: this one and those behind it go into another at once when
	 * some were accepted here, and are deferred when none was.
	 */
	SMTP_NEXT_TRANSACTION,

	/* To the account: nothing is to be held against any message. */
	SMTP_AUTH_REFUSED,    /* the credentials themselves */
	SMTP_ACCOUNT_TROUBLE, /* a 4yz is likely to pass, a 5yz waits for a person */

	/*
	 * The server has enough for now: the connection ends and the account waits, as with trouble
	 * of its own.  A message whose MAIL was already sent counts as deferred.
	 */
	SMTP_SLOW_DOWN,

	/*
	 * No answer to this step: the connection ends, and is the server's fault.  A message whose
	 * MAIL was already sent is deferred; behind its final dot nobody knows its fate.
	 */
	SMTP_DISORDER,
};

/*
 * A pure function; status is {0} when the reply has none.  With pipelining (RFC 2920), only replies
 * that stand on their own are to be asked about: not those to RCPT after a refused MAIL, nor the
 * one to DATA when no recipient was accepted, whatever that says.
 */
enum smtp_outcome smtp_outcome_judge(
    enum smtp_step step, int code, const struct smtp_status *status);

/* "rcpt", for verdicts and logs; static. */
const char *smtp_step_name(enum smtp_step step);

/* "defer-message", for logs and tests; static. */
const char *smtp_outcome_name(enum smtp_outcome outcome);

#endif
