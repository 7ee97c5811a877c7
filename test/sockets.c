/* SPDX-License-Identifier: ISC */

/*
 * sockets: opens what its arguments name, prints a line "kind pid tid fd
 * inode" for each descriptor and "ready", and waits until its standard
 * input ends.  A line of that gives the late ones their names, and "bound".
 * What the host cannot give prints "kind - reason" instead.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static const char *kind;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int pending;
static int leave;
static int kept;
/* What has been printed, for names that hold "%N". */
static unsigned long long inodes[100];
static unsigned ninodes;
/* What gets its name later. */
static struct {
	int fd;
	const char *name;
} late[10];
static int nlate;

static int
tell(int fd)
{
	struct stat st;

	if (fd == -1) {
		printf("%s - %s\n", kind, strerror(errno));
		return -1;
	}
	fstat(fd, &st);
	if (ninodes < sizeof inodes / sizeof *inodes)
		inodes[ninodes++] = st.st_ino;
	printf("%s %d %d %d %llu\n", kind, (int)getpid(),
	    (int)syscall(SYS_gettid), fd, (unsigned long long)st.st_ino);
	return fd;
}

/* A socket bound to a free port of the loopback interface. */
static int
bound(int family, int type, int protocol)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, type, protocol);

	if (fd != -1 && (family == AF_INET ?
	    bind(fd, (struct sockaddr *)&in, sizeof in) :
	    bind(fd, (struct sockaddr *)&in6, sizeof in6)) == -1) {
		int e = errno;

		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

static int
listener(int family)
{
	int fd = bound(family, SOCK_STREAM, 0);

	if (fd != -1)
		listen(fd, 5);
	return fd;
}

static int
connected(int to, int type, int protocol)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	int fd;

	if (to == -1)
		return -1;
	getsockname(to, (struct sockaddr *)&ss, &len);
	fd = socket(ss.ss_family, type, protocol);
	if (fd != -1 && connect(fd, (struct sockaddr *)&ss, len) == -1)
		return -1;
	return fd;
}

/*
 * name: the path, or @ and an abstract name; \xHH is a byte, %0 this
 * socket's inode and %N that of the Nth that was printed.
 */
static size_t
decode_name(char *to, size_t size, const char *name, int fd)
{
	struct stat st;
	size_t n = 0;
	unsigned byte;

	fstat(fd, &st);
	if (*name == '@') {
		to[n++] = '\0';
		name++;
	}
	while (*name != '\0' && n < size) {
		if (*name == '\\' && sscanf(name, "\\x%2x", &byte) == 1) {
			to[n++] = (char)byte;
			name += 4;
		} else if (*name == '%' && name[1] != '\0') {
			byte = (unsigned)(name[1] - '0');
			n += (size_t)snprintf(to + n, size - n, "%5llu",
			    byte == 0 ? (unsigned long long)st.st_ino :
			    inodes[byte - 1]);
			name += 2;
		} else {
			to[n++] = *name++;
		}
	}
	return n < size ? n : size;
}

static int
give_name(int fd, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = decode_name(un.sun_path, sizeof un.sun_path, name, fd);

	return n == 0 ? 0 : bind(fd, (struct sockaddr *)&un, (socklen_t)
	    (offsetof(struct sockaddr_un, sun_path) + n));
}

static int
unix_socket(int type, const char *name, int listening)
{
	int fd = socket(AF_UNIX, type, 0);

	if (give_name(fd, name) == -1)
		return -1;
	if (listening)
		listen(fd, 5);
	return fd;
}

/* A classic filter of n instructions. */
static int
filter(int fd, unsigned short n)
{
	struct sock_filter code[64];
	struct sock_fprog prog = { n, code };
	int i;

	if (fd == -1)
		return -1;
	for (i = 0; i < n; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
	    sizeof prog) == -1)
		return -1;
	return fd;
}

static void
thread_ready(void)
{
	pthread_mutex_lock(&lock);
	pending--;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
}

static void *
wait_forever(void *arg)
{
	(void)arg;
	thread_ready();
	for (;;)
		pause();
	return NULL;
}

static void *
own_files(void *arg)
{
	(void)arg;
	if (unshare(CLONE_FILES) == -1)
		tell(-1);
	else
		tell(listener(AF_INET));
	return wait_forever(NULL);
}

static void start_thread(void *(*)(void *));

/* Another socket of the same number in a descriptor table of its own. */
static void
same_number(void)
{
	if (unshare(CLONE_FILES) == -1)
		exit(1);
	close(kept);
	tell(listener(AF_INET));
}

