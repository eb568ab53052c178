#ifndef POSTRIDER_CTL_CTL_FLOW_ARROW_H
#define POSTRIDER_CTL_CTL_FLOW_ARROW_H

#include "ctl/ctl_flow_draw.h"

/* What the client said: the text at the left, the arrow's head at the right of its last row. */
void ctl_flow_arrow_sent(struct ctl_flow_draw *draw, const struct ctl_flow_item *item);

/* What the server said: the text at the right, the arrow's head at the left of its first row. */
void ctl_flow_arrow_received(struct ctl_flow_draw *draw, const struct ctl_flow_item *item);

#endif
