#include "deliver/shortcomings.h"

#include "base/clock.h"
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

const char *
shortcomings_name(enum smtp_shortcoming what)
{
	switch (what) {
	case SMTP_SHORT_CHUNKING:
		return "CHUNKING";
	}
	return "";
}
