/* SPDX-License-Identifier: ISC */

/*
 * meter: meter COMMAND...: runs it with its output thrown away and prints
 * one line: microseconds of wall, user and system time, and the KB of the
 * largest process.  All but the wall time are of all that it started, even of
 * what outlives it.
 */

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long
microseconds(struct timeval t)
{
	return (long)t.tv_sec * 1000000 + (long)t.tv_usec;
}

int
main(int argc, char *argv[])
{
	struct timespec before, after;
	struct rusage usage;
	int null, result;
	pid_t pid;

	if (argc < 2)
		errx(2, "usage: meter command ...");
	null = open("/dev/null", O_WRONLY);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	pid = fork();
	if (pid == 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid == -1 || waitpid(pid, &result, 0) == -1)
		err(2, "%s", argv[1]);
	clock_gettime(CLOCK_MONOTONIC, &after);
	while (wait(NULL) > 0)
		;
	getrusage(RUSAGE_CHILDREN, &usage);
	if (!WIFEXITED(result) || WEXITSTATUS(result) > 1)
		errx(2, "%s: failed", argv[1]);
	printf("%ld %ld %ld %ld\n",
	    (long)(after.tv_sec - before.tv_sec) * 1000000 +
	    (after.tv_nsec - before.tv_nsec) / 1000,
	    microseconds(usage.ru_utime), microseconds(usage.ru_stime),
	    usage.ru_maxrss);
	return 0;
}
