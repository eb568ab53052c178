#include "deliver/shortcomings.h"

#include "base/log.h"
#include "deliver/sending.h"
#include "session/standing.h"

enum { BREAKS_THAT_TELL = 2 };

static void
end_trial(struct record *record, struct shortcomings_trial *trial, const char *account,
    const struct sending_result *result)
{
	if (result->recipients > 0) {
		standing_note_lacking(record, trial->without);
		log_warning("account=%s the server breaks on %s: it is gone on without for 30 days",
		    account, shortcomings_name(trial->without));
	}
	*trial = (struct shortcomings_trial){0};
}

void
shortcomings_judge(struct record *record, struct shortcomings_trial *trial, const char *account,
    const struct sending_result *result)
{
	if (trial->without != 0) {
		/* What ended before a message was offered tells nothing. */
		if (result->messages > 0 && !result->stopped)
			end_trial(record, trial, account, result);
		return;
	}
	if (result->broke_on == 0) {
		if (result->recipients > 0)
			trial->breaks = 0;
		return;
	}
	if (result->broke_on != trial->suspect)
		trial->breaks = 0;
	trial->suspect = result->broke_on;
	if (++trial->breaks < BREAKS_THAT_TELL)
		return;
	trial->without = trial->suspect;
	log_info("account=%s the sessions break on %s: it is tried without", account,
	    shortcomings_name(trial->without));
}

const char *
shortcomings_name(unsigned what)
{
	switch ((enum smtp_shortcoming)what) {
	case SMTP_SHORT_CHUNKING:
		return "CHUNKING";
	case SMTP_SHORT_PIPELINING:
		return "PIPELINING";
	case SMTP_SHORT_PARAMETERS:
		return "parameters of MAIL and RCPT";
	case SMTP_SHORT_SMTPUTF8:
		return "SMTPUTF8";
	}
	return "";
}
