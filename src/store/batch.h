#ifndef POSTRIDER_STORE_BATCH_H
#define POSTRIDER_STORE_BATCH_H

#include "store/delivery.h"
#include "store/listing.h"
#include "store/store.h"

/* What batch.c (collecting messages) and commit.c (making them durable) share. */

/* Owned by its batch; `file` belongs to the writer thread while jobs that name it are under way. */
struct message {
	TAILQ_ENTRY(message) link;
	struct delivery_file file;
	uint32_t number;
	unsigned occurrence;
	uint64_t size; /* LIST's */
	enum listed_match match;
	int64_t replaces;
	int64_t row;     /* once intended */
	bool aborted;    /* in no result */
	bool known;      /* the octets were there already */
	bool withdrawn;  /* intended, but its file was taken from tmp/ */
	uint64_t octets; /* given so far */
	size_t uid_len;
	char uid[];
};

TAILQ_HEAD(message_list, message);

/* Octets of one message inside a chunk. */
struct segment {
	struct message *message;
	size_t offset;
	size_t len;
	bool begins, ends, aborts;
};

/* A buffer on its way to the writer.  Holds many small messages, or a piece of a large one. */
struct chunk {
	struct job job;
	struct batch *batch;
	char *data;
	size_t len;
	size_t cap;
	struct segment *segments;
	size_t count;
	size_t segments_cap;
};

/*
 * Owned by the caller until batch_commit() or batch_drop(); then by its jobs, which free it.  The
 * delivery belongs to the writer thread while a job is under way.
 */
struct batch {
	TAILQ_ENTRY(batch) link; /* of the mailbox's open batches */
	struct mailbox *mailbox;
	struct delivery delivery;
	struct message_list messages;
	struct message *current; /* the open one */
	struct chunk *chunk;     /* being filled */
	size_t count;
	uint64_t octets;

	struct job file_job;
	struct state_job state_job;
	struct verdict why;
	bool stays; /* intents whose files are not where they belong: recovery's */
	batch_cb *cb;
	void *arg;
};

/* Takes an open batch from its caller: nothing more is added.  An open message is aborted. */
void batch_seal(struct batch *batch);

void batch_free(struct batch **batch);

#endif
