/* SPDX-License-Identifier: ISC */

/*
 * psock that waits without end, in a read of descriptor 9, where $KEPT says
 * (compare, cmdline, process, ask) and the process is $KEPT_PID.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
wait_at(const char *where)
{
	char c;

	if (strcmp(getenv("KEPT"), where) == 0)
		while (read(9, &c, 1) != 2)
			;
}

/* The same, where dir is the directory of the process. */
static void
wait_below(const char *where, int dir)
{
	char path[64], link[64];
	ssize_t len;

	snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
	len = readlinkat(AT_FDCWD, path, link, sizeof link - 1);
	link[len > 0 ? len : 0] = '\0';
	snprintf(path, sizeof path, "/proc/%s", getenv("KEPT_PID"));
	if (strcmp(link, path) == 0)
		wait_at(where);
}

static ssize_t
kept_readlinkat(int dir, const char *path, char *buf, size_t size)
{
	if (strcmp(path, "ns/net") == 0)
		wait_below("process", dir);
	return readlinkat(dir, path, buf, size);
}

static int
kept_openat(int dir, const char *path, int flags)
{
	if (strcmp(path, "cmdline") == 0)
		wait_below("cmdline", dir);
	return openat(dir, path, flags);
}

static int
kept_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	wait_at("ask");
	return getsockname(fd, address, len);
}

static void
wait_call(long call, ...)
{
	if (call == SYS_kcmp)
		wait_at("compare");
}

#define readlinkat kept_readlinkat
#define openat kept_openat
#define getsockname kept_getsockname
#define syscall(...) (wait_call(__VA_ARGS__), syscall(__VA_ARGS__))
#include "../../psock.c"
