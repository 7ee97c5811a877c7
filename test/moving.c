/* SPDX-License-Identifier: ISC */

/*
 * moving: descriptors that change while they are read.
 * moving between FILE N: N descriptors are by turns a socket and FILE.
 * moving over N: a TCP listener and an unbound UDP socket, each of one
 * descriptor, which is another one of N at every moment.
 * Prints a line "PID INODE..." of its sockets ("over" another one, "ready")
 * and goes on until it is killed.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST = 400 };		/* of the descriptors that change */

static int
listener(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&in, sizeof in) == -1 ||
	    listen(fd, 5) == -1)
		exit(1);
	return fd;
}

static unsigned long long
inode(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		exit(1);
	return st.st_ino;
}

/* Of the two, one is a file that does not answer. */
static void
swap_files(const char *name, int n)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int file = open(name, O_RDONLY), i;

	if (fd == -1 || file == -1)
		exit(1);
	printf("%d %llu\n", (int)getpid(), inode(fd));
	for (i = 0;; i++)
		dup2(i / n % 2 ? fd : file, FIRST + i % n);
}

static void
move(int *from, int to)
{
	if (*from == to)
		return;
	dup2(*from, to);
	close(*from);
	*from = to;
}

static void
move_on(int n)
{
	int tcp = listener(), udp = socket(AF_INET, SOCK_DGRAM, 0), i;

	printf("%d %llu %llu\nready\n", (int)getpid(), inode(tcp),
	    inode(udp));
	/* What is to be read before them takes some time, too. */
	for (i = 10; i < FIRST; i++)
		dup2(0, i);
	for (i = 0;; i = (i + 1) % n) {
		move(&tcp, FIRST + 2 * i);
		move(&udp, FIRST + 2 * i + 1);
	}
}

int
main(int argc, char *argv[])
{
	struct rlimit limit;

	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (argc == 4 && strcmp(argv[1], "between") == 0)
		swap_files(argv[2], atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "over") == 0)
		move_on(atoi(argv[2]));
	return 2;
}
