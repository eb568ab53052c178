#ifndef POSTRIDER_CONTROL_CONTROL_EVENT_H
#define POSTRIDER_CONTROL_CONTROL_EVENT_H

#include <jansson.h>
#include <stdint.h>

struct happening;

/*
 * An event as `watch` tells it: {"time","event","account",...}, every field of its kind, null where
 * there is nothing.  now: wall ms.  A new reference.
 */
json_t *control_event_json(const struct happening *happening, int64_t now);

#endif
