#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

void
loopback_die(const char *what)
{
	loopback_die_text("%s: %s", what, strerror(errno));
}

void
loopback_die_text(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EX_SOFTWARE);
}

uint64_t
loopback_number(const char *option, const char *value, uint64_t max)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || *value == '-' || number > max)
		loopback_die_text("--%s takes a number up to %llu, not '%s'", option,
		    (unsigned long long)max, value);
	return number;
}

static struct sockaddr_in
address_of(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void
set_nodelay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		loopback_die("TCP_NODELAY");
}

int
loopback_listen(uint16_t *port)
{
	struct sockaddr_in address = address_of(0);
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, SOMAXCONN) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		loopback_die("listening on 127.0.0.1");
	*port = ntohs(address.sin_port);
	return fd;
}

int
loopback_accept(int listener)
{
	int fd;

	do {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		loopback_die("accept");
	set_nodelay(fd);
	return fd;
}

int
loopback_connect(uint16_t port)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		loopback_die("connecting to 127.0.0.1");
	set_nodelay(fd);
	return fd;
}

static void *
await_end_of_input(void *arg)
{
	char ignored[256];
	ssize_t n;

	(void)arg;
	do {
		n = read(STDIN_FILENO, ignored, sizeof ignored);
	} while (n > 0 || (n < 0 && errno == EINTR));
	_exit(EX_OK);
}

void
loopback_announce(uint16_t port)
{
	pthread_t thread;

	printf("%u\n", port);
	if (fflush(stdout) != 0)
		loopback_die("standard output");
	if (pthread_create(&thread, NULL, await_end_of_input, NULL) != 0)
		loopback_die_text("no thread to be had");
	pthread_detach(thread);
}
