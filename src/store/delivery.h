#ifndef POSTRIDER_STORE_DELIVERY_H
#define POSTRIDER_STORE_DELIVERY_H

#include "base/verdict.h"
#include "store/filename.h"
#include "store/maildir.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One batch's way through a Maildir: files written into tmp/, flushed, renamed into new/, flushed.
 * Everything here blocks and belongs to one writer thread.  FAIL_LOCAL in every failure; the first
 * one stays in `why`, and from then on no further file is begun.
 */
enum delivery_state {
	DELIVERY_NONE,     /* nothing on disk */
	DELIVERY_OPEN,     /* being written */
	DELIVERY_WHOLE,    /* whole in tmp/ */
	DELIVERY_PUBLISHED /* renamed into new/ */
};

struct delivery_file {
	enum delivery_state state;
	uint64_t octets;
	uint64_t preface; /* that many of the first ones are ours, and not in the digest */
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char name[FILENAME_SIZE];
};

enum { DELIVERY_KEPT_MAX = 4 };

/* Owned by the batch.  delivery_init() begins it, delivery_clear() ends it. */
struct delivery {
	char *path;
	mode_t mode;
	struct maildir_identity expected;
	struct maildir maildir;
	bool whole;    /* syncfs serves: one call flushes the batch */
	bool set_mode; /* a umask or an ACL takes bits away */
	bool mode_known;
	size_t files;
	int kept[DELIVERY_KEPT_MAX]; /* files of a small batch, flushed one by one */
	size_t kept_count;
	int fd; /* of the open file, -1: none */
	EVP_MD_CTX *digest;
	struct verdict why;
};

/*
 * Strings are copied.  The Maildir is opened with the first file, and must be the expected one
 * then: NULL refuses every file (nothing was prepared).
 */
void delivery_init(struct delivery *delivery, const char *path, mode_t mode,
    const struct maildir_identity *expected);
void delivery_clear(struct delivery *delivery);

/* Closes every descriptor: the last use of a file that was removed may take its time. */
void delivery_close(struct delivery *delivery);

/* A file in one go, or in pieces: begin, write ..., end.  A file that fails is removed. */
void delivery_put(
    struct delivery *delivery, struct delivery_file *file, const void *data, size_t len);
void delivery_begin(struct delivery *delivery, struct delivery_file *file);
void delivery_write(
    struct delivery *delivery, struct delivery_file *file, const void *data, size_t len);
void delivery_end(struct delivery *delivery, struct delivery_file *file);

/* Removes the file from tmp/, open or whole. */
void delivery_remove(struct delivery *delivery, struct delivery_file *file);

/* Files and their entries in tmp/ onto stable storage.  Never call it again after false. */
bool delivery_flush(struct delivery *delivery);

/* tmp/NAME becomes new/NAME; it must be WHOLE.  With *gone, someone had removed it from tmp/. */
bool delivery_publish(struct delivery *delivery, struct delivery_file *file, bool *gone);

/* The entries in new/ onto stable storage. */
bool delivery_flush_published(struct delivery *delivery);

/* Renames without ever replacing.  Returns 0 or an errno: EEXIST when the name is taken. */
int delivery_move(int from, int to, const char *name);

#endif
