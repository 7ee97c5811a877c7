/* SPDX-License-Identifier: ISC */

/*
 * churn: churn N: N quiet sockets of each kind (tcp listeners, udp, unix,
 * netlink), told as "fd inode" lines and "ready", beside a child in which N
 * others of each kind come and go as fast as they can, until its standard
 * input ends.
 */

#define _GNU_SOURCE
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TCP, UDP, UNIX, NETLINK, KINDS };

static int
open_kind(int kind)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };
	int fd = -1;

	switch (kind) {
	case TCP:
	case UDP:
		fd = socket(AF_INET, kind == TCP ? SOCK_STREAM : SOCK_DGRAM,
		    0);
		if (bind(fd, (struct sockaddr *)&in, sizeof in) == -1)
			break;
		if (kind == TCP)
			listen(fd, 1);
		break;
	case UNIX:
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		break;
	case NETLINK:
		fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
		bind(fd, (struct sockaddr *)&nl, sizeof nl);
		break;
	}
	return fd;
}

int
main(int argc, char *argv[])
{
	struct rlimit limit;
	struct stat st;
	int n = argc > 1 ? atoi(argv[1]) : 2000, i, *fds;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (n <= 0 || (fds = calloc((size_t)n * KINDS, sizeof *fds)) == NULL)
		return 2;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < n * KINDS; i++)
			fds[i] = open_kind(i % KINDS);
		for (i = 0;; i = (i + 7) % (n * KINDS)) {
			close(fds[i]);
			fds[i] = open_kind(i % KINDS);
		}
	}
	for (i = 0; i < n * KINDS; i++) {
		fds[i] = open_kind(i % KINDS);
		if (fds[i] == -1 || fstat(fds[i], &st) == -1) {
			perror("churn");
			return 1;
		}
		printf("%d\t%llu\n", fds[i], (unsigned long long)st.st_ino);
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
