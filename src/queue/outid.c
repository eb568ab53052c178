#include "queue/outid.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* 50 bits of wall time in ms, 15 of a counter within it, 15 that differ from process to process. */
enum { TIME_DIGITS = 10, COUNTER_DIGITS = 3, PROCESS_DIGITS = 3 };
enum { COUNTER_END = 1 << (5 * COUNTER_DIGITS) };

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int64_t last_time;
static uint64_t counter;
static uint64_t process;
static bool has_process;

static void
put_digits(char *to, uint64_t value, int count)
{
	while (count-- > 0) {
		to[count] = digits[value & 31];
		value >>= 5;
	}
}

/* Never backwards, whatever the wall clock does. */
static void
take_next(int64_t *time, uint64_t *number)
{
	int64_t now = clock_wall();

	if (now > last_time) {
		last_time = now;
		counter = 0;
	} else if (++counter == COUNTER_END) {
		last_time++;
		counter = 0;
	}
	*time = last_time;
	*number = counter;
}

const char *
outid_make(char id[OUTID_SIZE])
{
	uint64_t number;
	int64_t time;

	pthread_mutex_lock(&mutex);
	if (!has_process) {
		if (getrandom(&process, sizeof process, GRND_NONBLOCK) != sizeof process)
			process = (uint64_t)getpid() * 2654435761u + (uint64_t)clock_mono();
		has_process = true;
	}
	take_next(&time, &number);
	pthread_mutex_unlock(&mutex);
	put_digits(id, (uint64_t)time, TIME_DIGITS);
	put_digits(id + TIME_DIGITS, number, COUNTER_DIGITS);
	put_digits(id + TIME_DIGITS + COUNTER_DIGITS, process, PROCESS_DIGITS);
	id[OUTID_LEN] = '\0';
	return id;
}

bool
outid_begins(const char *text)
{
	return strspn(text, digits) >= OUTID_LEN;
}
