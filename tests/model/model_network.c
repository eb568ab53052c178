#include "model.h"
#include "../dialogue/paper_conn.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* More than any silence timer has, ms. */
enum { SILENCE_LONGEST = 60 * 60 * 1000 };

/* So much of what waits leaves, and the server acts upon it. */
static void
leave(struct model *m, size_t most)
{
	struct str left = STR_INIT;
	const char *waiting;
	size_t len = paper_conn_waiting(&waiting);

	if (len > most)
		len = most;
	if (len == 0)
		return;
	str_append(&left, waiting, len);
	paper_conn_leave(len);
	model_server_receive(m, left.data, left.len);
	str_clear(&left);
	if (paper_conn_waiting(NULL) == 0)
		paper_conn_event(CONN_DRAINED, NULL);
}

/* One line of what the server said; false when there is none, or nobody to hear it. */
static bool
arrive(struct model *m)
{
	struct str *out = &m->server.out, line = STR_INIT;
	size_t len;

	if (out->len == 0 || paper_conn_silence() < 0)
		return false;
	len = (size_t)((const char *)memchr(out->data, '\n', out->len) - out->data) + 1;
	str_append(&line, out->data, len);
	memmove(out->data, out->data + len, out->len - len);
	str_truncate(out, out->len - len);
	model_say(m, "S: %.*s", (int)len - 2, line.data);
	if (line.data[3] != '-') /* the last line of a reply */
		m->server.last_code = atoi(line.data);
	paper_conn_receive(line.data, len);
	str_clear(&line);
	return true;
}

/* What was said comes first, then the end; where there is none, time passes. */
static void
end_connection(struct model *m)
{
	struct verdict why;

	if (m->server.out.len > 0)
		return;
	if (m->server.mute) {
		paper_conn_wait(SILENCE_LONGEST);
		return;
	}
	model_say(m, "the connection is closed");
	verdict_fail(&why, FAIL_NETWORK, "closed", "the server closed the connection");
	paper_conn_event(CONN_FAILED, &why);
}

static void
trouble_connection(struct model *m)
{
	struct model_server *s = &m->server;

	if (s->closed)
		end_connection(m);
	else if (s->trouble > 0 && model_chance(m, 4))
		model_server_close(m, true);
}

static void
leave_some(struct model *m, bool fair)
{
	if (fair || model_below(m, 3))
		leave(m, SIZE_MAX);
	else
		leave(m, 1 + model_below(m, model_below(m, 2) ? 40 : 50000));
}

static void
arrive_some(struct model *m)
{
	unsigned lines = model_below(m, 2) ? 1 : 1 + model_below(m, 20);

	while (lines-- > 0 && arrive(m))
		continue;
}

void
model_step(struct model *m, bool fair)
{
	switch (model_below(m, 6)) {
	case 0:
		leave_some(m, fair);
		break;
	case 1:
		arrive_some(m);
		break;
	case 2:
		if (fair || model_below(m, 2))
			model_owner_answer(m);
		break;
	case 3:
		trouble_connection(m);
		break;
	case 4:
		model_owner_go_on(m);
		break;
	default:
		model_owner_meddle(m);
		model_owner_leave(m);
	}
	event_base_loop(m->base, EVLOOP_NONBLOCK);
	model_check_silence(m);
}
