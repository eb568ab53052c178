/*
 * maildir_mda DIRECTORY: stores the message on standard input into a Maildir, durably, the way
 * fetchmail expects of a delivery agent.  It does no more than that, so that fetchmail is shown at
 * its best.
 */
#include "loopback.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static void
write_all(int fd, const char *data, ssize_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, (size_t)len);

		if (n < 0)
			loopback_die("write");
		data += n;
		len -= n;
	}
}

static void
store_input(const char *path)
{
	static char buf[64 * 1024];
	ssize_t n;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		loopback_die(path);
	while ((n = read(STDIN_FILENO, buf, sizeof buf)) > 0)
		write_all(fd, buf, n);
	if (n < 0)
		loopback_die("standard input");
	if (fsync(fd) < 0 || close(fd) < 0)
		loopback_die(path);
}

static void
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0 || close(fd) < 0)
		loopback_die(path);
}

int
main(int argc, char **argv)
{
	char name[64], temporary[PATH_MAX], final[PATH_MAX], directory[PATH_MAX];
	struct timespec now;

	if (argc != 2) {
		fprintf(stderr, "usage: maildir_mda DIRECTORY\n");
		return EX_USAGE;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof name, "%lld.M%ldP%ld.bench", (long long)now.tv_sec,
	    now.tv_nsec / 1000, (long)getpid());
	if (snprintf(temporary, sizeof temporary, "%s/tmp/%s", argv[1], name) >= PATH_MAX ||
	    snprintf(final, sizeof final, "%s/new/%s", argv[1], name) >= PATH_MAX ||
	    snprintf(directory, sizeof directory, "%s/new", argv[1]) >= PATH_MAX)
		loopback_die_text("%s: too long a name", argv[1]);
	store_input(temporary);
	if (rename(temporary, final) < 0)
		loopback_die(final);
	sync_directory(directory);
	return EX_OK;
}
