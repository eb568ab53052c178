#ifndef POSTRIDER_CTL_CTL_JSON_H
#define POSTRIDER_CTL_CTL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Fields of the daemon's answers, which are believed nothing: any may lack, or be anything. */

/* The string, borrowed from the object; NULL when it is none. */
const char *ctl_json_text(const json_t *object, const char *key);

/* The integer; 0 when it is none, or negative. */
json_int_t ctl_json_number(const json_t *object, const char *key);

/* False when it is no time (or null).  wall: ms. */
bool ctl_json_time(const json_t *object, const char *key, int64_t *wall);

#endif
