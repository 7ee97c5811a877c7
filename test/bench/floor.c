/* SPDX-License-Identifier: ISC */

/*
 * floor: the system calls that any correct scan of sockets makes, and
 * nothing done with the answers: list the processes, list the descriptors
 * of each, read each link, read each table page by page.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
	uint64_t ino, off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static char processes[65536], descriptors[65536], table[65536], link_to[256];

static void
read_links(int proc, const char *pid)
{
	char path[64];
	int dir;
	long n, at;
	struct entry *e;

	strcpy(path, pid);
	strcat(path, "/fd");
	dir = openat(proc, path, O_RDONLY | O_DIRECTORY);
	if (dir == -1)
		return;
	while ((n = syscall(SYS_getdents64, dir, descriptors,
	    sizeof descriptors)) > 0)
		for (at = 0; at < n; at += e->len) {
			e = (struct entry *)(void *)(descriptors + at);
			(void)!readlinkat(dir, e->name, link_to,
			    sizeof link_to);
		}
	close(dir);
}

int
main(void)
{
	static const char *const tables[] = {
		"net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/udplite",
		"net/udplite6", "net/raw", "net/raw6", "net/icmp",
		"net/icmp6", "net/unix", "net/packet", "net/netlink",
	};
	int proc = open("/proc", O_RDONLY | O_DIRECTORY), fd;
	struct entry *e;
	long n, at;
	size_t i;

	while ((n = syscall(SYS_getdents64, proc, processes,
	    sizeof processes)) > 0)
		for (at = 0; at < n; at += e->len) {
			e = (struct entry *)(void *)(processes + at);
			if (e->name[0] >= '1' && e->name[0] <= '9')
				read_links(proc, e->name);
		}
	for (i = 0; i < sizeof tables / sizeof *tables; i++) {
		fd = openat(proc, tables[i], O_RDONLY);
		while (fd != -1 && read(fd, table, sizeof table) > 0)
			;
		close(fd);
	}
	return 0;
}
