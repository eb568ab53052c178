#ifndef POSTRIDER_FETCH_POP3_WINDOW_H
#define POSTRIDER_FETCH_POP3_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The RETR and DELE commands under way, in the order in which the server will answer them, and
 * the deletions still to be sent.  With PIPELINING (RFC 2449 section 6.6) many may be under way,
 * bounded by count and by the octets they will bring; without it one.  A server that says so may
 * lose what it has not read all the same: until the first of them have all been answered nothing
 * follows them, lest its answer is taken for that of one that was lost.
 */
struct pop3_command {
	uint32_t number;
	bool retr; /* else DELE */
	uint64_t octets;
};

struct pop3_window;

struct pop3_window *pop3_window_new(void);
void pop3_window_free(struct pop3_window **window);

/* One command at a time (the state at the start), or many. */
void pop3_window_allow_pipelining(struct pop3_window *window, bool allow);

bool pop3_window_has_room(const struct pop3_window *window);
bool pop3_window_empty(const struct pop3_window *window);

/* RETR was sent: it will bring about so many octets. */
void pop3_window_add_retr(struct pop3_window *window, uint32_t number, uint64_t octets);

/* DELE is wanted; the next wanted one, which counts as sent; false when there is none. */
void pop3_window_want_delete(struct pop3_window *window, uint32_t number);
bool pop3_window_next_delete(struct pop3_window *window, uint32_t *number);

/* True when several commands were under way at once. */
bool pop3_window_is_pipelined(const struct pop3_window *window);

/* True when, besides, all of them were answered: none was lost. */
bool pop3_window_is_proven(const struct pop3_window *window);

/* The command that the next reply belongs to; false when nothing is under way. */
bool pop3_window_first(const struct pop3_window *window, struct pop3_command *command);

/* Its reply is complete. */
void pop3_window_done(struct pop3_window *window);

#endif
