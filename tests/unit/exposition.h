#ifndef POSTRIDER_TESTS_EXPOSITION_H
#define POSTRIDER_TESTS_EXPOSITION_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A strict reader of Prometheus' text format 0.0.4, stricter than Prometheus is: every family has a
 * HELP and a TYPE before its samples, which stand together; counters end in _total and are not
 * negative, and nothing else ends so; no series comes twice.  Counters and gauges only.
 *
 *	document = *( help type *sample )
 *	help     = "# HELP " name " " text LF		; "\\" and "\n" are the only escapes
 *	type     = "# TYPE " name " " ("counter" / "gauge") LF
 *	sample   = name [ "{" label *("," label) "}" ] " " number LF
 *	label    = lname "=" DQUOTE value DQUOTE	; "\\", "\"" and "\n" are the only escapes
 */
struct exposition {
	struct series {
		char *name; /* as it stands there: name{label="value",...} */
		double value;
	} * series;
	size_t count;
	struct str families; /* "\nname\nname\n" */
	struct str error;    /* empty: the text is in order */
};

/* Returns whether the text is in order.  exposition_clear() it in any case. */
bool exposition_parse(struct exposition *e, const char *text);
void exposition_clear(struct exposition *e);

/* NULL: there is no such series. */
const double *exposition_value(const struct exposition *e, const char *series);

#endif
