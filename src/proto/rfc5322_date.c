#include "proto/rfc5322_date.h"

#include "proto/rfc5322_token.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MS_PER_DAY (INT64_C(24) * 60 * 60 * 1000)
#define DAYS_MAX   INT64_C(2932896) /* 9999-12-31 */
#define DAYS_MIN   INT64_C(-719162) /* 0001-01-01 */

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct moment {
	int year, month, day; /* month 1..12 */
	int hour, minute, second, ms;
	int offset; /* minutes east of UTC */
};

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. */
static int64_t
days_from_date(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static void
date_from_days(int64_t days, struct moment *m)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;

	m->day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	m->month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	m->year = (int)(year_of_era + era * 400 + (m->month <= 2));
}

static int
days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

const char *
rfc5322_date_format(int64_t wall, int offset, char buf[RFC5322_DATE_SIZE])
{
	int64_t least = (DAYS_MIN + 1) * MS_PER_DAY, most = DAYS_MAX * MS_PER_DAY - 1;
	int64_t local = wall < least ? least : wall > most ? most : wall;
	int64_t days, in_day;
	struct moment m;

	local += (int64_t)offset * 60 * 1000;
	days = local / MS_PER_DAY - (local % MS_PER_DAY < 0);
	in_day = (local - days * MS_PER_DAY) / 1000;
	date_from_days(days, &m);
	snprintf(buf, RFC5322_DATE_SIZE, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d",
	    day_names[(days % 7 + 11) % 7], m.day, month_names[m.month - 1], m.year,
	    (int)(in_day / 3600), (int)(in_day / 60 % 60), (int)(in_day % 60),
	    offset < 0 ? '-' : '+', (offset < 0 ? -offset : offset) / 60 % 24,
	    (offset < 0 ? -offset : offset) % 60);
	return buf;
}

int
rfc5322_date_local_offset(int64_t wall)
{
	time_t seconds = (time_t)(wall / 1000);
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL)
		return 0;
	return (int)(tm.tm_gmtoff / 60);
}

/* False when the calendar or the clock has no such moment; second 60 is a leap second. */
static bool
moment_to_wall(const struct moment *m, int64_t *wall)
{
	if (m->year < 1 || m->year > 9999 || m->month < 1 || m->month > 12 || m->day < 1 ||
	    m->day > days_in_month(m->year, m->month) || m->hour > 23 || m->minute > 59 ||
	    m->second > 60)
		return false;
	*wall = days_from_date(m->year, m->month, m->day) * MS_PER_DAY +
		(((int64_t)m->hour * 60 + m->minute - m->offset) * 60 + m->second) * 1000 + m->ms;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* min to max digits, all that stand there.  How many there were; 0 when that does not fit. */
static size_t
read_digits(struct rfc5322_tokens *t, size_t min, size_t max, int *value)
{
	size_t n = 0;

	*value = 0;
	for (; t->at < t->end && is_digit(*t->at); t->at++) {
		if (++n > max)
			return 0;
		*value = *value * 10 + (*t->at - '0');
	}
	return n >= min ? n : 0;
}

static bool
skip_blanks(struct rfc5322_tokens *t)
{
	return rfc5322_token_skip_cfws(t) == NULL;
}

static bool
take_char(struct rfc5322_tokens *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

/* CFWS may stand on both sides of a separator in the obsolete syntax. */
static bool
take_separator(struct rfc5322_tokens *t, char c)
{
	return skip_blanks(t) && take_char(t, c) && skip_blanks(t);
}

static size_t
read_letters(struct rfc5322_tokens *t, const char **word)
{
	*word = t->at;
	while (t->at < t->end && is_letter(*t->at))
		t->at++;
	return (size_t)(t->at - *word);
}

/* [ day-name "," ]; older mailers wrote the day out, or left the comma out. */
static bool
read_day_name(struct rfc5322_tokens *t)
{
	const char *word;
	size_t n;

	if (!skip_blanks(t))
		return false;
	n = read_letters(t, &word);
	if (n == 0)
		return true;
	for (int i = 0; i < 7; i++) {
		if (n >= 3 && strncasecmp(word, day_names[i], 3) == 0) {
			if (!skip_blanks(t))
				return false;
			take_char(t, ',');
			return skip_blanks(t);
		}
	}
	return false;
}

static bool
read_month(struct rfc5322_tokens *t, int *month)
{
	const char *word;
	size_t n = read_letters(t, &word);

	for (int i = 0; i < 12; i++) {
		if (n >= 3 && strncasecmp(word, month_names[i], 3) == 0) {
			*month = i + 1;
			return true;
		}
	}
	return false;
}

/* Two digits are 1950 to 2049, three count from 1900 (RFC 5322 section 4.3). */
static bool
read_year(struct rfc5322_tokens *t, int *year)
{
	size_t n = read_digits(t, 2, 4, year);

	if (n == 2)
		*year += *year < 50 ? 2000 : 1900;
	else if (n == 3)
		*year += 1900;
	return n > 0;
}

static bool
read_date(struct rfc5322_tokens *t, struct moment *m)
{
	return read_day_name(t) && read_digits(t, 1, 2, &m->day) > 0 && skip_blanks(t) &&
	       read_month(t, &m->month) && skip_blanks(t) && read_year(t, &m->year) &&
	       skip_blanks(t);
}

static bool
read_time(struct rfc5322_tokens *t, struct moment *m)
{
	if (read_digits(t, 1, 2, &m->hour) == 0 || !take_separator(t, ':') ||
	    read_digits(t, 2, 2, &m->minute) == 0 || !skip_blanks(t))
		return false;
	if (!take_char(t, ':'))
		return true;
	return skip_blanks(t) && read_digits(t, 2, 2, &m->second) > 0 && skip_blanks(t);
}

/* RFC 5322 section 4.3: the letters were used wrongly, and mean nothing now. */
static bool
read_zone_name(struct rfc5322_tokens *t, int *offset)
{
	static const struct {
		char name[4];
		int hours;
	} zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6},
	    {"PST", -8}, {"PDT", -7}};
	const char *word;
	size_t n = read_letters(t, &word);

	*offset = 0;
	for (size_t i = 0; n == 3 && i < sizeof zones / sizeof zones[0]; i++) {
		if (strncasecmp(word, zones[i].name, 3) == 0)
			*offset = zones[i].hours * 60;
	}
	return n > 0;
}

