#ifndef POSTRIDER_CONTROL_CONTROL_H
#define POSTRIDER_CONTROL_CONTROL_H

#include "base/verdict.h"

#include <stddef.h>
#include <stdint.h>

struct config;
struct config_faults;
struct control;
struct deliverer;
struct event_base;
struct events;
struct fetcher;

/*
 * The control socket: one line asks, one line of JSON answers.  postrider-control(7) is its
 * description for people.  Loop's thread only; SIGPIPE must be ignored by the process.
 */

/* What one client may take.  Times are ms, sizes octets.  A zero stands for the usual value. */
struct control_limits {
	size_t clients;     /* 64 at once; further ones are told so and let go */
	size_t line;        /* 4096, without the line end */
	int64_t idle;       /* 60 s: without a request, or without reading an answer */
	int64_t linger;     /* 1 s: for what a refused client is still sending */
	size_t output_high; /* 64 KiB unread: its next request waits */
	size_t output_max;  /* 4 MiB unread and yet another answer, or event: it is dropped */
};

/* NULL, or no faults: the new configuration is in force.  Borrowed for the call. */
typedef void control_reload_done(const struct config_faults *faults, void *arg);

/* What the daemon does for the socket's verbs. */
struct control_calls {
	/*
	 * Reads the configuration again and tells the outcome by done(), exactly once, if need be
	 * after control_free().  Never called again before that.
	 */
	void (*reload)(control_reload_done *done, void *done_arg, void *arg);
	/* Begins to stop, as SIGTERM does.  Returns at once. */
	void (*stop)(void *arg);
	/* The loop's worst lag so far, ms. */
	int64_t (*lag_max_ms)(void *arg);
};

struct control_settings {
	struct event_base *base; /* borrowed until control_free() */
	struct fetcher *fetcher; /* borrowed until control_free() */

	/*
	 * Borrowed until control_free(); its queue may still call back after that, until it is
	 * closed.  NULL: nothing is sent, and the queue's verbs are refused.
	 */
	struct deliverer *deliverer;
	struct events *events; /* borrowed until control_free(): what `watch` tells of */
	struct config *config; /* a reference is held: socket, accounts */
	int listen_fd;         /* a listening UNIX socket (socket activation), taken; or -1 */
	const char *version;   /* borrowed until control_free() */
	int64_t started;       /* wall ms */
	const struct control_calls *calls; /* borrowed until control_free() */
	void *arg;                         /* for the calls */
	struct control_limits limits;
};

/*
 * Opens the socket.  Blocks on disk for a moment: at start.  Returns NULL with *why (FAIL_LOCAL)
 * when another daemon answers there, when something that is no socket is in the way, or when the
 * directory, mode or group cannot be had.
 */
struct control *control_new(const struct control_settings *settings, struct verdict *why);

/*
 * Lets every client go (what is under way is answered with an error; answers that fit into the
 * sockets' buffers arrive) and removes the socket if it is still this daemon's.  Sets the pointer
 * to NULL; NULL inside is fine.
 */
void control_free(struct control **control);

/*
 * Takes a new configuration (a reference is held): its accounts are shown from now on.  Where
 * control.socket, mode or group changed the socket follows, and one that somebody has removed is
 * made again; when that fails the old socket stays as it is, and the log says so.
 */
void control_configure(struct control *control, struct config *config);

/* The daemon has begun to stop: `status` says so, and verbs that start something are refused. */
void control_set_stopping(struct control *control);

#endif
