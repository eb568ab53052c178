/*
 * measure FILE PROGRAM [ARGUMENT...]: runs a program and writes into FILE, as one JSON object, how
 * long it took and what it used, its own children included.  It ends as the program did.
 *
 * A process starts with the peak RSS of the one that forked it (execve(2) keeps the high-water
 * mark), so a script with an interpreter of 15 MB cannot measure a program of 8 MB.  This one is
 * small enough.
 */
#include "loopback.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

/* The program goes first, so that whoever stopped us can remove what it wrote. */
static void
on_signal(int number)
{
	(void)number;
	kill(child, SIGKILL);
}

static _Noreturn void
run_program(char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], argv);
	fprintf(stderr, "measure: ");
	perror(argv[0]);
	_exit(127);
}

int
main(int argc, char **argv)
{
	struct rusage used;
	double begun, ended;
	int status;
	FILE *out;

	if (argc < 3) {
		fprintf(stderr, "usage: measure FILE PROGRAM [ARGUMENT...]\n");
		return EX_USAGE;
	}
	out = fopen(argv[1], "we");
	if (out == NULL)
		loopback_die(argv[1]);
	begun = now();
	child = fork();
	if (child < 0)
		loopback_die("fork");
	if (child == 0)
		run_program(argv + 2);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	while (wait4(child, &status, 0, &used) < 0)
		if (errno != EINTR)
			loopback_die("wait4");
	ended = now();
	fprintf(out, "{\"wall\": %.6f, \"cpu\": %.6f, \"rss\": %ld}\n", ended - begun,
	    seconds(&used.ru_utime) + seconds(&used.ru_stime), used.ru_maxrss * 1024L);
	if (fclose(out) != 0)
		loopback_die(argv[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
