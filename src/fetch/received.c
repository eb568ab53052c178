#include "fetch/received.h"

#include "config/config.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* RFC 5322 section 3.3, in UTC and independent of the locale. */
static void
format_date(char *buf, size_t size, int64_t wall)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(wall / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(buf, size, "%s, %d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday,
	    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

const char *
received_header(char buf[RECEIVED_SIZE], const struct endpoint_config *endpoint,
    const char *session, int64_t wall)
{
	char host[256] = "localhost";
	char date[64];

	if (gethostname(host, sizeof host - 1) < 0)
		snprintf(host, sizeof host, "localhost");
	host[sizeof host - 1] = '\0';
	format_date(date, sizeof date, wall);
	snprintf(buf, RECEIVED_SIZE,
	    "Received: from %s\n\tby %s (postrider) with %s id %s;\n\t%s\n", endpoint->host, host,
	    endpoint->tls == TLS_NONE ? "POP3" : "POP3S", session, date);
	return buf;
}
