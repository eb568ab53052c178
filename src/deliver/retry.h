#ifndef POSTRIDER_DELIVER_RETRY_H
#define POSTRIDER_DELIVER_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_config;

/*
 * When a message, or an account in trouble, is tried again: pure arithmetic, in milliseconds.
 */

/* Doubles from retry.first up to retry.max, give or take a tenth.  failures: in a row, from 1. */
int64_t retry_delay(const struct retry_config *retry, unsigned failures, double random);

/* This delay, but no shorter than retry.first and no longer than retry.max. */
int64_t retry_bounded(const struct retry_config *retry, int64_t delay);

/*
 * A connection lost between the final dot and its reply: an hour, then six; false for the third in
 * a row, which holds the message.
 */
bool retry_unknown_delay(unsigned unknowns, double random, int64_t *delay);

/* The message has been deferred by the server for so long that its sender hears of failure. */
bool retry_gives_up(
    const struct retry_config *retry, int64_t queued, unsigned attempts, int64_t now);

/*
 * The sender is to hear that the message waits: once after retry.warn_after, and once a day while
 * the account itself is in trouble.  warned: wall ms of the last notice, 0: none.
 */
bool retry_warns(const struct retry_config *retry, int64_t queued, int64_t warned,
    bool account_trouble, int64_t now);

#endif
