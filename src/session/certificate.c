#include "session/certificate.h"

#include "base/clock.h"
#include "base/log.h"

#include <time.h>

#define DAY (INT64_C(24) * 3600 * 1000)

enum { SOON_DAYS = 14 };

bool
certificate_ends_soon(int64_t ends)
{
	return ends != 0 && ends - clock_wall() < SOON_DAYS * DAY;
}

static void
warn(const char *account, const char *server, int64_t ends)
{
	time_t seconds = (time_t)(ends / 1000);
	char date[sizeof "2026-11-20"] = "?";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	log_warning("account=%s the certificate of %s ends on %s; tell the server's administrator",
	    account, server, date);
}

void
certificate_note(
    struct certificate_watch *watch, const char *account, const char *server, int64_t ends)
{
	if (ends == 0)
		return;
	if (ends != watch->ends)
		watch->told = 0;
	watch->ends = ends;
	if (!certificate_ends_soon(ends) || (watch->told != 0 && clock_boot() - watch->told < DAY))
		return;
	watch->told = clock_boot();
	warn(account, server, ends);
}
