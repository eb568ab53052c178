#include "fetch/pop3_window.h"

#include "base/xalloc.h"

#include <stdlib.h>

/*
 * Enough commands and octets in flight to fill 8 MiB of bandwidth times delay; a command is a
 * dozen octets, so a server that reads none of them while it answers still has room for them all.
 */
enum { WINDOW_COMMANDS = 1024 };
enum { WINDOW_OCTETS = 8 * 1024 * 1024 };

/* The first ones fit into one packet: what reads that loses all behind the first, or nothing. */
enum { WINDOW_FIRST = 16 };

/* One owner: the session. */
struct pop3_window {
	bool pipelining;
	struct pop3_command ring[WINDOW_COMMANDS];
	unsigned first, count;
	uint64_t octets;
	bool is_pipelined; /* several were under way at once */
	bool is_proven;    /* and all of them were answered */
	bool is_draining;  /* some are, and not all of them */

	uint32_t *deletes; /* wanted, not sent: [delete_first, delete_count) */
	size_t delete_first, delete_count, delete_cap;
};

struct pop3_window *
pop3_window_new(void)
{
	return xcalloc(1, sizeof(struct pop3_window));
}

void
pop3_window_free(struct pop3_window **window)
{
	struct pop3_window *w = *window;

	*window = NULL;
	if (w == NULL)
		return;
	free(w->deletes);
	free(w);
}

void
pop3_window_allow_pipelining(struct pop3_window *w, bool allow)
{
	w->pipelining = allow;
}

bool
pop3_window_has_room(const struct pop3_window *w)
{
	unsigned most = w->is_proven ? WINDOW_COMMANDS : WINDOW_FIRST;

	if (w->count == 0)
		return true;
	return w->pipelining && !w->is_draining && w->count < most && w->octets < WINDOW_OCTETS;
}

bool
pop3_window_empty(const struct pop3_window *w)
{
	return w->count == 0;
}

static void
window_push(struct pop3_window *w, struct pop3_command command)
{
	w->ring[(w->first + w->count) % WINDOW_COMMANDS] = command;
	w->count++;
	w->is_pipelined = w->is_pipelined || w->count > 1;
	w->octets += command.octets;
}

void
pop3_window_add_retr(struct pop3_window *w, uint32_t number, uint64_t octets)
{
	window_push(w, (struct pop3_command){.number = number, .retr = true, .octets = octets});
}

void
pop3_window_want_delete(struct pop3_window *w, uint32_t number)
{
	if (w->delete_count == w->delete_cap) {
		w->delete_cap = w->delete_cap > 0 ? w->delete_cap * 2 : 64;
		w->deletes = xreallocarray(w->deletes, w->delete_cap, sizeof *w->deletes);
	}
	w->deletes[w->delete_count++] = number;
}

bool
pop3_window_next_delete(struct pop3_window *w, uint32_t *number)
{
	if (w->delete_first == w->delete_count)
		return false;
	*number = w->deletes[w->delete_first++];
	if (w->delete_first == w->delete_count)
		w->delete_first = w->delete_count = 0;
	window_push(w, (struct pop3_command){.number = *number});
	return true;
}

bool
pop3_window_first(const struct pop3_window *w, struct pop3_command *command)
{
	if (w->count == 0)
		return false;
	*command = w->ring[w->first];
	return true;
}

void
pop3_window_done(struct pop3_window *w)
{
	w->octets -= w->ring[w->first].octets;
	w->first = (w->first + 1) % WINDOW_COMMANDS;
	w->count--;
	w->is_proven = w->is_proven || (w->is_pipelined && w->count == 0);
	w->is_draining = w->count > 0 && !w->is_proven;
}

bool
pop3_window_is_pipelined(const struct pop3_window *w)
{
	return w->is_pipelined;
}

bool
pop3_window_is_proven(const struct pop3_window *w)
{
	return w->is_proven;
}
