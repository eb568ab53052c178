#include "fetch/pop3_session_internal.h"

#include "config/config.h"

#include <string.h>

bool
pop3_lacks(const struct pop3_session *s, enum pop3_feature feature)
{
	return (s->without & feature) != 0;
}

unsigned
pop3_session_proven(const struct pop3_session *s)
{
	return s->proven |
	       (pop3_window_is_proven(s->window) ? POP3_FEATURE_PIPELINED_TRANSFER : 0u);
}

/* Of several commands that left together some may not have been read: any of them is to blame. */
static unsigned
suspect_of_listing(const struct pop3_session *s)
{
	bool was_refused = !s->by_uid && !pop3_lacks(s, POP3_FEATURE_UIDL);
	bool may_be_uidl = s->broke_in == POP3_UIDL || s->broke_in == POP3_UIDL_ITEM ||
			   (s->broke_in == POP3_LIST && was_refused);

	if (s->count_only)
		return 0;
	if (s->why.kind != FAIL_SERVER && pop3_pipelines(s))
		return s->config->pipelining == PIPELINING_AUTO ? POP3_FEATURE_PIPELINING : 0u;
	return may_be_uidl ? POP3_FEATURE_UIDL : 0u;
}

static unsigned
suspect_of_transfer(const struct pop3_session *s)
{
	bool is_suspect = s->config->pipelining == PIPELINING_AUTO && s->why.kind != FAIL_SERVER &&
			  pop3_window_is_pipelined(s->window) && !pop3_window_is_proven(s->window);

	return is_suspect ? POP3_FEATURE_PIPELINED_TRANSFER : 0u;
}

/* Who is slow but answers has understood. */
static bool
is_broken(const struct verdict *why)
{
	if (why->kind == FAIL_NETWORK)
		return strcmp(why->stage, "deadline") != 0;
	return why->kind == FAIL_PROTOCOL || (why->kind == FAIL_SERVER && why->hint == HINT_NONE);
}

unsigned
pop3_session_suspect(const struct pop3_session *s)
{
	if (s->state != POP3_CLOSED || !is_broken(&s->why))
		return 0;
	if (s->capa_refused)
		return POP3_FEATURE_CAPA;
	switch (s->broke_in) {
	case POP3_CAPA:
	case POP3_CAPA_ITEM:
		return POP3_FEATURE_CAPA;
	case POP3_USER_CAPA:
	case POP3_USER_CAPA_ITEM:
		return POP3_FEATURE_USER_CAPA;
	case POP3_UTF8:
		return POP3_FEATURE_UTF8;
	case POP3_STAT:
	case POP3_UIDL:
	case POP3_UIDL_ITEM:
	case POP3_LIST:
	case POP3_LIST_ITEM:
		return suspect_of_listing(s);
	case POP3_TRANSFER:
	case POP3_BODY:
		return suspect_of_transfer(s);
	default:
		return 0;
	}
}

uint32_t
pop3_session_stumbled(const struct pop3_session *s)
{
	struct pop3_command command;

	if (s->state != POP3_CLOSED ||
	    (s->why.kind != FAIL_NETWORK && s->why.kind != FAIL_PROTOCOL))
		return 0;
	if (s->broke_in == POP3_BODY)
		return s->body_number;
	if (s->broke_in != POP3_TRANSFER || !pop3_window_first(s->window, &command) ||
	    !command.retr)
		return 0;
	return command.number;
}
