#include "net/transcript_oldest.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

void
transcript_oldest_clear(struct transcript_oldest *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->logs[i].account);
	free(o->logs);
	*o = (struct transcript_oldest){.max = o->max};
}

static int
compare_logs(const void *a, const void *b)
{
	const struct transcript_log *x = a, *y = b;
	int order = (x->time > y->time) - (x->time < y->time);

	if (order == 0)
		order = strcmp(x->name, y->name);
	return order != 0 ? order : strcmp(x->account, y->account);
}

void
transcript_oldest_sort(struct transcript_oldest *o)
{
	if (o->count > 0)
		qsort(o->logs, o->count, sizeof *o->logs, compare_logs);
	while (o->count > o->max) {
		free(o->logs[--o->count].account);
		o->cut = true;
	}
	if (o->cut)
		o->newest = o->logs[o->count - 1].time;
}

/* Room for twice as many, so that most additions need no order. */
static void
make_room(struct transcript_oldest *o)
{
	if (o->logs == NULL)
		o->logs = xreallocarray(NULL, o->max, 2 * sizeof *o->logs);
	if (o->count == 2 * o->max)
		transcript_oldest_sort(o);
}

void
transcript_oldest_add(
    struct transcript_oldest *o, int64_t time, uint64_t size, const char *account, const char *name)
{
	size_t account_size = strlen(account) + 1, name_size = strlen(name) + 1;
	struct transcript_log *log;

	if (o->cut && time > o->newest)
		return;
	make_room(o);
	log = &o->logs[o->count++];
	log->time = time;
	log->size = size;
	log->account = xmalloc(account_size + name_size);
	log->name = log->account + account_size;
	memcpy(log->account, account, account_size);
	memcpy(log->name, name, name_size);
}
