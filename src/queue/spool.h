#ifndef POSTRIDER_QUEUE_SPOOL_H
#define POSTRIDER_QUEUE_SPOOL_H

#include "base/queue.h"
#include "base/verdict.h"
#include "proto/rfc5322_envelope.h"
#include "queue/outid.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The spool as directories: SPOOL, where others drop files, SPOOL/queue and SPOOL/failed, which are
 * ours.  Everything here blocks and, save what is said to be pure, belongs to the spool thread.
 * FAIL_LOCAL, stage "spool", in every failure.
 *
 * A message of the queue is queue/ID.NAME; one that must not be taken for a message yet, a copy
 * without a row, is queue/.ID.NAME.
 */
enum { SPOOL_NAME_MAX = 200, SPOOL_NAME_SIZE = SPOOL_NAME_MAX + 1, SPOOL_FILE_SIZE = 256 };
enum { SPOOL_KEPT_MAX = 4 };

/* The original of a message that was copied; name is NULL for one that was moved. */
struct spool_source {
	char *name;
	uint64_t inode;
	uint64_t size;
	int64_t mtime; /* ns */
};

struct spool_waiting;
struct spool_note;
struct spool_copied;
TAILQ_HEAD(spool_waiting_list, spool_waiting);
TAILQ_HEAD(spool_copied_list, spool_copied);

/* Owned by struct outqueue; used by one thread at a time. */
struct spool {
	char *path;
	int dir, queue, failed;
	bool has_syncfs; /* one call flushes everything */
	bool is_network;
	bool is_new;      /* opened, but not watched yet */
	bool is_troubled; /* this look left something, for a fault's sake */

	/* What was written and is not flushed yet. */
	int kept[SPOOL_KEPT_MAX];
	size_t kept_count;
	bool is_much; /* more than was kept */
	bool is_dir_touched, is_queue_touched, is_failed_touched;

	int inotify; /* -1: not to be had */
	int watch;
	bool is_watch_refused; /* and that was said */

	/* spool_watch.c: files that are not settled, and the reading of the directory. */
	struct spool_waiting_list waiting;
	void *waiting_by_name;
	size_t waiting_count;
	DIR *scan;
	int64_t rescan_at; /* mono ms */

	/* spool_copied.c: originals that are claimed, and go once their copies have rows. */
	struct spool_copied_list copied;

	/* spool_note.c: what was said once already. */
	struct spool_note *notes;
	size_t note_count;
	unsigned generation;
};

/*
 * Makes what is missing, 0700, and opens it.  NULL on failure, and when another process has it open
 * (code EWOULDBLOCK): two daemons would send each other's messages twice.
 */
struct spool *spool_open(const char *path, struct verdict *why);
void spool_close(struct spool **spool);

/* One of the directories was replaced, or removed: what is open is not what is there. */
bool spool_is_changed(const struct spool *spool);

/* If so, what is there is opened, and made where it is missing. */
bool spool_reopen_changed(struct spool *spool, struct verdict *why);

/* Pure.  "ID.NAME".  Returns buf. */
const char *spool_file(char buf[SPOOL_FILE_SIZE], const char *id, const char *name);

/* Pure.  The other way round; false for a name that spool_file() does not make. */
bool spool_split(const char *file, char id[OUTID_SIZE], const char **name);

/* Pure.  A name cut to SPOOL_NAME_MAX octets, not inside a UTF-8 sequence.  Returns buf. */
const char *spool_cut_name(char buf[SPOOL_NAME_SIZE], const char *name);

/* Renames without ever replacing.  0, or an errno: EEXIST when the new name is taken. */
int spool_move(int from, const char *name, int to, const char *new_name);

/* Puts a file that was written (taken: it is closed) and entries that were changed on the list...
 */
bool spool_keep(struct spool *spool, int fd, struct verdict *why);

/* ... of what this makes durable.  After a failure nothing of it is known to be. */
bool spool_flush(struct spool *spool, struct verdict *why);

/* Writes all of it, whatever write(2) takes at a time.  0 or an errno. */
int spool_write(int fd, const char *data, size_t len);

/* Fills why, "cannot WHAT SPOOL/PART/NAME: ...".  Returns false. */
bool spool_fault(const struct spool *spool, struct verdict *why, int error, const char *what,
    const char *part, const char *name);

/* -- spool_note.c -------------------------------------------------------------------- */

/* True for what was not noted yet, or not with this time of change (ns). */
bool spool_note_once(struct spool *spool, uint64_t inode, int64_t ctime);

/* After each reading of the whole directory: forgets what was not noted again. */
void spool_note_sweep(struct spool *spool);

/* -- spool_copied.c ------------------------------------------------------------------ */

void spool_copied_add(struct spool *spool, const struct spool_source *source);
bool spool_copied_has(const struct spool *spool, const struct spool_source *source);
void spool_copied_remove(struct spool *spool, const struct spool_source *source);
void spool_copied_clear(struct spool *spool);

/* -- spool_claim.c ------------------------------------------------------------------- */

