/*
 * Runs the model of model.h:
 *
 *   model_smtp            the seeds of FIRST to LAST, below
 *   model_smtp FROM TO    those seeds
 *   model_smtp SEED       that one, and tells all that happens: "C:" and "S:" as in a session log
 */
#include "model.h"
#include "../dialogue/paper_conn.h"

#include "net/transcript.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST = 0, LAST = 2999 };

/* A run that takes more is stuck: the last ones are fair, so that whatever can end does. */
enum { STEPS_MAX = 20000, STEPS_FAIR = 5000 };

static struct model model;

/* -- chance ------------------------------------------------------------------------------------ */

/* xorshift64: the same numbers everywhere. */
unsigned
model_below(struct model *m, unsigned n)
{
	m->state ^= m->state << 13;
	m->state ^= m->state >> 7;
	m->state ^= m->state << 17;
	return (unsigned)(m->state >> 11) % n;
}

bool
model_chance(struct model *m, unsigned per_mille)
{
	return model_below(m, 1000) < per_mille;
}

/* Seeds that are neighbours begin far from each other. */
static void
seed_chance(struct model *m, unsigned seed)
{
	m->seed = seed;
	m->state = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
	for (int i = 0; i < 10; i++)
		model_below(m, 2);
}

/* -- what is said of a run --------------------------------------------------------------------- */

void
model_say(const struct model *m, const char *format, ...)
{
	va_list ap;

	if (!m->is_verbose)
		return;
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
model_broken(const struct model *m, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "\nseed %u: ", m->seed);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nall of it: tests/model/model_smtp %u\n", m->seed);
	abort();
}

void
paper_conn_sent(char kind, const char *data, size_t len)
{
	if (kind == 'C')
		model_say(&model, "C: %.*s", (int)len, data);
	else
		model_say(&model, "C: (%zu octets)", len);
}

/* -- one run ----------------------------------------------------------------------------------- */

static void
begin(struct model *m, struct transcript *transcript)
{
	static char host[] = "smtp.example.org";
	struct smtp_session_settings settings = {
	    .base = m->base,
	    .config = &m->config,
	    .transcript = transcript,
	    .helo = "client.example.org",
	};

	m->config = (struct smtp_config){
	    .endpoint = {.host = host, .port = 587, .auth_auto = true, .tls = TLS_NONE},
	    .chunking = model_below(m, 15) > 0,
	    .max_messages = model_below(m, 5) ? 1000 : 1 + model_below(m, 10),
	    .dsn_notify = model_below(m, 2) ? "FAILURE" : NULL,
	    .dsn_ret = model_below(m, 2) ? "HDRS" : NULL,
	};
	model_server_begin(m);
	model_owner_begin(m);
	model_make_mails(m);
	m->session = smtp_session_new(&settings, &model_handler, m);
	paper_conn_event(CONN_CONNECTED, NULL);
}

static void
run_seed(struct model *m, unsigned seed)
{
	const struct transcript_settings log = {.account = "a", .protocol = "smtp", .id = "1"};
	struct transcript *transcript = transcript_open(m->base, NULL, &log);
	int steps = 0;

	seed_chance(m, seed);
	begin(m, transcript);
	while (!m->owner.is_closed && steps++ < STEPS_MAX) {
		bool fair = steps > STEPS_MAX - STEPS_FAIR;

		if (fair)
			m->owner.mischief = 0;
		model_step(m, fair);
	}
	if (!m->owner.is_closed)
		model_broken(m, "there is no end, in state %s", smtp_session_state(m->session));
	event_base_loop(m->base, EVLOOP_NONBLOCK);
	smtp_session_free(&m->session);
	model_server_end(m);
	model_free_mails(m);
	transcript_close(&transcript);
}

/* -- all of them ------------------------------------------------------------------------------- */

/* A line a hundred: when the session itself crashes, it was with one of the next. */
static void
run_seeds(struct model *m, unsigned from, unsigned to)
{
	for (unsigned seed = from; seed <= to; seed++) {
		run_seed(m, seed);
		if (seed == to || seed % 100 == 99) {
			printf("ok up to seed %u\n", seed);
			fflush(stdout);
		}
	}
}

static void
print_tally(const struct model_tally *t)
{
	printf("recipients: %u sent, %u deferred (%u of them again at once, %u with less), "
	       "%u refused, %u unknown, %u untried; %u messages taken back, %u unreadable, "
	       "%u sessions stopped\n",
	    t->fates[SMTP_SENT], t->fates[SMTP_DEFERRED], t->again, t->without,
	    t->fates[SMTP_REFUSED], t->fates[SMTP_UNKNOWN], t->fates[SMTP_UNTRIED], t->withdrawn,
	    t->unreadable, t->stopped);
}

/* What never happened was not tested. */
static bool
is_everything_seen(const struct model_tally *t)
{
	unsigned all = SMTP_SHORT_CHUNKING | SMTP_SHORT_PARAMETERS | SMTP_SHORT_SMTPUTF8;

	for (int fate = SMTP_SENT; fate <= SMTP_UNTRIED; fate++)
		if (t->fates[fate] == 0)
			return false;
	return t->again > 0 && t->without > 0 && t->withdrawn > 0 && t->unreadable > 0 &&
	       t->stopped > 0 && (t->short_of & all) == all;
}

int
main(int argc, char **argv)
{
	struct model *m = &model;
	unsigned from = argc > 1 ? (unsigned)atol(argv[1]) : FIRST;
	unsigned to = argc > 2 ? (unsigned)atol(argv[2]) : argc > 1 ? from : LAST;
	bool ok = true;

	m->base = event_base_new();
	m->is_verbose = argc == 2;
	if (m->is_verbose)
		run_seed(m, from);
	else
		run_seeds(m, from, to);
	print_tally(&m->tally);
	if (argc == 1 && !is_everything_seen(&m->tally)) {
		fprintf(stderr, "something never happened\n");
		ok = false;
	}
	event_base_free(m->base);
	return ok ? 0 : 1;
}
