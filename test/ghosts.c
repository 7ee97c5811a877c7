/* SPDX-License-Identifier: ISC */

/*
 * ghosts: ghosts KIND...: sockets that no descriptor holds.  Prints a line
 * "KIND PID INODE" for each and "ready", and waits until its standard input
 * ends.  What the host cannot give prints "KIND - reason" instead.
 * Mappings: packet-map (a ring that is mapped, a sniffer's), xdp-map, tcp-map
 * (a listener).  In a ring of io_uring that has no descriptor: ring-tcp and
 * ring-vsock, listeners, and ring-udp, which is not bound.  By a request that
 * waits in such a ring: accept-tcp and accept-vsock.  With "elsewhere-" before
 * it, the socket is in a namespace of network that nothing else keeps.  With
 * leader-exits as the last, only another thread goes on.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* Since Linux 6.5; the headers may be older. */
enum {
	NO_MMAP = 1 << 14,
	REGISTERED_FD_ONLY = 1 << 15,
};
static const unsigned USE_REGISTERED_RING = 1U << 31;	/* 6.3 */

static const char *kind;

static int
refused(const char *what)
{
	printf("%s - %s: %s\n", kind, what, strerror(errno));
	return -1;
}

static int
listener(int family)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK,
	    .svm_cid = VMADDR_CID_ANY, .svm_port = VMADDR_PORT_ANY };
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd == -1)
		return refused("socket");
	if ((family == AF_INET ?
	    bind(fd, (struct sockaddr *)&in, sizeof in) :
	    bind(fd, (struct sockaddr *)&vm, sizeof vm)) == -1 ||
	    listen(fd, 5) == -1)
		return refused("listen");
	return fd;
}

static int
keep_map(int fd, off_t offset)
{
	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, offset) == MAP_FAILED)
		return refused("mmap");
	return fd;
}

static int
packet_map(void)
{
	struct tpacket_req req = { .tp_block_size = PAGE, .tp_block_nr = 1,
	    .tp_frame_size = PAGE / 2, .tp_frame_nr = 2 };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd == -1 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req,
	    sizeof req) == -1)
		return refused("ring");
	return keep_map(fd, 0);
}

static int
xdp_map(void)
{
	int fd = socket(AF_XDP, SOCK_RAW, 0), n = 64;

	if (fd == -1 || setsockopt(fd, SOL_XDP, XDP_RX_RING, &n,
	    sizeof n) == -1)
		return refused("ring");
	return keep_map(fd, XDP_PGOFF_RX_RING);
}

static int
tcp_map(void)
{
	int fd = listener(AF_INET);

	return fd == -1 ? -1 : keep_map(fd, 0);
}

/* user_addr, which older headers call reserved, is the last of offsets. */
static void
set_address(void *end_of_offsets, const void *memory)
{
	uint64_t address = (uintptr_t)memory;

	memcpy((char *)end_of_offsets - sizeof address, &address,
	    sizeof address);
}

/* A ring in memory of ours, and its number, which is no descriptor. */
static int
make_ring(struct io_uring_params *p, char *memory)
{
	memset(p, 0, sizeof *p);
	p->flags = NO_MMAP | REGISTERED_FD_ONLY;
	set_address(&p->cq_off + 1, memory);
	set_address(&p->sq_off + 1, memory + PAGE);
	return (int)syscall(SYS_io_uring_setup, 4, p);
}

static int
in_ring(int fd)
{
	static _Alignas(PAGE) char memory[4][2 * PAGE];
	static int n;
	struct io_uring_params p;
	int ring;

	if (fd == -1)
		return -1;
	ring = make_ring(&p, memory[n++ % 4]);
	if (ring == -1 || syscall(SYS_io_uring_register, ring,
	    IORING_REGISTER_FILES | USE_REGISTERED_RING, &fd, 1) == -1)
		return refused("io_uring");
	return fd;
}

/* A request to accept connections, now and later. */
static int
in_request(int fd)
{
	static _Alignas(PAGE) char memory[2][2 * PAGE];
	static int n;
	struct io_uring_params p;
	struct io_uring_sqe *sqe;
	char *m = memory[n++ % 2];
	int ring;

	if (fd == -1)
		return -1;
	ring = make_ring(&p, m);
	if (ring == -1)
		return refused("io_uring");
	sqe = (struct io_uring_sqe *)(m + PAGE);
	sqe->opcode = IORING_OP_ACCEPT;
	sqe->ioprio = IORING_ACCEPT_MULTISHOT;
	sqe->fd = fd;
	((unsigned *)(m + p.sq_off.array))[0] = 0;
	atomic_store((atomic_uint *)(m + p.sq_off.tail), 1);
	if (syscall(SYS_io_uring_enter, ring, 1, 0,
	    IORING_ENTER_REGISTERED_RING, NULL, 0) != 1)
		return refused("accept");
	return fd;
}

static int
udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd == -1 ? refused("socket") : fd;
}

/* A new namespace has its loopback interface down. */
static void
raise_loopback(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
}

static int
open_kind(const char *name)
{
#define IS(s) (strcmp(name, s) == 0)
	if (IS("packet-map"))
		return packet_map();
	if (IS("xdp-map"))
		return xdp_map();
	if (IS("tcp-map"))
		return tcp_map();
	if (IS("ring-tcp"))
		return in_ring(listener(AF_INET));
	if (IS("ring-vsock"))
		return in_ring(listener(AF_VSOCK));
	if (IS("ring-udp"))
		return in_ring(udp());
	if (IS("accept-tcp"))
		return in_request(listener(AF_INET));
	if (IS("accept-vsock"))
		return in_request(listener(AF_VSOCK));
	fprintf(stderr, "ghosts: what is '%s'?\n", name);
	exit(2);
}

static int
open_elsewhere(const char *name)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (unshare(CLONE_NEWNET) == -1)
		return refused("unshare");
	raise_loopback();
	fd = open_kind(name);
	if (setns(home, CLONE_NEWNET) == -1)
		exit(1);
	close(home);
	return fd;
}

static void
make_ghost(void)
{
	struct stat st;
	int fd = strncmp(kind, "elsewhere-", 10) == 0 ?
	    open_elsewhere(kind + 10) : open_kind(kind);

	if (fd == -1)
		return;
	fstat(fd, &st);
	printf("%s %d %llu\n", kind, (int)getpid(),
	    (unsigned long long)st.st_ino);
	close(fd);
}

static void *
wait_for_end(void *arg)
{
	puts("ready");
	while (getchar() != EOF)
		;
	_exit(0);
	return arg;
}

int
main(int argc, char *argv[])
{
	pthread_t t;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		kind = argv[i];
		if (strcmp(kind, "leader-exits") == 0 &&
		    pthread_create(&t, NULL, wait_for_end, NULL) == 0)
			pthread_exit(NULL);
		make_ghost();
	}
	wait_for_end(NULL);
}
