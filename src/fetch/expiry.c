#include "fetch/expiry.h"

#include "base/log.h"
#include "config/config.h"
#include "proto/pop3.h"
#include "store/record.h"

#include <inttypes.h>

#define DAY (INT64_C(24) * 3600 * 1000)

bool
expiry_cuts_keep(const struct pop3_config *config, int64_t days)
{
	if (days < 0 || days == POP3_EXPIRE_NEVER)
		return false;
	switch (config->keep) {
	case KEEP_NO:
		return false;
	case KEEP_FOREVER:
		return true;
	case KEEP_FOR:
		return days <= config->keep_for / DAY && days * DAY < config->keep_for;
	}
	return false;
}

static void
warn(const char *account, int64_t days)
{
	if (days == 0)
		log_warning("account=%s the server deletes what was fetched (EXPIRE 0): nothing is "
			    "kept there, whatever keep says",
		    account);
	else
		log_warning("account=%s the server deletes mail after %" PRId64
			    " days (EXPIRE), which is sooner than keep says",
		    account, days);
}

bool
expiry_note(
    struct record *record, const char *account, const struct pop3_config *config, int64_t days)
{
	int64_t told = expiry_cuts_keep(config, days) ? days + 1 : 0;

	if (days < 0 || told == record->expire_told)
		return false;
	record->expire_told = told;
	if (told != 0)
		warn(account, days);
	return true;
}
