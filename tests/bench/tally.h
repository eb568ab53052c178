#ifndef POSTRIDER_BENCH_TALLY_H
#define POSTRIDER_BENCH_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which of the made-up messages (mailbox.h, of the user "bench") have come, and how often; for all
 * threads.  Whoever carries a message may add to its header; its body must be what it was.
 */
struct tally_sums {
	uint32_t accepted;  /* all that came */
	uint32_t distinct;  /* different ones among them */
	uint32_t spoilt;    /* with another body */
	uint32_t strangers; /* that are none of ours */
	uint32_t sessions;
};

/* Once, before any other call. */
void tally_prepare(uint32_t messages, uint64_t size);

/* A message as it came over the wire, without the final "."; before it is acknowledged. */
void tally_add(const char *data, size_t len);
void tally_add_session(void);

/* The sums since the last tally_reset(). */
struct tally_sums tally_sums(void);
void tally_reset(void);

#endif
