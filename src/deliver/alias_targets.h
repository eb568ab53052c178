#ifndef POSTRIDER_DELIVER_ALIAS_TARGETS_H
#define POSTRIDER_DELIVER_ALIAS_TARGETS_H

#include "base/verdict.h"
#include "proto/rfc5322_address.h"

struct alias;

/* Where the reader of an alias's targets stands.  A plain value that borrows the alias's text. */
struct alias_targets {
	const char *at;
	unsigned line;
};

enum alias_target {
	ALIAS_TARGET_END,
	ALIAS_TARGET_ADDRESS, /* bare or not; to be looked up when it is local */
	ALIAS_TARGET_FINAL,   /* "\name": an address as it is */
	ALIAS_TARGET_BAD      /* why says which and what is wrong (FAIL_LOCAL, stage "aliases") */
};

struct alias_targets alias_targets_begin(const struct alias *alias);

/* The next one into *address, which the caller clears; it is empty with END and BAD. */
enum alias_target alias_targets_next(
    struct alias_targets *targets, struct rfc5322_address *address, struct verdict *why);

#endif
