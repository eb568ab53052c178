#ifndef POSTRIDER_STORE_RECOVERY_H
#define POSTRIDER_STORE_RECOVERY_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maildir;

/*
 * Intents rolled forward after a stop at any instant; the rule is in store/mailbox.h.  Filled in
 * the state thread, run in a writer thread, settled in the state thread.
 */
enum recovery_fate {
	RECOVERY_STORED, /* its file is in the Maildir, or was moved on from there */
	RECOVERY_LOST    /* its file is nowhere: to be fetched again */
};

struct recovery_intent {
	int64_t row;
	char *file;
	bool old;  /* when its file is nowhere, it is lost */
	bool here; /* found under its name */
	enum recovery_fate fate;
};

/* Embedded in its owner; zeroed memory begins it. */
struct recovery {
	struct recovery_intent *intents;
	size_t count;
};

void recovery_add(struct recovery *recovery, int64_t row, const char *file, bool old);
void recovery_clear(struct recovery *recovery);

/* True when an intent has this file. */
bool recovery_names(const struct recovery *recovery, const char *file);

/*
 * Finishes every rename, decides each fate, flushes the directories.  FAIL_LOCAL on failure: then
 * nothing is decided.
 */
bool recovery_run(
    struct recovery *recovery, struct maildir *maildir, const char *path, struct verdict *why);

#endif
