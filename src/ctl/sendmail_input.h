#ifndef POSTRIDER_CTL_SENDMAIL_INPUT_H
#define POSTRIDER_CTL_SENDMAIL_INPUT_H

#include "base/str.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The message as it comes in on a descriptor: to its end, or to a line that is a single "."
 * (ended by LF, CRLF, or with the input) unless dots are ignored.
 */
struct sendmail_input {
	int fd;
	bool ignore_dots;
	bool is_over;
	/* internal */
	int state;
};

enum sendmail_read {
	SENDMAIL_READ_SOME, /* octets were appended, perhaps none */
	SENDMAIL_READ_OVER, /* the message has ended; octets were appended, perhaps none */
	SENDMAIL_READ_FAILED,
	SENDMAIL_READ_INTERRUPTED /* by a signal that ends the process */
};

void sendmail_input_init(struct sendmail_input *input, int fd, bool ignore_dots);

/* Pure.  What of these octets belongs to the message is appended. */
void sendmail_input_scan(struct sendmail_input *input, const char *in, size_t len, struct str *out);

/* Waits for octets and appends them; errno says why it failed. */
enum sendmail_read sendmail_input_read(struct sendmail_input *input, struct str *out);

/*
 * From here on SIGHUP, SIGINT, SIGQUIT and SIGTERM, where they are not ignored, only interrupt
 * sendmail_input_read(), so that what was begun can be removed; and a file that grows too large is
 * an error of write(2), no signal.
 */
void sendmail_input_catch_signals(void);

/* Ends the process by the signal that was caught. */
void sendmail_input_die(void) __attribute__((noreturn));

#endif
