#ifndef POSTRIDER_BASE_NOTIFY_H
#define POSTRIDER_BASE_NOTIFY_H

/*
 * What the service manager is told (sd_notify(3), Type=notify-reload too).  Nothing happens where
 * no manager listens, and in builds without libsystemd.
 */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* A sentence for `systemctl status`. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
