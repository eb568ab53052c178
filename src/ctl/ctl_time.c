#include "ctl/ctl_time.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* The milliseconds of ".123"; *end is behind the digits. */
static int64_t
parse_fraction(const char *p, const char **end)
{
	int64_t ms = 0;

	*end = p;
	if (*p != '.' || !isdigit((unsigned char)p[1]))
		return 0;
	p++;
	for (int64_t unit = 100; isdigit((unsigned char)*p); p++, unit /= 10)
		ms += (*p - '0') * unit;
	*end = p;
	return ms;
}

bool
ctl_time_parse(const char *text, int64_t *wall)
{
	static const char form[] = "0000-00-00T00:00:00";
	struct tm tm = {0};
	const char *rest;
	int64_t ms;

	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	}
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest != text + sizeof form - 1)
		return false;
	ms = parse_fraction(rest, &rest);
	if (strcmp(rest, "Z") != 0)
		return false;
	*wall = (int64_t)timegm(&tm) * SECOND + ms;
	return true;
}

void
ctl_time_append_span(struct str *s, int64_t ms)
{
	long long minutes = ms / MINUTE, hours = ms / HOUR, days = ms / DAY;

	if (ms < MINUTE)
		str_appendf(s, "%lld s", (long long)(ms / SECOND));
	else if (hours == 0)
		str_appendf(s, "%lld min", minutes);
	else if (days == 0 && minutes % 60 == 0)
		str_appendf(s, "%lld h", hours);
	else if (days == 0)
		str_appendf(s, "%lld h %lld min", hours, minutes % 60);
	else if (hours % 24 == 0)
		str_appendf(s, "%lld d", days);
	else
		str_appendf(s, "%lld d %lld h", days, hours % 24);
}

void
ctl_time_append_ago(struct str *s, int64_t now, int64_t then)
{
	if (now - then < SECOND) {
		str_append_text(s, "just now");
		return;
	}
	ctl_time_append_span(s, now - then);
	str_append_text(s, " ago");
}

void
ctl_time_append_until(struct str *s, int64_t now, int64_t then)
{
	if (then - now < SECOND) {
		str_append_text(s, "now");
		return;
	}
	str_append_text(s, "in ");
	ctl_time_append_span(s, then - now);
}
