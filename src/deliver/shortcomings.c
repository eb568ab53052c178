#include "deliver/shortcomings.h"

#include "base/clock.h"
#include "base/log.h"
#include "deliver/sending.h"
#include "store/record.h"

#define LACKING_FOR (INT64_C(30) * 24 * 3600 * 1000)

/* The clock may have leapt: what lies in the future is over, too. */
unsigned
shortcomings_known(const struct record *record)
{
	int64_t age = clock_wall() - record->lacking_since;

	return age >= 0 && age < LACKING_FOR ? record->lacking : 0;
}

void
shortcomings_note(struct record *record, unsigned found)
{
	if (found == 0)
		return;
	record->lacking = shortcomings_known(record) | found;
	record->lacking_since = clock_wall();
}

enum { BREAKS_THAT_TELL = 2 };

static void
end_trial(struct record *record, struct shortcomings_trial *trial, const char *account,
    const struct sending_result *result)
{
	if (result->recipients > 0) {
		shortcomings_note(record, trial->without);
		log_warning("account=%s the server breaks on %s: it is gone on without for 30 days",
		    account, shortcomings_name((enum smtp_shortcoming)trial->without));
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
	    shortcomings_name((enum smtp_shortcoming)trial->without));
}

const char *
shortcomings_name(enum smtp_shortcoming what)
{
	switch (what) {
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
