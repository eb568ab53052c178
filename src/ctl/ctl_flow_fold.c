#include "ctl/ctl_flow_fold.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

/*
 * The longest round that is known as one; how many in a row must be like those a round before,
 * where a round is shorter; and how many must be left out for it to be worth a line.
 */
enum { ROUND_MAX = 16, ALIKE_MIN = 2, LEFT_OUT_MIN = 3, HELD_MAX = ROUND_MAX + LEFT_OUT_MIN };

/* ms; what took as long is not like what did not, and so is shown. */
enum { SLOW = 1000 };

/* Owned by whoever called ctl_flow_fold_new(). */
struct ctl_flow_fold {
	ctl_flow_item_cb *on_item;
	ctl_flow_fold_cb *on_left_out;
	void *arg;
	char signs[ROUND_MAX][CTL_FLOW_SIGN]; /* of the latest items, by their number */
	size_t seen;
	int64_t seen_latest;         /* wall ms */
	size_t alike[ROUND_MAX + 1]; /* by the length of a round */

	size_t round; /* the length of the rounds that are being folded; 0: none */
	struct ctl_flow_item *held[HELD_MAX]; /* the end of what repeats, as far as is known */
	size_t held_count;
	size_t left_out;
	int64_t latest;
};

/* Compares with the item a round before, for every length of a round. */
static void
compare(struct ctl_flow_fold *f, const char *sign)
{
	for (size_t round = 1; round <= ROUND_MAX; round++) {
		bool is_alike =
		    f->seen >= round && strcmp(f->signs[(f->seen - round) % ROUND_MAX], sign) == 0;

		f->alike[round] = is_alike ? f->alike[round] + 1 : 0;
	}
	memcpy(f->signs[f->seen++ % ROUND_MAX], sign, CTL_FLOW_SIGN);
}

static size_t
find_round(const struct ctl_flow_fold *f)
{
	for (size_t round = 1; round <= ROUND_MAX; round++)
		if (f->alike[round] >= round && f->alike[round] >= ALIKE_MIN)
			return round;
	return 0;
}

static void
leave_out(struct ctl_flow_fold *f, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		f->latest = f->held[i]->latest;
		ctl_flow_item_free(&f->held[i]);
	}
	f->held_count -= count;
	f->left_out += count;
	memmove(f->held, f->held + count, f->held_count * sizeof f->held[0]);
}

/* The last round is kept, and a few more as long as nothing is left out. */
static void
hold(struct ctl_flow_fold *f, struct ctl_flow_item *item)
{
	if (f->left_out > 0 && f->held_count == f->round)
		leave_out(f, 1);
	else if (f->held_count == f->round + LEFT_OUT_MIN - 1) {
		f->held[f->held_count++] = item;
		leave_out(f, LEFT_OUT_MIN);
		return;
	}
	f->held[f->held_count++] = item;
}

static void
hand_on(struct ctl_flow_fold *f)
{
	if (f->left_out > 0)
		f->on_left_out(f->left_out, f->latest, f->arg);
	for (size_t i = 0; i < f->held_count; i++)
		f->on_item(f->held[i], f->arg);
	f->held_count = 0;
	f->left_out = 0;
	f->round = 0;
}

struct ctl_flow_fold *
ctl_flow_fold_new(ctl_flow_item_cb *on_item, ctl_flow_fold_cb *on_left_out, void *arg)
{
	struct ctl_flow_fold *f = xcalloc(1, sizeof *f);

	f->on_item = on_item;
	f->on_left_out = on_left_out;
	f->arg = arg;
	return f;
}

static void
mark_slow(struct ctl_flow_fold *f, struct ctl_flow_item *item)
{
	if (f->seen > 0 && item->latest - f->seen_latest >= SLOW)
		item->sign[0] = '!';
	f->seen_latest = item->latest;
}

void
ctl_flow_fold_add(struct ctl_flow_fold *f, struct ctl_flow_item *item)
{
	mark_slow(f, item);
	compare(f, item->sign);
	if (f->round > 0 && f->alike[f->round] > 0) {
		hold(f, item);
		return;
	}
	hand_on(f);
	f->round = find_round(f);
	f->on_item(item, f->arg);
}

void
ctl_flow_fold_end(struct ctl_flow_fold **fold)
{
	struct ctl_flow_fold *f = *fold;

	*fold = NULL;
	hand_on(f);
	free(f);
}
