#include "base/notify.h"

#ifdef HAVE_SYSTEMD

#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

bool
notify_is_wanted(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void
notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void
notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIi64,
	    (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void
notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void
notify_status(const char *sentence)
{
	sd_notifyf(0, "STATUS=%s", sentence);
}

void
notify_extend(int64_t ms)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIi64, ms * 1000);
}

void
notify_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

int64_t
notify_watchdog(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? (int64_t)(usec / 1000) : 0;
}

#else

bool
notify_is_wanted(void)
{
	return false;
}

void
notify_ready(void)
{
}

void
notify_reloading(void)
{
}

void
notify_stopping(void)
{
}

void
notify_status(const char *sentence)
{
	(void)sentence;
}

void
notify_extend(int64_t ms)
{
	(void)ms;
}

void
notify_alive(void)
{
}

int64_t
notify_watchdog(void)
{
	return 0;
}

#endif