static void *
other_file(void *arg)
{
	same_number();
	return wait_forever(arg);
}

/* Three threads: the third shares the descriptors of the first. */
static void *
own_files_twice(void *arg)
{
	if (unshare(CLONE_FILES) == -1)
		exit(1);
	kept = tell(listener(AF_INET));
	start_thread(other_file);
	start_thread(wait_forever);
	return wait_forever(arg);
}

static void *
keeper(void *arg)
{
	kept = tell(listener(AF_INET));
	return wait_forever(arg);
}

static void *
own_netns(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNET) == -1)
		tell(-1);
	else
		tell(unix_socket(SOCK_STREAM, "@in-thread-netns", 1));
	return wait_forever(NULL);
}

static void *
survivor(void *arg)
{
	(void)arg;
	thread_ready();
	while (getc(stdin) != EOF)
		;
	_exit(0);
}

static void
start_thread(void *(*run)(void *))
{
	pthread_t t;
	int others;

	pthread_mutex_lock(&lock);
	others = pending++;
	if (pthread_create(&t, NULL, run, NULL) != 0)
		exit(1);
	while (pending > others)
		pthread_cond_wait(&cond, &lock);
	pthread_mutex_unlock(&lock);
}

/* A child that shares descriptors made before it. */
static void
forked(int fd)
{
	int ready[2];
	char c;

	if (pipe(ready) == -1)
		exit(1);
	fflush(stdout);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		tell(fd);
		fflush(stdout);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 0)
		exit(1);
	close(ready[0]);
}

static int unix_pair[2];	/* what in_flight sends through */

static void in_flight(int);

/*
 * A socket, or a descriptor, in a namespace that no process is in.  Where
 * there is a name, one with that is on its way from there.
 */
static void
left_netns(int keep_socket, const char *name)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (*name != '\0' &&
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, unix_pair) == -1)
		exit(1);
	if (unshare(CLONE_NEWNET) == -1) {
		tell(-1);
		return;
	}
	if (keep_socket)
		fd = listener(AF_INET);
	else
		fd = open("/proc/thread-self/ns/net", O_RDONLY);
	if (keep_socket && fd == -1)	/* lo is down: bind to any */
		fd = unix_socket(SOCK_STREAM, "@left", 1);
	tell(fd);
	if (*name != '\0')
		in_flight(unix_socket(SOCK_STREAM, name, 1));
	if (setns(home, CLONE_NEWNET) == -1)
		exit(1);
	close(home);
}

/* Whether an inode that no descriptor holds is printed. */
static void
tell_unheld(int fd)
{
	struct stat st;

	fstat(fd, &st);
	inodes[ninodes++] = st.st_ino;
	printf("%s -1 -1 -1 %llu\n", kind, (unsigned long long)st.st_ino);
	close(fd);
}

/* A socket that is on its way through another. */
static void
in_flight(int fd)
{
	char control[CMSG_SPACE(sizeof fd)] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	if ((unix_pair[0] == 0 &&
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, unix_pair) == -1) ||
	    sendmsg(unix_pair[0], &m, 0) != 1)
		exit(1);
	unix_pair[0] = 0;
	tell_unheld(fd);
}

static int ring;
static struct iovec pages;

/* A socket that only an io_uring holds. */
static void
in_ring(int fd)
{
	struct io_uring_params p = { 0 };

	ring = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (ring == -1 || syscall(SYS_io_uring_register, ring,
	    IORING_REGISTER_FILES, &fd, 1) == -1)
		tell(-1);
	else
		tell_unheld(fd);
}

/* Registers memory, for which the ring is locked, and again if it may be. */
static void *
register_pages(void *arg)
{
	do
		syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS,
		    &pages, 1);
	while (syscall(SYS_io_uring_register, ring,
	    IORING_UNREGISTER_BUFFERS, NULL, 0) == 0);
	return arg;
}

static void
keep_busy(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, register_pages, NULL);
}

