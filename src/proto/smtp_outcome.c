#include "proto/smtp_outcome.h"

#include <stddef.h>

#define STEP(name) (1u << SMTP_STEP_##name)
#define SESSION                                                                                    \
	(STEP(GREETING) | STEP(EHLO) | STEP(HELO) | STEP(STARTTLS) | STEP(AUTH) |                  \
	    STEP(RSET)) /* before MAIL */
#define TRANSACTION (STEP(MAIL) | STEP(RCPT) | STEP(DATA) | STEP(BODY))
#define ALWAYS      (SESSION | TRANSACTION)

enum { ANY = -1, NONE = -2 }; /* enhanced status code: whatever it is or is not; there is none */

/* The first row that fits decides; what fits none is SMTP_DISORDER. */
static const struct {
	unsigned steps;
	int low, high; /* reply codes */
	int subject, detail;
	enum smtp_outcome outcome;
} rules[] = {
    /* RFC 5321 section 3.8: the server closes the channel, whatever was asked. */
    {ALWAYS, 421, 421, ANY, ANY, SMTP_SLOW_DOWN},

    /* RFC 5321 section 3.1; 554, and 521 (RFC 7504), is a server that takes no mail at all. */
    {STEP(GREETING), 200, 299, ANY, ANY, SMTP_ACCEPTED},

    /* RFC 5321 sections 3.2 and 4.1.4: what servers that know no EHLO answer. */
    {STEP(EHLO) | STEP(HELO), 200, 299, ANY, ANY, SMTP_ACCEPTED},
    {STEP(EHLO), 500, 502, ANY, ANY, SMTP_TRY_HELO},
    {STEP(EHLO), 504, 504, ANY, ANY, SMTP_TRY_HELO},
    {STEP(EHLO), 550, 550, ANY, ANY, SMTP_TRY_HELO},

    /* RFC 3207 section 4: 220 and no other; a handshake must not begin on a guess. */
    {STEP(STARTTLS), 220, 220, ANY, ANY, SMTP_ACCEPTED},

    /*
     * RFC 4954 sections 4 and 6.  534 is "mechanism too weak" there, and with large providers "log
     * in with a password made for this application"; 525 is a disabled account (RFC 5248).  454 and
     * 432 are not about the credentials, nor is a 5yz that only says that the exchange failed.
     */
    {STEP(AUTH), 200, 299, ANY, ANY, SMTP_ACCEPTED},
    {STEP(AUTH), 334, 334, ANY, ANY, SMTP_CHALLENGE},
    {STEP(AUTH), 525, 525, ANY, ANY, SMTP_AUTH_REFUSED},
    {STEP(AUTH), 534, 535, ANY, ANY, SMTP_AUTH_REFUSED},
    {STEP(AUTH), 500, 599, 7, 8, SMTP_AUTH_REFUSED},
    {STEP(AUTH), 500, 599, 7, 9, SMTP_AUTH_REFUSED},

    /* RFC 5321 section 4.1.1.5: a server that refuses it is in no state to take a message. */
    {STEP(RSET), 200, 299, ANY, ANY, SMTP_ACCEPTED},
    {SESSION, 400, 599, ANY, ANY, SMTP_ACCOUNT_TROUBLE},

    /*
     * Any command may be answered so when authentication or encryption is wanted first: 530 (RFC
     * 3207 section 4, RFC 4954 section 6), 523 and 524 (RFC 5248), 534, 535 and 538 (RFC 4954),
     * 525. Every message would meet the same, so it is none's fault.
     */
    {TRANSACTION, 523, 525, ANY, ANY, SMTP_ACCOUNT_TROUBLE},
    {TRANSACTION, 530, 530, ANY, ANY, SMTP_ACCOUNT_TROUBLE},
    {TRANSACTION, 534, 535, ANY, ANY, SMTP_ACCOUNT_TROUBLE},
    {TRANSACTION, 538, 538, ANY, ANY, SMTP_ACCOUNT_TROUBLE},

    /*
     * Too much, too fast: 432 and 454 are used for throttling behind MAIL; X.3.2 system not
     * accepting messages and X.4.5 congestion (RFC 3463 sections 3.4 and 3.5), X.7.28 mail flood
     * (the registry of RFC 5248); X.5.3 to MAIL is too many messages in one session.
     */
    {TRANSACTION, 432, 432, ANY, ANY, SMTP_SLOW_DOWN},
    {TRANSACTION, 454, 454, ANY, ANY, SMTP_SLOW_DOWN},
    {TRANSACTION, 400, 499, 3, 2, SMTP_SLOW_DOWN},
    {TRANSACTION, 400, 499, 4, 5, SMTP_SLOW_DOWN},
    {TRANSACTION, 400, 499, 7, 28, SMTP_SLOW_DOWN},
    {STEP(MAIL), 400, 499, 5, 3, SMTP_SLOW_DOWN},

    /*
     * RFC 5321 section 4.1.1.2.  502 and 503 do not speak of this sender: the server does not want
     * MAIL at all, as some say that want AUTH first.
     */
    {STEP(MAIL), 200, 299, ANY, ANY, SMTP_ACCEPTED},
    {STEP(MAIL), 502, 503, ANY, ANY, SMTP_ACCOUNT_TROUBLE},

    /*
     * RFC 5321 section 4.5.3.1.10: 452 is too many recipients, and so is the 552 of older servers.
     * With an enhanced code the server says itself what it means: X.5.3 is too many recipients with
     * any code (RFC 3463 section 3.6: the message is to be split), X.0.0 says nothing, and a full
     * mailbox (X.2.2) or too large a message (X.3.4) is what it is.
     */
    {STEP(RCPT), 200, 299, ANY, ANY, SMTP_ACCEPTED},
    {STEP(RCPT), 400, 599, 5, 3, SMTP_NEXT_TRANSACTION},
    {STEP(RCPT), 452, 452, NONE, NONE, SMTP_NEXT_TRANSACTION},
    {STEP(RCPT), 452, 452, 0, 0, SMTP_NEXT_TRANSACTION},
    {STEP(RCPT), 552, 552, NONE, NONE, SMTP_NEXT_TRANSACTION},
    {STEP(RCPT), 552, 552, 0, 0, SMTP_NEXT_TRANSACTION},
    {STEP(RCPT), 400, 499, ANY, ANY, SMTP_DEFER_RECIPIENT},
    {STEP(RCPT), 500, 599, ANY, ANY, SMTP_FAIL_RECIPIENT},

    /* RFC 5321 section 4.1.1.4: 354 to the command, 250 behind the dot; each by its first digit. */
    {STEP(DATA), 300, 399, ANY, ANY, SMTP_ACCEPTED},
    {STEP(BODY), 200, 299, ANY, ANY, SMTP_ACCEPTED},
    {STEP(MAIL) | STEP(DATA) | STEP(BODY), 400, 499, ANY, ANY, SMTP_DEFER_MESSAGE},
    {STEP(MAIL) | STEP(DATA) | STEP(BODY), 500, 599, ANY, ANY, SMTP_FAIL_MESSAGE},
};

