#ifndef POSTRIDER_NET_TRANSCRIPT_NAME_H
#define POSTRIDER_NET_TRANSCRIPT_NAME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * True for the name of a session log, YYYYMMDDTHHMMSS.mmmZ-{pop3|smtp}-ID.log with a date that
 * exists and an ID of ASCII letters and digits; *time is then its date in wall ms.  Everything
 * else is somebody else's file.
 */
bool transcript_name_parse(const char *name, int64_t *time);

#endif
