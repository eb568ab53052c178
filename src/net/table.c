#include "net/table.h"

#include "base/queue.h"
#include "base/xalloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 512

struct table_entry {
	TAILQ_ENTRY(table_entry) bucket_link;
	TAILQ_ENTRY(table_entry) use_link;
	void *value;
	char key[];
};

TAILQ_HEAD(table_list, table_entry);

/* Owned by whoever called table_new(). */
struct table {
	struct table_list buckets[BUCKETS];
	struct table_list uses; /* the latest use first */
	size_t count;
	size_t max;
	void (*free_value)(void *value);
};

struct table *
table_new(size_t max, void (*free_value)(void *value))
{
	struct table *t = xcalloc(1, sizeof *t);

	for (size_t i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&t->buckets[i]);
	TAILQ_INIT(&t->uses);
	t->max = max;
	t->free_value = free_value;
	return t;
}

/* FNV-1a.  Names come from the configuration, not from peers. */
static struct table_list *
bucket_of(struct table *t, const char *key)
{
	uint32_t hash = 2166136261u;

	for (const char *p = key; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return &t->buckets[hash % BUCKETS];
}

static struct table_entry *
find(struct table *t, const char *key)
{
	struct table_entry *e;

	TAILQ_FOREACH (e, bucket_of(t, key), bucket_link) {
		if (strcmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

static void *
unlink_entry(struct table *t, struct table_entry *e)
{
	void *value = e->value;

	TAILQ_REMOVE(bucket_of(t, e->key), e, bucket_link);
	TAILQ_REMOVE(&t->uses, e, use_link);
	t->count--;
	free(e);
	return value;
}

void
table_clear(struct table *t)
{
	struct table_entry *e;

	while ((e = TAILQ_FIRST(&t->uses)) != NULL)
		t->free_value(unlink_entry(t, e));
}

void
table_free(struct table **table)
{
	struct table *t = *table;

	*table = NULL;
	if (t == NULL)
		return;
	table_clear(t);
	free(t);
}

void *
table_get(struct table *t, const char *key)
{
	struct table_entry *e = find(t, key);

	if (e == NULL)
		return NULL;
	TAILQ_REMOVE(&t->uses, e, use_link);
	TAILQ_INSERT_HEAD(&t->uses, e, use_link);
	return e->value;
}

void
table_put(struct table *t, const char *key, void *value)
{
	struct table_entry *e = find(t, key);
	size_t size = strlen(key) + 1;

	if (e != NULL)
		t->free_value(unlink_entry(t, e));
	if (t->count >= t->max)
		t->free_value(unlink_entry(t, TAILQ_LAST(&t->uses, table_list)));
	e = xmalloc(sizeof *e + size);
	memcpy(e->key, key, size);
	e->value = value;
	TAILQ_INSERT_HEAD(bucket_of(t, key), e, bucket_link);
	TAILQ_INSERT_HEAD(&t->uses, e, use_link);
	t->count++;
}

void *
table_take(struct table *t, const char *key)
{
	struct table_entry *e = find(t, key);

	return e != NULL ? unlink_entry(t, e) : NULL;
}

size_t
table_count(const struct table *t)
{
	return t->count;
}
