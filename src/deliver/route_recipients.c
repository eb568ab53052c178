#include "deliver/route_recipients.h"

#include "base/xalloc.h"
#include "deliver/alias_targets.h"
#include "deliver/aliases.h"
#include "deliver/route.h"
#include "proto/rfc5322_domain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An alias whose targets are being read. */
struct frame {
	size_t index;
	struct alias_targets targets;
};

/*
 * A walk in depth over what one recipient leads to, on a stack of its own: a chain of aliases may
 * be as long as their file.  Each alias is entered once a walk, which ends every circle.
 */
struct walk {
	const struct aliases *aliases;
	char *domain;        /* the local one, as A-labels; NULL: none */
	const char *written; /* the same as it was given */
	struct rfc5322_recipients *out;
	struct str *reason;

	struct frame *frames;
	size_t depth;
	size_t capacity;
	uint32_t *entered; /* by alias: the last walk that did */
	uint32_t number;   /* of this walk, from 1 */
	size_t steps;      /* of all walks */
	bool led;          /* to somebody, in this walk */
	bool expanded;     /* some recipient, in any walk */
};

static void
append_shown(struct str *out, const struct rfc5322_address *address)
{
	struct str text = STR_INIT;

	rfc5322_address_append(address, &text);
	str_append_escaped(out, str_text(&text), text.len);
	str_clear(&text);
}

/* Takes the address over. */
static void
add_recipient(struct walk *w, struct rfc5322_address *address)
{
	struct rfc5322_recipients *out = w->out;

	if (out->count == out->capacity) {
		out->capacity = out->capacity > 0 ? 2 * out->capacity : 4;
		out->list = xreallocarray(out->list, out->capacity, sizeof *out->list);
	}
	out->list[out->count++] = *address;
	*address = (struct rfc5322_address){0};
	w->led = true;
}

static bool
is_local(const struct walk *w, const struct rfc5322_address *address)
{
	char *ascii;
	bool same;

	if (w->domain == NULL)
		return false;
	ascii = rfc5322_domain_to_ascii(address->domain);
	same = ascii != NULL && strcasecmp(ascii, w->domain) == 0;
	free(ascii);
	return same;
}

static void
enter_alias(struct walk *w, const struct alias *alias)
{
	if (w->depth == w->capacity) {
		w->capacity = w->capacity > 0 ? 2 * w->capacity : 8;
		w->frames = xreallocarray(w->frames, w->capacity, sizeof *w->frames);
	}
	w->expanded = true;
	w->entered[alias->index] = w->number;
	w->frames[w->depth++] = (struct frame){alias->index, alias_targets_begin(alias)};
}

static bool
complete_address(struct walk *w, struct rfc5322_address *address)
{
	if (address->domain == NULL && w->written == NULL) {
		append_shown(w->reason, address);
		str_append_text(
		    w->reason, ": has no domain, and there is no `local` to complete it with");
		return false;
	}
	if (address->domain == NULL) {
		struct str domain = STR_INIT;

		if (rfc5322_domain_normalize(w->written, &domain) != NULL)
			str_append_text(&domain, w->written);
		address->domain = str_take(&domain);
		w->expanded = true;
	}
	return true;
}

/* Takes the address over, one way or the other. */
static bool
visit_address(struct walk *w, struct rfc5322_address *address, bool final)
{
	struct alias alias;
	bool names_itself;

	if (++w->steps > ROUTE_STEPS_MAX) {
		str_appendf(w->reason,
		    "the aliases of its recipients lead to more than %d addresses",
		    ROUTE_STEPS_MAX);
		return false;
	}
	if (!complete_address(w, address))
		return false;
	if (final || w->aliases == NULL || !is_local(w, address) ||
	    !aliases_find(w->aliases, address->local, &alias)) {
		add_recipient(w, address);
		return true;
	}
	names_itself = w->depth > 0 && w->frames[w->depth - 1].index == alias.index;
	if (names_itself)
		add_recipient(w, address);
	else if (w->entered[alias.index] != w->number)
		enter_alias(w, &alias);
	return true;
}

static bool
read_targets(struct walk *w)
{
	struct rfc5322_address address;
	struct verdict why = VERDICT_OK;
	bool good = true;

	while (good && w->depth > 0) {
		struct frame *frame = &w->frames[w->depth - 1];
		enum alias_target kind = alias_targets_next(&frame->targets, &address, &why);

		if (kind == ALIAS_TARGET_END) {
			w->depth--;
		} else if (kind == ALIAS_TARGET_BAD) {
			str_append_text(w->reason, why.text);
			good = false;
		} else {
			good = visit_address(w, &address, kind == ALIAS_TARGET_FINAL);
		}
		rfc5322_address_clear(&address);
	}
	return good;
}

static bool
walk_recipient(struct walk *w, const struct rfc5322_address *recipient)
{
	struct rfc5322_address address;
	bool good;

	w->number++;
	w->led = false;
	rfc5322_address_copy(&address, recipient);
	good = visit_address(w, &address, false) && read_targets(w);
	rfc5322_address_clear(&address);
	if (good && !w->led) {
		append_shown(w->reason, recipient);
		str_append_text(w->reason, ": its aliases lead in a circle and to nobody");
	}
	return good && w->led;
}

bool
route_recipients_expand(const struct aliases *aliases, const char *local_domain,
    const struct rfc5322_address *list, size_t count, struct rfc5322_recipients *out,
    struct str *reason)
{
	struct walk walk = {
	    .aliases = aliases, .written = local_domain, .out = out, .reason = reason};
	bool good = true;

	if (local_domain != NULL)
		walk.domain = rfc5322_domain_to_ascii(local_domain);
	if (aliases != NULL)
		walk.entered = xcalloc(aliases_count(aliases) + 1, sizeof *walk.entered);
	for (size_t i = 0; good && i < count; i++)
		good = walk_recipient(&walk, &list[i]);
	if (good && walk.expanded)
		rfc5322_recipients_unify(out);
	if (good && out->count > RFC5322_RECIPIENTS_MAX) {
		str_appendf(
		    reason, "more than %d recipients behind the aliases", RFC5322_RECIPIENTS_MAX);
		good = false;
	}
	free(walk.domain);
	free(walk.entered);
	free(walk.frames);
	return good;
}
