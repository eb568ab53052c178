#ifndef POSTRIDER_BASE_JOURNAL_H
#define POSTRIDER_BASE_JOURNAL_H

#include <stdbool.h>

/*
 * The journal of systemd, where standard error leads to it (JOURNAL_STREAM names it).  Safe from
 * any thread.
 */
bool journal_is_stderr(void);

/*
 * Sends one line with what it says of itself as fields of their own (systemd.journal-fields(7)):
 * from `account=box session=000123 reason=…` ACCOUNT=box and SESSION=000123.  Only what stands at
 * the beginning and is the daemon's own word becomes a field; a peer's word never does.  False
 * where the journal takes no fields: then the caller writes to standard error.
 */
bool journal_send(int priority, const char *line);

/* Pure, for journal_send(): the next field.  *line moves behind it; false when there is none. */
struct journal_field {
	const char *name; /* static */
	const char *value;
	int value_len;
};
bool journal_next_field(const char **line, struct journal_field *field);

#endif
