/* SPDX-License-Identifier: ISC */

/*
 * churn: churn N [KIND,...]: N quiet sockets of each kind (all, where none is
 * named), printed as "fd inode" lines and "ready", beside a child in which N
 * others of each kind come and go as fast as they can, until its standard
 * input ends.  Kinds that the host refuses are left out.
 */

#define _GNU_SOURCE
#include <linux/if_ether.h>
#include <linux/netlink.h>
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

static const struct kind {
	const char *name;
	int family, type, protocol;
} kinds[] = {
	{ "tcp", AF_INET, SOCK_STREAM, 0 },
	{ "tcp6", AF_INET6, SOCK_STREAM, 0 },
	{ "udp", AF_INET, SOCK_DGRAM, 0 },
	{ "udp6", AF_INET6, SOCK_DGRAM, 0 },
	{ "udplite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ "udplite6", AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ "icmp", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	{ "icmp6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
	{ "raw", AF_INET, SOCK_RAW, 253 },
	{ "raw6", AF_INET6, SOCK_RAW, 253 },
	{ "unix", AF_UNIX, SOCK_DGRAM, 0 },
	{ "unix", AF_UNIX, SOCK_STREAM, 0 },
	{ "packet", AF_PACKET, SOCK_RAW, 0 },
	{ "netlink", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE },
};
enum { NKINDS = sizeof kinds / sizeof *kinds };

static const struct kind *chosen[NKINDS];
static int nchosen;

/* Bound to a port of the loopback interface, where that lists it. */
static int
open_kind(const struct kind *k)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };
	int fd = socket(k->family, k->type, k->protocol);

	if (k->family == AF_INET)
		bind(fd, (struct sockaddr *)&in, sizeof in);
	else if (k->family == AF_INET6)
		bind(fd, (struct sockaddr *)&in6, sizeof in6);
	else if (k->family == AF_NETLINK)
		bind(fd, (struct sockaddr *)&nl, sizeof nl);
	if (k->type == SOCK_STREAM && k->family != AF_UNIX)
		listen(fd, 1);
	return fd;
}

static int
is_named(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *s = list;

	for (; s != NULL; s = strchr(s, ',')) {
		s += *s == ',';
		if (strncmp(s, name, len) == 0 && strchr(",", s[len]) != NULL)
			return 1;
	}
	return list == NULL;
}

static void
choose_kinds(const char *list)
{
	int i, fd;

	for (i = 0; i < NKINDS; i++) {
		if (!is_named(list, kinds[i].name))
			continue;
		fd = open_kind(&kinds[i]);
		if (fd != -1)
			chosen[nchosen++] = &kinds[i];
		close(fd);
	}
}

int
main(int argc, char *argv[])
{
	struct rlimit limit;
	struct stat st;
	int n = argc > 1 ? atoi(argv[1]) : 2000, i, *fds;

	choose_kinds(argc > 2 ? argv[2] : NULL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (nchosen == 0)
		return 3;
	if (n <= 0 || (fds = calloc((size_t)n * NKINDS, sizeof *fds)) == NULL)
		return 2;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < n * nchosen; i++)
			fds[i] = open_kind(chosen[i % nchosen]);
		for (i = 0;; i = (i + 1) % (n * nchosen)) {
			close(fds[i]);
			fds[i] = open_kind(chosen[i % nchosen]);
		}
	}
	for (i = 0; i < n * nchosen; i++) {
		fds[i] = open_kind(chosen[i % nchosen]);
		if (fds[i] == -1 || fstat(fds[i], &st) == -1) {
			perror("churn");
			return 1;
		}
		printf("%d\t%llu\n", fds[i], (unsigned long long)st.st_ino);
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
