#include "fetch/pop3_session_internal.h"

#include "base/str.h"
#include "config/config.h"
#include "net/conn.h"
#include "net/transcript.h"
#include "store/listing.h"

#include <inttypes.h>
#include <string.h>

/*
 * A message may grow so far beyond what LIST said before it is called endless: its sizes may be
 * estimates, and 0 says that the server does not know.
 */
enum { BODY_SLACK = 1024 * 1024, BODY_UNKNOWN = 256 * 1024 * 1024 };

/* Sends what the window allows: deletions first, for they are small and free the server. */
void
pop3_fill_window(struct pop3_session *s)
{
	uint32_t number;

	if (s->conn == NULL)
		return; /* the owner has failed the session */
	while (pop3_window_has_room(s->window) && pop3_window_next_delete(s->window, &number))
		conn_sendf(s->conn, "DELE %" PRIu32, number);
	while (pop3_window_has_room(s->window) && s->handler->next(&number, s->arg)) {
		pop3_window_add_retr(s->window, number, listing_size(s->listing, number));
		conn_sendf(s->conn, "RETR %" PRIu32, number);
	}
	/* While nothing is awaited from the server, its silence is no fault. */
	conn_set_silence(
	    s->conn, pop3_window_empty(s->window) ? 0 : pop3_silence(s, SILENCE_SHORT));
}

static enum pop3_state
pop3_after_reply(struct pop3_session *s)
{
	pop3_window_done(s->window);
	pop3_fill_window(s);
	if (pop3_window_empty(s->window))
		s->handler->idle(s->arg);
	return POP3_TRANSFER;
}

static uint64_t
endless_limit(const struct pop3_session *s, uint64_t listed)
{
	uint64_t limit = listed > 0 ? 2 * listed + BODY_SLACK : BODY_UNKNOWN;

	return limit > s->config->max_size ? limit : s->config->max_size;
}

enum pop3_state
pop3_on_transfer(struct pop3_session *s, const char *line)
{
	struct pop3_command command;
	struct pop3_reply reply;
	char shown[256];

	if (!pop3_window_first(s->window, &command))
		return pop3_garbage(s, "transfer", line);
	pop3_parse_reply(line, &reply);
	if (reply.status != POP3_OK && reply.status != POP3_ERR)
		return pop3_garbage(s, command.retr ? "retr" : "dele", line);
	if (reply.status == POP3_ERR) {
		transcript_escape(s->transcript, shown, sizeof shown, line, strlen(line));
		s->handler->refused(command.number, command.retr, shown, s->arg);
		return pop3_after_reply(s);
	}
	if (!command.retr) {
		s->handler->deleted(command.number, s->arg);
		return pop3_after_reply(s);
	}
	s->body_number = command.number;
	s->body_limit = endless_limit(s, listing_size(s->listing, command.number));
	return POP3_BODY;
}

void
pop3_enter_body(struct pop3_session *s)
{
	pop3_body_init(&s->body);
	conn_expect_octets(s->conn);
	s->handler->begin(s->body_number, s->arg);
}

static enum pop3_state
pop3_body_ended(struct pop3_session *s)
{
	transcript_received_summary(s->transcript, "(message %" PRIu32 ": %" PRIu64 " octets)",
	    s->body_number, s->body.octets);
	conn_expect_lines(s->conn);
	conn_progress(s->conn);
	s->handler->end(s->body_number, s->arg);
	pop3_set_state(s, POP3_TRANSFER);
	return pop3_after_reply(s);
}

/* Decodes a slice straight into the owner's buffer.  Returns how much of it was the message's. */
size_t
pop3_on_body_octets(struct pop3_session *s, const char *data, size_t len)
{
	size_t used, out_len;
	enum pop3_body_result result;
	char *out = s->handler->reserve(len + 2, s->arg);

	result = pop3_body_decode(&s->body, data, len, &used, out, &out_len);
	s->handler->added(out_len, s->arg);
	if (s->body.octets > s->body_limit)
		pop3_set_state(s, pop3_fail(s, FAIL_PROTOCOL, "retr",
				      "%s: message %" PRIu32 " does not end: %" PRIu64
				      " octets came where LIST said %" PRIu64,
				      s->server, s->body_number, s->body.octets,
				      listing_size(s->listing, s->body_number)));
	else if (result == POP3_BODY_END)
		pop3_set_state(s, pop3_body_ended(s));
	return used;
}

/* -- QUIT ------------------------------------------------------------------------------------ */

void
pop3_enter_quit(struct pop3_session *s)
{
	conn_send(s->conn, "QUIT");
}

enum pop3_state
pop3_on_quit(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	s->quit_ok = reply.status == POP3_OK;
	if (!s->quit_ok)
		return pop3_refused(s, FAIL_SERVER, "quit", "QUIT", &reply);
	return POP3_CLOSED;
}
