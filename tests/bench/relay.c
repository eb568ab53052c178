/*
 * relay --target PORT --rtt MILLISECONDS: connects a port of its own with one on 127.0.0.1 and
 * holds back what it carries, half of the round-trip time each way.  What waits is kept in memory,
 * so the delay does not limit the throughput.
 */
#include "loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_SIZE = 64 * 1024 };
enum { CHUNKS_MAX = 4096 };    /* a direction: 256 MiB, then the sender has to wait */
enum { CHUNKS_AT_A_TIME = 4 }; /* read before the other direction has its turn */

struct chunk {
	STAILQ_ENTRY(chunk) link;
	int64_t due; /* CLOCK_MONOTONIC ns */
	size_t len;  /* 0: the end of what comes this way */
	size_t sent;
	char data[CHUNK_SIZE];
};

/* One way through a connection. */
struct way {
	int from, to;
	STAILQ_HEAD(, chunk) chunks;
	unsigned count;
	bool ended;  /* from has no more */
	bool closed; /* and to was told so */
	bool stuck;  /* to takes no more at the moment */
};

struct connection {
	struct way ways[2];
	bool broken;
};

static uint16_t target;
static int64_t delay_ns;

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static bool
would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* False when there is nothing more to read at the moment. */
static bool
read_chunk(struct connection *c, struct way *w)
{
	struct chunk *chunk = malloc(sizeof *chunk);
	ssize_t n;

	if (chunk == NULL)
		loopback_die("malloc");
	n = read(w->from, chunk->data, sizeof chunk->data);
	if (n < 0) {
		c->broken = !would_block();
		free(chunk);
		return false;
	}
	chunk->len = (size_t)n;
	chunk->sent = 0;
	chunk->due = now_ns() + delay_ns;
	STAILQ_INSERT_TAIL(&w->chunks, chunk, link);
	w->count++;
	w->ended = n == 0;
	return n == CHUNK_SIZE;
}

static void
read_way(struct connection *c, struct way *w)
{
	for (int i = 0; i < CHUNKS_AT_A_TIME && !w->ended && w->count < CHUNKS_MAX; i++)
		if (!read_chunk(c, w))
			return;
}

/* False when the receiver takes no more, or is gone. */
static bool
send_chunk(struct connection *c, struct way *w, struct chunk *chunk)
{
	ssize_t n;

	if (chunk->len == 0) {
		w->closed = true;
		c->broken = shutdown(w->to, SHUT_WR) < 0 && errno != ENOTCONN;
		return true;
	}
	n = send(w->to, chunk->data + chunk->sent, chunk->len - chunk->sent, MSG_NOSIGNAL);
	if (n < 0) {
		c->broken = !would_block();
		w->stuck = true;
		return false;
	}
	chunk->sent += (size_t)n;
	w->stuck = chunk->sent < chunk->len;
	return !w->stuck;
}

static void
send_way(struct connection *c, struct way *w)
{
	struct chunk *chunk;
	int64_t now = now_ns();

	while ((chunk = STAILQ_FIRST(&w->chunks)) != NULL && chunk->due <= now) {
		if (!send_chunk(c, w, chunk))
			return;
		STAILQ_REMOVE_HEAD(&w->chunks, link);
		w->count--;
		free(chunk);
	}
}

/* The time until the next chunk is due; NULL when none waits for its time. */
static struct timespec *
next_due(const struct connection *c, struct timespec *ts)
{
	int64_t next = INT64_MAX, wait;

	for (int i = 0; i < 2; i++) {
		const struct chunk *chunk = STAILQ_FIRST(&c->ways[i].chunks);

		if (chunk != NULL && !c->ways[i].stuck && chunk->due < next)
			next = chunk->due;
	}
	if (next == INT64_MAX)
		return NULL;
	wait = next - now_ns();
	if (wait < 0)
		wait = 0;
	*ts = (struct timespec){wait / 1000000000, wait % 1000000000};
	return ts;
}

/* What each way waits for: one descriptor to read from, one to write to, -1 for neither. */
static void
await_events(struct connection *c, struct pollfd fds[4])
{
	struct timespec ts;

	for (int i = 0; i < 2; i++) {
		const struct way *w = &c->ways[i];
		bool reads = !w->ended && w->count < CHUNKS_MAX;

		fds[2 * i] = (struct pollfd){.fd = reads ? w->from : -1, .events = POLLIN};
		fds[2 * i + 1] = (struct pollfd){.fd = w->stuck ? w->to : -1, .events = POLLOUT};
	}
	if (ppoll(fds, 4, next_due(c, &ts), NULL) < 0 && errno != EINTR)
		loopback_die("ppoll");
}

static void
carry(struct connection *c)
{
	struct pollfd fds[4];

	while (!c->broken && !(c->ways[0].closed && c->ways[1].closed)) {
		await_events(c, fds);
		for (int i = 0; i < 2; i++) {
			struct way *w = &c->ways[i];

			if (fds[2 * i].revents != 0)
				read_way(c, w);
			if (fds[2 * i + 1].revents != 0)
				w->stuck = false;
			if (!w->stuck)
				send_way(c, w);
		}
	}
}

static void
way_init(struct way *w, int from, int to)
{
	*w = (struct way){.from = from, .to = to};
	STAILQ_INIT(&w->chunks);
	if (fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK) < 0)
		loopback_die("O_NONBLOCK");
}

static void
way_clear(struct way *w)
{
	struct chunk *chunk;

	while ((chunk = STAILQ_FIRST(&w->chunks)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->chunks, link);
		free(chunk);
	}
	close(w->from);
}

static void *
connection_main(void *arg)
{
	struct connection *c = arg;

	carry(c);
	way_clear(&c->ways[0]);
	way_clear(&c->ways[1]);
	free(c);
	return NULL;
}

static void
start_connection(int client)
{
	struct connection *c = calloc(1, sizeof *c);
	int server = loopback_connect(target);
	pthread_t thread;

	if (c == NULL)
		loopback_die("calloc");
	way_init(&c->ways[0], client, server);
	way_init(&c->ways[1], server, client);
	if (pthread_create(&thread, NULL, connection_main, c) != 0)
		loopback_die_text("no thread to be had");
	pthread_detach(thread);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option options[] = {
	    {"target", required_argument, NULL, 't'}, {"rtt", required_argument, NULL, 'r'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			target = (uint16_t)loopback_number("target", optarg, UINT16_MAX);
		else if (c == 'r')
			delay_ns = (int64_t)loopback_number("rtt", optarg, 60000) * 1000000 / 2;
		else
			exit(EX_USAGE);
	}
	if (target == 0 || optind < argc) {
		fprintf(stderr, "usage: relay --target PORT --rtt MILLISECONDS\n");
		exit(EX_USAGE);
	}
}

int
main(int argc, char **argv)
{
	uint16_t port;
	int listener;

	parse_options(argc, argv);
	listener = loopback_listen(&port);
	loopback_announce(port);
	for (;;)
		start_connection(loopback_accept(listener));
}
