#include "queue/spool.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct spool_copied {
	TAILQ_ENTRY(spool_copied) link;
	struct spool_source source;
};

static bool
is_same(const struct spool_source *a, const struct spool_source *b)
{
	return a->inode == b->inode && a->size == b->size && a->mtime == b->mtime &&
	       strcmp(a->name, b->name) == 0;
}

static struct spool_copied *
find_copied(const struct spool *s, const struct spool_source *source)
{
	struct spool_copied *c;

	TAILQ_FOREACH (c, &s->copied, link)
		if (is_same(&c->source, source))
			return c;
	return NULL;
}

void
spool_copied_add(struct spool *s, const struct spool_source *source)
{
	struct spool_copied *c = xcalloc(1, sizeof *c);

	c->source = *source;
	c->source.name = xstrdup(source->name);
	TAILQ_INSERT_TAIL(&s->copied, c, link);
}

bool
spool_copied_has(const struct spool *s, const struct spool_source *source)
{
	return find_copied(s, source) != NULL;
}

void
spool_copied_remove(struct spool *s, const struct spool_source *source)
{
	struct spool_copied *c = source->name != NULL ? find_copied(s, source) : NULL;

	if (c == NULL)
		return;
	TAILQ_REMOVE(&s->copied, c, link);
	free(c->source.name);
	free(c);
}

void
spool_copied_clear(struct spool *s)
{
	struct spool_copied *c;

	while ((c = TAILQ_FIRST(&s->copied)) != NULL)
		spool_copied_remove(s, &c->source);
}
