#include "service_sentence.h"

#include "base/str.h"
#include "deliver/deliverer.h"
#include "fetch/fetcher.h"
#include "queue/outqueue.h"

#include <string.h>

/* So many accounts in trouble are named, the others counted. */
enum { NAMED_MAX = 3 };

struct facts {
	size_t fetching, sending, troubled;
	struct str names; /* "personal: auth, work: network" */
};

static bool
is_at_rest(const char *state)
{
	static const char *const rest[] = {"idle", "backoff", "blocked", "disabled"};

	for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
		if (strcmp(state, rest[i]) == 0)
			return true;
	return false;
}

static bool
is_troubled(const char *state)
{
	return strcmp(state, "backoff") == 0 || strcmp(state, "blocked") == 0;
}

static void
note_trouble(struct facts *f, const char *account, enum fail kind)
{
	if (f->troubled++ >= NAMED_MAX)
		return;
	if (f->names.len > 0)
		str_append_text(&f->names, ", ");
	str_appendf(&f->names, "%s: %s", account, verdict_kind_name(kind));
}

/* An account that can neither fetch nor send is one in trouble, not two. */
static void
look_at_account(
    struct facts *f, const struct fetcher_view *fetching, const struct deliverer_view *sending)
{
	f->fetching += !is_at_rest(fetching->state);
	f->sending += !is_at_rest(sending->state);
	if (is_troubled(fetching->state))
		note_trouble(f, fetching->account, fetching->error_kind);
	else if (is_troubled(sending->state))
		note_trouble(f, sending->account, sending->error_kind);
}

static void
look(struct facts *f, const struct fetcher *fetcher, const struct deliverer *deliverer)
{
	for (size_t i = 0; i < deliverer_count(deliverer); i++) {
		struct fetcher_view fetching = {.state = "disabled"};
		struct deliverer_view sending = {.state = "disabled"};

		/* Both go by the configuration. */
		if (i < fetcher_count(fetcher))
			fetcher_view(fetcher, i, &fetching);
		deliverer_view(deliverer, i, &sending);
		look_at_account(f, &fetching, &sending);
	}
}

static void
append_accounts(struct str *s, const struct facts *f, size_t count)
{
	const char *comma = "";

	str_appendf(s, "%zu account%s: ", count, count == 1 ? "" : "s");
	if (f->fetching > 0)
		str_appendf(s, "%zu fetching", f->fetching);
	comma = f->fetching > 0 ? ", " : "";
	if (f->sending > 0)
		str_appendf(s, "%s%zu sending", comma, f->sending);
	comma = f->fetching + f->sending > 0 ? ", " : "";
	if (f->troubled > 0)
		str_appendf(s, "%s%zu in trouble (%s%s)", comma, f->troubled, str_text(&f->names),
		    f->troubled > NAMED_MAX ? " ..." : "");
	else if (f->fetching + f->sending == 0)
		str_append_text(s, "idle");
}

static void
append_queue(struct str *s, struct deliverer *deliverer)
{
	struct outqueue_totals totals = {0};

	outqueue_totals(deliverer_queue(deliverer), NULL, &totals);
	if (totals.messages == 0) {
		str_append_text(s, "; queue empty");
		return;
	}
	str_appendf(s, "; %llu message%s in the queue", (unsigned long long)totals.messages,
	    totals.messages == 1 ? "" : "s");
	if (totals.deferred > 0)
		str_appendf(s, ", %llu deferred", (unsigned long long)totals.deferred);
	if (totals.held > 0)
		str_appendf(s, ", %llu held", (unsigned long long)totals.held);
}

static void
append_stop(struct str *s, const struct fetcher *fetcher, const struct deliverer *deliverer)
{
	size_t sessions = fetcher_session_count(fetcher) + deliverer_session_count(deliverer);

	str_append_text(s, "Stopping");
	if (deliverer_awaits_fate(deliverer))
		str_append_text(s, ": waiting to hear whether a message was accepted");
	else if (sessions > 0)
		str_appendf(s, ": %zu session%s to be ended", sessions, sessions == 1 ? "" : "s");
}

char *
service_sentence(const struct fetcher *fetcher, struct deliverer *deliverer,
    enum service_phase phase, size_t faults)
{
	struct facts facts = {.names = STR_INIT};
	struct str s = STR_INIT;

	if (phase == SERVICE_STOPS) {
		append_stop(&s, fetcher, deliverer);
		return str_take(&s);
	}
	if (phase == SERVICE_STARTS)
		str_append_text(&s, "Starting, taking up what the last run left: ");
	look(&facts, fetcher, deliverer);
	append_accounts(&s, &facts, deliverer_count(deliverer));
	append_queue(&s, deliverer);
	if (faults > 0)
		str_appendf(&s, "; not reloaded: the configuration has %zu fault%s", faults,
		    faults == 1 ? "" : "s");
	str_clear(&facts.names);
	return str_take(&s);
}