/* hhmm, or hh:mm as RFC 3339 has it, behind a sign. */
static bool
read_offset(struct rfc5322_tokens *t, bool with_colon, int *offset)
{
	bool west = t->at < t->end && *t->at == '-';
	int hours, minutes;

	t->at++;
	if (with_colon) {
		if (read_digits(t, 2, 2, &hours) == 0 || !take_char(t, ':') ||
		    read_digits(t, 2, 2, &minutes) == 0)
			return false;
	} else {
		if (read_digits(t, 4, 4, &minutes) == 0)
			return false;
		hours = minutes / 100;
		minutes %= 100;
	}
	if (hours > 99 || minutes > 59 || (with_colon && hours > 23))
		return false;
	*offset = (hours * 60 + minutes) * (west ? -1 : 1);
	return true;
}

static bool
is_sign(const struct rfc5322_tokens *t)
{
	return t->at < t->end && (*t->at == '+' || *t->at == '-');
}

bool
rfc5322_date_parse(const char *text, size_t len, int64_t *wall)
{
	struct rfc5322_tokens t;
	struct moment m = {0};

	rfc5322_token_begin(&t, text, len);
	if (!read_date(&t, &m) || !read_time(&t, &m))
		return false;
	if (!(is_sign(&t) ? read_offset(&t, false, &m.offset) : read_zone_name(&t, &m.offset)))
		return false;
	return skip_blanks(&t) && t.at == t.end && moment_to_wall(&m, wall);
}

/* partial-time's fraction, cut to milliseconds. */
static bool
read_fraction(struct rfc5322_tokens *t, int *ms)
{
	int scale = 100;
	const char *start;

	if (!take_char(t, '.'))
		return true;
	start = t->at;
	for (; t->at < t->end && is_digit(*t->at); t->at++) {
		*ms += (*t->at - '0') * scale;
		scale /= 10;
	}
	return t->at > start;
}

static bool
read_full_date(struct rfc5322_tokens *t, struct moment *m)
{
	return read_digits(t, 4, 4, &m->year) > 0 && take_char(t, '-') &&
	       read_digits(t, 2, 2, &m->month) > 0 && take_char(t, '-') &&
	       read_digits(t, 2, 2, &m->day) > 0 &&
	       (take_char(t, 'T') || take_char(t, 't') || take_char(t, ' '));
}

static bool
read_full_time(struct rfc5322_tokens *t, struct moment *m)
{
	if (read_digits(t, 2, 2, &m->hour) == 0 || !take_char(t, ':') ||
	    read_digits(t, 2, 2, &m->minute) == 0 || !take_char(t, ':') ||
	    read_digits(t, 2, 2, &m->second) == 0 || !read_fraction(t, &m->ms))
		return false;
	if (take_char(t, 'Z') || take_char(t, 'z'))
		return true;
	return is_sign(t) && read_offset(t, true, &m->offset);
}

bool
rfc5322_date_parse_rfc3339(const char *text, size_t len, int64_t *wall)
{
	struct rfc5322_tokens t;
	struct moment m = {0};

	rfc5322_token_begin(&t, text, len);
	if (!skip_blanks(&t) || !read_full_date(&t, &m) || !read_full_time(&t, &m))
		return false;
	return skip_blanks(&t) && t.at == t.end && moment_to_wall(&m, wall);
}

bool
rfc5322_date_parse_any(const char *text, size_t len, int64_t *wall)
{
	return rfc5322_date_parse_rfc3339(text, len, wall) || rfc5322_date_parse(text, len, wall);
}
