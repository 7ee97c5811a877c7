/* SPDX-License-Identifier: ISC */

/*
 * floor: floor [threads | namespaces]: the system calls that any correct
 * scan makes, one after the other, and nothing done with the answers.  Lists
 * the processes and
 *	without operand: lists the descriptors of each, reads each link, and
 *	reads each table of this network namespace page by page;
 *	threads: lists the threads of each, and reads the link of the network
 *	namespace of each thread;
 *	namespaces: of each process in another network namespace, reads the
 *	counts and the tables that are short where the counts are 0.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
	uint64_t ino, off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static const char *const tables[] = {
	"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6",
	"icmp", "icmp6", "unix", "packet", "netlink", NULL,
};
static const char *const counts_and_short_tables[] = {
	"sockstat", "sockstat6", "unix", "netlink", "packet", "icmp", "icmp6",
	NULL,
};

static char netns[64];		/* of this process */

/* Calls visit for each name in the directory, and closes it. */
static void
visit_entries(int dir, void (*visit)(int, const char *))
{
	char buf[65536];
	struct entry *e;
	long n, at;

	while ((n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0)
		for (at = 0; at < n; at += e->len) {
			e = (struct entry *)(void *)(buf + at);
			if (e->name[0] >= '0' && e->name[0] <= '9')
				visit(dir, e->name);
		}
	close(dir);
}

static int
open_of(int dir, const char *name, const char *file)
{
	char path[96];

	snprintf(path, sizeof path, "%.20s/%s", name, file);
	return openat(dir, path, O_RDONLY);
}

static void
read_link(int dir, const char *name)
{
	char text[256];

	(void)!readlinkat(dir, name, text, sizeof text);
}

static void
read_links(int proc, const char *pid)
{
	visit_entries(open_of(proc, pid, "fd"), read_link);
}

static void
read_netns(int dir, const char *tid)
{
	char path[64];

	snprintf(path, sizeof path, "%.20s/ns/net", tid);
	read_link(dir, path);
}

static void
read_threads(int proc, const char *pid)
{
	visit_entries(open_of(proc, pid, "task"), read_netns);
}

static void
read_tables(int proc, const char *pid, const char *const *names)
{
	static char buf[65536];
	char path[64];
	int fd;

	for (; *names != NULL; names++) {
		snprintf(path, sizeof path, "net/%s", *names);
		fd = open_of(proc, pid, path);
		while (fd != -1 && read(fd, buf, sizeof buf) > 0)
			;
		close(fd);
	}
}

static void
read_short_tables(int proc, const char *pid)
{
	char path[64], other[sizeof netns] = "";

	snprintf(path, sizeof path, "%.20s/ns/net", pid);
	(void)!readlinkat(proc, path, other, sizeof other - 1);
	if (strcmp(other, netns) != 0)
		read_tables(proc, pid, counts_and_short_tables);
}

int
main(int argc, char *argv[])
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY);
	const char *what = argc > 1 ? argv[1] : "";

	(void)!readlinkat(proc, "self/ns/net", netns, sizeof netns - 1);
	if (strcmp(what, "threads") == 0) {
		visit_entries(proc, read_threads);
	} else if (strcmp(what, "namespaces") == 0) {
		visit_entries(proc, read_short_tables);
	} else {
		visit_entries(proc, read_links);
		proc = open("/proc", O_RDONLY | O_DIRECTORY);
		read_tables(proc, "self", tables);
	}
	return 0;
}
