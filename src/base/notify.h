#ifndef POSTRIDER_BASE_NOTIFY_H
#define POSTRIDER_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What the service manager is told (sd_notify(3), Type=notify and notify-reload).  Nothing happens
 * where no manager listens (then it is not wanted), and in builds without libsystemd.
 */
bool notify_is_wanted(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* A sentence for `systemctl status`. */
void notify_status(const char *sentence);

/* Starting or stopping goes on: do not lose patience for so many ms. */
void notify_extend(int64_t ms);

/* The loop is alive. */
void notify_alive(void);

/* Within how many ms notify_alive() is waited for; 0: the manager does not watch. */
int64_t notify_watchdog(void);

#endif
