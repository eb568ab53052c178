#ifndef POSTRIDER_DELIVER_REPORT_TEXT_H
#define POSTRIDER_DELIVER_REPORT_TEXT_H

#include "base/str.h"

struct report;

/* What people read of a report: the subject, and the part in plain words. */
void report_text_append_subject(const struct report *report, struct str *out);
void report_text_append_body(const struct report *report, struct str *out);

#endif
