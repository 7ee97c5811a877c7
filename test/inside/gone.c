/* SPDX-License-Identifier: ISC */

/*
 * psock's own source, but a main that says what count_unread makes of EACCES
 * for a process that is there and for one that is gone.
 */

#define main psock_main
#include "../../psock.c"
#undef main

#include <stdio.h>
#include <sys/wait.h>

static int
judge(int pid, int dir)
{
	status = 0;
	errno = EACCES;
	count_unread(pid, dir, "exe");
	return status;
}

int
main(void)
{
	char name[32];
	int dir, there;
	pid_t pid;

	asks_kernel = 1;
	pid = fork();
	if (pid == 0)
		pause();
	(void)snprintf(name, sizeof name, "/proc/%d", pid);
	dir = open(name, O_RDONLY | O_DIRECTORY);
	if (dir == -1)
		return 2;
	there = judge(pid, dir);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("there %d, gone %d\n", there, judge(pid, dir));
	(void)psock_main;
	return 0;
}
