#include "store/filename.h"

#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOST_MAX = 64 };
enum { LEFTOVER_AGE = 36 * 3600 * 1000 }; /* ms */

static char host[HOST_MAX + 1];

/* A Maildir name may hold neither '/' nor ':', which are written in octal, nor here a ','. */
static void
read_host(void)
{
	char raw[256] = "";
	size_t len = 0;

	if (gethostname(raw, sizeof raw - 1) < 0 || raw[0] == '\0')
		strcpy(raw, "localhost");
	for (const unsigned char *p = (const unsigned char *)raw; *p != '\0'; p++) {
		bool plain = *p > 0x20 && *p < 0x7f && strchr("/:,\\", *p) == NULL;
		size_t need = plain ? 1 : 4;

		if (len + need > HOST_MAX)
			break;
		len += (size_t)snprintf(host + len, sizeof host - len, plain ? "%c" : "\\%03o", *p);
	}
}

static const char *
host_name(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_host);
	return host;
}

const char *
filename_make(char name[FILENAME_SIZE])
{
	static atomic_ulong counter;
	int64_t wall = clock_wall();
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(name, FILENAME_SIZE, "%" PRId64 ".M%06dP%ldQ%lu.%s", wall / 1000,
	    (int)(wall % 1000 * 1000 + ts.tv_nsec / 1000 % 1000), (long)getpid(),
	    atomic_fetch_add(&counter, 1) + 1, host_name());
	return name;
}

void
filename_add_size(char name[FILENAME_SIZE], uint64_t octets)
{
	size_t len = strlen(name);

	snprintf(name + len, FILENAME_SIZE - len, ",S=%" PRIu64, octets);
}

bool
filename_is_ours(const char *name, pid_t *pid)
{
	size_t len = strlen(host_name());
	int at = 0;
	long process;

	if (sscanf(name, "%*[0-9].M%*[0-9]P%ldQ%*[0-9].%n", &process, &at) != 1 || at == 0)
		return false;
	if (strncmp(name + at, host_name(), len) != 0 ||
	    (name[at + (int)len] != '\0' && name[at + (int)len] != ','))
		return false;
	*pid = (pid_t)process;
	return true;
}

bool
filename_is_leftover(int dir, const char *name, size_t skip)
{
	struct stat st;
	pid_t pid;

	return filename_is_ours(name + skip, &pid) && pid != getpid() &&
	       fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       clock_wall() - (int64_t)st.st_mtime * 1000 >= LEFTOVER_AGE;
}