/* What a message is made of, as far as a server must be told. */
struct spool_content {
	uint64_t wire_size; /* octets with CRLF as line ends */
	uint64_t longest_line;
	bool is_8bit;         /* octets beyond ASCII anywhere: 8BITMIME */
	bool has_utf8_header; /* SMTPUTF8 (RFC 6532) */
};

/* A file in queue/ that has no row yet.  Owned by whoever has it in hand. */
struct spool_claim {
	TAILQ_ENTRY(spool_claim) link;
	char id[OUTID_SIZE];
	char *name; /* cut */
	uint64_t size;
	uint64_t inode; /* in queue/ */
	bool hidden;    /* a copy */
	struct spool_source source;
	struct verdict why;              /* why it cannot be a message */
	struct envelope_request request; /* empty then */
	struct spool_content content;
};
TAILQ_HEAD(spool_claim_list, spool_claim);

void spool_claim_free(struct spool_claim **claim);

/* What is known of a file from an earlier look. */
struct spool_sight {
	bool is_whole; /* it came by rename or link */
	uint64_t inode;
	uint64_t size;
	int64_t mtime, ctime; /* ns */
	int64_t since;        /* mono ms: unchanged since then; 0: not looked at yet */
};

enum spool_judged {
	SPOOL_CLAIMED,
	SPOOL_LATER, /* look again at *due, mono ms */
	SPOOL_IGNORED
};

/*
 * Claims SPOOL/NAME when it is whole and settled; impatient takes what is closed.  What is claimed
 * is not flushed yet.
 */
enum spool_judged spool_claim_take(struct spool *spool, const char *name, struct spool_sight *sight,
    bool impatient, const char *local_domain, struct spool_claim **claim, int64_t *due);

/* After a flush that failed: back to where it was. */
void spool_claim_undo(struct spool *spool, struct spool_claim **claim);

/*
 * Reads the header of queue/FILE, "ID.NAME", which has no row; not flushed yet.  NULL when it is no
 * such file, or with why filled.
 */
struct spool_claim *spool_claim_found(
    struct spool *spool, const char *file, const char *local_domain, struct verdict *why);

/* -- spool_unreadable.c -------------------------------------------------------------- */

struct stat;

/* Says whose file it is, and which permission is missing. */
void spool_unreadable_explain(const struct stat *st, struct verdict *why);

/* -- spool_header.c ------------------------------------------------------------------ */

/*
 * Reads envelope and content, from the file's beginning.  0, or an errno; a file that is no message
 * fills claim->why.
 */
int spool_header_read(int fd, const char *local_domain, struct spool_claim *claim);

/* -- spool_watch.c ------------------------------------------------------------------- */

/* One turn: what the kernel reported, what has settled, a piece of the directory. */
struct spool_look {
	size_t room; /* at most so many claims */
	bool rescan; /* begin to read the directory anew */
	bool impatient;
	char *local_domain;

	struct spool_claim_list claims;
	size_t count;
	size_t recipients; /* of all of them: that is where the memory goes */
	bool more;         /* there is more to do at once */
	bool is_over;      /* the reading of the directory has come to its end */
	bool is_troubled;  /* something stays for a fault's sake */
	int64_t due;       /* mono ms: when to look again */
};
void spool_watch_open(struct spool *spool);
void spool_watch_close(struct spool *spool);
void spool_watch_look(struct spool *spool, struct spool_look *look);

/* -- spool_end.c --------------------------------------------------------------------- */

enum spool_end_kind {
	SPOOL_END_KEEP,   /* it stays in the queue, revealed */
	SPOOL_END_REMOVE, /* out of queue/ and failed/ */
	SPOOL_END_FAIL    /* from queue/ to failed/ */
};

/* What is to become of a message's file.  Each step may have been done before. */
struct spool_end {
	TAILQ_ENTRY(spool_end) link;
	enum spool_end_kind kind;
	char id[OUTID_SIZE];
	char *name;
	char *account;
	char *reason; /* what failed/NAME.reason says */
	uint64_t inode;
	bool hidden;
	struct spool_source source;
	char failed_name[SPOOL_FILE_SIZE]; /* in failed/; "": it is not there */
	bool is_done;
	bool is_missing; /* it was not in queue/, perhaps because nothing is mounted there */
};
TAILQ_HEAD(spool_end_list, spool_end);

struct spool_end *spool_end_new(enum spool_end_kind kind, const char *id, const char *name);
void spool_end_free(struct spool_end **end);

/* True when it was done; not flushed yet. */
bool spool_end_run(struct spool *spool, struct spool_end *end, struct verdict *why);

/*
 * failed/NAME becomes queue/ID.BASE, its reason goes.  ID "" makes one; base is the name it was
 * dropped as.  False with why->code ENOENT when it is not there.
 */
bool spool_end_take_back(struct spool *spool, const char *name, char id[OUTID_SIZE],
    const char *base, struct verdict *why);

/* After a flush that failed: back to where it was, without its reason. */
void spool_end_undo_take_back(
    struct spool *spool, const char *name, const char *id, const char *base);

#endif
