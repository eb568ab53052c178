#include "fetch/pop3_session_internal.h"

#include "config/config.h"
#include "net/conn.h"
#include "store/listing.h"

#include <string.h>

/* UIDL and LIST end after what STAT counted, with room for a server that counts badly. */
enum { LISTING_LINES_SLACK = 10000 };

bool
pop3_pipelines(const struct pop3_session *s)
{
	switch (s->config->pipelining) {
	case PIPELINING_ON:
		return true;
	case PIPELINING_OFF:
		return false;
	case PIPELINING_AUTO:
		break;
	}
	return s->capabilities.pipelining && !pop3_lacks(s, POP3_FEATURE_PIPELINING);
}

static bool
pipelines_transfer(const struct pop3_session *s)
{
	return s->config->pipelining == PIPELINING_ON ||
	       (pop3_pipelines(s) && !pop3_lacks(s, POP3_FEATURE_PIPELINED_TRANSFER));
}

/* With PIPELINING the three questions about the maildrop leave together. */
void
pop3_enter_stat(struct pop3_session *s)
{
	conn_send(s->conn, "STAT");
	if (!pop3_pipelines(s) || s->count_only)
		return;
	if (!pop3_lacks(s, POP3_FEATURE_UIDL))
		conn_send(s->conn, "UIDL");
	conn_send(s->conn, "LIST");
}

static enum pop3_state
pop3_listed(struct pop3_session *s)
{
	if (pop3_pipelines(s))
		s->proven |= POP3_FEATURE_PIPELINING;
	pop3_window_allow_pipelining(s->window, pipelines_transfer(s));
	conn_set_silence(s->conn, 0);
	s->handler->listed(s->listing, s->by_uid, s->arg);
	return POP3_TRANSFER;
}

enum pop3_state
pop3_on_stat(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;
	uint64_t octets;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_SERVER, "stat", "STAT", &reply);
	if (reply.status != POP3_OK || !pop3_parse_stat(reply.text, &s->maildrop_count, &octets))
		return pop3_garbage(s, "stat", line);
	if (s->count_only)
		return POP3_QUIT;
	if (s->maildrop_count == 0 && !pop3_pipelines(s))
		return pop3_listed(s);
	s->by_uid = !pop3_lacks(s, POP3_FEATURE_UIDL);
	return s->by_uid ? POP3_UIDL : POP3_LIST;
}

void
pop3_enter_uidl(struct pop3_session *s)
{
	if (!pop3_pipelines(s))
		conn_send(s->conn, "UIDL");
}

/* True when the server says why, so that the command itself is known to it. */
static bool
is_coded(const struct pop3_reply *reply)
{
	return reply->code != POP3_CODE_NONE && reply->code != POP3_CODE_OTHER;
}

/* An empty maildrop is no error by RFC 1939, and one for some servers. */
static bool
says_empty(const struct pop3_session *s, const struct pop3_reply *reply)
{
	return s->maildrop_count == 0 && !is_coded(reply);
}

enum pop3_state
pop3_on_uidl(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	s->lines = 0;
	if (reply.status == POP3_OK)
		return POP3_UIDL_ITEM;
	if (reply.status != POP3_ERR)
		return pop3_garbage(s, "uidl", line);
	if (says_empty(s, &reply))
		return POP3_LIST;
	if (s->capabilities.uidl || is_coded(&reply))
		return pop3_refused(s, FAIL_SERVER, "uidl", "UIDL", &reply);
	s->by_uid = false;
	return POP3_LIST;
}

enum pop3_state
pop3_on_uidl_item(struct pop3_session *s, const char *line)
{
	struct pop3_listing_item item;

	if (strcmp(line, ".") == 0) {
		s->proven |= POP3_FEATURE_UIDL;
		return POP3_LIST;
	}
	if (pop3_endless(s, "uidl", s->maildrop_count + LISTING_LINES_SLACK))
		return POP3_CLOSED;
	if (!pop3_parse_uidl(line, &item))
		return pop3_garbage(s, "uidl", line);
	if (item.uid_len == 0)
		return POP3_UIDL_ITEM; /* LIST tells that there is such a message */
	if (!listing_set_uid(s->listing, item.number, item.uid, item.uid_len) &&
	    item.number <= LISTING_MAX)
		return pop3_garbage(s, "uidl", line);
	return POP3_UIDL_ITEM;
}

void
pop3_enter_list(struct pop3_session *s)
{
	if (!pop3_pipelines(s))
		conn_send(s->conn, "LIST");
}

enum pop3_state
pop3_on_list(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR && says_empty(s, &reply))
		return pop3_listed(s);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_SERVER, "list", "LIST", &reply);
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "list", line);
	s->lines = 0;
	return POP3_LIST_ITEM;
}

enum pop3_state
pop3_on_list_item(struct pop3_session *s, const char *line)
{
	struct pop3_listing_item item;

	if (strcmp(line, ".") == 0)
		return pop3_listed(s);
	if (pop3_endless(s, "list", s->maildrop_count + LISTING_LINES_SLACK))
		return POP3_CLOSED;
	if (!pop3_parse_list(line, &item))
		return pop3_garbage(s, "list", line);
	if (!listing_set_size(s->listing, item.number, item.size) && item.number <= LISTING_MAX)
		return pop3_garbage(s, "list", line);
	return POP3_LIST_ITEM;
}
