/* SPDX-License-Identifier: ISC */

/*
 * sleepyfs: sleepyfs DIRECTORY CALL UID: mounts a FUSE file system whose
 * daemon, this program, never answers CALL (getattr, getxattr, lookup,
 * opendir, open, read, flush).  It has one directory, where every *history is
 * the same file of UID's, or the Nth, where its name begins with N: a megabyte
 * of commands, of which half can be read where CALL is read; where it is "end",
 * all is answered, but the file never ends.  Prints a line when it is mounted
 * and serves until it is killed.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

enum { SIZE = 1 << 20, MAX_REQUEST = 1 << 18 };

static const struct {
	const char *name;
	unsigned opcode;
} sleeps[] = {
	{ "getattr", FUSE_GETATTR },
	{ "getxattr", FUSE_GETXATTR },
	{ "lookup", FUSE_LOOKUP },
	{ "opendir", FUSE_OPENDIR },
	{ "open", FUSE_OPEN },
	{ "read", FUSE_READ },
	{ "flush", FUSE_FLUSH },
	{ "end", 0 },
};

static int fuse;
static unsigned owner, never;

static void
answer(const struct fuse_in_header *in, int error, const void *data, size_t n)
{
	static char reply[sizeof(struct fuse_out_header) + SIZE];
	struct fuse_out_header out = { 0, error, in->unique };

	out.len = (unsigned)(sizeof out + n);
	memcpy(reply, &out, sizeof out);
	if (n > 0)
		memcpy(reply + sizeof out, data, n);
	/* Whoever asked may be gone by now. */
	if (write(fuse, reply, out.len) == -1 && errno != ENOENT)
		exit(1);
}

static struct fuse_attr
attributes(unsigned long node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .uid = owner };

	a.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600;
	a.size = node == FUSE_ROOT_ID ? 0 : never == 0 ? 1ul << 60 : SIZE;
	a.blocks = a.size / 512;
	return a;
}

static void
look_up(const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out entry = { .nodeid = 2, .generation = 1 };
	size_t n = strlen(name);

	if (n < 7 || strcmp(name + n - 7, "history") != 0) {
		answer(in, -ENOENT, NULL, 0);
		return;
	}
	entry.nodeid += strtoul(name, NULL, 10);
	entry.attr = attributes(entry.nodeid);
	answer(in, 0, &entry, sizeof entry);
}

static void
read_file(const struct fuse_in_header *in, const struct fuse_read_in *want)
{
	static char data[SIZE];
	size_t at = want->offset, n = want->size, i;

	if (never == FUSE_READ && at >= SIZE / 2)
		return;
	if (never == 0)
		at %= SIZE;
	for (i = 0; i < SIZE; i++)
		data[i] = "command\n"[i % 8];
	if (at > SIZE)
		at = SIZE;
	if (n > SIZE - at)
		n = SIZE - at;
	answer(in, 0, data + at, n);
}

static void
serve(const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 26,
		.max_write = 4096, .max_readahead = 0
	};
	struct fuse_attr_out attr = { .attr_valid = 0 };
	struct fuse_open_out open = { .open_flags = FOPEN_DIRECT_IO };

	if (in->opcode == never && never != FUSE_READ)
		return;
	switch (in->opcode) {
	case FUSE_INIT:
		answer(in, 0, &init, sizeof init);
		puts("mounted");
		fflush(stdout);
		return;
	case FUSE_GETATTR:
		attr.attr = attributes(in->nodeid);
		answer(in, 0, &attr, sizeof attr);
		return;
	case FUSE_LOOKUP:
		look_up(in, (const char *)(in + 1));
		return;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(in, 0, &open, sizeof open);
		return;
	case FUSE_READ:
		read_file(in, (const struct fuse_read_in *)(in + 1));
		return;
	case FUSE_READDIR:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		answer(in, 0, NULL, 0);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	}
	answer(in, -ENOSYS, NULL, 0);
}

int
main(int argc, char **argv)
{
	static _Alignas(8) char request[MAX_REQUEST];
	char options[128];
	size_t i;

	if (argc != 4)
		return 2;
	for (i = 0; i < sizeof sleeps / sizeof *sleeps; i++)
		if (strcmp(sleeps[i].name, argv[2]) == 0)
			never = sleeps[i].opcode;
	owner = (unsigned)atoi(argv[3]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof options, "fd=%d,rootmode=40755,user_id=0,"
	    "group_id=0,allow_other", fuse);
	if (fuse == -1 || mount("sleepyfs", argv[1], "fuse",
	    MS_NOSUID | MS_NODEV, options) == -1) {
		perror("sleepyfs");
		return 1;
	}
	while (read(fuse, request, sizeof request) > 0)
		serve((const struct fuse_in_header *)request);
	return 0;
}
