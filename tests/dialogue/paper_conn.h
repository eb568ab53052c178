#ifndef POSTRIDER_TESTS_DIALOGUE_PAPER_CONN_H
#define POSTRIDER_TESTS_DIALOGUE_PAPER_CONN_H

#include "net/conn.h"

/*
 * net/conn.h made of paper: what is sent is told and waits until it may leave; what a script or a
 * model says arrives.  One connection at a time.
 */

/* Whoever uses it has this, and is told what is sent: a line, kind 'C', or octets, 'O'. */
void paper_conn_sent(char kind, const char *data, size_t len);

void paper_conn_event(enum conn_event event, const struct verdict *why);

/* The server sends these octets, line ends included. */
void paper_conn_receive(const char *data, size_t len);

/* Time passes: a silence timeout that runs out fails the connection. */
void paper_conn_wait(int64_t ms);

void paper_conn_set_secured(bool secured);

/* While stuck, nothing that was sent leaves. */
void paper_conn_stick(bool stuck);

/* So much of what was sent leaves all the same. */
void paper_conn_leave(size_t octets);

/* What was sent and has not left, octets; data, unless NULL, is borrowed. */
size_t paper_conn_waiting(const char **data);

/* The silence timeout, ms, 0: none; below that there is no connection. */
int64_t paper_conn_silence(void);

/* What was sent leaves, and CONN_DRAINED is told; false when nothing was waiting. */
bool paper_conn_drain(void);

#endif
