#ifndef POSTRIDER_CONTROL_CONTROL_VERBS_H
#define POSTRIDER_CONTROL_CONTROL_VERBS_H

struct control;
struct control_client;

/*
 * Reads a request ("verb word ..."), does it, and answers the client: before this returns, or
 * later for a verb that takes its time.  The line is changed.
 */
void control_verbs_serve(struct control *control, struct control_client *client, char *line);

#endif
