#ifndef POSTRIDER_CTL_CTL_EVENT_H
#define POSTRIDER_CTL_CTL_EVENT_H

#include "base/str.h"
#include "ctl/ctl_text.h"

#include <jansson.h>

/*
 * An event that `watch` tells of as a line for people, in the time of the place.  It is the
 * daemon's: fields that lack or have the wrong type are shown as "-", an event that is not known by
 * its name.
 */
void ctl_event_append(struct str *s, const json_t *event, const struct ctl_screen *screen);

#endif
