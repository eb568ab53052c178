#ifndef POSTRIDER_BENCH_MAILBOX_H
#define POSTRIDER_BENCH_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

/*
 * A made-up maildrop: every message follows from the user's name and the message's number, so none
 * is kept anywhere.  All messages of a maildrop have the same size on the wire and the same when
 * stored; some lines begin with a dot.
 */
struct mailbox {
	uint32_t id; /* of the user's name */
	uint32_t count;
	uint64_t size; /* octets of a message as LIST tells them: CRLF, not dot-stuffed */
};

enum { MAILBOX_SIZE_MIN = 512 };
#define MAILBOX_ALL_LINES UINT64_MAX

enum mailbox_form {
	MAILBOX_WIRE,  /* CRLF, dot-stuffed (RFC 1939 section 3), without the final "." */
	MAILBOX_STORED /* LF, as a Maildir holds it */
};

/* Takes some octets of a message; they are borrowed for the call. */
typedef void mailbox_write(const char *data, size_t len, void *arg);

/* Once, before any other call. */
void mailbox_prepare(void);

struct mailbox mailbox_of_user(const char *user, uint32_t count, uint64_t size);

/* Writes message `number` (from 1): its header and the first `lines` lines of its body. */
void mailbox_write_message(const struct mailbox *mailbox, uint32_t number, enum mailbox_form form,
    uint64_t lines, mailbox_write *write, void *arg);

#endif
