#ifndef POSTRIDER_BASE_HOOK_H
#define POSTRIDER_BASE_HOOK_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct hook;

/* The last run has ended. */
typedef void hook_idle_cb(void *arg);

/*
 * The commands of `on_fetch` and `on_failure`: run without a shell, with POSTRIDER_ACCOUNT,
 * POSTRIDER_COUNT and POSTRIDER_ERROR in their environment and a minute to end.  One at a time for
 * an account: what happens meanwhile is told to the next run.
 */
struct hook *hook_new(struct event_base *base, const char *account, hook_idle_cb *idle, void *arg);

/* A child runs. */
bool hook_is_busy(const struct hook *hook);

/* A run under way is killed.  Sets the pointer to NULL; NULL inside is fine. */
void hook_free(struct hook **hook);

/* Runs the command (an argv, borrowed for the call; NULL: nothing is run). */
void hook_fetched(struct hook *hook, char *const *argv, uint64_t count);
void hook_failed(struct hook *hook, char *const *argv, unsigned failures, const char *error);

#endif
