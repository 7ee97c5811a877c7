/* SPDX-License-Identifier: ISC */

/*
 * features: says in a line of TAP what this kernel is and what of that which
 * the tests ask for it does not have.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Numbers of all architectures alike; -1 arguments do nothing. */
static const struct {
	const char *name;
	long number;
} calls[] = {
	{ "kcmp", SYS_kcmp },
	{ "fsopen", 430 },
	{ "pidfd_open", 434 },
	{ "openat2", 437 },
	{ "pidfd_getfd", 438 },
	{ "io_uring", 426 },
};

static const struct {
	const char *name;
	int family, type, protocol;
} sockets[] = {
	{ "ipv6", AF_INET6, SOCK_STREAM, 0 },
	{ "udplite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ "sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP },
	{ "mptcp", AF_INET, SOCK_STREAM, 262 },
	{ "ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	{ "raw", AF_INET, SOCK_RAW, IPPROTO_TCP },
	{ "packet", AF_PACKET, SOCK_RAW, 0 },
	{ "netlink", AF_NETLINK, SOCK_RAW, 0 },
	{ "vsock", AF_VSOCK, SOCK_STREAM, 0 },
	{ "xdp", AF_XDP, SOCK_RAW, 0 },
	{ "alg", AF_ALG, SOCK_SEQPACKET, 0 },
};

static const struct {
	const char *name;
	int flag;
} namespaces[] = {
	{ "user namespaces", CLONE_NEWUSER },
	{ "network namespaces", CLONE_NEWNET },
	{ "pid namespaces", CLONE_NEWPID },
	{ "mount namespaces", CLONE_NEWNS },
};

static int nlacking;

static void
look(const char *name, int has)
{
	if (!has)
		printf("%s %s", nlacking++ == 0 ? "; not here:" : ",", name);
}

/* Whether a child may have a namespace of its own. */
static int
can_unshare(int flag)
{
	int state = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(flag) == -1);
	return waitpid(pid, &state, 0) == pid && state == 0;
}

int
main(void)
{
	struct utsname host;
	size_t i;
	int fd;

	uname(&host);
	printf("# %s %s %s, %s", host.sysname, host.release, host.machine,
	    geteuid() == 0 ? "root" : "not root");
	look("seccomp", prctl(PR_GET_SECCOMP) != -1);
	for (i = 0; i < sizeof calls / sizeof *calls; i++)
		look(calls[i].name, syscall(calls[i].number, -1, -1, -1, -1,
		    -1, -1) != -1 || errno != ENOSYS);
	for (i = 0; i < sizeof sockets / sizeof *sockets; i++) {
		fd = socket(sockets[i].family, sockets[i].type,
		    sockets[i].protocol);
		look(sockets[i].name, fd != -1);
		if (fd != -1)
			close(fd);
	}
	for (i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
		look(namespaces[i].name, can_unshare(namespaces[i].flag));
	look("fuse", access("/dev/fuse", R_OK | W_OK) == 0);
	putchar('\n');
	return 0;
}
