/* SPDX-License-Identifier: ISC */

/*
 * load: load [-n] [-T threads] PROCESSES FILES TCP UDP UNIX: opens sockets
 * for make bench, all on loopback: PROCESSES processes with FILES files, TCP
 * tcp, UDP udp and UNIX unix sockets each; with -n each in a network
 * namespace of its own, with -T each with as many threads more.  Prints the
 * number of the first process when all are open, and ends when its standard
 * input does, or after half an hour.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIFETIME = 1800 };

/* The address of a process: all on one would run out of ports. */
static struct sockaddr_in addr = { .sin_family = AF_INET };

/* A listener and pairs that are connected through it, n sockets in all. */
static void
open_tcp(int n)
{
	struct sockaddr_in bound = addr;
	socklen_t len = sizeof bound;
	int l, s;

	if (n == 0)
		return;
	l = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(l, (struct sockaddr *)&bound, len) == -1 ||
	    listen(l, 100) == -1 ||
	    getsockname(l, (struct sockaddr *)&bound, &len) == -1)
		err(1, "listen");
	for (n--; n >= 2; n -= 2) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(s, (struct sockaddr *)&bound, len) == -1 ||
		    accept(l, NULL, NULL) == -1)
			err(1, "connect");
	}
}

static void
open_all(int files, int tcp, int udp, int unix_sockets)
{
	int i, pair[2];

	for (i = 0; i < files; i++)
		if (open("/dev/null", O_RDONLY) == -1)
			err(1, "/dev/null");
	open_tcp(tcp);
	for (i = 0; i < udp; i++)
		if (bind(socket(AF_INET, SOCK_DGRAM, 0),
		    (struct sockaddr *)&addr, sizeof addr) == -1)
			err(1, "bind");
	for (i = 0; i + 1 < unix_sockets; i += 2)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
			err(1, "socketpair");
}

static void *
wait_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static void
start_threads(int n)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32768);
	while (n-- > 0)
		if (pthread_create(&thread, &attr, wait_for_ever, NULL) != 0)
			errx(1, "pthread_create");
}

int
main(int argc, char *argv[])
{
	struct rlimit limit;
	int i, n[5], ready[2], nflag = 0, threads = 0;
	pid_t pid, first = 0;
	char c;

	while ((i = getopt(argc, argv, "nT:")) != -1)
		if (i == 'n')
			nflag = 1;
		else if (i == 'T')
			threads = (int)strtol(optarg, NULL, 10);
	argv += optind;
	if (argc - optind != 5)
		errx(2, "usage: load [-n] [-T threads] processes files tcp "
		    "udp unix");
	for (i = 0; i < 5; i++)
		n[i] = (int)strtol(argv[i], NULL, 10);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (pipe(ready) == -1)
		err(1, "pipe");
	for (i = 0; i < n[0]; i++) {
		pid = fork();
		if (i == 0)
			first = pid;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(ready[0]);
			alarm(LIFETIME);
			addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK +
			    ((in_addr_t)i << 8));
			if (nflag && unshare(CLONE_NEWNET) == -1)
				err(1, "unshare");
			open_all(n[1], n[2], n[3], n[4]);
			start_threads(threads);
			if (write(ready[1], "", 1) != 1)
				err(1, "write");
			close(ready[1]);
			pause();
			_exit(0);
		}
	}
	close(ready[1]);
	for (i = 0; i < n[0]; i++)
		if (read(ready[0], &c, 1) != 1)
			errx(1, "a process failed");
	printf("%d\n", (int)first);
	fflush(stdout);
	alarm(LIFETIME);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
