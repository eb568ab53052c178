#ifndef POSTRIDER_PROTO_RFC5322_DATE_H
#define POSTRIDER_PROTO_RFC5322_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Dates of mail, as wall times (Unix time in ms, base/clock.h). */
enum { RFC5322_DATE_SIZE = 48 };

/*
 * "Fri, 20 Nov 2026 10:15:00 +0000" (RFC 5322 section 3.3), whatever the locale; offset is that of
 * the zone in minutes east of UTC, as rfc5322_date_local_offset() gives it.  Times outside of the
 * years 1 to 9999 are written as the nearest one inside.  Returns buf.
 */
const char *rfc5322_date_format(int64_t wall, int offset, char buf[RFC5322_DATE_SIZE]);

/* How far this machine's zone is east of UTC at that time, in minutes. */
int rfc5322_date_local_offset(int64_t wall);

/*
 * RFC 5322 section 3.3, obsolete forms section 4.3: comments and folds anywhere, years of two and
 * three digits, zones by name (an unknown one means UTC, as does a letter).  The name of the day is
 * not compared with the date; a zone must be there.  False when it cannot be read, or when there
 * is no such day or time.
 */
bool rfc5322_date_parse(const char *text, size_t len, int64_t *wall);

/*
 * RFC 3339 section 5.6, "2026-11-20T10:15:00.5+01:00", with a blank for the "T" and lower case too.
 */
bool rfc5322_date_parse_rfc3339(const char *text, size_t len, int64_t *wall);

/* Either of them. */
bool rfc5322_date_parse_any(const char *text, size_t len, int64_t *wall);

#endif