static bool
fits_status(int subject, int detail, const struct smtp_status *status)
{
	if (subject == ANY)
		return true;
	if (subject == NONE)
		return status->class == 0;
	return status->class != 0 && status->subject == (unsigned)subject &&
	       status->detail == (unsigned)detail;
}

enum smtp_outcome
smtp_outcome_judge(enum smtp_step step, int code, const struct smtp_status *status)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if ((rules[i].steps & 1u << step) != 0 && code >= rules[i].low &&
		    code <= rules[i].high && fits_status(rules[i].subject, rules[i].detail, status))
			return rules[i].outcome;
	return SMTP_DISORDER;
}

const char *
smtp_step_name(enum smtp_step step)
{
	static const char *const names[] = {
	    [SMTP_STEP_GREETING] = "greeting",
	    [SMTP_STEP_EHLO] = "ehlo",
	    [SMTP_STEP_HELO] = "helo",
	    [SMTP_STEP_STARTTLS] = "starttls",
	    [SMTP_STEP_AUTH] = "auth",
	    [SMTP_STEP_RSET] = "rset",
	    [SMTP_STEP_MAIL] = "mail",
	    [SMTP_STEP_RCPT] = "rcpt",
	    [SMTP_STEP_DATA] = "data",
	    [SMTP_STEP_BODY] = "body",
	};

	return names[step];
}

const char *
smtp_outcome_name(enum smtp_outcome outcome)
{
	static const char *const names[] = {
	    [SMTP_ACCEPTED] = "accepted",
	    [SMTP_CHALLENGE] = "challenge",
	    [SMTP_TRY_HELO] = "try-helo",
	    [SMTP_DEFER_MESSAGE] = "defer-message",
	    [SMTP_FAIL_MESSAGE] = "fail-message",
	    [SMTP_DEFER_RECIPIENT] = "defer-recipient",
	    [SMTP_FAIL_RECIPIENT] = "fail-recipient",
	    [SMTP_NEXT_TRANSACTION] = "next-transaction",
	    [SMTP_AUTH_REFUSED] = "auth-refused",
	    [SMTP_ACCOUNT_TROUBLE] = "account-trouble",
	    [SMTP_SLOW_DOWN] = "slow-down",
	    [SMTP_DISORDER] = "disorder",
	};

	return names[outcome];
}
