#ifndef POSTRIDER_CTL_CTL_TEST_TEXT_H
#define POSTRIDER_CTL_CTL_TEST_TEXT_H

#include "ctl/ctl_text.h"

#include <jansson.h>

/* What a test of an account finds, for people: a line for each step, ticked or not. */

/* "POP3 at pop.example.org:995"; server is NULL when the account does not have this side. */
void ctl_test_text_append_side(
    struct str *s, const char *protocol, const char *server, const struct ctl_screen *screen);

/* One step, as probe/probe.h describes it, with its details below it. */
void ctl_test_text_append_step(struct str *s, const json_t *step, const struct ctl_screen *screen);

/* The last line: how it all went. */
void ctl_test_text_append_end(struct str *s, const json_t *result, const struct ctl_screen *screen);

#endif
