#include "deliver/shortcomings.h"

#include "base/log.h"
#include "base/str.h"
#include "deliver/sending.h"
#include "session/standing.h"

#include <stdio.h>

enum { BREAKS_THAT_TELL = 2 };

static void
end_trial(struct record *record, struct shortcomings_trial *trial, const char *account,
    const struct sending_result *result)
{
	if (result->recipients > 0) {
		standing_note_lacking(record, trial->without);
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

void
shortcomings_list(unsigned set, char *text, size_t size)
{
	struct str s = STR_INIT;

	for (unsigned what = 1; what <= set; what <<= 1)
		if ((set & what) != 0)
			str_appendf(&s, "%s%s", s.len > 0 ? ", " : "",
			    shortcomings_name((enum smtp_shortcoming)what));
	snprintf(text, size, "%s", str_text(&s));
	str_clear(&s);
}
