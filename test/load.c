/* SPDX-License-Identifier: ISC */

/*
 * load: load N: opens quiet sockets of each kind, printed as "fd inode" lines
 * and "ready", beside N processes of many kinds that come and go as fast as
 * they can, until its standard input ends.
 */

#define _GNU_SOURCE
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUIET = 50, KINDS = 8 };

static char *self;

/* A socket of the kind i modulo 4. */
static int
open_socket(int i)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };
	int fd, pair[2];

	switch (i % 4) {
	case 0:
		fd = socket(AF_INET, SOCK_STREAM, 0);
		bind(fd, (struct sockaddr *)&in, sizeof in);
		listen(fd, 1);
		return fd;
	case 1:
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		bind(fd, (struct sockaddr *)&in, sizeof in);
		return fd;
	case 2:
		fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
		bind(fd, (struct sockaddr *)&nl, sizeof nl);
		return fd;
	}
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ? pair[0] : -1;
}

static void *
wait_in_thread(void *arg)
{
	unshare(CLONE_FILES);
	open_socket(3);
	pause();
	return arg;
}

/* What a process of the kind does until it is killed, or at once. */
static void
live(int kind)
{
	pthread_t thread;
	int i;

	switch (kind) {
	case 0:		/* it comes and goes */
		_exit(0);
	case 1:		/* with sockets */
		for (i = 0; i < 8; i++)
			open_socket(i);
		_exit(0);
	case 2:
		for (i = 0; i < 8; i++)
			open_socket(i);
		break;
	case 3:		/* a thread with descriptors of its own */
		pthread_create(&thread, NULL, wait_in_thread, NULL);
		break;
	case 4:		/* of which only the thread is left */
		pthread_create(&thread, NULL, wait_in_thread, NULL);
		pthread_exit(NULL);
	case 5:		/* another program */
		open_socket(3);
		execl(self, self, "-", NULL);
		_exit(1);
	case 6:		/* another user */
		if (setgid(65534) == -1 || setuid(65534) == -1)
			_exit(1);
		open_socket(0);
		break;
	case 7:		/* a namespace, of which there are few */
		if (rand() % 16 == 0)
			(void)unshare(CLONE_NEWNET);
		open_socket(1);
		break;
	}
	pause();
}

static void
churn(int n)
{
	pid_t *pids = calloc((size_t)n, sizeof *pids);
	int i;

	for (i = 0; pids != NULL; i = (i + 1) % n) {
		/* It is a zombie until its turn comes again. */
		if (pids[i] > 0 && kill(pids[i], SIGKILL) == 0 &&
		    rand() % 4 == 0)
			continue;
		if (pids[i] > 0)
			waitpid(pids[i], NULL, 0);
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			srand((unsigned)getpid());
			live(rand() % KINDS);
			_exit(0);
		}
	}
}

int
main(int argc, char *argv[])
{
	struct rlimit limit;
	struct stat st;
	int i, fd, n;

	if (argc == 2 && strcmp(argv[1], "-") == 0)
		return 0;
	self = argv[0];
	getrlimit(RLIMIT_NPROC, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NPROC, &limit);
	n = argc > 1 ? atoi(argv[1]) : 1000;
	if (n <= 0)
		return 2;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		churn(n);
		_exit(1);
	}
	for (i = 0; i < 4 * QUIET; i++) {
		fd = open_socket(i);
		if (fd == -1 || fstat(fd, &st) == -1) {
			perror("load");
			return 1;
		}
		printf("%d\t%llu\n", fd, (unsigned long long)st.st_ino);
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
