/* SPDX-License-Identifier: ISC */

/* psock whose helper is killed when it has reported some processes. */

#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>

static pid_t dying_fork(void);

#define _Fork dying_fork
#include "../../psock.c"

static pid_t
dying_fork(void)
{
	static int forks;
	pid_t pid = fork();
	size_t i;

	/* The worker is the first. */
	if (forks++ > 0 && pid == 0) {
		for (i = 0; i < 10; i++)
			report_process(processes.n[i]);
		raise(SIGKILL);
	}
	return pid;
}