/* A ring that is in use most of the time. */
static void
in_busy_ring(int fd)
{
	int i;

	pages.iov_len = 4 << 20;
	pages.iov_base = mmap(NULL, pages.iov_len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	in_ring(fd);
	for (i = 0; i < 3; i++)
		keep_busy();
}

/* A ring that is locked for good, by memory that nobody gives. */
static void
in_locked_ring(int fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	pages.iov_len = 4096;
	pages.iov_base = mmap(NULL, pages.iov_len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r.range.start = (uintptr_t)pages.iov_base;
	r.range.len = pages.iov_len;
	if (uffd == -1 || ioctl(uffd, UFFDIO_API, &api) == -1 ||
	    ioctl(uffd, UFFDIO_REGISTER, &r) == -1) {
		tell(-1);
		return;
	}
	in_ring(fd);
	keep_busy();
	if (read(uffd, &msg, sizeof msg) != sizeof msg)
		exit(1);
}

/* A connection that its peer has reset: in no table. */
static int
was_reset(void)
{
	struct linger now = { 1, 0 };
	int to = listener(AF_INET), fd = connected(to, SOCK_STREAM, 0);
	int peer = accept(to, NULL, NULL);
	char c;

	setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(peer);
	close(to);
	while (read(fd, &c, 1) > 0)
		;
	return fd;
}

/* Every socket that can be had: all/DOMAIN/TYPE/PROTOCOL as it says itself. */
static void
open_all(void)
{
	static const int options[] = { SO_DOMAIN, SO_TYPE, SO_PROTOCOL };
	static const short protocols[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
	    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 58, 132, 136, 253, 255,
	    262 };
	char label[64];
	int family, type, fd, got[3];
	size_t p, i;
	socklen_t len = sizeof *got;

	for (family = 1; family < AF_MAX; family++)
		for (type = 1; type <= 10; type++)
			for (p = 0; p < sizeof protocols / sizeof *protocols;
			    p++) {
				/* The kernel takes 10 ms to close one. */
				if ((family == AF_PACKET || type == 10) &&
				    p > 1)
					break;
				fd = socket(family, type, protocols[p]);
				if (fd == -1)
					continue;
				for (i = 0; i < 3; i++)
					getsockopt(fd, SOL_SOCKET, options[i],
					    &got[i], &len);
				/* What says 0 has its EtherType. */
				if (got[0] == AF_PACKET)
					got[2] = ntohs((uint16_t)protocols[p]);
				snprintf(label, sizeof label, "all/%d/%d/%d",
				    got[0], got[1], got[2]);
				kind = label;
				tell(fd);
			}
}

/* Datagram sockets that are closed but kept by what they sent. */
static void
closed_senders(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int to = unix_socket(SOCK_DGRAM, "", 0), fd, n = atoi(name);
	socklen_t len = sizeof un;

	bind(to, (struct sockaddr *)&un, sizeof un.sun_family);
	getsockname(to, (struct sockaddr *)&un, &len);
	for (; n > 0; n--) {
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		if (sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&un,
		    len) != 1)
			exit(1);
		close(fd);
	}
	tell(to);
}

static void *
own_netns_fd(void *arg)
{
	if (unshare(CLONE_FILES) == -1)
		exit(1);
	left_netns(0, "");
	return wait_forever(arg);
}

static void
open_kind(const char *arg)
{
	const struct sockaddr_vm vm = { .svm_family = AF_VSOCK,
	    .svm_cid = VMADDR_CID_ANY, .svm_port = VMADDR_PORT_ANY };
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };
	char *name = strchr(arg, '=');
	int fd, pair[2];

	name = name != NULL ? name + 1 : (char *)"";
#define IS(s) (strncmp(arg, s, sizeof s - 1) == 0 && \
	(arg[sizeof s - 1] == '\0' || arg[sizeof s - 1] == '='))
	if (IS("tcp")) {
		tell(listener(AF_INET));
	} else if (IS("tcp6")) {
		tell(listener(AF_INET6));
	} else if (IS("pair")) {
		fd = tell(listener(AF_INET));
		pair[0] = tell(connected(fd, SOCK_STREAM, 0));
		tell(accept(fd, NULL, NULL));
	} else if (IS("unaccepted")) {
		tell(connected(tell(listener(AF_INET)), SOCK_STREAM, 0));
	} else if (IS("dup")) {
		fd = tell(listener(AF_INET));
		tell(dup(fd));
	} else if (IS("fork")) {
		forked(tell(listener(AF_INET)));
	} else if (IS("unbound")) {
		tell(socket(AF_INET, SOCK_STREAM, 0));
	} else if (IS("bound")) {
		tell(bound(AF_INET, SOCK_STREAM, 0));
	} else if (IS("udp")) {
		fd = tell(bound(AF_INET, SOCK_DGRAM, 0));
		tell(connected(fd, SOCK_DGRAM, 0));
	} else if (IS("udp6")) {
		tell(bound(AF_INET6, SOCK_DGRAM, 0));
	} else if (IS("mptcp")) {
		tell(socket(AF_INET, SOCK_STREAM, 262));
	} else if (IS("xdp")) {
		tell(socket(AF_XDP, SOCK_RAW, 0));
	} else if (IS("all")) {
		open_all();
	} else if (IS("reset")) {
		tell(was_reset());
	} else if (IS("in-flight")) {
		in_flight(listener(AF_INET));
	} else if (IS("unix-in-flight")) {
		in_flight(unix_socket(SOCK_STREAM, name, 1));
	} else if (IS("in-ring")) {
		in_ring(listener(AF_INET));
	} else if (IS("in-ring-too")) {
		fd = listener(AF_INET);
		tell(dup(fd));
		in_ring(fd);
	} else if (IS("in-busy-ring")) {
		in_busy_ring(listener(AF_INET));
	} else if (IS("in-locked-ring")) {
		in_locked_ring(listener(AF_INET));
	} else if (IS("closed-senders")) {
		closed_senders(name);
	} else if (IS("udp-unbound")) {
		tell(socket(AF_INET, SOCK_DGRAM, 0));
	} else if (IS("udplite")) {
		tell(bound(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
	} else if (IS("raw")) {
		tell(socket(AF_INET, SOCK_RAW, 253));
	} else if (IS("raw-filter")) {
		tell(filter(socket(AF_INET, SOCK_RAW, 253), 3));
	} else if (IS("ping")) {
		tell(bound(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	} else if (IS("unix")) {
		tell(unix_socket(SOCK_STREAM, name, 1));
	} else if (IS("dgram")) {
		tell(unix_socket(SOCK_DGRAM, name, 0));
	} else if (IS("late")) {
		late[nlate].fd = tell(socket(AF_UNIX, SOCK_DGRAM, 0));
		late[nlate++].name = name;
	} else if (IS("seqpacket")) {
		tell(unix_socket(SOCK_SEQPACKET, name, 1));
	} else if (IS("quiet-unix")) {
		tell(unix_socket(SOCK_STREAM, name, 0));
	} else if (IS("accepted")) {
		fd = tell(unix_socket(SOCK_STREAM, name, 1));
		tell(connected(fd, SOCK_STREAM, 0));
		tell(accept(fd, NULL, NULL));
	} else if (IS("waiting")) {
		fd = tell(unix_socket(SOCK_STREAM, name, 1));
		tell(connected(fd, SOCK_STREAM, 0));
	} else if (IS("socketpair")) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
			exit(1);
		tell(pair[0]);
		tell(pair[1]);
	} else if (IS("packet")) {
		tell(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
	} else if (IS("packet-filter")) {
		tell(filter(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)),
		    5));
	} else if (IS("netlink")) {
		fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
		bind(fd, (struct sockaddr *)&nl, sizeof nl);
		tell(fd);
	} else if (IS("vsock")) {
		fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		if (fd != -1)
			(void)bind(fd, (const struct sockaddr *)&vm,
			    sizeof vm);
		tell(fd);
	} else if (IS("thread")) {
		start_thread(own_files);
	} else if (IS("three-threads")) {
		start_thread(own_files_twice);
	} else if (IS("main-unshares")) {
		start_thread(keeper);
		same_number();
	} else if (IS("thread-netns")) {
		start_thread(own_netns);
	} else if (IS("netns-fd")) {
		left_netns(0, "");
	} else if (IS("thread-netns-fd")) {
		start_thread(own_netns_fd);
	} else if (IS("netns-socket")) {
		left_netns(1, name);
	} else if (IS("leader-exits")) {
		leave = 1;
	} else {
		fprintf(stderr, "sockets: what is '%s'?\n", arg);
		exit(2);
	}
}

int
main(int argc, char *argv[])
{
	char label[64];
	int i, c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		snprintf(label, sizeof label, "%.*s",
		    (int)strcspn(argv[i], "="), argv[i]);
		kind = label;
		open_kind(argv[i]);
	}
	if (leave) {
		start_thread(survivor);
		puts("ready");
		pthread_exit(NULL);
	}
	puts("ready");
	while ((c = getc(stdin)) != EOF)
		if (c == '\n') {
			while (nlate > 0 && give_name(late[nlate - 1].fd,
			    late[nlate - 1].name) == 0)
				nlate--;
			puts(nlate == 0 ? "bound" : strerror(errno));
		}
	_exit(0);
}
