#include "store/batch.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 65536 };

struct batch *
batch_new(struct mailbox *mailbox)
{
	struct batch *b = xcalloc(1, sizeof *b);

	b->mailbox = mailbox_ref(mailbox);
	TAILQ_INIT(&b->messages);
	delivery_init(&b->delivery, mailbox->path, mailbox->mode,
	    mailbox->prepared ? &mailbox->identity : NULL);
	TAILQ_INSERT_TAIL(&mailbox->batches, b, link);
	return b;
}

static void
chunk_free(struct chunk *c)
{
	free(c->data);
	free(c->segments);
	free(c);
}

void
batch_free(struct batch **batch)
{
	struct batch *b = *batch;
	struct message *message;

	*batch = NULL;
	while ((message = TAILQ_FIRST(&b->messages)) != NULL) {
		TAILQ_REMOVE(&b->messages, message, link);
		free(message);
	}
	if (b->chunk != NULL)
		chunk_free(b->chunk);
	delivery_clear(&b->delivery);
	mailbox_unref(&b->mailbox);
	free(b);
}

static void
write_segment(struct delivery *d, const struct chunk *c, const struct segment *s)
{
	struct delivery_file *file = &s->message->file;
	const char *data = c->data + s->offset;

	if (s->begins && s->ends) {
		delivery_put(d, file, data, s->len);
		return;
	}
	if (s->begins)
		delivery_begin(d, file);
	if (s->aborts) {
		delivery_remove(d, file);
		return;
	}
	delivery_write(d, file, data, s->len);
	if (s->ends)
		delivery_end(d, file);
}

static void
run_write(struct job *job)
{
	struct chunk *c = (struct chunk *)job;

	for (size_t i = 0; i < c->count; i++)
		write_segment(&c->batch->delivery, c, &c->segments[i]);
}

static void
on_written(struct job *job)
{
	struct chunk *c = (struct chunk *)job;

	mailbox_sub_unwritten(c->batch->mailbox, c->len);
	chunk_free(c);
}

static struct chunk *
chunk_new(struct batch *b, size_t room)
{
	struct chunk *c = xcalloc(1, sizeof *c);

	c->batch = b;
	c->cap = room > CHUNK_SIZE ? room : CHUNK_SIZE;
	c->data = xmalloc(c->cap);
	return c;
}

static struct segment *
add_segment(struct chunk *c, struct message *message)
{
	if (c->count == c->segments_cap) {
		c->segments_cap = c->segments_cap * 2 + 8;
		c->segments = xreallocarray(c->segments, c->segments_cap, sizeof *c->segments);
	}
	c->segments[c->count] = (struct segment){.message = message, .offset = c->len};
	return &c->segments[c->count++];
}

/* The open message's segment in the chunk; NULL when none is open. */
static struct segment *
current_segment(struct batch *b)
{
	if (b->current == NULL || b->chunk == NULL || b->chunk->count == 0)
		return NULL;
	return &b->chunk->segments[b->chunk->count - 1];
}

/*
 * Hands the chunk over and begins another with room octets free.  An open message that began in
 * the chunk, behind others, moves on whole, so that a small one is written in one go.
 */
static void
rotate_chunk(struct batch *b, size_t room, bool carry)
{
	struct chunk *old = b->chunk;
	struct segment *open = current_segment(b);
	size_t carried = open != NULL && open->begins && carry ? open->len : 0;
	bool moves = open != NULL && open->begins && carry;

	b->chunk = NULL;
	if (b->current != NULL || room > 0) {
		b->chunk = chunk_new(b, carried + room);
		if (b->current != NULL)
			add_segment(b->chunk, b->current)->begins = moves;
	}
	if (moves) {
		b->chunk->segments[0].len = carried;
		memcpy(b->chunk->data, old->data + open->offset, carried);
		b->chunk->len = carried;
		old->len -= carried;
		old->count--;
	}
	if (old->count == 0) {
		mailbox_sub_unwritten(b->mailbox, old->len);
		chunk_free(old);
		return;
	}
	store_submit_file(b->mailbox->store, b->mailbox->writer, &old->job, run_write, on_written);
}

void
batch_push(struct batch *b)
{
	if (b->chunk != NULL && b->chunk->count > 0)
		rotate_chunk(b, 0, false);
}

void
batch_begin(struct batch *b, const struct listing *listing, uint32_t number)
{
	size_t uid_len;
	const char *uid = listing_uid(listing, number, &uid_len);
	struct message *m = xcalloc(1, sizeof *m + uid_len);

	if (b->current != NULL)
		batch_abort(b);
	m->number = number;
	m->occurrence = listing_occurrence(listing, number);
	m->size = listing_size(listing, number);
	m->match = listing_match(listing, number);
	m->replaces = m->match == LISTED_COMPARE ? listing_row(listing, number) : 0;
	m->uid_len = uid_len;
	memcpy(m->uid, uid, uid_len);
	TAILQ_INSERT_TAIL(&b->messages, m, link);
	b->current = m;
	if (b->chunk == NULL)
		b->chunk = chunk_new(b, 0);
	add_segment(b->chunk, m)->begins = true;
}

char *
batch_reserve(struct batch *b, size_t room)
{
	if (b->chunk == NULL)
		b->chunk = chunk_new(b, room);
	if (b->chunk->cap - b->chunk->len < room) {
		struct segment *open = current_segment(b);
		bool first = open != NULL && open->offset == 0;

		/* A message that fills a chunk of its own goes in pieces. */
		rotate_chunk(b, room, !first);
	}
	return b->chunk->data + b->chunk->len;
}

void
batch_added(struct batch *b, size_t len)
{
	struct segment *open = current_segment(b);

	if (open == NULL)
		return;
	open->len += len;
	b->chunk->len += len;
	b->current->octets += len;
	mailbox_add_unwritten(b->mailbox, len);
}

void
batch_append(struct batch *b, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0 && b->current != NULL) {
		size_t part = len < CHUNK_SIZE / 2 ? len : CHUNK_SIZE / 2;

		memcpy(batch_reserve(b, part), p, part);
		batch_added(b, part);
		p += part;
		len -= part;
	}
}

void
batch_preface(struct batch *b, const void *data, size_t len)
{
	if (b->current == NULL || b->current->octets != b->current->file.preface)
		return;
	b->current->file.preface += len;
	batch_append(b, data, len);
}

void
batch_end(struct batch *b)
{
	struct segment *open = current_segment(b);

	if (open == NULL)
		return;
	open->ends = true;
	b->count++;
	b->octets += b->current->octets;
	b->current = NULL;
}

void
batch_abort(struct batch *b)
{
	struct segment *open = current_segment(b);

	if (open == NULL)
		return;
	b->current->aborted = true;
	b->chunk->len -= open->len;
	mailbox_sub_unwritten(b->mailbox, open->len);
	open->len = 0;
	if (open->begins)
		b->chunk->count--;
	else
		open->aborts = true;
	b->current = NULL;
}

void
batch_seal(struct batch *b)
{
	if (b->current != NULL)
		batch_abort(b);
	batch_push(b);
	TAILQ_REMOVE(&b->mailbox->batches, b, link);
}

size_t
batch_count(const struct batch *b)
{
	return b->count;
}

uint64_t
batch_octets(const struct batch *b)
{
	return b->octets;
}
