#include "store/ages.h"

#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

static char boot_id[AGES_BOOT_ID_SIZE];

static void
read_boot_id(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot_id, sizeof boot_id - 1) : 0;

	if (fd >= 0)
		close(fd);
	boot_id[n > 0 ? n : 0] = '\0';
	boot_id[strcspn(boot_id, "\n")] = '\0';
}

/* The kernel's word, or, where a sandbox forbids asking it, systemd-timesyncd's. */
static bool
is_synchronised(void)
{
	struct timex timex = {.modes = 0};
	int state = adjtimex(&timex);

	if (state >= 0)
		return state != TIME_ERROR;
	return access("/run/systemd/timesync/synchronized", F_OK) == 0;
}

void
ages_read(struct ages_reading *reading)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_boot_id);
	memset(reading, 0, sizeof *reading);
	reading->wall = clock_wall();
	reading->boot = clock_boot();
	memcpy(reading->boot_id, boot_id, sizeof reading->boot_id);
	reading->synchronised = is_synchronised();
}

static bool
is_same_boot(const struct ages_reading *a, const struct ages_reading *b)
{
	return a->boot_id[0] != '\0' && strcmp(a->boot_id, b->boot_id) == 0 && b->boot >= a->boot;
}

void
ages_advance(struct ages *ages, const struct ages_reading *reading)
{
	int64_t wall = reading->wall - ages->last.wall;
	int64_t boot = reading->boot - ages->last.boot;
	int64_t passed;

	if (ages->now < AGES_START) {
		ages->now = AGES_START;
		passed = 0;
	} else if (is_same_boot(&ages->last, reading)) {
		passed = wall < boot ? wall : boot;
	} else {
		passed = reading->boot_id[0] != '\0' && ages->last.boot_id[0] != '\0'
			     ? reading->boot
			     : 0;
		if (reading->synchronised && ages->last.synchronised && wall > passed)
			passed = wall;
	}
	if (passed > 0)
		ages->now += passed;
	ages->last = *reading;
}
