/* SPDX-License-Identifier: ISC */

/*
 * psock, but the kernel says of the first INTERRUPTED answers to sock_diag
 * that sockets came and went meanwhile; of those that CUT counts, it sends
 * the beginning alone.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
is_among(const char *name, int n)
{
	const char *count = getenv(name);

	return count != NULL && n < atoi(count);
}

static ssize_t
read_diag(int fd, char *buf, size_t size)
{
	static int answers;
	struct nlmsghdr head;
	ssize_t n = read(fd, buf, size);

	if (n < (ssize_t)sizeof head || size < 65536)	/* of a file */
		return n;
	memcpy(&head, buf, sizeof head);
	if (is_among("INTERRUPTED", answers))
		head.nlmsg_flags |= NLM_F_DUMP_INTR;
	if (is_among("CUT", answers))
		n = sizeof head + 1;
	memcpy(buf, &head, sizeof head);
	answers++;
	return n;
}

#define read(fd, buf, size) read_diag(fd, buf, size)
#include "../../psock.c"
