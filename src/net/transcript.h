#ifndef POSTRIDER_NET_TRANSCRIPT_H
#define POSTRIDER_NET_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct event_base;
struct transcript;

/*
 * One session's log file, written as the session runs: the loop formats lines into a buffer and
 * hands it, a few times a second at most, to the worker that writes.  A file that cannot be
 * created or written is said once in the daemon's log and stops neither the session nor the mail;
 * when the disk stalls, lines are dropped and the log says how many.
 *
 * Path: SESSIONS/ACCOUNT/YYYYMMDDTHHMMSS.mmmZ-PROTOCOL-ID.log, mode 0600, directories 0700, made
 * as needed; never through a symbolic link in the last component.
 *
 * NULL for the transcript is fine everywhere and writes nothing.
 */
struct transcript_settings {
	const char *directory; /* NULL: no file; id and the calls work all the same */
	const char *account;
	const char *protocol; /* "pop3", "smtp" */
	const char *server;   /* "host:port" */
	const char *id;       /* "000123" */
	bool full;            /* message octets too */

	/*
	 * Each line of the dialogue as it runs, with what a log would hide hidden, and escaped;
	 * file or no file.  SASL challenges are left out.  NULL: nobody listens.
	 */
	void (*tap)(bool sent, const char *line, void *arg);
	void *tap_arg;
};

/* All strings are borrowed for the call.  The worker is borrowed until the transcript is closed. */
struct transcript *transcript_open(
    struct event_base *base, struct worker *worker, const struct transcript_settings *settings);

/* Writes what is left and closes; sets the pointer to NULL.  NULL inside is fine. */
void transcript_close(struct transcript **transcript);

/* "-->": what was sent.  The caller passes what may be shown ("PASS ****"). */
void transcript_sent(struct transcript *t, const char *line, size_t len);

/* "<--": one received line, escaped here; occurrences of the hidden strings become "****". */
void transcript_received(struct transcript *t, const char *line, size_t len);

/* "<--" or "-->" for message octets: only written when full; cut into lines at LF. */
void transcript_octets(struct transcript *t, bool sent, const char *data, size_t len);

/* True when message octets are written: there is a file and detail = "full". */
bool transcript_is_full(const struct transcript *t);

/* "---": the daemon's own remark; peer text in it is escaped by the caller. */
void transcript_note(struct transcript *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "<-- (message 1: 3681 octets)": a received line that is a summary, not escaped. */
void transcript_received_summary(struct transcript *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * From now on the octets (a password, a SASL response in its encoded form) are shown as "****"
 * wherever a line holds them or their base64, also when the server echoes them.  Copied to locked
 * memory; shorter than 4 octets are only matched as whole words.  Until the login is over, pieces
 * of 12 octets and more are hidden as well: what a server repeats may be wrapped.
 */
void transcript_hide(struct transcript *t, const char *octets, size_t len);
void transcript_end_login(struct transcript *t);

/*
 * From now on a received line that begins with this prefix ("+ ", "334 "), a server's SASL
 * challenge, is shown as the prefix and "****"; a tab or "-" stands for the blank as well.  The
 * prefix is borrowed until the transcript is closed; NULL ends it.
 */
void transcript_hide_challenges(struct transcript *t, const char *prefix);

/*
 * str_escape() for octets of the peer that go elsewhere (status, the daemon's log): hidden strings
 * become "****" there as well.  The transcript may be NULL.  Returns buf.
 */
const char *transcript_escape(
    const struct transcript *t, char *buf, size_t size, const void *data, size_t len);

/* The same for text of the peer that is escaped already: in place. */
void transcript_conceal(const struct transcript *t, char *text, size_t size);

#endif
