/* SPDX-License-Identifier: ISC */

/*
 * psock: every socket of the host with every descriptor that holds it.
 *
 * Four scans, one after the other, each done by workers (common.h).  These are
 * forked anew for each, and so know what the scans before have found.
 *
 * 1. The processes are listed, with what is mounted over /proc.
 * 2. Each process is read: its socket descriptors become holders, and the
 *    network namespace that it is in is noted.  Threads that have descriptors
 *    or a namespace of their own are read, too.
 * 3. The tables of each namespace in /proc/PID/net are read through a process
 *    that is in it, or else by entering it.  A row becomes an entry.
 * 4. A socket that is held but in no table is asked itself.
 *
 * A fifth scan asks sock_diag(7) for the peers of unix sockets, only if the
 * columns peer or peer_pid are printed.
 *
 * If no process seems to hold some socket, or the kernel counts more sockets
 * than were seen, psock looks at all processes once more, and at what they have
 * mapped; with -p, which could not tell, at their mappings in any case.
 *
 * At last entries and holders are joined by inode number: each pair of an
 * entry and a holder of its inode is printed as a row.
 *
 * The kernel writes names raw into the unix table, newlines included, so what
 * looks like a row may be part of the name before it.  Between scans 3 and 4
 * the sockets with such names are asked for them, and the entries of what is
 * part of a name are dropped.
 *
 * Below another root (-r) no link is followed, and no system call asks the
 * running kernel.
 *
 * From top to bottom: confinement, reading below /proc, the list of processes,
 * holders by inode, processes, their namespaces, layouts of tables, asking
 * sockets, tables, reading namespaces, names of unix sockets, sockets in no
 * table, what is still missing, the other end, columns, printing, options,
 * main.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
	LINE_MAX_BYTES = 65536,	/* longest line of a table */
	UNIX_NAME_MAX = 108,	/* bytes of sun_path */
	TEXT_MAX = 32768,	/* longest cmdline, path or cgroup kept */
	MAX_FIELDS = 32,
	MAX_ROW_FIELDS = 1024,	/* sctp lists all addresses of a host */
	MAX_PLACES = 8,		/* columns of a table that are read */
	MAX_READS = 3,		/* of a table, if a socket lacks its row */
	MAX_TRIES = 3,		/* of a job that is lost */
	BUSY_NETNS = 4000,	/* sockets: from here on each table is a job */
	GET_NETNS = 0x894C,	/* SIOCGSKNS, Linux 4.10 */
	MPTCP = 262,		/* IPPROTO_MPTCP, Linux 5.6 */
	NONE = -1,
};

#define UNKNOWN UINT32_MAX	/* a number that the kernel does not give */
#define NOWHERE UINT32_MAX	/* no namespace, no task */
#define INITIAL_PID_NS UINT32_C(0xEFFFFFFC)	/* PROC_PID_INIT_INO */

/* What the columns show of a process, as text; empty if not known. */
enum detail { COMM, EXE, CWD, CMDLINE, CGROUP, UID, USER_NAME, PPID,
    START_TIME, NDETAILS };

/* What the chosen columns need: details, as bits, and these. */
enum {
	NEED_INTERFACE = 1 << NDETAILS,
	NEED_TYPE = NEED_INTERFACE << 1,
	NEED_FILTER = NEED_INTERFACE << 2,
	NEED_V6ONLY = NEED_INTERFACE << 3,
	NEED_PEER = NEED_INTERFACE << 4,
	NEED_DETAILS = NEED_INTERFACE - 1,
	NEED_ASKING = NEED_INTERFACE | NEED_TYPE | NEED_FILTER | NEED_V6ONLY,
};

/* Kinds of records, which workers send, and what is in them. */
enum {
	FOUND_NUMBERS,		/* process numbers */
	FOUND_NS_LINK,		/* struct ns_link, and the path of a mount */
	FOUND_USER,		/* uint64_t uid, and a name */
	FOUND_HOST,		/* struct host */
	FOUND_TASK,		/* struct task, and its struct found_fd */
	FOUND_DETAIL,		/* enum detail of the last task, and a text */
	FOUND_ROW,		/* struct entry, and its text */
	FOUND_SOCKET,		/* struct answer, and its text */
	FOUND_USED,		/* int64_t sockets that the kernel counts */
	FOUND_TABLE,		/* int: the tables of the job were read whole */
	FOUND_AGAIN,		/* nothing: forget this job's records so far */
	FOUND_HOLDERS,		/* struct found_fd, of a search */
	FOUND_MOVE,		/* nothing: descriptors moved */
	FOUND_PEER,		/* struct connection */
};

/* Indexes of nettables, in the order of the rows; UNLISTED: in none. */
enum { TCP, TCP6, UDP, UDP6, UDPLITE, UDPLITE6, RAW, RAW6, ICMP, ICMP6, UNIX,
    PACKET, NETLINK, SCTP_ENDPOINTS, SCTP_ASSOCIATIONS, NTABLES,
    UNLISTED = NTABLES };

/* Indexes of state_names; the kernel's numbers plus the base. */
enum {
	NEW_SYN_RECV = 12,
	TCP_UNKNOWN = 13,
	STATE_UNIX = 16,
	UNIX_LISTEN = STATE_UNIX + SS_DISCONNECTING + 1,	/* a flag */
	STATE_SCTP = 24,
	SCTP_ESTABLISHED = STATE_SCTP + 3,
	SCTP_LISTEN = STATE_SCTP + 8,	/* of an endpoint alone */
	SCTP_UNKNOWN,
	NSTATES,
};

static const char *const state_names[] = {
	"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
	"FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN",
	"CLOSING", [NEW_SYN_RECV] = "NEW_SYN_RECV", [TCP_UNKNOWN] = "UNKNOWN",
	[STATE_UNIX] = "UNKNOWN", "UNCONNECTED", "CONNECTING", "CONNECTED",
	"DISCONNECTING", [UNIX_LISTEN] = "LISTEN",
	[STATE_SCTP] = "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED",
	"ESTABLISHED", "SHUTDOWN_PENDING", "SHUTDOWN_SENT",
	"SHUTDOWN_RECEIVED", "SHUTDOWN_ACK_SENT", [SCTP_LISTEN] = "LISTEN",
	[SCTP_UNKNOWN] = "UNKNOWN",
};

static const char *const type_names[] = {
	"", "STREAM", "DGRAM", "RAW", "RDM", "SEQPACKET",
};

/* A text from outside, or a part of one: any bytes. */
struct text {
	const char *s;
	size_t len;
};

/* A process, or a thread with descriptors or a namespace of its own. */
struct task {
	int pid, tid;
	uint64_t netns_inode;	/* 0: not known */
	uint64_t table_inode;	/* as in struct netns; 0: not known */
	int own_fds;		/* or it shares those of another task */
	/* Not from the worker that has found it: */
	uint32_t netns;
	int moves;		/* its descriptors moved in a search */
	struct text *details;	/* NDETAILS; null: none is known */
};

/* A socket and the descriptor that holds it. */
struct found_fd {
	uint64_t inode;
	int32_t fd, padding;
};

struct holder {
	uint64_t inode;
	uint32_t task;
	int32_t fd;		/* NONE: an io_uring or a mapping */
	uint32_t next;		/* of the same hash: index + 1; 0 ends */
	/* Looked at in the first holder of a socket alone. */
	uint32_t answer;	/* of the socket: index + 1; 0: none */
	uint8_t has_entry;	/* an unsure row does not count */
	uint8_t to_ask;		/* by the next ask_marked */
	uint8_t lost;		/* the job that was to ask it was lost */
	uint8_t unanswered;	/* no holder had it any more when asked */
	uint8_t late;		/* found by a search: it may move */
	uint8_t counted;	/* by add_up_seen */
};

/* What keeps a namespace: a mount, or a descriptor: net:[...] or a socket. */
struct ns_link {
	uint64_t inode;		/* of the namespace */
	uint64_t socket;	/* 0: it is net:[...] */
	uint32_t task;
	int32_t fd;		/* NONE: a mount */
	const char *path;	/* of the mount */
	uint32_t netns;
};

struct netns {
	uint64_t inode;		/* 0: cannot be known */
	uint64_t table_inode;	/* of one of its tables; 0: not read */
	uint32_t first_task;	/* NOWHERE: no task is in it */
	uint32_t first_link;	/* NOWHERE: no link is known */
	size_t ways;		/* into it: us, each task and each link */
	size_t nfds;		/* sockets that its processes hold */
	unsigned pending;	/* tables that are to be read, as bits */
	unsigned unread;	/* tables that were never read whole */
	unsigned tries;		/* how many jobs of its tables were lost */
	const char *why;	/* why the last of these was lost, or null */
	unsigned reads;		/* how often its tables were read */
	int64_t used;		/* sockets the kernel counts; NONE: not known */
	int64_t seen;		/* how many of these may have been seen */
	uint64_t sum;		/* of inodes seen: tells if all are the same */
	int confirmed;		/* by mark_confirmed */
	int asks_peers;		/* it has unix sockets with peers to ask for */
};

/* One socket, as a row of a table or the socket itself describes it. */
struct entry {
	uint64_t inode;
	unsigned char local[16], remote[16];
	uint32_t local_port, remote_port;
	uint32_t rx_queue, tx_queue, owner;
	uint32_t netns;
	uint32_t text;		/* into texts: unix name, interface */
	uint32_t v6only;	/* 0, 1; UNKNOWN, as those behind it */
	uint32_t filter_length;	/* of its socket filter */
	uint16_t family, protocol, text_len;
	uint16_t row_len;	/* unix: bytes of its line or lines */
	uint8_t type, state, table, flags;
};

enum {
	UNCOUNTED = 1,		/* requested, TIME_WAIT, or the kernel's own */
	NAMED = 2,		/* unix: has a name; line 1 may be empty */
	IN_NAME = 4,		/* unix: may be part of the name before it */
	DROPPED = 8,		/* unix: part of a name, or a row too many */
	MULTIPATH = 16,		/* MPTCP: counted once more than its rows */
	READ_AGAIN = 32,	/* unix: its table had been read whole before */
};

/*
 * A socket, by the two ends of its connection.  IPv4 addresses are mapped
 * ones.  A unix socket is found by its peer alone, whose inode is its remote
 * address.
 */
struct connection {
	struct end {
		unsigned char address[16];
		uint32_t port;
	} local, remote;
	uint32_t protocol;
	uint32_t netns;
	uint64_t inode;		/* 0: it has none, or these are several */
	size_t next;		/* of the same hash: index + 1; 0 ends */
};

/* What a socket that was asked says of itself. */
struct answer {
	/* table: that which should list it; keep_answer sets its netns. */
	struct entry e;
	uint64_t netns_inode;	/* 0: not known */
	uint32_t holder;	/* index */
	int32_t asked;		/* or it was refused: it was not copied */
	int32_t padding;
};

/* A row of a table: the entry that it may be, and what is not kept of it. */
struct row {
	struct entry e;
	uint32_t ifindex, port_id, unix_flags;
	uint16_t type;		/* as this table has it */
	uint64_t id;		/* inet: kernel pointer, else line; 0: none */
};

/*
 * A column of a table: its name in the header, how its fields are written,
 * and the member of a row that they are for.  "rem*" stands for rem_address
 * and remote_address.  A leading '?' marks what old kernels lack.
 */
enum syntax { DECIMAL, HEX, USER, ADDRESS, QUEUES, LIST };

struct table_column {
	const char *name;
	enum syntax syntax;
	size_t size, offset;
};

struct layout {
	const char *file;	/* null: as the table is named */
	const char *header;	/* the usual one, for tables without */
	struct table_column columns[MAX_PLACES];	/* up to a null name */
};

struct nettable {
	const char *name;
	uint16_t family, protocol;
	uint8_t type;
	/* A socket may have several rows: MPTCP, sctp. */
	uint8_t many;
	const struct layout *layout;
	const char *sockstat;		/* line of net/sockstat{,6} */
};

/* Of the host, from the first scan. */
struct host {
	int64_t boot_time;	/* seconds since the epoch; NONE: not known */
	uint64_t pid_ns;	/* 0: not known */
	uint64_t own_netns;	/* 0: not known */
	uint64_t own_netns_table;	/* its table_inode */
	int32_t initial_netns;	/* our own is the host's */
	int32_t proc_is;	/* why a procfs of our own is needed; or 0 */
	int32_t hidepid;	/* hides the processes of others from us */
};

enum { PARTIAL = 1, HIDDEN };

/* A name of ROOT/etc/passwd. */
struct user {
	uint64_t uid;
	const char *name;
};

/* Growable arrays of numbers; has_number takes ascending ones. */
struct numbers {
	int *n;
	size_t count, room;
};

static unsigned needs;		/* of the chosen columns */
static unsigned table_mask;	/* -t, as bits of nettables */
static unsigned read_mask;	/* these, and those of their peers */
static int some_tables;		/* -t was given */
static int xflag;		/* -x */
static struct numbers pids;	/* -p */
static int want_ownerless = 1;	/* sockets that nobody holds */
static int reads_all = 1;	/* 0: only what the processes of -p hold */
static int asks_kernel;		/* may ask and compare: no -r */
static int reads_rings;		/* fdinfo tells what rings hold */
static int privileged;		/* root: what is refused is an exception */
static int only_protocols;	/* sockets are asked for these alone */
static int asks_mptcp;		/* asks all sockets: which are MPTCP's? */

static int own_proc = NONE;	/* a procfs that nothing is mounted on */
static int proc = NONE;		/* of a worker: ROOT/proc */

static struct host host = { .boot_time = NONE };
static struct numbers processes;	/* all of them */
static struct numbers unlisted_processes;	/* that -x has found */
static int searching;		/* for who holds what nobody seems to hold */

/*
 * These live to the end.  They move when they grow, so that their elements
 * are named by index.
 */
static struct user *users;
static struct task *tasks;
static struct holder *holders;
static struct netns *namespaces;
static struct ns_link *ns_links;
static struct entry *entries;	/* and rows that use_answers may drop */
static char *texts;
static struct connection *connections;
static struct answer *answers;	/* of the last scan of sockets */

/*
 * How many of them there are, were there before the job whose records are
 * taken, and have room.  Of the ns_links, socket_links are by a socket.
 */
static struct sizes {
	size_t users, tasks, holders, namespaces, ns_links, socket_links,
	    entries, texts, connections, answers;
} count, count_before, room;

/* A hash table of index + 1. */
static uint32_t *holder_buckets;
static size_t holder_mask;
static uint64_t multiplier;

/* An entry of which nothing is known. */
static const struct entry blank_entry = { .netns = NOWHERE, .owner = UNKNOWN,
    .rx_queue = UNKNOWN, .tx_queue = UNKNOWN, .filter_length = UNKNOWN,
    .v6only = UNKNOWN, .table = UNLISTED };

/* What the row that is being printed is made of. */
static const struct entry *shown_entry;
static const struct holder *shown_holder;
static const struct task nobody = { .pid = NONE, .tid = NONE };
static const struct task *shown_task = &nobody;

/* Confinement */

/*
 * All that a worker asks of the kernel.  Copies of others' sockets come into
 * its hands, so it may look, and no more: it opens for reading alone, and
 * writes nowhere but to its parent.
 */
static const int worker_calls[] = {
	SYS_readlinkat, SYS_getdents64, SYS_fstat, SYS_statx, SYS_fstatfs,
	SYS_lseek,	/* over holes */
#ifdef SYS__llseek
	SYS__llseek,
#endif
	SYS_sysinfo,	/* glibc's qsort asks for the size of memory */
	SYS_fchdir, SYS_setns, SYS_kcmp, SYS_pidfd_open, SYS_pidfd_getfd,
	SYS_getxattr, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
	SYS_getpid, SYS_getegid, SYS_getgroups,
#ifdef SYS_getegid32	/* 32-bit machines */
	SYS_getegid32, SYS_getgroups32,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64	/* 32-bit machines */
	SYS_fstatat64, SYS_fstat64, SYS_fstatfs64,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_readlink, SYS_open,
#endif
};

static const struct condition worker_conditions[] = {
	{ SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 0 },
	{ SYS_ioctl, 1, UINT32_MAX, GET_NETNS, 0 },
	{ SYS_ioctl, 1, UINT32_MAX, SIOCGIFNAME, 0 },
#ifdef SYS_socketcall	/* before Linux 4.3 */
	{ SYS_socketcall, 0, UINT32_MAX, SYS_GETSOCKOPT, 0 },
	{ SYS_socketcall, 0, UINT32_MAX, SYS_GETSOCKNAME, 0 },
	{ SYS_socketcall, 0, UINT32_MAX, SYS_GETPEERNAME, 0 },
#endif
};

/*
 * A worker that asks for the peers of unix sockets has a list of its own.  It
 * can have no socket but those that it makes, of NETLINK_SOCK_DIAG, and these
 * send to the kernel alone.
 */
static const int peer_calls[] = {
	SYS_readlinkat, SYS_fstat, SYS_statx, SYS_setns,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64	/* 32-bit machines */
	SYS_fstatat64, SYS_fstat64,
#endif
};

static const struct condition peer_conditions[] = {
	{ SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 0 },
	{ SYS_socket, 0, UINT32_MAX, AF_NETLINK, 1 },
	{ SYS_socket, 2, UINT32_MAX, NETLINK_SOCK_DIAG, 0 },
	{ SYS_sendto, 5, UINT32_MAX, 0, 0 },	/* no address */
};

/* What the parent may besides: fork them, and mount a procfs. */
static const int own_calls[] = {
	SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_prlimit64, SYS_uname,
};

enum {
	NWORKER = sizeof worker_calls / sizeof *worker_calls,
	NOWN = sizeof own_calls / sizeof *own_calls,
	NPEER = sizeof peer_calls / sizeof *peer_calls,
	NCONDITIONS = sizeof worker_conditions / sizeof *worker_conditions,
	NPEER_CONDITIONS = sizeof peer_conditions / sizeof *peer_conditions,
};

/* Capabilities: to open and list any /proc/PID, and follow its links. */
static const uint32_t may_look = 1u << CAP_DAC_READ_SEARCH |
    1u << CAP_SYS_PTRACE;

/*
 * Of root's capabilities psock keeps those that let it open and list any
 * /proc/PID (DAC_READ_SEARCH), follow its links and copy its descriptors
 * (SYS_PTRACE), enter a network namespace and mount a procfs (SYS_ADMIN), and
 * ask a socket for its own (NET_ADMIN).  A user's psock has none, and would
 * refuse itself to itself if it were not dumpable.
 */
static void
confine_psock(void)
{
	int calls[NWORKER + NOWN];
	struct condition c[NCONDITIONS + NPEER_CONDITIONS];

	if (getauxval(AT_EUID) == 0)
		(void)keep_capabilities(root != NULL ? may_look : may_look |
		    1u << CAP_SYS_ADMIN | 1u << CAP_NET_ADMIN);
	memcpy(calls, worker_calls, sizeof worker_calls);
	memcpy(calls + NWORKER, own_calls, sizeof own_calls);
	memcpy(c, worker_conditions, sizeof worker_conditions);
	memcpy(c + NCONDITIONS, peer_conditions, sizeof peer_conditions);
	/* Without seccomp it goes on as it is. */
	(void)confine(calls, NWORKER + NOWN, c, (needs & NEED_PEER) != 0
	    ? NCONDITIONS + NPEER_CONDITIONS : NCONDITIONS);
}

/* Workers are no process that anybody may look into. */
static void
confine_worker(const int *calls, size_t n, const struct condition *c, size_t m)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)confine(calls, n, c, m);
}

/* Reading below /proc */

static int
needs_detail(enum detail which)
{
	return (needs & 1u << which) != 0;
}

/* What vanished while it was being read is no error. */
static int
is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ESRCH;
}

static void
count_process(int pid, const char *what, const char *why)
{
	count_number("process", (uint64_t)pid, what, why);
}

/* Counts, once, what could not be read of a process, unless it is gone. */
static void
count_refusal(int pid, const char *what)
{
	if (!is_gone(errno) && !searching)
		count_process(pid, what, strerror(errno));
}

/*
 * Counts links of a task that could not be read, unless it is gone: one that
 * ends in the middle of readlink(2) refuses that (EACCES, Linux 6.18).
 */
static void
count_unread(int pid, int dir, const char *name)
{
	struct stat st;
	int why = errno;

	if (why == EACCES && asks_kernel &&
	    fstatat(dir, "stat", &st, AT_SYMLINK_NOFOLLOW) == -1 &&
	    is_gone(errno))
		return;
	errno = why;
	count_refusal(pid, name);
}

/*
 * Opens one name in dir.  Below somebody else's root no link is followed
 * and nothing but a file or directory is opened.
 */
static int
open_one(int dir, const char *name, int flags)
{
	struct stat st;

	flags |= O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	if (root != NULL) {
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			return -1;
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
			errno = S_ISLNK(st.st_mode) ? ELOOP : EINVAL;
			return -1;
		}
		flags |= O_NOFOLLOW;
	}
	return openat(dir, name, flags);
}

/* Opens a path below dir; below another root, one name after the other. */
static int
open_below(int dir, const char *path, int flags)
{
	char name[64];
	size_t len = (size_t)(strchrnul(path, '/') - path);
	int next, fd;

	if (root == NULL || path[len] == '\0')
		return open_one(dir, path, flags);
	(void)format_text(name, sizeof name, "%.*s", (int)len, path);
	next = open_one(dir, name, O_DIRECTORY);
	if (next == -1)
		return -1;
	fd = open_below(next, path + len + 1, flags);
	close_quietly(next);
	return fd;
}

/* Opens a file for read_line; returns -1 if there is none. */
static int
open_lines(struct reader *r, int dir, const char *name)
{
	/* Somebody else's tree may have files of any size. */
	*r = (struct reader){ .max = LINE_MAX_BYTES, .sparse = root != NULL };
	r->fd = open_below(dir, name, 0);
	return r->fd == -1 ? -1 : 0;
}

/* Returns -1 if it could not be read whole. */
static int
close_lines(struct reader *r, const char *what)
{
	/* EINVAL, ESRCH: the process or its namespace ended meanwhile. */
	int whole = r->error == 0;

	if (!whole && !is_gone(r->error) && r->error != EINVAL)
		count_warning("file", what, "", strerror(r->error));
	close(r->fd);
	reader_free(r);
	return whole ? 0 : -1;
}

static int
compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
add_number(struct numbers *list, int n)
{
	list->n = grow(list->n, &list->room, list->count, sizeof *list->n);
	list->n[list->count++] = n;
}

static int
has_number(const struct numbers *list, int n)
{
	return list->count > 0 && bsearch(&n, list->n, list->count,
	    sizeof *list->n, compare_ints) != NULL;
}

/*
 * The numeric names in a directory, ascending: processes, threads or
 * descriptors.  Returns 0, or -1 with errno.
 */
static int
read_numbers(int dir, struct numbers *list)
{
	static char buf[32768];
	struct dirent *d;
	uint64_t value;
	long n, at;

	list->count = 0;
	while ((n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0)
		for (at = 0; at < n; at += d->d_reclen) {
			d = (struct dirent *)(void *)(buf + at);
			step();
			if (parse_number(d->d_name, strlen(d->d_name), 10,
			    INT_MAX, &value) == -1 ||
			    (d->d_name[0] == '0' && d->d_name[1] != '\0'))
				continue;
			add_number(list, (int)value);
		}
	sort(list->n, list->count, sizeof *list->n, compare_ints);
	return n < 0 ? -1 : 0;
}

/* The number in "socket:[123]", "net:[123]" or the like, else -1. */
static int
parse_link(const char *link, ssize_t len, const char *prefix, uint64_t *inode)
{
	size_t skip = strlen(prefix);

	if (len < (ssize_t)skip + 2 || memcmp(link, prefix, skip) != 0 ||
	    link[len - 1] != ']')
		return -1;
	return parse_number(link + skip, (size_t)len - skip - 1, 10,
	    UINT64_MAX, inode);
}

/* The number that a link of dir names, as parse_link has it. */
static int
read_inode_link(int dir, const char *name, const char *prefix,
    uint64_t *inode)
{
	char link[64];
	ssize_t len = readlinkat(dir, name, link, sizeof link);

	if (len == -1)
		return -1;
	errno = EINVAL;
	return parse_link(link, len, prefix, inode);
}

/*
 * Whether a descriptor of ours, opened with O_PATH, is "socket:[inode]" or
 * the like, without asking its file.  Sets path to its link below proc.
 */
static int
leads_to(int fd, char *path, size_t size, const char *prefix, uint64_t inode)
{
	uint64_t now;

	(void)format_text(path, size, "self/fd/%d", fd);
	return read_inode_link(proc, path, prefix, &now) == 0 && now == inode;
}

/* There is too much of something. */
static _Noreturn void
too_much(int errnum)
{
	fatal("%s", strerror(errnum));
}

static void *
allocate(size_t n)
{
	void *p = calloc(1, n);

	if (p != NULL)
		return p;
	too_much(ENOMEM);
}

/* Keeps the n bytes at s, and a NUL behind them. */
static struct text
keep_text(const char *s, size_t n)
{
	char *copy = allocate(n + 1);

	memcpy(copy, s, n);
	return (struct text){ copy, n };
}

/*
 * Reads a file of a process, at most TEXT_MAX bytes of it, to *s; returns
 * their number, 0 if it is refused.
 */
static size_t
read_text(int pid, int dir, const char *name, char **s)
{
	static char buf[TEXT_MAX + 1];
	size_t used = 0;
	ssize_t n = -1;
	int fd;

	*s = buf;
	fd = open_below(dir, name, 0);
	if (fd != -1) {
		while (used < sizeof buf &&
		    (n = read(fd, buf + used, sizeof buf - used)) > 0)
			used += (size_t)n;
		close_quietly(fd);
	}
	if (n == -1) {
		count_refusal(pid, name);
		return 0;
	}
	if (used > TEXT_MAX) {
		used = TEXT_MAX;
		count_process(pid, name, "cut at 32 KiB");
	}
	return used;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
find_blank(const char *s, const char *end)
{
	uint64_t space, tab, marks;

	for (; end - s >= 8; s += 8) {
		space = load_word(s) ^ ONES * ' ';
		tab = space ^ ONES * (' ' ^ '\t');
		marks = (((space - ONES) & ~space) | ((tab - ONES) & ~tab)) &
		    HIGHS;
		if (marks != 0)
			return s + first_marked(marks);
	}
	while (s < end && !is_blank(*s))
		s++;
	return s;
}

/* Splits s at blanks into at most max fields; returns how many. */
static size_t
split(const char *s, size_t len, struct text *fields, size_t max)
{
	const char *end = s + len;
	size_t n = 0;

	while (n < max) {
		while (s < end && is_blank(*s))
			s++;
		if (s == end)
			break;
		fields[n].s = s;
		s = find_blank(s, end);
		fields[n].len = (size_t)(s - fields[n].s);
		n++;
	}
	return n;
}

static int
field_number(const struct text *f, int base, uint64_t max, uint64_t *value)
{
	return parse_number(f->s, f->len, base, max, value);
}

static int
field_is(const struct text *f, const char *s)
{
	return f->len == strlen(s) && memcmp(f->s, s, f->len) == 0;
}

/*
 * Takes the next line of a text off *s, which ends at end.  Returns its
 * length, or -1 at the end.
 */
static ptrdiff_t
next_line(const char **s, const char *end, const char **line)
{
	const char *nl;

	if (*s >= end)
		return -1;
	*line = *s;
	nl = memchr(*s, '\n', (size_t)(end - *s));
	if (nl == NULL)
		nl = end;
	*s = nl + 1;
	return nl - *line;
}

/*
 * A number of the file status of a process, which may list many groups behind
 * it.  Returns 0, or -1 with errno.
 */
static int
read_status(int dir, const char *name, uint64_t *value)
{
	struct text f[2];
	struct reader r;
	char *line;
	ptrdiff_t len;
	int error = ENOENT;

	if (open_lines(&r, dir, "status") == -1)
		return -1;
	while (error != 0 && (len = read_line(&r, '\n', &line)) != -1)
		if (split(line, (size_t)len, f, 2) == 2 &&
		    field_is(&f[0], name) &&
		    field_number(&f[1], 10, UINT32_MAX, value) == 0)
			error = 0;
	if (r.error != 0)
		error = r.error;
	close(r.fd);
	reader_free(&r);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* st_ino of dir/net/tcp or the like, one for each namespace; 0: none. */
static uint64_t
read_table_inode(int dir)
{
	static const char *const names[] = { "tcp", "unix", "udp", "netlink" };
	struct stat st = { .st_ino = 0 };
	size_t i;
	int netdir;

	netdir = open_below(dir, "net", O_DIRECTORY);
	if (netdir == -1)
		return 0;
	for (i = 0; i < sizeof names / sizeof *names && st.st_ino == 0; i++)
		(void)fstatat(netdir, names[i], &st, AT_SYMLINK_NOFOLLOW);
	close(netdir);
	return st.st_ino;
}

/* The list of processes */

/* Undoes the \ooo of mountinfo in place. */
static void
decode_octal(char *s)
{
	uint64_t value;
	char *to;

	for (to = s; *s != '\0'; s++) {
		*to++ = *s;
		if (*s == '\\' && parse_number(s + 1, 3, 8, 0xff,
		    &value) == 0) {
			to[-1] = (char)value;
			s += 3;
		}
	}
	*to = '\0';
}

/* Whether something mounted here hides what psock reads. */
static int
hides_process(const char *path)
{
	if (strncmp(path, "/proc/", 6) != 0)
		return 0;
	path += 6;
	return (*path >= '0' && *path <= '9') ||
	    strncmp(path, "self", 4) == 0 || strncmp(path, "net", 3) == 0 ||
	    strncmp(path, "thread-self", 11) == 0;
}

/*
 * Looks at one mount: "id parent dev root mountpoint options ... - type
 * source superoptions".  Returns 1 if it hides a process.
 */
static int
look_at_mount(char *line, size_t len)
{
	struct ns_link link = { .task = NOWHERE, .fd = NONE };
	struct text f[MAX_FIELDS];
	size_t n, dash;
	char *path;

	n = split(line, len, f, MAX_FIELDS);
	for (dash = 6; dash < n && !field_is(&f[dash], "-"); dash++)
		;
	if (dash + 1 >= n)
		return 0;
	path = line + (f[4].s - line);
	path[f[4].len] = '\0';
	decode_octal(path);
	if (field_is(&f[dash + 1], "nsfs") && reads_all && parse_link(
	    f[3].s, (ssize_t)f[3].len, "net:[", &link.inode) == 0)
		send_record(FOUND_NS_LINK, &link, sizeof link, path,
		    strlen(path));
	return hides_process(path);
}

/* A procfs of our own, on which nothing is mounted (Linux 5.2). */
static int
mount_proc(void)
{
	enum { CMD_CREATE = 6 };
	int fs, mnt = -1, fd = -1;

	fs = (int)syscall(SYS_fsopen, "proc", 1 /* FSOPEN_CLOEXEC */);
	if (fs == -1)
		return -1;
	if (syscall(SYS_fsconfig, fs, CMD_CREATE, NULL, NULL, 0) == 0)
		mnt = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */,
		    0);
	close(fs);
	if (mnt == -1)
		return -1;
	/* That is an O_PATH descriptor. */
	fd = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(mnt);
	return fd;
}

/*
 * Whether dir is a procfs in which this process is: not another file system
 * with a forged tree, nor a part of a procfs, nor that of a pid namespace
 * which is below this one.
 */
static int
is_whole_proc(int dir)
{
	struct statfs fs;
	char link[16];

	return fstatfs(dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
	    (readlinkat(dir, "self", link, sizeof link) > 0 ||
	    errno != ENOENT);
}

/* Finds what is wrong with /proc. */
static void
read_mounts(struct host *h)
{
	struct reader r;
	ptrdiff_t len;
	char *line;
	int hidden = 0;

	if (!is_whole_proc(proc)) {
		h->proc_is = PARTIAL;
		return;
	}
	if (open_lines(&r, proc, "self/mountinfo") == -1) {
		if (!is_gone(errno))
			warning("/proc/self/mountinfo: %s", strerror(errno));
		return;
	}
	while ((len = read_line(&r, '\n', &line)) != -1) {
		h->hidepid |= hides_processes(line, (size_t)len);
		hidden += look_at_mount(line, (size_t)len);
	}
	(void)close_lines(&r, "mountinfo");
	if (hidden > 0 && own_proc == NONE)
		h->proc_is = HIDDEN;
}

static int64_t
read_boot_time(void)
{
	struct text f[2];
	struct reader r;
	int64_t btime = NONE;
	uint64_t value;
	char *line;
	ptrdiff_t len;

	if (open_lines(&r, proc, "stat") == -1) {
		count_warning("file", "/proc/stat", "", strerror(errno));
		return btime;
	}
	while ((len = read_line(&r, '\n', &line)) != -1)
		if (split(line, (size_t)len, f, 2) == 2 &&
		    field_is(&f[0], "btime") &&
		    field_number(&f[1], 10, INT64_MAX / 2, &value) == 0)
			btime = (int64_t)value;
	(void)close_lines(&r, "/proc/stat");
	return btime;
}

static void
read_host(void)
{
	struct host h = { .boot_time = NONE };
	struct stat st;
	int self;

	if (needs_detail(START_TIME))
		h.boot_time = read_boot_time();
	if (asks_kernel) {
		read_mounts(&h);
		(void)read_inode_link(proc, "self/ns/pid", "pid:[", &h.pid_ns);
		(void)read_inode_link(proc, "self/ns/net", "net:[",
		    &h.own_netns);
		self = open_below(proc, "self", O_DIRECTORY);
		h.own_netns_table = self == -1 ? 0 : read_table_inode(self);
		close(self);
		/* Other namespaces do not have this limit. */
		h.initial_netns = fstatat(proc,
		    "sys/net/core/netdev_max_backlog", &st, 0) == 0;
	}
	send_record(FOUND_HOST, &h, sizeof h, NULL, 0);
}

static int
open_root(void)
{
	return openat(AT_FDCWD, root != NULL ? root : "/", O_PATH |
	    O_DIRECTORY | O_CLOEXEC);
}

static void
read_users(void)
{
	struct passwd_entry e;
	struct reader r;
	char *line;
	ptrdiff_t len;
	int dir = open_root();

	if (dir == -1 || open_lines(&r, dir, "etc/passwd") == -1) {
		count_warning("file", "/etc/passwd", "", strerror(errno));
		return;
	}
	while ((len = read_line(&r, '\n', &line)) != -1)
		if (r.ended && parse_passwd(line, (size_t)len, &e) == 0)
			send_record(FOUND_USER, &e.uid, sizeof e.uid, e.name,
			    strlen(e.name));
	(void)close_lines(&r, "/etc/passwd");
	close(dir);
}

/* Opens ROOT/proc in each worker. */
static void
open_proc(void)
{
	int dir;

	if (own_proc != NONE) {	/* with a place of its own in the list */
		proc = open_below(own_proc, ".", O_DIRECTORY);
	} else {
		dir = open_root();
		if (dir != -1)
			proc = open_below(dir, "proc", O_DIRECTORY);
		if (proc == NONE)
			fatal("%s/proc: %s", root != NULL ? root : "",
			    strerror(errno));
		close(dir);
	}
}

static void
prepare_worker(void)
{
	open_proc();
	if (in_worker)
		confine_worker(worker_calls, NWORKER, worker_conditions,
		    NCONDITIONS);
	/* For getxattr(2), which takes no directory. */
	if (asks_kernel)
		(void)syscall(SYS_fchdir, proc);
}

/* Notes how much there is before the first record of a job. */
static void
begin_job(size_t job)
{
	(void)job;
	count_before = count;
}

/* Forgets what was taken of a job since then. */
static void
forget_job(void)
{
	count = count_before;
}

/* Does the jobs of a scan, itself if no worker can be forked. */
static void
scan_jobs(void (*prepare)(void), size_t njobs, void (*work)(size_t),
    void (*take)(size_t, int, const char *, size_t),
    void (*lose)(size_t, const char *))
{
	const struct scan scan = { .njobs = njobs, .lifetime = 600,
	    .prepare = prepare, .work = work, .begin = begin_job,
	    .take = take, .lose = lose };

	run_scan(&scan);
}

/* The number that a worker itself has in ROOT/proc, or NONE. */
static int
read_own_number(void)
{
	char link[16];
	uint64_t pid;
	ssize_t len = NONE;

	if (in_worker && is_whole_proc(proc))
		len = readlinkat(proc, "self", link, sizeof link);
	return len > 0 && parse_number(link, (size_t)len, 10, INT_MAX,
	    &pid) == 0 ? (int)pid : NONE;
}

/* The only job of the first scan. */
static void
list_processes(size_t job)
{
	static struct numbers list;
	const int own = read_own_number();
	size_t i, n = 0;

	(void)job;
	if (read_numbers(proc, &list) == -1)
		fatal("%s/proc: %s", root != NULL ? root : "",
		    strerror(errno));
	for (i = 0; i < list.count; i++)
		if (list.n[i] != own)
			list.n[n++] = list.n[i];
	send_record(FOUND_NUMBERS, NULL, 0, list.n, n * sizeof *list.n);
	read_host();
	if (needs_detail(USER_NAME))
		read_users();
}

/* Keeps what may keep a namespace that no process is in. */
static void
take_ns_link(const char *s, size_t n)
{
	struct ns_link l;

	if (take_head(&s, &n, &l, sizeof l) == -1 || l.fd < NONE ||
	    (l.fd != NONE && count.tasks == 0))
		return;
	ns_links = grow(ns_links, &room.ns_links, count.ns_links, sizeof l);
	l.task = l.fd == NONE ? NOWHERE : (uint32_t)count.tasks - 1;
	l.path = l.fd == NONE ? keep_text(s, n).s : NULL;
	l.socket = 0;
	ns_links[count.ns_links++] = l;
}

static void
take_user(const char *s, size_t n)
{
	struct user u;

	if (take_head(&s, &n, &u.uid, sizeof u.uid) == -1)
		return;
	u.name = keep_text(s, n).s;
	users = grow(users, &room.users, count.users, sizeof u);
	users[count.users++] = u;
}

static void
take_list(size_t job, int kind, const char *s, size_t n)
{
	(void)job;
	switch (kind) {
	case FOUND_NUMBERS:
		free(processes.n);
		processes.count = processes.room = n / sizeof *processes.n;
		processes.n = (void *)keep_text(s, n).s;
		break;
	case FOUND_NS_LINK:
		take_ns_link(s, n);
		break;
	case FOUND_USER:
		take_user(s, n);
		break;
	case FOUND_HOST:
		(void)take_head(&s, &n, &host, sizeof host);
		break;
	}
}

static const char *list_lost;	/* why */

static void
lose_list(size_t job, const char *why)
{
	(void)job;
	list_lost = why;
}

/* There is no answer without a list: that is worth more than one try. */
static void
list_once(void)
{
	int tries;

	for (tries = 0; tries < MAX_TRIES; tries++) {
		list_lost = NULL;
		count.ns_links = count.users = 0;
		scan_jobs(prepare_worker, 1, list_processes, take_list,
		    lose_list);
		if (list_lost == NULL)
			return;
		if (status != 0 && strcmp(list_lost, "exited") == 0) {
			(void)finish();		/* it has said why itself */
			_exit(2);
		}
	}
	fatal("%s/proc: %s", root != NULL ? root : "", list_lost);
}

/*
 * Asks for numbers of processes whether there is one: of those that are not
 * in the list, a range for each job.
 */
enum {
	/* PID_MAX_LIMIT: pid_max may have been larger than it is now. */
	MAX_PID = 1 << 22,
	NUMBERS_AT_ONCE = 1 << 15,
};

/* By ROOT/proc, which shows threads at that place, too. */
static int
is_process(int pid)
{
	char name[DECIMAL_SIZE];
	uint64_t leader;
	int dir, result;

	dir = open_below(proc, decimal(name, (unsigned)pid), O_DIRECTORY);
	if (dir == -1)
		return 0;
	result = read_status(dir, "Tgid:", &leader) == 0 &&
	    leader == (uint64_t)pid;
	close(dir);
	return result;
}

static int
exists(int pid)
{
	const int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	/* ENOSYS: before Linux 5.3; EPERM: what some containers say then */
	if (fd == -1)
		return (errno == ENOSYS || errno == EPERM) && is_process(pid);
	close(fd);
	return 1;
}

static void
ask_numbers(size_t job)
{
	const int first = (int)job * NUMBERS_AT_ONCE;
	int pid;

	for (pid = first; pid < first + NUMBERS_AT_ONCE; pid++) {
		step();
		if (pid > 0 && !has_number(&processes, pid) && exists(pid) &&
		    (!in_worker || pid != getpid()))
			send_record(FOUND_NUMBERS, NULL, 0, &pid, sizeof pid);
	}
}

static void
take_unlisted_process(size_t job, int kind, const char *s, size_t n)
{
	int pid;

	(void)job;
	(void)kind;
	if (take_head(&s, &n, &pid, sizeof pid) == 0 && pid > 0)
		add_number(&unlisted_processes, pid);
}

static void
lose_numbers(size_t job, const char *why)
{
	const int first = (int)job * NUMBERS_AT_ONCE;
	char range[48];

	(void)format_text(range, sizeof range, "%d-%d", first,
	    first + NUMBERS_AT_ONCE - 1);
	count_warning("process range", range, "", why);
}

/*
 * -x: a process that exists before the processes are listed once more, and is
 * in neither list, is hidden from the list, unless it ends before it is read.
 */
static void
find_unlisted_processes(void)
{
	size_t i, n = 0;

	unlisted_processes.count = 0;
	scan_jobs(prepare_worker, MAX_PID / NUMBERS_AT_ONCE, ask_numbers,
	    take_unlisted_process, lose_numbers);
	if (unlisted_processes.count == 0)
		return;
	list_once();
	for (i = 0; i < unlisted_processes.count; i++)
		if (!has_number(&processes, unlisted_processes.n[i]))
			unlisted_processes.n[n++] = unlisted_processes.n[i];
	unlisted_processes.count = n;
	for (i = 0; i < n; i++)
		add_number(&processes, unlisted_processes.n[i]);
	sort(processes.n, processes.count, sizeof *processes.n, compare_ints);
}

/* Lists the processes below a procfs of ours, if one can be mounted. */
static void
use_own_proc(void)
{
	const char *why = host.proc_is == PARTIAL ? "not a whole procfs" :
	    "something is hidden by mounts below it";

	own_proc = mount_proc();
	if (own_proc != NONE) {
		note("/proc: %s; read through a procfs of our own", why);
		list_once();
	} else if (host.proc_is == PARTIAL) {
		fatal("/proc: %s, and no other can be mounted", why);
	} else {
		warning("/proc: %s", why);
	}
}

static void
scan_list(void)
{
	size_t i, n = 0;

	list_once();
	if (host.proc_is != 0)
		use_own_proc();
	if (xflag && asks_kernel)
		find_unlisted_processes();
	if (host.hidepid)
		warning("/proc: mounted with hidepid: processes of other "
		    "users are not seen");
	for (i = 0; i < pids.count; i++)
		if (pids.n[i] != NONE && !has_number(&processes, pids.n[i]))
			warning("process %d: %s", pids.n[i], strerror(ESRCH));
	/* No process is read whose rows are not printed. */
	for (i = 0; !reads_all && i < processes.count; i++)
		if (has_number(&pids, processes.n[i]))
			processes.n[n++] = processes.n[i];
	if (!reads_all)
		processes.count = n;
}

/* Holders by inode */

static int
pid_of(const struct holder *h)
{
	return tasks[h->task].pid;
}

/* Printed rows go by pid, fd and, if a fd was reused meanwhile, inode. */
static int
compare_holders(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (pid_of(x) != pid_of(y))
		return (pid_of(x) > pid_of(y)) - (pid_of(x) < pid_of(y));
	if (x->fd != y->fd)
		return (x->fd > y->fd) - (x->fd < y->fd);
	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* The high bits of the product depend on all bits of the key. */
static size_t
hash(uint64_t key, size_t mask)
{
	return (size_t)(key * multiplier >> __builtin_clzll(mask));
}

/* Mixes n bytes, a multiple of four, into a key. */
static uint64_t
mix(uint64_t key, const void *bytes, size_t n)
{
	const char *s = bytes;
	uint32_t word;

	for (; n > 0; n -= sizeof word, s += sizeof word) {
		memcpy(&word, s, sizeof word);
		key = (key ^ word) * multiplier + (key >> 32);
	}
	return key;
}

/* A power of two with room for n entries, less one. */
static size_t
hash_mask(size_t n)
{
	size_t size = 1024;

	while (size < n)
		size *= 2;
	return size - 1;
}

/*
 * Orders the holders by pid and fd, and by inode in a hash table.  Without
 * kcmp(2) the descriptors that several threads share were read from each: they
 * are kept for the first.
 */
static void
index_holders(void)
{
	size_t i, n = 0;
	uint32_t *bucket;

	sort(holders, count.holders, sizeof *holders, compare_holders);
	for (i = 0; i < count.holders; i++)
		if (n == 0 || compare_holders(&holders[n - 1],
		    &holders[i]) != 0)
			holders[n++] = holders[i];
		else if (holders[i].task < holders[n - 1].task)
			holders[n - 1].task = holders[i].task;
	count.holders = n;
	holder_mask = hash_mask(count.holders);
	free(holder_buckets);
	holder_buckets = allocate((holder_mask + 1) * sizeof *holder_buckets);
	for (i = count.holders; i-- > 0;) {
		bucket = &holder_buckets[hash(holders[i].inode, holder_mask)];
		holders[i].next = *bucket;
		*bucket = (uint32_t)i + 1;
	}
}

/* The first holder of inode in a chain from i (0 or index + 1) on, or null. */
static struct holder *
next_holder(uint32_t i, uint64_t inode)
{
	for (; i != 0; i = holders[i - 1].next)
		if (holders[i - 1].inode == inode)
			return &holders[i - 1];
	return NULL;
}

static struct holder *
first_holder(uint64_t inode)
{
	if (inode == 0)
		return NULL;
	return next_holder(holder_buckets[hash(inode, holder_mask)], inode);
}

/* Processes */

/* The path in the unified hierarchy, else the first one that is not "/". */
static struct text
parse_cgroup(const char *s, size_t len)
{
	struct text first = { "/", len > 0 }, path;
	const char *end = s + len, *line, *colon;
	ptrdiff_t n;

	while ((n = next_line(&s, end, &line)) != -1) {
		colon = memchr(line, ':', (size_t)n);
		if (colon != NULL)
			colon = memchr(colon + 1, ':',
			    (size_t)(line + n - colon) - 1);
		if (colon == NULL)
			continue;
		path.s = colon + 1;
		path.len = (size_t)(line + n - path.s);
		if (colon - line == 2 && line[0] == '0')
			return path;
		if (first.len < 2 && path.len > 1)
			first = path;
	}
	return first;
}

/*
 * What a worker has found of the process that it reads: the descriptors of
 * its sockets, and what is sent of each task when that is known.
 */
struct found {
	int pid;
	struct found_fd *fds;
	size_t nfds, room;
	size_t leader_end;	/* the leader's descriptors are before it */
	uint64_t leader_netns;
	/* io_urings and namespaces of the task that is read */
	struct numbers rings;
	struct ns_link *links;
	size_t nlinks, links_room;
};

static struct found found;

static void
send_detail(enum detail which, const char *s, size_t n)
{
	if (n > 0 && needs_detail(which))
		send_record(FOUND_DETAIL, &which, sizeof which, s, n);
}

static void
send_comm(const char *s, size_t n)
{
	send_detail(COMM, s, n < 64 ? n : 64);
}

static void
send_number(enum detail which, uint64_t value)
{
	char digits[DECIMAL_SIZE];
	const char *s = decimal(digits, value);

	send_detail(which, s, strlen(s));
}

/*
 * /proc/PID/stat: "pid (comm) state ppid ...", the comm with blanks,
 * parentheses and newlines in it; the start in ticks is the 22nd field.
 */
static void
send_stat(int dir, int with_comm)
{
	struct text f[20];
	uint64_t ticks, ppid;
	const char *left, *right;
	unsigned long hz = getauxval(AT_CLKTCK);
	char *s;
	size_t n = read_text(found.pid, dir, "stat", &s);

	left = memchr(s, '(', n);
	right = memrchr(s, ')', n);
	if (left == NULL || right == NULL || right < left)
		return;
	if (with_comm)
		send_comm(left + 1, (size_t)(right - left) - 1);
	if (split(right + 1, n - (size_t)(right + 1 - s), f, 20) < 20 ||
	    field_number(&f[1], 10, INT_MAX, &ppid) == -1)
		return;
	send_number(PPID, ppid);
	if (field_number(&f[19], 10, INT64_MAX, &ticks) == 0 && hz != 0 &&
	    host.boot_time != NONE)
		send_number(START_TIME, (uint64_t)host.boot_time +
		    ticks / hz);
}

/* Sends the name that a user has, or the number. */
static void
send_user(uint64_t uid)
{
	size_t i;

	for (i = 0; i < count.users; i++)
		if (users[i].uid == uid) {
			send_detail(USER_NAME, users[i].name,
			    strlen(users[i].name));
			return;
		}
	send_number(USER_NAME, uid);
}

static void
send_uid(int dir)
{
	uint64_t uid;

	if (read_status(dir, "Uid:", &uid) == 0) {
		send_number(UID, uid);
		send_user(uid);
	} else {
		count_refusal(found.pid, "status");
	}
}

/* Arguments end in a NUL each: one blank between them. */
static void
send_cmdline(int dir)
{
	char *s;
	size_t i, n = read_text(found.pid, dir, "cmdline", &s);

	if (n > 0 && s[n - 1] == '\0')
		n--;
	for (i = 0; i < n; i++)
		if (s[i] == '\0')
			s[i] = ' ';
	send_detail(CMDLINE, s, n);
}

static void
send_target(enum detail which, int dir, const char *name)
{
	static char buf[TEXT_MAX];
	ssize_t n = readlinkat(dir, name, buf, sizeof buf);

	if (n == -1)
		count_unread(found.pid, dir, name);
	else
		send_detail(which, buf, (size_t)n);
}

/*
 * Sends what the columns show.  What belongs to its memory is gone from dir
 * if the leader has exited, and is read from the thread's.
 */
static void
send_details(int dir, int thread_dir)
{
	struct text f;
	size_t n, comm_length = 0;
	char *s;

	if (needs_detail(COMM)) {
		n = read_text(found.pid, dir, "comm", &s);
		comm_length = n - (n > 0);
		send_comm(s, comm_length);
	}
	/* There is no /proc/PID/comm before Linux 2.6.33. */
	if (needs_detail(PPID) || needs_detail(START_TIME) ||
	    (needs_detail(COMM) && comm_length == 0))
		send_stat(dir, comm_length == 0);
	if (needs_detail(UID) || needs_detail(USER_NAME))
		send_uid(dir);
	if (needs_detail(CGROUP)) {
		n = read_text(found.pid, dir, "cgroup", &s);
		f = parse_cgroup(s, n);
		send_detail(CGROUP, f.s, f.len);
	}
	if (needs_detail(CMDLINE))
		send_cmdline(thread_dir);
	if (needs_detail(EXE))
		send_target(EXE, thread_dir, "exe");
	if (needs_detail(CWD))
		send_target(CWD, thread_dir, "cwd");
}

static int
open_task(int pid, int tid)
{
	char name[64];

	if (tid == pid)
		return open_below(proc, decimal(name, (unsigned)pid),
		    O_DIRECTORY);
	(void)format_text(name, sizeof name, "%d/task/%d", pid, tid);
	return open_below(proc, name, O_DIRECTORY);
}

static void
descriptor_path(char *path, size_t size, const struct task *t, int fd)
{
	(void)format_text(path, size, "%d/task/%d/fd/%d", t->pid, t->tid, fd);
}

/* The inode of the namespace of a task; -1 with errno if it is not shown. */
static int
read_netns_inode(int dir, uint64_t *inode)
{
	int ns_dir, result;

	if (root == NULL)
		return read_inode_link(dir, "ns/net", "net:[", inode);
	ns_dir = open_below(dir, "ns", O_DIRECTORY | O_PATH);
	if (ns_dir == -1)
		return -1;
	result = read_inode_link(ns_dir, "net", "net:[", inode);
	close_quietly(ns_dir);
	return result;
}

/*
 * Reads what tells the namespace of a task from another: ns/net or, if that
 * may not be read (or is not there, before Linux 3.0), the inode of a table.
 * Both are read without root's rights, and by a worker after its first refusal.
 */
static void
identify_netns(int dir, struct task *t)
{
	int refused = read_netns_inode(dir, &t->netns_inode) == -1;
	static int asks_tables;

	if (refused && (root != NULL || !is_gone(errno)))
		asks_tables = 1;
	if (refused)
		count_unread(t->pid, dir, "ns/net");
	if (asks_tables || !privileged)
		t->table_inode = read_table_inode(dir);
}

/* Whether the leader has this descriptor, too: its own are sorted. */
static int
is_leaders(int fd, uint64_t inode)
{
	size_t from = 0, to = found.leader_end, mid;

	while (from < to) {
		mid = from + (to - from) / 2;
		if (found.fds[mid].fd == fd)
			return found.fds[mid].inode == inode;
		if (found.fds[mid].fd < fd)
			from = mid + 1;
		else
			to = mid;
	}
	return 0;
}

/* Notes a socket; in a search, one that nobody is known to hold. */
static void
add_fd(uint64_t inode, int fd)
{
	size_t i;

	if (searching && first_holder(inode) != NULL)
		return;
	for (i = 0; searching && i < found.nfds; i++)
		if (found.fds[i].inode == inode)
			return;
	found.fds = grow(found.fds, &found.room, found.nfds,
	    sizeof *found.fds);
	found.fds[found.nfds++] = (struct found_fd){ inode, fd, 0 };
}

/* Whether the kernel is of this release or a later one. */
static int
is_since(const char *release)
{
	struct utsname u;

	return uname(&u) == 0 && strverscmp(u.release, release) >= 0;
}

static int
is_ring(const char *link, ssize_t len)
{
	static const char ring[] = "anon_inode:[io_uring]";

	return len == sizeof ring - 1 && memcmp(link, ring, (size_t)len) == 0;
}

/* Notes what a descriptor is, by its link. */
static void
look_at_fd(int fd, const char *link, ssize_t len)
{
	uint64_t inode;

	if (parse_link(link, len, "socket:[", &inode) == 0) {
		if (!is_leaders(fd, inode))
			add_fd(inode, fd);
	} else if (searching) {
		return;
	} else if (reads_rings && is_ring(link, len)) {
		add_number(&found.rings, fd);
	} else if (asks_kernel && reads_all &&
	    parse_link(link, len, "net:[", &inode) == 0) {
		found.links = grow(found.links, &found.links_room,
		    found.nlinks, sizeof *found.links);
		found.links[found.nlinks++] = (struct ns_link){
		    .inode = inode, .fd = fd };
	}
}

/* Looks at one descriptor; returns -1 with errno if that cannot be. */
static int
read_fd(int fd_dir, int fd)
{
	char name[DECIMAL_SIZE], link[64];
	ssize_t len;

	step();
	len = readlinkat(fd_dir, decimal(name, (unsigned)fd), link,
	    sizeof link);
	if (len == -1)	/* a path longer than a page is no socket's */
		return errno == ENAMETOOLONG ? 0 : -1;
	look_at_fd(fd, link, len);
	return 0;
}

/*
 * Looks at all descriptors that are listed; returns their number, or -1 with
 * errno.  Sets *missed if one was gone before it was looked at, or not listed
 * (since Linux 6.2 the size of the directory is their number), for one that
 * moves may have been missed.
 */
static int
read_listed_fds(int fd_dir, int *highest, int *missed)
{
	static struct numbers list;
	struct stat st = { .st_size = 0 };
	size_t i;

	if (searching)
		(void)fstat(fd_dir, &st);
	if (read_numbers(fd_dir, &list) == -1)
		return -1;
	*missed = (uint64_t)st.st_size > list.count;
	for (i = 0; i < list.count; i++) {
		if (read_fd(fd_dir, list.n[i]) == 0)
			continue;
		if (!is_gone(errno))
			return -1;	/* the others are refused, too */
		*missed = 1;
	}
	if (list.count > 0 && list.n[list.count - 1] > *highest)
		*highest = list.n[list.count - 1];
	return (int)list.count;
}

/*
 * A process may move sockets to other numbers meanwhile: all up to the highest
 * are tried, until none was missed.  Returns 1 if some still are.
 */
static int
chase_fds(int fd_dir, int highest)
{
	enum { MAX_CHASES = 20 };
	static int tries_left = 1 << 20;	/* for all processes */
	int n, fd, missed = 1;

	for (n = 0; missed; n++) {
		if (n == MAX_CHASES || highest >= tries_left)
			return 1;
		tries_left -= highest;
		for (fd = 0; fd <= highest; fd++)
			(void)read_fd(fd_dir, fd);
		(void)lseek(fd_dir, 0, SEEK_SET);
		missed = 0;
		(void)read_listed_fds(fd_dir, &highest, &missed);
	}
	return 0;
}

/*
 * Reads the descriptors below dir.  Returns their number, or -1 if they may
 * not be read.
 */
static int
read_fds(int dir)
{
	int n = -1, highest = 0, missed = 0;
	int fd_dir = open_below(dir, "fd", O_DIRECTORY);

	if (fd_dir != -1)
		n = read_listed_fds(fd_dir, &highest, &missed);
	if (n == -1 && is_gone(errno))
		n = 0;
	else if (n == -1)
		count_unread(found.pid, dir, "fd");
	if (searching && missed && chase_fds(fd_dir, highest))
		send_record(FOUND_MOVE, NULL, 0, NULL, 0);
	if (fd_dir != -1)
		close(fd_dir);
	return n;
}

/*
 * The sockets that are registered with a ring: a process may close their
 * descriptors and go on to use them.  In fdinfo, "    0: socket:[123]".
 * From Linux 6.14.8 on a ring that is in use at that moment shows nothing,
 * and a process can keep it so.  Returns whether there was anything of a ring.
 */
static int
read_registered(int dir, const char *path)
{
	static size_t lines_left = 1 << 20;	/* each ring may have so many */
	struct text f[2];
	struct reader r;
	uint64_t inode;
	ptrdiff_t len;
	char *line;
	int shown = 1;

	if (open_lines(&r, dir, path) == -1)
		return 1;
	while ((len = read_line(&r, '\n', &line)) != -1) {
		step();
		if (lines_left == 0) {
			count_process(found.pid, "io_uring", "too many files");
			shown = 1;
			break;
		}
		lines_left--;
		if (split(line, (size_t)len, f, 2) != 2)
			continue;
		/* What each file has (Linux 5.14), and what a ring has. */
		if (field_is(&f[0], "ino:"))
			shown = 0;
		else if (field_is(&f[0], "UserFiles:"))
			shown = 1;
		else if (parse_link(f[1].s, (ssize_t)f[1].len, "socket:[",
		    &inode) == 0)
			add_fd(inode, NONE);
	}
	(void)close_lines(&r, path);
	return shown;
}

/*
 * Reads a ring as often as it takes, unless it has been closed meanwhile and
 * another file has its number.
 */
static void
read_ring(int dir, int fd)
{
	static int tries = 10000;	/* for all rings: 0.1 s */
	char info[32], path[32], link[64];

	(void)format_text(info, sizeof info, "fdinfo/%d", fd);
	(void)format_text(path, sizeof path, "fd/%d", fd);
	while (!read_registered(dir, info)) {
		if (asks_kernel && !is_ring(link, readlinkat(dir, path, link,
		    sizeof link)))
			break;
		if (!asks_kernel || --tries <= 0) {
			count_process(found.pid, "io_uring",
			    "busy, shows no files");
			break;
		}
	}
}

/* Sends a task with the descriptors from number `from` on, and forgets it. */
static void
send_task(const struct task *t, size_t from, int dir, int thread_dir)
{
	size_t i;

	for (i = 0; i < found.rings.count; i++)
		read_ring(thread_dir, found.rings.n[i]);
	send_record(FOUND_TASK, t, sizeof *t, found.fds + from,
	    (found.nfds - from) * sizeof *found.fds);
	if (found.nfds > from && (needs & NEED_DETAILS) != 0)
		send_details(dir, thread_dir);
	for (i = 0; i < found.nlinks; i++)
		send_record(FOUND_NS_LINK, &found.links[i], sizeof *found.links,
		    NULL, 0);
	found.rings.count = found.nlinks = 0;
}

/* One thread, or the leader, of each descriptor table, in kcmp(2)'s order. */
static struct numbers fd_tables;
/* How many fds may yet be read of threads that kcmp(2) cannot compare. */
static int uncompared = 4 << 20;

/*
 * Whether a thread shares its descriptors with none of fd_tables: then it is
 * added to them.  2: that cannot be known.
 */
static int
has_own_fds(int tid)
{
	enum { KCMP_FILES = 2 };
	size_t low = 0, high = fd_tables.count, mid;
	long order = NONE;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (asks_kernel)
			order = syscall(SYS_kcmp, tid, fd_tables.n[mid],
			    KCMP_FILES, 0, 0);
		if (order == 0)
			return 0;
		if (order == 1)		/* tid's comes before, or behind */
			high = mid;
		else if (order == 2)
			low = mid + 1;
		else
			return 2;
	}
	add_number(&fd_tables, tid);
	memmove(fd_tables.n + low + 1, fd_tables.n + low,
	    (fd_tables.count - 1 - low) * sizeof *fd_tables.n);
	fd_tables.n[low] = tid;
	return 1;
}

/* Whether a thread is in its leader's namespace. */
static int
shares_netns(int task_dir, int tid)
{
	char path[32];
	uint64_t inode;

	(void)format_text(path, sizeof path, "%d/ns/net", tid);
	return read_inode_link(task_dir, path, "net:[", &inode) == 0 &&
	    inode == found.leader_netns;
}

/*
 * Reads one thread beside the leader: it is sent if it has descriptors or a
 * namespace of its own.
 */
static void
read_thread(int leader_dir, int task_dir, int tid)
{
	struct task t = { .pid = found.pid, .tid = tid };
	const size_t before = found.nfds;
	char name[DECIMAL_SIZE];
	int dir, own, n;

	own = has_own_fds(tid);
	if (own == 0 && shares_netns(task_dir, tid))
		return;
	if (own == 2 && asks_kernel && uncompared == 0) {
		count_process(found.pid, "threads", "too many descriptors");
		own = 0;
	}
	dir = open_below(task_dir, decimal(name, (unsigned)tid), O_DIRECTORY);
	if (dir == -1) {
		count_refusal(found.pid, "task");
		return;
	}
	identify_netns(dir, &t);
	if (own) {
		n = read_fds(dir);
		if (own == 2 && n != -1)
			uncompared -= n < uncompared ? n : uncompared;
	}
	t.own_fds = own == 1 || found.nfds > before;
	if (t.own_fds || found.nlinks + found.rings.count > 0 ||
	    (t.netns_inode != 0 && t.netns_inode != found.leader_netns))
		send_task(&t, before, leader_dir, dir);
	close(dir);
}

static void
read_threads(int dir)
{
	static struct numbers tids;
	struct stat st;
	size_t i;
	int task_dir;

	/* "." and ".." and one for each thread, as procfs counts links. */
	if (fstatat(dir, "task", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_nlink == 3)
		return;
	task_dir = open_below(dir, "task", O_DIRECTORY);
	if (task_dir == -1 || read_numbers(task_dir, &tids) == -1) {
		count_refusal(found.pid, "task");
		tids.count = 0;
	}
	fd_tables.count = 0;
	(void)has_own_fds(found.pid);
	for (i = 0; i < tids.count; i++)
		if (tids.n[i] != found.pid)
			read_thread(dir, task_dir, tids.n[i]);
	if (task_dir != -1)
		close(task_dir);
}

/* Opens a task, of which nothing is found yet. */
static int
open_found(const struct task *t)
{
	found.pid = t->pid;
	found.nfds = found.nlinks = found.leader_end = found.rings.count = 0;
	return open_task(t->pid, t->tid);
}

/* A job of the second scan. */
static void
read_process(size_t job)
{
	struct task t = { .pid = processes.n[job], .tid = processes.n[job],
	    .own_fds = 1 };
	const int dir = open_found(&t);
	int n;

	if (has_number(&unlisted_processes, t.pid) && (dir != -1 ||
	    exists(t.pid)))
		count_process(t.pid, "", "not listed in /proc, but it exists");
	if (dir == -1) {
		count_refusal(t.pid, "directory");
		return;
	}
	identify_netns(dir, &t);
	found.leader_netns = t.netns_inode;
	n = read_fds(dir);
	found.leader_end = found.nfds;
	send_task(&t, 0, dir, dir);
	/* What refuses its leader's descriptors refuses its threads'. */
	if (n != -1)
		read_threads(dir);
	close(dir);
}

/* A mapping holds its socket: a ring of a packet or AF_XDP socket, or TCP. */
static void
search_maps(int dir)
{
	struct text f[6];
	struct reader r;
	uint64_t inode;
	ptrdiff_t len;
	char *line;

	if (open_lines(&r, dir, "maps") == -1) {
		/* EACCES: its descriptors were refused, too. */
		if (errno != EACCES && !is_gone(errno))
			count_process(found.pid, "maps", strerror(errno));
		return;
	}
	while ((len = read_line(&r, '\n', &line)) != -1) {
		step();
		/* The path of a file begins with '/', whatever its name is. */
		if (split(line, (size_t)len, f, 6) == 6 && parse_link(f[5].s,
		    line + len - f[5].s, "socket:[", &inode) == 0)
			add_fd(inode, NONE);
	}
	(void)close_lines(&r, "maps");
}

/* Whether a task shows its mappings: one that has exited has none. */
static int
shows_maps(const struct task *t)
{
	const int dir = open_task(t->pid, t->tid);
	int fd = NONE, shown;
	char c;

	if (dir != -1)
		fd = open_below(dir, "maps", 0);
	shown = fd != -1 && read(fd, &c, 1) == 1;
	close(fd);
	close(dir);
	return shown;
}

/* Whether -p lets rows of this pid be printed; -1: of sockets without one. */
static int
is_wanted(int pid)
{
	return pids.count == 0 || has_number(&pids, pid);
}

/* Sends the details of a task if it had no socket before the search. */
static void
search_details(const struct task *t, int dir)
{
	int leader_dir;

	if ((needs & NEED_DETAILS) == 0 || t->details != NULL)
		return;
	leader_dir = open_task(t->pid, t->pid);
	if (leader_dir == -1)
		return;
	send_details(leader_dir, dir);
	close(leader_dir);
}

/*
 * A job of a search: a task.  The mappings of a process are read through its
 * leader or, if that has exited, the first thread that has not; with -p these
 * alone, of the processes that are wanted.
 */
static void
search_task(size_t job)
{
	const struct task *t = &tasks[job];
	const int dir = want_ownerless || is_wanted(t->pid) ? open_found(t) :
	    NONE;

	if (dir == NONE)
		return;
	if (t->own_fds && want_ownerless)
		(void)read_fds(dir);
	if (job == 0 || t[-1].pid != t->pid || !shows_maps(t - 1))
		search_maps(dir);
	if (found.nfds > 0) {
		send_record(FOUND_HOLDERS, NULL, 0, found.fds,
		    found.nfds * sizeof *found.fds);
		search_details(t, dir);
	}
	close(dir);
}

static int
is_own_netns(uint64_t inode)
{
	return inode != 0 && inode == host.own_netns;
}

/* Namespaces of tasks */

/* Adds a namespace of which its inodes and first_task are set. */
static uint32_t
add_netns(struct netns ns)
{
	ns.first_link = NOWHERE;
	ns.ways = (size_t)is_own_netns(ns.inode);
	ns.pending = ns.unread = read_mask;
	ns.used = NONE;
	namespaces = grow(namespaces, &room.namespaces, count.namespaces,
	    sizeof *namespaces);
	namespaces[count.namespaces] = ns;
	return (uint32_t)count.namespaces++;
}

/* Finds a namespace by its inode or, without one, by that of a table. */
static uint32_t
find_netns(uint64_t inode, uint64_t table_inode)
{
	static uint32_t last;
	uint32_t i;

	if (inode != 0 && last < count.namespaces &&
	    namespaces[last].inode == inode)
		return last;
	for (i = 0; i < count.namespaces; i++)
		if (namespaces[i].inode == inode && (inode != 0 ||
		    namespaces[i].table_inode == table_inode))
			return last = i;
	return NOWHERE;
}

/* The inode of the namespace with this table, by a task that knows both. */
static uint64_t
netns_with(uint64_t table_inode)
{
	const struct task *t;

	if (table_inode == host.own_netns_table)
		return host.own_netns;
	for (t = tasks; t < tasks + count.tasks; t++)
		if (t->table_inode == table_inode && t->netns_inode != 0)
			return t->netns_inode;
	return 0;
}

/* Finds the namespace that a task is in, a new one if it was not known. */
static void
place_task(uint32_t i)
{
	struct task *t = &tasks[i];
	uint64_t inode = t->netns_inode;
	uint32_t ns;

	if (inode == 0 && t->table_inode == 0)
		return;
	if (inode == 0)		/* its link was refused */
		inode = netns_with(t->table_inode);
	ns = find_netns(inode, t->table_inode);
	if (ns == NOWHERE)
		ns = add_netns((struct netns){ .inode = inode,
		    .table_inode = t->table_inode, .first_task = i });
	if (namespaces[ns].table_inode == 0)
		namespaces[ns].table_inode = t->table_inode;
	namespaces[ns].ways++;
	t->netns = ns;
}

/* Finds the namespace that a link keeps, a new one if no task is in it. */
static uint32_t
place_link(uint32_t i)
{
	struct ns_link *l = &ns_links[i];

	l->netns = find_netns(l->inode, 0);
	if (l->netns == NOWHERE)
		l->netns = add_netns((struct netns){ .inode = l->inode,
		    .first_task = NOWHERE });
	namespaces[l->netns].ways++;
	if (namespaces[l->netns].first_link == NOWHERE)
		namespaces[l->netns].first_link = i;
	return l->netns;
}

static void
add_holders(uint32_t task, const char *s, size_t n)
{
	struct found_fd fd;

	if (count.holders + n / sizeof fd >= UINT32_MAX - 1)
		too_much(EOVERFLOW);
	holders = grow(holders, &room.holders, count.holders + n / sizeof fd,
	    sizeof *holders);
	while (take_head(&s, &n, &fd, sizeof fd) == 0)
		if (fd.inode != 0)
			holders[count.holders++] = (struct holder){
			    .inode = fd.inode, .task = task, .fd = fd.fd,
			    .late = searching != 0 };
}

static void
take_task(const char *s, size_t n)
{
	struct task t;

	if (take_head(&s, &n, &t, sizeof t) == -1)
		return;
	t.netns = NOWHERE;
	t.moves = 0;
	t.details = NULL;
	tasks = grow(tasks, &room.tasks, count.tasks, sizeof t);
	tasks[count.tasks] = t;
	add_holders((uint32_t)count.tasks++, s, n);
}

static void
take_detail(struct task *t, const char *s, size_t n)
{
	enum detail which;

	if (take_head(&s, &n, &which, sizeof which) == -1 ||
	    (unsigned)which >= NDETAILS)
		return;
	if (t->details == NULL)
		t->details = allocate(NDETAILS * sizeof *t->details);
	t->details[which] = keep_text(s, n);
}

/* Adds what a search has found to its task. */
static void
take_search(size_t job, int kind, const char *s, size_t n)
{
	switch (kind) {
	case FOUND_MOVE:
		tasks[job].moves = 1;
		break;
	case FOUND_HOLDERS:
		add_holders((uint32_t)job, s, n);
		break;
	case FOUND_DETAIL:
		take_detail(&tasks[job], s, n);
		break;
	}
}

static void
take_process(size_t job, int kind, const char *s, size_t n)
{
	(void)job;
	switch (kind) {
	case FOUND_TASK:
		take_task(s, n);
		break;
	case FOUND_DETAIL:
		if (count.tasks > 0)
			take_detail(&tasks[count.tasks - 1], s, n);
		break;
	case FOUND_NS_LINK:
		take_ns_link(s, n);
		break;
	}
}

static void
lose_process(size_t job, const char *why)
{
	forget_job();
	count_process(processes.n[job], "", why);
}

static void
lose_search(size_t job, const char *why)
{
	forget_job();
	count_process(tasks[job].pid, "maps", why);
}

static void
scan_processes(void)
{
	const struct holder *h;
	uint32_t i;

	scan_jobs(prepare_worker, processes.count, read_process, take_process,
	    lose_process);
	index_holders();
	for (i = 0; i < count.tasks; i++)
		place_task(i);
	for (i = 0; i < count.ns_links; i++)
		(void)place_link(i);
	for (h = holders; h < holders + count.holders; h++)
		if (tasks[h->task].netns != NOWHERE)
			namespaces[tasks[h->task].netns].nfds++;
}

/* The layouts of tables */

#define INTO(member) sizeof((struct row *)0)->member, \
    offsetof(struct row, member)

/* Indexes, in their layout, of columns that finish_inet and _sctp look at. */
enum { INET_QUEUE = 3, INET_INODE = 5 };
enum { SCTP_ADDRESSES = 0, SCTP_STYLE = 1, SCTP_REMOTE_PORT = 6 };

static const struct layout inet = { NULL, "sl local_address rem_address st "
    "tx_queue rx_queue tr tm->when retrnsmt uid timeout inode", {
	{ "local_address", ADDRESS, INTO(e.local) },
	{ "rem*", ADDRESS, INTO(e.remote) },
	{ "st", HEX, INTO(e.state) },
	{ "tx_queue", QUEUES, 0, 0 },
	{ "uid", USER, INTO(e.owner) },
	{ "inode", DECIMAL, INTO(e.inode) },
} };
static const struct layout unix_sockets = { NULL, "Num RefCount Protocol "
    "Flags Type St Inode Path", {
	{ "Flags", HEX, INTO(unix_flags) },
	{ "Type", HEX, INTO(type) },
	{ "St", HEX, INTO(e.state) },
	{ "Inode", DECIMAL, INTO(e.inode) },
} };
static const struct layout packet = { NULL, "sk RefCnt Type Proto Iface R "
    "Rmem User Inode", {
	{ "Type", DECIMAL, INTO(type) },
	{ "Proto", HEX, INTO(e.protocol) },
	{ "Iface", DECIMAL, INTO(ifindex) },
	{ "Rmem", DECIMAL, INTO(e.rx_queue) },
	{ "User", USER, INTO(e.owner) },
	{ "Inode", DECIMAL, INTO(e.inode) },
} };
static const struct layout netlink = { NULL, "sk Eth Pid Groups Rmem Wmem "
    "Dump Locks Drops Inode", {
	{ "Eth", DECIMAL, INTO(e.protocol) },
	{ "Pid", DECIMAL, INTO(port_id) },
	{ "Rmem", DECIMAL, INTO(e.rx_queue) },
	{ "?Inode", DECIMAL, INTO(e.inode) },
} };
static const struct layout endpoints = { "sctp/eps", "ENDPT SOCK STY SST HBKT "
    "LPORT UID INODE LADDRS", {
	{ "LADDRS", LIST, 0, 0 },
	{ "?STY", DECIMAL, INTO(type) },
	{ "SST", DECIMAL, INTO(e.state) },
	{ "LPORT", DECIMAL, INTO(e.local_port) },
	{ "?UID", USER, INTO(e.owner) },
	{ "?INODE", DECIMAL, INTO(e.inode) },
} };
static const struct layout associations = { "sctp/assocs", "ASSOC SOCK STY SST "
    "ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> "
    "RADDRS", {
	{ "LADDRS", LIST, 0, 0 },
	{ "?STY", DECIMAL, INTO(type) },
	{ "ST", DECIMAL, INTO(e.state) },
	{ "LPORT", DECIMAL, INTO(e.local_port) },
	{ "?UID", USER, INTO(e.owner) },
	{ "?INODE", DECIMAL, INTO(e.inode) },
	{ "RPORT", DECIMAL, INTO(e.remote_port) },
} };

static const struct nettable nettables[] = {
	{ "tcp", AF_INET, IPPROTO_TCP, SOCK_STREAM, 1, &inet, "TCP:" },
	{ "tcp6", AF_INET6, IPPROTO_TCP, SOCK_STREAM, 1, &inet, "TCP6:" },
	{ "udp", AF_INET, IPPROTO_UDP, SOCK_DGRAM, 0, &inet, "UDP:" },
	{ "udp6", AF_INET6, IPPROTO_UDP, SOCK_DGRAM, 0, &inet, "UDP6:" },
	{ "udplite", AF_INET, IPPROTO_UDPLITE, SOCK_DGRAM, 0, &inet,
	    "UDPLITE:" },
	{ "udplite6", AF_INET6, IPPROTO_UDPLITE, SOCK_DGRAM, 0, &inet,
	    "UDPLITE6:" },
	{ "raw", AF_INET, IPPROTO_RAW, SOCK_RAW, 0, &inet, "RAW:" },
	{ "raw6", AF_INET6, IPPROTO_RAW, SOCK_RAW, 0, &inet, "RAW6:" },
	{ "icmp", AF_INET, IPPROTO_ICMP, SOCK_DGRAM, 0, &inet, NULL },
	{ "icmp6", AF_INET6, IPPROTO_ICMPV6, SOCK_DGRAM, 0, &inet, NULL },
	{ "unix", AF_UNIX, 0, 0, 0, &unix_sockets, NULL },
	{ "packet", AF_PACKET, 0, 0, 0, &packet, NULL },
	{ "netlink", AF_NETLINK, 0, 0, 0, &netlink, NULL },
	{ "sctp", AF_INET, IPPROTO_SCTP, 0, 1, &endpoints, NULL },
	{ "sctp", AF_INET, IPPROTO_SCTP, 0, 1, &associations, NULL },
};
_Static_assert(sizeof nettables / sizeof *nettables == NTABLES, "TCP");

static const char *
table_file(const struct nettable *t)
{
	return t->layout->file != NULL ? t->layout->file : t->name;
}

/* Asking sockets */

/* Counts a socket that could not be asked, if that is unexpected. */
static void
count_unasked(const struct holder *h)
{
	switch (errno) {
	case ENOENT:	/* it is gone */
	case EBADF:
	case ESRCH:
	case EACCES:	/* it is not ours to ask */
	case EPERM:
	case EINVAL:	/* the kernel is too old */
	case ENOSYS:
	case ENOTTY:
		return;
	}
	count_number("socket", h->inode, "not asked", strerror(errno));
}

/* Returns 0 if the kernel does not know it. */
static int
socket_option(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, level, option, &value, &len) == -1)
		return 0;
	return value;
}

static int
is_inet(const struct entry *e)
{
	return e->family == AF_INET || e->family == AF_INET6;
}

/*
 * A pidfd of a task.  Sockets of one task are asked one after the other, so
 * the last one stays open.
 */
static int
open_pidfd(const struct task *t)
{
	static int last = NONE;
	static int last_tid;

	if (last != NONE && last_tid == t->tid)
		return last;
	if (last != NONE)
		close(last);
	/* O_EXCL is PIDFD_THREAD (Linux 6.9). */
	last = (int)syscall(SYS_pidfd_open, t->tid,
	    t->tid == t->pid ? 0 : O_EXCL);
	last_tid = t->tid;
	return last;
}

/*
 * A copy of the holder's descriptor, or -1 with errno; EBADF if it is not that
 * socket any more.
 */
static int
copy_fd(const struct holder *h)
{
	struct stat st;
	int pidfd, fd = -1;

	pidfd = open_pidfd(&tasks[h->task]);
	if (pidfd != -1)
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, h->fd, 0);
	if (fd == -1) {
		count_unasked(h);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_ino == h->inode)
		return fd;
	close(fd);
	errno = EBADF;
	return -1;
}

/* What getsockname(2) and getpeername(2) write. */
union address {
	struct sockaddr_storage any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_vm vm;
	struct sockaddr_ll ll;
	struct sockaddr_nl nl;
	struct sockaddr_un un;
};

/* Sets the local or remote address of an entry from a sockaddr. */
static void
set_address(struct entry *e, const union address *a, socklen_t len,
    unsigned char *address, uint32_t *port)
{
	if (e->family == AF_INET && len >= sizeof a->in) {
		memcpy(address, &a->in.sin_addr, 4);
		*port = ntohs(a->in.sin_port);
	} else if (e->family == AF_INET6 && len >= sizeof a->in6) {
		memcpy(address, &a->in6.sin6_addr, 16);
		*port = ntohs(a->in6.sin6_port);
	} else if (e->family == AF_VSOCK && len >= sizeof a->vm) {
		memcpy(address, &a->vm.svm_cid, 4);
		*port = a->vm.svm_port == VMADDR_PORT_ANY ? 0 :
		    a->vm.svm_port;
	} else if (e->family == AF_PACKET && len >= 12) {
		e->protocol = ntohs(a->ll.sll_protocol);
	}
}

/*
 * The name of a unix socket as the kernel's table has it, to name, which has
 * room for UNIX_NAME_MAX bytes; returns its length.
 */
static size_t
unix_name(const union address *a, socklen_t len, char *name)
{
	const struct sockaddr_un *un = &a->un;
	size_t i, n;

	if (len <= offsetof(struct sockaddr_un, sun_path))
		return 0;
	n = len - offsetof(struct sockaddr_un, sun_path);
	if (n > sizeof un->sun_path)
		n = sizeof un->sun_path;
	if (un->sun_path[0] != '\0')
		n = strnlen(un->sun_path, n);
	for (i = 0; i < n; i++)
		name[i] = un->sun_path[i] != '\0' ? un->sun_path[i] : '@';
	return n;
}

static uint8_t
tcp_state(uint64_t n)
{
	return n > 0 && n < TCP_UNKNOWN ? (uint8_t)n : TCP_UNKNOWN;
}

static void
ask_state(int fd, struct entry *e, int connected)
{
	struct tcp_info info;
	socklen_t len = sizeof info;
	int listens = socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;

	if (e->family == AF_UNIX) {
		e->state = listens ? UNIX_LISTEN : connected ?
		    STATE_UNIX + SS_CONNECTED : STATE_UNIX + SS_UNCONNECTED;
	} else if (e->family == AF_VSOCK && listens) {
		e->state = TCP_LISTEN;
	} else if (e->protocol == IPPROTO_TCP && e->type == SOCK_STREAM &&
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0) {
		e->state = tcp_state(info.tcpi_state);
	}
}

/* The inode of the namespace of a socket, 0 if the kernel does not know. */
static uint64_t
ask_netns(int fd)
{
	struct stat st = { .st_ino = 0 };
	int ns = ioctl(fd, GET_NETNS);

	if (ns == -1)
		return 0;
	(void)fstat(ns, &st);
	close(ns);
	return st.st_ino;
}

/*
 * The device that a socket is bound to, or the scope of its link-local
 * address, to name; returns the length.
 */
static size_t
ask_interface(int fd, const union address *a, char name[IFNAMSIZ])
{
	struct ifreq request = { .ifr_name = "" };
	socklen_t len = IFNAMSIZ;

	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 &&
	    len > 0)
		return strnlen(name, len);
	if (a->any.ss_family != AF_INET6 || a->in6.sin6_scope_id == 0)
		return 0;
	request.ifr_ifindex = (int)a->in6.sin6_scope_id;
	if (ioctl(fd, SIOCGIFNAME, &request) == -1)
		return format_text(name, IFNAMSIZ, "%u",
		    a->in6.sin6_scope_id);
	memcpy(name, request.ifr_name, IFNAMSIZ);
	return strnlen(name, IFNAMSIZ);
}

/* The table that lists bound sockets of this kind; of sctp two do: none. */
static uint8_t
table_of(const struct entry *e)
{
	const struct nettable *t;
	uint8_t i;

	for (i = 0; i < NTABLES; i++) {
		t = &nettables[i];
		if (t->family == e->family && t->protocol != IPPROTO_SCTP &&
		    (t->protocol == e->protocol || !is_inet(e)))
			return i;
	}
	return UNLISTED;
}

/* Whether a table lists a socket of this kind, by its own address. */
static int
is_listed(const struct entry *e, const union address *own)
{
	/* One that is bound, but does not listen, is not listed either. */
	if (e->protocol == IPPROTO_TCP && e->state == TCP_CLOSE)
		return 0;
	if (is_inet(e) && e->type == SOCK_DGRAM)
		return e->local_port != 0;
	return e->family != AF_NETLINK || own->nl.nl_pid != 0;
}

/* What a socket says by its addresses; its name or interface to text. */
static size_t
ask_addresses(int fd, struct entry *e, char *text)
{
	union address name, peer;
	socklen_t len = sizeof name.any;
	size_t n = 0;
	int connected;

	memset(&name, 0, sizeof name);
	memset(&peer, 0, sizeof peer);
	if (getsockname(fd, (struct sockaddr *)&name, &len) == 0) {
		set_address(e, &name, len, e->local, &e->local_port);
		if (e->family == AF_UNIX)
			n = unix_name(&name, len, text);
		else if ((needs & NEED_INTERFACE) != 0)
			n = ask_interface(fd, &name, text);
	}
	len = sizeof peer.any;
	connected = getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
	if (connected)
		set_address(e, &peer, len, e->remote, &e->remote_port);
	ask_state(fd, e, connected);
	e->table = is_listed(e, &name) ? table_of(e) : UNLISTED;
	return n;
}

/*
 * What a copy of a socket's descriptor says of itself.  Returns the length of
 * its name or interface, which text has.
 */
static size_t
ask_copy(int fd, struct answer *a, char text[UNIX_NAME_MAX])
{
	struct entry *e = &a->e;
	uint16_t protocol = (uint16_t)socket_option(fd, SOL_SOCKET,
	    SO_PROTOCOL);
	socklen_t len = 0;
	struct stat st;
	size_t n;
	int raw;

	e->family = (uint16_t)socket_option(fd, SOL_SOCKET, SO_DOMAIN);
	e->type = (uint8_t)socket_option(fd, SOL_SOCKET, SO_TYPE);
	raw = e->type == SOCK_RAW && is_inet(e);
	e->protocol = raw ? IPPROTO_RAW : protocol;
	if (fstat(fd, &st) == 0)
		e->owner = st.st_uid;
	n = ask_addresses(fd, e, text);
	if (raw)
		e->local_port = protocol;	/* as the tables have it */
	/* With no room the kernel (3.8 on) gives the number alone. */
	if ((needs & NEED_FILTER) != 0 && getsockopt(fd, SOL_SOCKET,
	    SO_ATTACH_FILTER, NULL, &len) == 0)
		e->filter_length = len;
	if (e->family == AF_INET6 && (needs & NEED_V6ONLY) != 0)
		e->v6only = socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
	a->netns_inode = ask_netns(fd);
	return n;
}

/*
 * The kernel's names of protocols, an attribute of each socket's descriptor
 * (Linux 4.7), and what psock makes of them.
 */
static const struct protocol_name {
	const char *name;
	unsigned short family, protocol;
	unsigned char type;
} protocol_names[] = {
	{ "TCP", AF_INET, IPPROTO_TCP, SOCK_STREAM },
	{ "TCPv6", AF_INET6, IPPROTO_TCP, SOCK_STREAM },
	{ "UDP", AF_INET, IPPROTO_UDP, SOCK_DGRAM },
	{ "UDPv6", AF_INET6, IPPROTO_UDP, SOCK_DGRAM },
	{ "UDP-Lite", AF_INET, IPPROTO_UDPLITE, SOCK_DGRAM },
	{ "UDPLITEv6", AF_INET6, IPPROTO_UDPLITE, SOCK_DGRAM },
	{ "RAW", AF_INET, IPPROTO_RAW, SOCK_RAW },
	{ "RAWv6", AF_INET6, IPPROTO_RAW, SOCK_RAW },
	{ "UNIX", AF_UNIX, 0, 0 },
	{ "UNIX-STREAM", AF_UNIX, 0, SOCK_STREAM },
	{ "PACKET", AF_PACKET, 0, 0 },
	{ "PING", AF_INET, IPPROTO_ICMP, SOCK_DGRAM },
	{ "PINGv6", AF_INET6, IPPROTO_ICMPV6, SOCK_DGRAM },
	{ "SCTP", AF_INET, IPPROTO_SCTP, 0 },
	{ "SCTPv6", AF_INET6, IPPROTO_SCTP, 0 },
	{ "DCCP", AF_INET, IPPROTO_DCCP, 0 },
	{ "DCCPv6", AF_INET6, IPPROTO_DCCP, 0 },
	{ "L2TP/IP", AF_INET, 115, SOCK_DGRAM },
	{ "L2TP/IPv6", AF_INET6, 115, SOCK_DGRAM },
	{ "MPTCP", AF_INET, MPTCP, SOCK_STREAM },
	{ "MPTCPv6", AF_INET6, MPTCP, SOCK_STREAM },
	{ "NETLINK", AF_NETLINK, 0, 0 },
	{ "KEY", AF_KEY, 2, SOCK_RAW },
	{ "PPPOE", AF_PPPOX, 0, SOCK_STREAM },
	{ "PPTP", AF_PPPOX, 2, SOCK_STREAM },
	{ "PPPOL2TP", AF_PPPOX, 1, SOCK_DGRAM },
	{ "CAN_RAW", AF_CAN, 1, SOCK_RAW },
	{ "CAN_BCM", AF_CAN, 2, SOCK_DGRAM },
	{ "CAN_ISOTP", AF_CAN, 6, SOCK_DGRAM },
	{ "TIPC", AF_TIPC, 0, 0 },
	{ "L2CAP", AF_BLUETOOTH, 0, 0 },
	{ "HCI", AF_BLUETOOTH, 1, SOCK_RAW },
	{ "SCO", AF_BLUETOOTH, 2, SOCK_SEQPACKET },
	{ "RFCOMM", AF_BLUETOOTH, 3, 0 },
	{ "RXRPC", AF_RXRPC, 0, SOCK_DGRAM },
	{ "ALG", AF_ALG, 0, SOCK_SEQPACKET },
	{ "AF_VSOCK", AF_VSOCK, 0, 0 },
	{ "KCM", AF_KCM, 0, 0 },
	{ "QIPCRTR", AF_QIPCRTR, 0, SOCK_DGRAM },
	{ "SMC", AF_SMC, 0, SOCK_STREAM },
	{ "SMC6", AF_SMC, 1, SOCK_STREAM },
	{ "XDP", AF_XDP, 0, SOCK_RAW },
	{ NULL, 0, 0, 0 },
};

/*
 * What the name of its protocol says of a socket that may not be asked.  Its
 * descriptor is looked at first, for it may be any file by now.
 */
static void
ask_attribute(const struct holder *h, struct entry *e)
{
	const struct protocol_name *p;
	char path[64], name[64] = "";
	int fd;

	descriptor_path(path, sizeof path, &tasks[h->task], h->fd);
	fd = openat(proc, path, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return;
	if (leads_to(fd, path, sizeof path, "socket:[", h->inode))
		(void)getxattr(path, "system.sockprotoname", name,
		    sizeof name - 1);
	close(fd);
	for (p = protocol_names; p->name != NULL; p++)
		if (strcmp(name, p->name) == 0) {
			e->family = p->family;
			e->protocol = p->protocol;
			e->type = p->type;
			e->table = table_of(e);
		}
}

/* Whether the descriptor is still the socket that it was. */
static int
still_holds(const struct holder *h)
{
	char path[64];
	uint64_t inode;

	if (h->fd == NONE)	/* an io_uring or a mapping does */
		return 1;
	descriptor_path(path, sizeof path, &tasks[h->task], h->fd);
	return read_inode_link(proc, path, "socket:[", &inode) == 0 &&
	    inode == h->inode;
}

/* What is said of a socket before it is asked. */
static struct answer
blank_answer(const struct holder *h)
{
	struct answer a = { .e = blank_entry };

	a.e.inode = h->inode;
	a.holder = (uint32_t)(h - holders);
	return a;
}

/*
 * Asks the holders of a socket, one after the other from the first, and sends
 * the answer.  If none of them holds it any more, there is no answer.
 */
static void
ask_socket(const struct holder *h)
{
	char text[UNIX_NAME_MAX];
	struct answer a = blank_answer(h);
	size_t n = 0;
	int fd = -1, held = 0;

	for (; h != NULL && fd == -1; h = next_holder(h->next, a.e.inode)) {
		step();
		if (!only_protocols)
			fd = copy_fd(h);
		if (fd == -1 && (a.e.family != AF_UNSPEC || !still_holds(h)))
			continue;
		a.holder = (uint32_t)(h - holders);
		held = 1;
		if (fd == -1)
			ask_attribute(h, &a.e);
	}
	if (fd != -1) {
		a.asked = 1;
		n = ask_copy(fd, &a, text);
		close(fd);
	}
	if (held)
		send_record(FOUND_SOCKET, &a, sizeof a, text, n);
}

/* Tables */

/* Eight hexadecimal digits. */
static int
parse_word(const char *s, uint32_t *word)
{
	uint64_t value = 0;

	/* Most of IPv6 and all queues are 0: that saves 5 % of a row's time. */
	if (load_word(s) != ONES * '0' &&
	    parse_number(s, 8, 16, UINT32_MAX, &value) == -1)
		return -1;
	*word = (uint32_t)value;
	return 0;
}

/* "0100007F:22B8": 32-bit words in the host's byte order, port in hex. */
static int
parse_address(struct entry *e, unsigned char *address, const struct text *f)
{
	const size_t words = e->family == AF_INET ? 1 : 4;
	uint64_t value;
	uint32_t word;
	size_t i;

	if (f->len != words * 8 + 5 || f->s[words * 8] != ':')
		return -1;
	for (i = 0; i < words; i++) {
		if (parse_word(f->s + 8 * i, &word) == -1)
			return -1;
		memcpy(address + 4 * i, &word, sizeof word);
	}
	if (parse_number(f->s + words * 8 + 1, 4, 16, 0xffff, &value) == -1)
		return -1;
	*(address == e->local ? &e->local_port : &e->remote_port) =
	    (uint32_t)value;
	return 0;
}

/* "00000000:00000000": bytes to be sent, and received. */
static int
parse_queues(struct entry *e, const struct text *f)
{
	return f->len == 17 && f->s[8] == ':' &&
	    parse_word(f->s, &e->tx_queue) == 0 &&
	    parse_word(f->s + 9, &e->rx_queue) == 0 ? 0 : -1;
}

static void
set_number(void *to, size_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)to = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)to = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)to = (uint32_t)value;
		break;
	default:
		*(uint64_t *)to = value;
	}
}

/* Parses a field of a row; returns -1 if it is malformed. */
static int
parse_field(struct row *r, const struct table_column *c,
    const struct text *f)
{
	unsigned char *to = (unsigned char *)r + c->offset;
	uint64_t value, max;
	int minus = 0;

	switch (c->syntax) {
	case ADDRESS:
		return parse_address(&r->e, to, f);
	case QUEUES:
		return parse_queues(&r->e, f);
	case LIST:	/* finish_sctp does that */
		return 0;
	case USER:	/* Linux before 2.6.39 and gVisor print it signed */
		minus = f->len > 1 && *f->s == '-';
		break;
	default:
		break;
	}
	max = minus ? UINT64_C(1) << 31 : UINT64_MAX >> (64 - 8 * c->size);
	if (parse_number(f->s + minus, f->len - (size_t)minus,
	    c->syntax == HEX ? 16 : 10, max, &value) == -1)
		return -1;
	set_number(to, c->size, minus ? -value : value);
	return 0;
}

/* tcp, udp, udplite, raw and icmp, of either family. */
static void
finish_inet(struct row *r, const struct text *f, size_t nfields,
    const int *place)
{
	const size_t pointer = (size_t)place[INET_INODE] + 2;
	const size_t timer = (size_t)place[INET_QUEUE] + 1;
	struct entry *e = &r->e;

	e->state = e->protocol == IPPROTO_TCP ? tcp_state(e->state) : 0;
	/*
	 * A request for a connection, or what the timer of TIME_WAIT (03)
	 * ends, whose state may be FIN_WAIT2.
	 */
	if (e->inode == 0 && (e->state == TCP_SYN_RECV ||
	    e->state == TCP_TIME_WAIT || e->state == NEW_SYN_RECV ||
	    (timer < nfields && f[timer].len > 2 &&
	    memcmp(f[timer].s, "03:", 3) == 0)))
		e->flags |= UNCOUNTED;
	/* "... inode ref pointer": no header names these. */
	if (pointer < nfields)
		(void)field_number(&f[pointer], 16, UINT64_MAX, &r->id);
	/* The kernel may hide pointers; then only "  12:" is left. */
	if (r->id == 0 && e->inode == 0 && f[0].len > 1)
		(void)parse_number(f[0].s, f[0].len - 1, 10, UINT32_MAX,
		    &r->id);
}

/* "10.0.0.1", or "fd00:0000:0000:0000:0000:0000:0000:0001": all of it. */
static int
parse_sctp_address(const char *s, size_t len, uint16_t *family,
    unsigned char *address)
{
	char text[INET6_ADDRSTRLEN];

	if (len >= sizeof text)
		return -1;
	memcpy(text, s, len);
	text[len] = '\0';
	*family = strchr(text, '.') != NULL ? AF_INET : AF_INET6;
	return inet_pton(*family, text, address) - 1;
}

/*
 * The address of a list of addresses that is marked as the primary one, or
 * the first: "*10.0.0.1 10.0.0.2".  Sets *next behind the list.
 */
static int
parse_sctp_list(const struct text *f, size_t nfields, size_t *next,
    uint16_t *family, unsigned char *address)
{
	const struct text *best = NULL;
	size_t i, star;

	for (i = *next; i < nfields; i++) {
		if (memchr(f[i].s, '.', f[i].len) == NULL &&
		    memchr(f[i].s, ':', f[i].len) == NULL)
			break;
		if (best == NULL || *f[i].s == '*')
			best = &f[i];
	}
	*next = i;
	if (best == NULL)
		return 0;
	star = *best->s == '*';
	return parse_sctp_address(best->s + star, best->len - star, family,
	    address);
}

/* What a mapped IPv4 address begins with: ::ffff:10.0.0.1. */
static const unsigned char mapped[12] = { [10] = 0xff, 0xff };

static void
map_address(unsigned char address[16])
{
	memcpy(address + sizeof mapped, address, 4);
	memcpy(address, mapped, sizeof mapped);
}

/* sctp/eps and sctp/assocs.  Lists of addresses move what is behind them. */
static int
finish_sctp(struct row *r, const struct text *f, size_t nfields,
    const int *place)
{
	/* 0 and 1 are one-to-many: enum sctp_socket_type of the kernel. */
	enum { STYLE_TCP = 2 };
	struct entry *e = &r->e;
	const int assoc = place[SCTP_REMOTE_PORT] != NONE;
	size_t next = (size_t)place[SCTP_ADDRESSES];
	uint16_t local = 0, remote = 0;

	if (nfields == MAX_ROW_FIELDS)	/* it may be cut */
		return -1;
	e->type = place[SCTP_STYLE] == NONE || r->type == STYLE_TCP ?
	    SOCK_STREAM : SOCK_SEQPACKET;
	/* An endpoint has the socket's state, numbered as TCP's. */
	if (assoc)
		e->state = (uint8_t)(e->state < SCTP_LISTEN - STATE_SCTP ?
		    STATE_SCTP + e->state : SCTP_UNKNOWN);
	else
		e->state = e->state == TCP_LISTEN ? SCTP_LISTEN : e->state ==
		    TCP_ESTABLISHED ? SCTP_ESTABLISHED : STATE_SCTP;
	if (parse_sctp_list(f, nfields, &next, &local, e->local) == -1)
		return -1;
	if (assoc && (next >= nfields || !field_is(&f[next++], "<->") ||
	    parse_sctp_list(f, nfields, &next, &remote, e->remote) == -1 ||
	    remote == 0))
		return -1;
	if (local == AF_INET6 || remote == AF_INET6)
		e->family = AF_INET6;
	/* Beside an IPv6 address, one of IPv4 is written as a mapped one. */
	if (e->family == AF_INET6 && local == AF_INET)
		map_address(e->local);
	if (e->family == AF_INET6 && remote == AF_INET)
		map_address(e->remote);
	return 0;
}

/* Sets what takes more than one column; returns -1 if the row is malformed. */
static int
finish_row(struct row *r, const struct text *f, size_t nfields,
    const int *place)
{
	struct entry *e = &r->e;

	switch (e->family) {
	case AF_UNIX:
		e->state = (uint8_t)((r->unix_flags & __SO_ACCEPTCON) != 0 ?
		    UNIX_LISTEN : e->state <= SS_DISCONNECTING ?
		    STATE_UNIX + e->state : STATE_UNIX);
		__attribute__((fallthrough));
	case AF_PACKET:
		/* 10 is SOCK_PACKET, obsolete since Linux 2.0. */
		e->type = (uint8_t)(r->type <= 5 ? r->type : 0);
		return 0;
	case AF_NETLINK:
		if (r->port_id == 0)
			e->flags |= UNCOUNTED;	/* the kernel's own */
		return 0;
	}
	if (e->protocol == IPPROTO_SCTP)
		return finish_sctp(r, f, nfields, place);
	finish_inet(r, f, nfields, place);
	return 0;
}

/* Whether a name in a header is the wanted one; "rem*" is a prefix. */
static int
is_column(const struct text *f, const char *want)
{
	size_t len = strlen(want) - 1;

	return want[len] != '*' ? field_is(f, want) :
	    f->len >= len && memcmp(f->s, want, len) == 0;
}

/*
 * A hash table of the rows that a job has sent already: a table lists some
 * sockets twice while others come and go, and icmp6 lists IPv4 ping sockets as
 * well (Linux 6.18).  In the parent, of the unix rows that is_repeated saw.
 */
static struct {
	uint64_t *keys;		/* 0: there is none */
	size_t count, mask;
} sent;

/*
 * What tells a row from others: the inode, if its socket has one row.  Without
 * an inode, or with several rows (MPTCP, sctp), a digest of all that differs.
 */
static uint64_t
key_of(const struct row *r)
{
	const struct entry *e = &r->e;
	uint64_t key, word;

	if (e->inode != 0 && !nettables[e->table].many)
		return e->inode;
	key = mix(0, &r->id, sizeof r->id);
	key = mix(key, &e->inode, sizeof e->inode);
	key = mix(key, e->local, sizeof e->local);
	key = mix(key, e->remote, sizeof e->remote);
	word = (uint64_t)e->local_port << 32 | (uint64_t)e->table << 24 |
	    e->remote_port;
	return mix(key, &word, sizeof word) | 1;	/* 0 is no key */
}

/* The bucket of a key, or for it. */
static uint64_t *
find_sent(uint64_t key)
{
	size_t i = hash(key, sent.mask);

	while (sent.keys[i] != 0 && sent.keys[i] != key)
		i = (i + 1) & sent.mask;
	return &sent.keys[i];
}

static void
grow_sent(void)
{
	uint64_t *old = sent.keys;
	size_t i, n = old == NULL ? 0 : sent.mask + 1;

	sent.mask = hash_mask(2 * n);
	sent.keys = allocate((sent.mask + 1) * sizeof *sent.keys);
	for (i = 0; i < n; i++)
		if (old[i] != 0)
			*find_sent(old[i]) = old[i];
	free(old);
}

static void
forget_sent(void)
{
	if (sent.mask > 65536) {	/* long to clear for a small table */
		free(sent.keys);
		sent.keys = NULL;
		sent.mask = 0;
	} else if (sent.count > 0) {
		memset(sent.keys, 0, (sent.mask + 1) * sizeof *sent.keys);
	}
	sent.count = 0;
}

/* Whether a key was noted before; if not, it is now. */
static int
is_noted(uint64_t key)
{
	uint64_t *bucket;

	if (2 * sent.count >= sent.mask)
		grow_sent();
	bucket = find_sent(key);
	if (*bucket == key)
		return 1;
	*bucket = key;
	sent.count++;
	return 0;
}

/* Whether a row was sent already; no, if nothing identifies it. */
static int
is_duplicate(const struct row *r)
{
	return (r->e.inode != 0 || r->id != 0) && is_noted(key_of(r));
}

/* A namespace whose tables are being read by a worker: g, from here on. */
struct reading {
	uint32_t ns;
	int dir;		/* the process of netdir; NONE: we are in it */
	int netdir;
	int missing_only;	/* read again: only for sockets without entry */
	int any;		/* there was a table */
	int partial;		/* one could not be read whole */
	const struct nettable *table;
	int place[MAX_PLACES];	/* field of each column; NONE: not there */
	size_t needed;		/* fields: a row with fewer is malformed */
	size_t line;		/* number of the line, from 1 */
};

static void
count_malformed(const struct reading *g)
{
	count_number("line", g->line, g->table->name, "malformed");
}

/* Opens a file of net/ for read_line; returns -1 if there is none. */
static int
open_table(struct reader *r, int netdir, const char *file)
{
	if (open_lines(r, netdir, file) == 0)
		return 0;
	if (!is_gone(errno))
		count_warning("table", file, "", strerror(errno));
	return -1;
}

/* The name of an interface, by the files of net/ that name it. */
static size_t
read_interface(int netdir, uint32_t index, char *name, size_t size)
{
	static const struct {
		const char *file;
		unsigned char index, name, base;
	} sources[] = {
		{ "igmp", 0, 1, 10 },
		{ "dev_mcast", 0, 1, 10 },
		{ "if_inet6", 1, 5, 16 },
	};
	struct text f[MAX_FIELDS];
	struct reader r;
	uint64_t value;
	size_t i, n, len = 0;
	ptrdiff_t got;
	char *line;

	for (i = 0; i < sizeof sources / sizeof *sources && len == 0; i++) {
		if (open_table(&r, netdir, sources[i].file) == -1)
			continue;
		while (len == 0 && (got = read_line(&r, '\n', &line)) != -1) {
			n = split(line, (size_t)got, f, MAX_FIELDS);
			if (n <= sources[i].name || field_number(
			    &f[sources[i].index], sources[i].base, UINT32_MAX,
			    &value) == -1 || value != index)
				continue;
			while (len < f[sources[i].name].len && len < size &&
			    f[sources[i].name].s[len] != ':')
				len++;
			memcpy(name, f[sources[i].name].s, len);
		}
		(void)close_lines(&r, sources[i].file);
	}
	if (len == 0)	/* no file of net/ names it */
		len = format_text(name, size, "%u", index);
	return len;
}

/* A packet row has the index of its interface. */
static size_t
name_interface(const struct reading *g, uint32_t index, char *name,
    size_t size)
{
	static char last[64];
	static size_t last_len;
	static uint32_t last_index, last_ns = NOWHERE;

	if ((needs & NEED_INTERFACE) == 0 || index == 0)
		return 0;
	if (index != last_index || g->ns != last_ns)
		last_len = read_interface(g->netdir, index, last, sizeof last);
	last_index = index;
	last_ns = g->ns;
	memcpy(name, last, last_len < size ? last_len : size);
	return last_len < size ? last_len : size;
}

/*
 * Whether the entry may be printed, or be a peer of one that is; if the table
 * is read again, whether its socket has none yet.
 */
static int
is_needed(const struct reading *g, const struct entry *e)
{
	const struct holder *h;

	if (reads_all && !g->missing_only)
		return 1;
	h = first_holder(e->inode);
	return h != NULL && (!g->missing_only || !h->has_entry);
}

/* Returns -1 if the row is malformed, or cut anywhere. */
static int
parse_row(const struct reading *g, struct row *r, const char *line,
    size_t len)
{
	static struct text f[MAX_ROW_FIELDS];
	const struct nettable *t = g->table;
	const struct table_column *c = t->layout->columns;
	size_t i, n;

	*r = (struct row){ .e = blank_entry };
	r->e.family = t->family;
	r->e.protocol = t->protocol;
	r->e.type = t->type;
	r->e.netns = g->ns;
	r->e.table = (uint8_t)(t - nettables);
	/* sctp has a list of addresses, tcp a pointer behind the inode. */
	n = split(line, len, f, t->protocol == IPPROTO_SCTP ?
	    MAX_ROW_FIELDS : g->needed + 2);
	if (n < g->needed)
		return -1;
	for (i = 0; c[i].name != NULL; i++)
		if (g->place[i] != NONE &&
		    parse_field(r, &c[i], &f[g->place[i]]) == -1)
			return -1;
	return finish_row(r, f, n, g->place);
}

static void
read_row(const struct reading *g, const char *line, size_t len)
{
	struct row r;
	char name[64];

	if (parse_row(g, &r, line, len) == -1)
		count_malformed(g);
	else if (is_needed(g, &r.e) && !is_duplicate(&r))
		send_record(FOUND_ROW, &r.e, sizeof r.e, name,
		    name_interface(g, r.ifindex, name, sizeof name));
}

static int
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') ||
	    (c >= 'a' && c <= 'f');
}

/*
 * The length of the part of a unix row before its path, if the line has the
 * form "%pK: %08X %08X %08X %04X %02X %5lu[ path]", else 0.  gVisor pads the
 * inode wider.
 */
static size_t
unix_row_length(const char *s, size_t n)
{
	static const char form[] = ": xxxxxxxx xxxxxxxx xxxxxxxx xxxx xx ";
	size_t at, i, digits = 0;
	uint64_t inode;

	for (at = 0; at < n && is_hex(s[at]); at++)
		;
	if ((at != 8 && at != 16) || n - at < sizeof form)
		return 0;
	for (i = 0; form[i] != '\0'; i++, at++)
		if (form[i] == 'x' ? !is_hex(s[at]) : s[at] != form[i])
			return 0;
	for (i = 0; at < n && s[at] == ' ' && i < 20; i++)
		at++;
	for (; at < n && s[at] >= '0' && s[at] <= '9'; digits++)
		at++;
	if (i + digits < 5 || (at < n && s[at] != ' ') ||
	    parse_number(s + at - digits, digits, 10, UINT64_MAX, &inode) ==
	    -1)
		return 0;
	return at;
}

/* A row of the unix table whose name may go on with the next line. */
struct unix_row {
	struct row r;
	int unsent;		/* it is not sent yet */
	char name[UNIX_NAME_MAX];
	size_t used;		/* of name */
	/* Bytes from where the last name before this row begins to its end. */
	size_t name_span;
};

/* Also sends a row that is not needed itself if settle_rows needs it. */
static void
send_unix_row(const struct reading *g, struct unix_row *u)
{
	if (u->unsent && (is_needed(g, &u->r.e) ||
	    (u->r.e.flags & (NAMED | IN_NAME)) != 0))
		send_record(FOUND_ROW, &u->r.e, sizeof u->r.e, u->name,
		    u->used);
	u->unsent = 0;
}

/* Takes a line that has the form of a row, up to its name. */
static void
begin_unix_row(const struct reading *g, struct unix_row *u, const char *line,
    size_t head, size_t len)
{
	size_t n = len - head;

	/* A row without a name may be part of the last name, which goes on. */
	u->name_span = (u->r.e.flags & NAMED) != 0 ? u->used + 1 + len :
	    u->name_span + 1 + len;
	u->unsent = parse_row(g, &u->r, line, head) == 0;
	u->r.e.flags = (uint8_t)((u->name_span <= UNIX_NAME_MAX ? IN_NAME : 0) |
	    (n > 0 ? NAMED : 0) | (g->missing_only ? READ_AGAIN : 0));
	u->r.e.row_len = (uint16_t)len;
	u->used = n > 0 ? n - 1 : 0;
	memcpy(u->name, line + head + (n > 0), u->used);
	if (!u->unsent)
		count_malformed(g);
}

/*
 * The unix table.  The kernel writes names raw, newlines included, but each
 * NUL as '@'.  A line without the form of a row continues the name before it.
 * One with that form may do so if the name has room; settle_rows decides.
 */
static void
read_unix_line(const struct reading *g, struct unix_row *u, const char *line,
    size_t len)
{
	size_t head = unix_row_length(line, len);

	if (head == 0 ? !u->unsent || u->used + 1 + len > UNIX_NAME_MAX :
	    len - head > UNIX_NAME_MAX + 1) {
		count_malformed(g);
	} else if (head == 0) {
		u->name[u->used++] = '\n';
		memcpy(u->name + u->used, line, len);
		u->used += len;
		u->name_span += 1 + len;
		u->r.e.row_len = (uint16_t)(u->r.e.row_len + 1 + len);
	} else {
		send_unix_row(g, u);
		begin_unix_row(g, u, line, head, len);
	}
}

/*
 * Finds the places of a table's columns by its header.  Two of the names there
 * share a field with the one before: tx_queue:rx_queue and tr:tm->when.
 */
static int
parse_header(struct reading *g, const char *line, size_t len)
{
	const struct table_column *column_read = g->table->layout->columns;
	int *place = g->place;
	struct text f[MAX_FIELDS];
	const char *name;
	size_t i, n, c;
	int at;		/* the field that the name f[i] is for */

	n = split(line, len, f, MAX_FIELDS);
	for (c = 0; c < MAX_PLACES; c++)
		place[c] = NONE;
	g->needed = 1;
	for (c = 0; (name = column_read[c].name) != NULL; c++) {
		for (at = 0, i = 0; i < n && place[c] == NONE; i++) {
			if (is_column(&f[i], name + (*name == '?')))
				place[c] = at;
			at += i + 1 == n || (!field_is(&f[i + 1],
			    "rx_queue") && !field_is(&f[i + 1], "tm->when"));
		}
		if (place[c] == NONE && *name != '?')
			return -1;
		if (place[c] >= (int)g->needed)
			g->needed = (size_t)place[c] + 1;
	}
	return 0;
}

/*
 * Finds the places of the columns by the first line.  Returns 1 if that is a
 * row, of a table that has lost its header; -1 if it is neither.
 */
static int
read_header(struct reading *g, const char *line, size_t len)
{
	const struct nettable *t = g->table;
	const char *usual = t->layout->header;
	struct row r;

	if (parse_header(g, line, len) == 0)
		return 0;
	if (parse_header(g, usual, strlen(usual)) == 0 &&
	    (t->family == AF_UNIX ? unix_row_length(line, len) != 0 :
	    parse_row(g, &r, line, len) == 0)) {
		count_warning("table", table_file(t), "",
		    "no header, read by the usual columns");
		return 1;
	}
	count_warning("table", table_file(t), "", "unknown header");
	return -1;
}

static void
read_table(const struct nettable *t, struct reading *g)
{
	static struct unix_row u;
	const char *file = table_file(t);
	int header = 0;
	struct reader r;
	ptrdiff_t len;
	char *line;

	if (open_table(&r, g->netdir, file) == -1)
		return;
	g->any = 1;
	g->table = t;
	/* No name is before the first row. */
	u = (struct unix_row){ .name_span = UNIX_NAME_MAX };
	for (g->line = 1; (len = read_line(&r, '\n', &line)) != -1;
	    g->line++) {
		if (g->line == 1)
			header = read_header(g, line, (size_t)len);
		if (header == -1)
			break;
		if (g->line == 1 && header == 0)
			continue;
		if (!r.ended)
			count_malformed(g);
		else if (t->family == AF_UNIX)
			read_unix_line(g, &u, line, (size_t)len);
		else
			read_row(g, line, (size_t)len);
	}
	send_unix_row(g, &u);
	if (g->line == 1 && header == 0 && r.error == 0)
		count_warning("table", file, "", "no header");
	if (close_lines(&r, file) == -1)
		g->partial = 1;
}

/* Namespaces */

struct sockstat {
	unsigned idle;		/* tables without a socket, as bits */
	int no_time_wait;
	int64_t used;		/* sockets; NONE: not known */
};

/* Takes one line of net/sockstat: "TCP: inuse 0 orphan 0 tw 0 ...". */
static void
parse_sockstat(struct sockstat *s, const struct text *f, size_t n)
{
	uint64_t value;
	size_t t;

	if (n == 3 && field_is(&f[0], "sockets:") && field_is(&f[1], "used") &&
	    field_number(&f[2], 10, INT32_MAX, &value) == 0)
		s->used = (int64_t)value;
	if (n < 3 || !field_is(&f[1], "inuse"))
		return;
	if (n >= 7 && field_is(&f[5], "tw"))
		s->no_time_wait = field_is(&f[6], "0");
	for (t = 0; t < NTABLES && field_is(&f[2], "0"); t++)
		if (nettables[t].sockstat != NULL &&
		    field_is(&f[0], nettables[t].sockstat))
			s->idle |= 1u << t;
}

/* Reads net/sockstat or net/sockstat6; returns -1 if there is none. */
static int
read_sockstat(struct sockstat *s, int netdir, const char *file)
{
	struct text f[MAX_FIELDS];
	struct reader r;
	ptrdiff_t len;
	char *line;

	if (open_lines(&r, netdir, file) == -1)
		return -1;
	while ((len = read_line(&r, '\n', &line)) != -1)
		parse_sockstat(s, f, split(line, (size_t)len, f, MAX_FIELDS));
	return close_lines(&r, file);
}

/*
 * The tables that net/sockstat and net/sockstat6 say are empty: their hash
 * need not be walked.  tw counts both families, and a listener of tcp6 may
 * have connections of tcp that are not accepted yet.
 */
static unsigned
idle_tables(int netdir, int64_t *used)
{
	struct sockstat s = { .used = NONE };
	const int known = read_sockstat(&s, netdir, "sockstat") == 0 &&
	    read_sockstat(&s, netdir, "sockstat6") == 0;

	*used = s.used;
	if (!s.no_time_wait)
		s.idle &= ~(1u << TCP6);
	if ((s.idle & 1u << TCP6) == 0)
		s.idle &= ~(1u << TCP);
	return known ? s.idle : 0;
}

/*
 * Opens a namespace for setns(2).  Its path may lead to any file by now, and
 * to open that may do something: so it is looked at first.  Returns -1 with
 * errno; ENOENT if it is another file.
 */
static int
open_netns(const struct ns_link *l)
{
	char path[64];
	struct stat st, own;
	int fd = NONE, look, same;

	if (l->path == NULL)
		descriptor_path(path, sizeof path, &tasks[l->task], l->fd);
	look = openat(proc, l->path != NULL ? l->path : path,
	    O_PATH | O_CLOEXEC);
	if (look == -1)
		return -1;
	same = leads_to(look, path, sizeof path, "net:[", l->inode);
	if (l->path != NULL)	/* which is what the link says */
		same = fstat(look, &st) == 0 &&
		    fstatat(proc, "self/ns/net", &own, 0) == 0 &&
		    st.st_dev == own.st_dev && st.st_ino == l->inode;
	errno = ENOENT;
	if (same)
		fd = open_below(proc, path, 0);
	close_quietly(look);
	return fd;
}

/* The same by a socket that is in it. */
static int
open_socket_netns(const struct ns_link *l)
{
	const struct holder h = { .inode = l->socket, .task = l->task,
	    .fd = l->fd };
	int ns, fd = copy_fd(&h);

	if (fd == -1 && errno == EBADF)		/* it was closed since */
		errno = ENOENT;
	if (fd == -1)
		return -1;
	ns = ioctl(fd, GET_NETNS);
	close_quietly(fd);
	return ns;
}

/* Whether we are in the namespace. */
static int
is_inside(const struct netns *ns)
{
	uint64_t inode;

	return read_inode_link(proc, "self/ns/net", "net:[", &inode) == 0 &&
	    inode == ns->inode;
}

/*
 * Enters the namespace that fd is, and closes that.  A worker need not come
 * back: nothing else depends on where it is.  Returns -1 with errno; ENOENT
 * if it is another namespace.
 */
static int
set_netns(const struct netns *ns, int fd)
{
	const int result = setns(fd, CLONE_NEWNET);

	close_quietly(fd);
	if (result == 0 && is_inside(ns))
		return 0;
	if (result == 0)
		errno = ENOENT;
	return -1;
}

/* Enters a namespace by a link. */
static int
enter_by_link(const struct ns_link *l)
{
	const struct netns *ns = &namespaces[l->netns];
	const int fd = l->socket != 0 ? open_socket_netns(l) : open_netns(l);
	const int result = fd == -1 ? -1 : set_netns(ns, fd);

	if (result == -1 && !is_gone(errno))
		count_number("netns", ns->inode, fd == -1 ? "open" : "setns",
		    strerror(errno));
	return result;
}

/* Enters a namespace by a task that is in it; returns -1 with errno. */
static int
enter_by_task(const struct task *t)
{
	char path[64];
	int fd;

	(void)format_text(path, sizeof path, "%d/task/%d/ns/net", t->pid,
	    t->tid);
	fd = open_below(proc, path, 0);
	return fd == -1 ? -1 : set_netns(&namespaces[t->netns], fd);
}

/* Whether the task that dir belongs to is still in the namespace. */
static int
is_in_netns(int dir, const struct netns *ns)
{
	uint64_t inode;

	if (ns->inode != 0 && read_netns_inode(dir, &inode) == 0)
		return inode == ns->inode;
	if (ns->table_inode == 0)	/* if it has one, the task has ended */
		return ns->inode == 0;
	return read_table_inode(dir) == ns->table_inode;
}

/* Opens the net directory of the namespace that we are in. */
static int
open_own_net(struct reading *g)
{
	g->dir = NONE;
	g->netdir = open_below(proc, "self/net", O_DIRECTORY);
	if (g->netdir == -1)
		count_number("netns", namespaces[g->ns].inode, "net",
		    strerror(errno));
	return g->netdir;
}

/*
 * Opens the net directory of a task, which shows where the task is at each
 * moment: one that goes to and fro would show its own namespace before and
 * after, but another's tables.  So root enters the namespace first.
 */
static int
open_task_net(struct reading *g, const struct task *t)
{
	if (asks_kernel && privileged) {
		if (enter_by_task(t) == 0)
			return open_own_net(g);
		if (is_gone(errno))
			return -1;
	}
	g->dir = open_task(t->pid, t->tid);
	if (g->dir == -1) {
		count_refusal(t->pid, "directory");
		return -1;
	}
	g->netdir = open_below(g->dir, "net", O_DIRECTORY);
	if (g->netdir == -1 && errno != EINVAL)
		count_refusal(t->pid, "net");
	if (g->netdir == -1)
		close(g->dir);
	return g->netdir;
}

/*
 * Opens the net directory of a namespace by one of its ways, from 0: we are in
 * it, a task was, or a link keeps it, last, for only that takes a privilege.
 * Returns -1 if it is not there.
 */
static int
open_net(struct reading *g, size_t way)
{
	const struct netns *ns = &namespaces[g->ns];
	size_t i;

	/* A worker may have entered another since. */
	if (is_own_netns(ns->inode) && way-- == 0)
		return is_inside(ns) ? open_own_net(g) : -1;
	for (i = ns->first_task; i < count.tasks; i++)
		if (tasks[i].netns == g->ns && way-- == 0)
			return open_task_net(g, &tasks[i]);
	for (i = ns->first_link; i < count.ns_links; i++)
		if (ns_links[i].netns == g->ns && way-- == 0)
			return enter_by_link(&ns_links[i]) == -1 ? -1 :
			    open_own_net(g);
	return -1;
}

/* A job of the third scan: these tables of a namespace. */
static struct table_job {
	uint32_t ns;
	unsigned tables;	/* as bits of nettables */
} *table_jobs;
static size_t ntable_jobs, table_jobs_room;

static void
read_tables(const struct table_job *j, struct reading *g)
{
	struct sockstat after = { .used = NONE };
	unsigned idle = 0;
	int64_t used = NONE;
	size_t t;

	g->partial = 0;
	forget_sent();
	/* The kernel walks its hash even for an empty table. */
	if (asks_kernel)
		idle = idle_tables(g->netdir, &used);
	for (t = 0; t < NTABLES; t++) {
		if ((j->tables & ~idle & 1u << t) == 0)
			continue;
		g->missing_only = (namespaces[g->ns].unread & 1u << t) == 0;
		read_table(&nettables[t], g);
	}
	/* One of the jobs of a busy namespace sends what the kernel counts. */
	if ((j->tables & 1u << TCP) == 0 || used == NONE)
		return;
	/* What was closed meanwhile is not missing. */
	if (used > 0 && read_sockstat(&after, g->netdir, "sockstat") == 0 &&
	    after.used < used)
		used = after.used;
	send_record(FOUND_USED, &used, sizeof used, NULL, 0);
}

/* What a job reads, for a message. */
static const char *
name_tables(unsigned tables)
{
	static char name[40];

	if ((tables & (tables - 1)) != 0)
		return "tables";
	(void)format_text(name, sizeof name, "table %s",
	    table_file(&nettables[__builtin_ctz(tables)]));
	return name;
}

/* A job of the third scan. */
static void
read_netns(size_t job)
{
	const struct table_job *j = &table_jobs[job];
	const struct netns *ns = &namespaces[j->ns];
	struct reading g = { .ns = j->ns };
	size_t i;
	int done = 0, opened = 0;

	for (i = 0; i < ns->ways && !done; i++) {
		/* First the ways that were not tried before. */
		if (open_net(&g, (ns->tries + i) % ns->ways) == -1)
			continue;
		opened = 1;
		read_tables(j, &g);
		close(g.netdir);
		/* A task that has ended or moved may be in another by now. */
		done = (g.dir == NONE || is_in_netns(g.dir, ns)) &&
		    (!g.partial || i + 1 == ns->ways);
		close_quietly(g.dir);
		if (!done)
			send_record(FOUND_AGAIN, NULL, 0, NULL, 0);
	}
	/* Below another root tables may be in ROOT/proc/net alone. */
	if (!g.any && j->ns == 0 && (root != NULL || ns->inode == 0) &&
	    (g.netdir = open_below(proc, "net", O_DIRECTORY)) != -1) {
		read_tables(j, &g);
		close(g.netdir);
	}
	if (opened || g.any)
		send_record(FOUND_TABLE, &done, sizeof done, NULL, 0);
	if (!g.any && ns->why != NULL)	/* no other process could be read */
		count_number("netns", ns->inode, name_tables(j->tables),
		    ns->why);
}

static const char *
text_of(const struct entry *e)
{
	return texts != NULL ? texts + e->text : "";
}

/* Sets the text of an entry to len bytes, at most UINT16_MAX. */
static void
set_text(struct entry *e, const char *s, size_t len)
{
	e->text_len = (uint16_t)len;
	e->text = 0;
	if (len == 0)
		return;
	if (count.texts > UINT32_MAX - len)
		too_much(EOVERFLOW);
	texts = grow(texts, &room.texts, count.texts + len, 1);
	copy_bytes(texts + count.texts, s, len);
	e->text = (uint32_t)count.texts;
	count.texts += len;
}

/* Keeps a row; it is not known to be an entry yet. */
static void
keep_row(struct entry *e, const char *text, size_t n)
{
	if (count.entries >= UINT32_MAX - 1)
		too_much(EOVERFLOW);
	set_text(e, text, n);
	entries = grow(entries, &room.entries, count.entries, sizeof *entries);
	copy_bytes(&entries[count.entries++], e, sizeof *e);
}

/* Whether what a worker says of a row is within bounds. */
static int
is_sound(const struct entry *e)
{
	return (e->netns < count.namespaces || e->netns == NOWHERE) &&
	    e->state < NSTATES && state_names[e->state] != NULL &&
	    e->table <= UNLISTED;
}

static int any_table;	/* was read */

static void
take_table(size_t job, int kind, const char *s, size_t n)
{
	struct netns *ns = &namespaces[table_jobs[job].ns];
	struct entry e;
	int done;

	switch (kind) {
	case FOUND_ROW:
		if (take_head(&s, &n, &e, sizeof e) == 0 && is_sound(&e) &&
		    e.netns == table_jobs[job].ns && n <= UINT16_MAX)
			keep_row(&e, s, n);
		break;
	case FOUND_USED:
		(void)take_head(&s, &n, &ns->used, sizeof ns->used);
		break;
	case FOUND_TABLE:
		any_table = 1;
		if (take_head(&s, &n, &done, sizeof done) == 0 && done)
			ns->unread &= ~table_jobs[job].tables;
		break;
	case FOUND_AGAIN:
		forget_job();
		if ((table_jobs[job].tables & 1u << TCP) != 0)
			ns->used = NONE;
		break;
	}
}

/* Has the job done again: another process of the namespace may answer. */
static void
lose_table(size_t job, const char *why)
{
	const struct table_job *j = &table_jobs[job];
	struct netns *ns = &namespaces[j->ns];

	forget_job();
	ns->why = keep_text(why, strlen(why)).s;
	if (++ns->tries < MAX_TRIES && ns->first_task != NOWHERE) {
		ns->pending |= j->tables;
	} else {
		ns->unread &= ~j->tables;
		count_number("netns", ns->inode, name_tables(j->tables), why);
	}
}

static void
add_table_job(uint32_t ns, unsigned tables)
{
	if (tables == 0)
		return;
	table_jobs = grow(table_jobs, &table_jobs_room, ntable_jobs,
	    sizeof *table_jobs);
	table_jobs[ntable_jobs++] = (struct table_job){ ns, tables };
}

/* The tables of a busy namespace are a job each, icmp and icmp6 together. */
static void
add_table_jobs(uint32_t i)
{
	const unsigned both = 1u << ICMP | 1u << ICMP6;
	struct netns *ns = &namespaces[i];
	unsigned tables = ns->pending;
	size_t t;

	ns->pending = 0;
	if (ns->nfds < BUSY_NETNS) {
		add_table_job(i, tables);
		return;
	}
	for (t = 0; t < NTABLES; t++)
		if (t != ICMP6)
			add_table_job(i, tables & (t == ICMP ? both :
			    1u << t));
}

/* Names of unix sockets, and sockets that no table lists: both are asked */

/* A job of the fourth scan: the holders of one process that are asked. */
static struct ask_job {
	size_t from, to;	/* of holders */
} *ask_jobs;
static size_t nask_jobs, ask_jobs_room;

static void
ask_sockets(size_t job)
{
	size_t i;

	for (i = ask_jobs[job].from; i < ask_jobs[job].to; i++)
		if (holders[i].to_ask)
			ask_socket(&holders[i]);
}

/* Keeps the answer of a socket that the job had to ask. */
static void
take_answer(size_t job, int kind, const char *s, size_t n)
{
	struct answer a;
	struct holder *h;

	if (kind != FOUND_SOCKET || take_head(&s, &n, &a, sizeof a) == -1 ||
	    !is_sound(&a.e) || a.e.netns != NOWHERE || n > UNIX_NAME_MAX ||
	    a.holder >= count.holders || holders[a.holder].inode != a.e.inode)
		return;
	h = first_holder(a.e.inode);
	if (h == NULL || !h->to_ask || h < holders + ask_jobs[job].from ||
	    h >= holders + ask_jobs[job].to)
		return;
	set_text(&a.e, s, n);
	answers = grow(answers, &room.answers, count.answers, sizeof a);
	answers[count.answers++] = a;
	h->answer = (uint32_t)count.answers;
}

static void
lose_answers(size_t job, const char *why)
{
	const struct ask_job *j = &ask_jobs[job];
	size_t i;

	forget_job();
	for (i = j->from; i < j->to; i++) {
		holders[i].lost = 1;
		holders[i].answer = 0;
	}
	count_process(pid_of(&holders[j->from]), "sockets", why);
}

/* Asks all sockets whose holders are marked. */
static void
ask_marked(void)
{
	enum { ASKS_AT_ONCE = 256 };
	struct ask_job *j = NULL;
	size_t i, asked = 0;

	nask_jobs = count.answers = 0;
	for (i = 0; i < count.holders; i++) {
		holders[i].answer = 0;
		holders[i].lost = 0;
		if (!holders[i].to_ask)
			continue;
		if (j == NULL || asked == ASKS_AT_ONCE ||
		    pid_of(&holders[j->from]) != pid_of(&holders[i])) {
			ask_jobs = grow(ask_jobs, &ask_jobs_room, nask_jobs,
			    sizeof *ask_jobs);
			j = &ask_jobs[nask_jobs++];
			j->from = i;
			asked = 0;
		}
		j->to = i + 1;
		asked++;
	}
	if (asks_kernel)
		scan_jobs(prepare_worker, nask_jobs, ask_sockets, take_answer,
		    lose_answers);
}

static const struct answer *
find_answer(uint64_t inode)
{
	const struct holder *h = count.answers > 0 ? first_holder(inode) : NULL;

	return h != NULL && h->answer != 0 ? &answers[h->answer - 1] : NULL;
}

/* Whether the row behind this one may be part of its name. */
static int
may_go_on(const struct entry *e)
{
	return (e->flags & NAMED) != 0 && e + 1 < entries + count.entries &&
	    e[1].netns == e->netns && (e[1].flags & IN_NAME) != 0;
}

/* Whether a row has the beginning of this name. */
static int
begins_name(const struct entry *e, const struct entry *name)
{
	return e->text_len <= name->text_len &&
	    memcmp(text_of(e), text_of(name), e->text_len) == 0 &&
	    (e->text_len == name->text_len ||
	    text_of(name)[e->text_len] == '\n');
}

/*
 * An entry with the whole name of a row whose name may go on: as its socket
 * answered or, if it has no inode (a connection that waits to be accepted), the
 * listener with that name.  Null if there is none, or two names would do.
 */
static const struct entry *
true_name(const struct entry *e)
{
	static size_t left = 1 << 28;	/* comparisons: 2 s */
	const struct answer *a, *best = NULL;

	if (e->inode != 0) {
		a = find_answer(e->inode);
		return a != NULL && a->asked && a->e.family ==
		    AF_UNIX && begins_name(e, &a->e) ? &a->e : NULL;
	}
	if (left < count.answers) {
		count_number("unix row", 0, "", "too many names with newlines");
		return NULL;
	}
	left -= count.answers;
	for (a = answers; a < answers + count.answers; a++) {
		if (!a->asked || a->e.state != UNIX_LISTEN ||
		    !begins_name(e, &a->e))
			continue;
		if (best != NULL && best->e.text_len != a->e.text_len)
			return NULL;
		best = a;
	}
	return best != NULL ? &best->e : NULL;
}

/* How many rows behind a row are part of its name; 0 if these do not fit it. */
static size_t
forged_rows(const struct entry *e, const struct entry *name)
{
	size_t left = (size_t)name->text_len - e->text_len, n = 0;
	const struct entry *next = e + 1;

	for (; left > 0; n++, next++) {
		if (next == entries + count.entries ||
		    (next->flags & IN_NAME) == 0 || next->row_len >= left)
			return 0;
		left -= 1u + next->row_len;
	}
	return n;
}

/*
 * Gives a row its whole name, and drops the rows that are part of it.  If
 * nobody knows that, *left bytes of it may follow.
 */
static void
resolve_name(struct entry *e, size_t *left)
{
	const struct entry *name = true_name(e);
	size_t n = name != NULL ? forged_rows(e, name) : 0;

	if (name == NULL || (n == 0 && name->text_len != e->text_len)) {
		if (*left + e->text_len < UNIX_NAME_MAX)
			*left = UNIX_NAME_MAX - (size_t)e->text_len;
		return;
	}
	e->text = name->text;
	e->text_len = name->text_len;
	if (n > 0)
		count_number("socket", e->inode, "net/unix",
		    "its name hides a row");
	for (; n > 0; n--)
		e[n].flags = DROPPED;
}

/*
 * Whether a unix row that nobody holds was kept before: a table lists some
 * twice while others come and go, or was read again for other sockets.
 */
static int
is_repeated(const struct entry *e)
{
	if (e->inode == 0)
		return (e->flags & READ_AGAIN) != 0;
	return (e->flags & IN_NAME) == 0 && is_noted(e->inode);
}

/*
 * Decides about a row that is not part of a known name.  A unix row that -p
 * leaves out, or whose socket has an entry already, is dropped; all others are
 * entries, of which use_answers drops unsure ones.
 */
static void
settle_row(struct entry *e)
{
	const int unsure = (e->flags & IN_NAME) != 0;
	struct holder *h = first_holder(e->inode);

	if (e->table == UNIX && (h != NULL ? h->has_entry && !unsure :
	    !want_ownerless || is_repeated(e)))
		e->flags = DROPPED;
	/* A socket with an unsure row is asked, as if it had none. */
	else if (h != NULL && (!asks_kernel || !unsure))
		h->has_entry = 1;
}

/*
 * Settles all rows; those of other tables than unix are never IN_NAME.
 * Goes from true row to true row: who knows the length of a name knows where
 * the next true row begins.  What may be part of a name that nobody knows
 * stays IN_NAME, all other rows of the table do not.
 */
static void
settle_rows(size_t from)
{
	struct entry *e;
	size_t left = 0;	/* bytes that may follow of an unknown name */

	for (e = entries + from; e < entries + count.entries; e++) {
		if ((e->flags & DROPPED) != 0)
			continue;
		if ((e->flags & IN_NAME) != 0 && left > e->row_len) {
			left -= 1u + e->row_len;
		} else {
			left = 0;
			e->flags &= (uint8_t)~IN_NAME;
		}
		if (may_go_on(e))
			resolve_name(e, &left);
		settle_row(e);
	}
}

/* Marks the sockets that know a name which may go on; 0: there are none. */
static int
mark_names(size_t from)
{
	const struct entry *e, *waiting = NULL;
	struct holder *h;
	int any = 0;

	for (h = holders; h < holders + count.holders; h++)
		h->to_ask = 0;
	for (e = entries + from; e < entries + count.entries; e++) {
		if (!may_go_on(e))
			continue;
		h = first_holder(e->inode);
		if (h != NULL)
			any = h->to_ask = 1;
		else if (e->inode == 0)
			waiting = e;
	}
	/* The listener knows the name of what waits to be accepted. */
	for (e = entries + from; waiting != NULL && e < entries + count.entries;
	    e++)
		if (e->state == UNIX_LISTEN &&
		    (h = first_holder(e->inode)) != NULL)
			any = h->to_ask = 1;
	return any;
}

/* Whether this may be part of a name that nobody knows. */
static int
is_unsure_row(const struct entry *e)
{
	return (e->flags & IN_NAME) != 0 && e->inode != 0;
}

/*
 * Warns of a row that may be part of a name that nobody knows, if nobody holds
 * its inode (and all holders were seen), or another row has it.
 */
static void
report_unsure_rows(void)
{
	const struct entry *e, *end = entries + count.entries;
	const int saw_all = status == 0;

	for (e = entries; e < end && !is_unsure_row(e); e++)
		;
	if (e == end)
		return;
	forget_sent();
	for (e = entries; e < end; e++)
		if (is_noted(e->inode))
			(void)is_noted(~e->inode);	/* it has two rows */
	for (e = entries; e < end; e++)
		if (is_unsure_row(e) && ((saw_all &&
		    first_holder(e->inode) == NULL) || is_noted(~e->inode)))
			count_number("unix row", e->inode, "",
			    "may be part of a name");
}

/*
 * Asks for the names that decide what is a row of the unix table, and settles
 * the rows of all tables: a socket with a row has an entry from here on.
 */
static void
scan_names(size_t from)
{
	const struct entry *e;

	count.answers = 0;
	forget_sent();	/* the parent may have done jobs, too */
	for (e = entries; e < entries + from; e++)
		if (e->table == UNIX && (e->flags & IN_NAME) == 0)
			(void)is_noted(e->inode);
	if (mark_names(from))
		ask_marked();
	settle_rows(from);
}

static int
any_pending(void)
{
	size_t i;

	for (i = 0; i < count.namespaces && namespaces[i].pending == 0; i++)
		;
	return i < count.namespaces;
}

/* The third scan, of all tables that are pending. */
static void
scan_tables(void)
{
	const size_t from = count.entries;
	uint32_t i;

	/* No process has tables of its own, or none could be identified. */
	if (count.namespaces == 0)
		(void)add_netns((struct netns){ .inode = 0 });
	if (!any_pending())
		return;
	do {
		ntable_jobs = 0;
		for (i = 0; i < count.namespaces; i++)
			add_table_jobs(i);
		scan_jobs(prepare_worker, ntable_jobs, read_netns, take_table,
		    lose_table);
	} while (ntable_jobs > 0);
	for (i = 0; i < count.namespaces; i++)
		namespaces[i].reads++;
	scan_names(from);
	if (any_table)
		return;
	if (count.tasks == 0)
		fatal("%s/proc: no process and no table",
		    root != NULL ? root : "");
	warning("%s/proc: no table", root != NULL ? root : "");
}

/*
 * The namespace that an asked socket is in.  If only a socket keeps it, it is
 * new, or all its tasks have ended: its tables may list the socket.
 */
static uint32_t
netns_of_answer(const struct answer *a)
{
	const struct holder *h = &holders[a->holder];
	uint32_t ns;

	if (a->netns_inode == 0)
		return NOWHERE;
	ns = find_netns(a->netns_inode, 0);
	if (ns != NOWHERE && (namespaces[ns].unread == 0 ||
	    namespaces[ns].pending != 0 || namespaces[ns].reads >= MAX_READS))
		return ns;
	/* A broken worker could name new ones for ever. */
	if (count.socket_links >= count.holders ||
	    count.ns_links >= UINT32_MAX - 1)
		return ns;
	count.socket_links++;
	ns_links = grow(ns_links, &room.ns_links, count.ns_links,
	    sizeof *ns_links);
	ns_links[count.ns_links] = (struct ns_link){ .inode = a->netns_inode,
	    .socket = h->inode, .task = h->task, .fd = h->fd };
	ns = place_link((uint32_t)count.ns_links++);
	namespaces[ns].pending = namespaces[ns].unread;
	return ns;
}

/*
 * Whether a table should be read again for a socket, and is made pending: the
 * socket could not be asked, or its namespace was not read yet.
 */
static int
is_worth_reading(const struct answer *a, uint32_t ns, uint8_t table)
{
	struct netns *n;

	if (!asks_kernel || ns == NOWHERE || table == UNLISTED)
		return 0;
	n = &namespaces[ns];
	if ((n->pending & 1u << table) != 0)
		return 1;
	if (a->asked || n->reads >= MAX_READS)
		return 0;
	n->pending |= 1u << table & read_mask;
	return (n->pending & 1u << table) != 0;
}

/*
 * Makes an entry of a socket that no table lists.  If a table should have
 * listed it, compare_entries puts it among that table's entries.
 */
static void
keep_answer(struct answer *a)
{
	const struct holder *h = &holders[a->holder];	/* that was asked */
	struct holder *first = first_holder(a->e.inode);
	const uint8_t table = a->e.table;
	uint32_t ns;

	if (first->has_entry)
		return;
	ns = a->asked ? netns_of_answer(a) : tasks[h->task].netns;
	if (some_tables && (table == UNLISTED ||
	    (table_mask & 1u << table) == 0))
		return;
	if (is_worth_reading(a, ns, table))
		return;
	/* One that moves was gone when asked: it counts in its task's netns. */
	a->e.netns = a->asked || h->late ? ns : NOWHERE;
	if (!a->asked)
		a->e.table = UNLISTED;
	entries = grow(entries, &room.entries, count.entries, sizeof *entries);
	entries[count.entries++] = a->e;
	first->has_entry = 1;
}

/* Adds to an entry what only its socket knows. */
static void
complete_entry(struct entry *e, const struct answer *a)
{
	if (a->e.protocol == MPTCP)
		e->flags |= MULTIPATH;
	if (!a->asked)
		return;
	e->filter_length = a->e.filter_length;
	e->v6only = a->e.v6only;
	if (e->type == 0)
		e->type = a->e.type;
	if (e->family != AF_UNIX && e->text_len == 0) {
		e->text = a->e.text;
		e->text_len = a->e.text_len;
	}
}

/*
 * Whether an unsure row is no part of a name: the socket with its inode says
 * the same, or cannot be asked.
 */
static int
is_confirmed(struct entry *e, const struct answer *a)
{
	if (a->asked && (a->e.family != AF_UNIX ||
	    a->e.type != e->type || !begins_name(e, &a->e)))
		return 0;
	if (a->asked)
		e->flags &= (uint8_t)~IN_NAME;
	first_holder(e->inode)->has_entry = 1;
	return 1;
}

/*
 * Goes through the entries with what their sockets have answered, and closes
 * the gaps that dropped rows leave.
 */
static void
use_answers(void)
{
	const struct answer *a;
	struct entry *e, *to = entries;

	for (e = entries; e < entries + count.entries; e++) {
		a = find_answer(e->inode);
		if (a != NULL && is_unsure_row(e) && !is_confirmed(e, a)) {
			count_number("unix row", e->inode, "",
			    "is part of a name");
			e->flags = DROPPED;
		}
		if ((e->flags & DROPPED) != 0)
			continue;
		if (a != NULL)
			complete_entry(e, a);
		if (to != e)
			*to = *e;
		to++;
	}
	count.entries = (size_t)(to - entries);
}

/*
 * The fourth scan: asks the sockets that have no entry and, if a column shows
 * what no table has, all others.  Returns 1 if tables must be read (again).
 */
static int
scan_sockets(void)
{
	const struct entry *e;
	struct answer a;
	struct holder *h;

	for (h = holders; h < holders + count.holders; h++)
		h->to_ask = first_holder(h->inode) == h && (!h->has_entry ||
		    (needs & NEED_ASKING) != 0 || asks_mptcp);
	for (e = entries; e < entries + count.entries; e++)
		if (is_unsure_row(e) && (h = first_holder(e->inode)) != NULL)
			h->to_ask = 1;
	ask_marked();
	use_answers();
	for (h = holders; h < holders + count.holders; h++) {
		h->unanswered = h->to_ask && h->answer == 0 && !h->lost &&
		    asks_kernel && !h->late;
		if (!h->to_ask || h->unanswered)
			continue;
		a = h->answer != 0 ? answers[h->answer - 1] : blank_answer(h);
		keep_answer(&a);
	}
	return any_pending();
}

/* With -p: reads only the tables that may list what is held. */
static void
choose_tables(void)
{
	enum { FEW = 256 };	/* looking at more costs as much as a table */
	unsigned tables = 0;
	struct answer a;
	struct holder *h;
	size_t ns;

	if (count.holders > FEW)
		return;
	for (h = holders; h < holders + count.holders; h++)
		h->to_ask = first_holder(h->inode) == h;
	only_protocols = 1;
	ask_marked();
	only_protocols = 0;
	for (h = holders; h < holders + count.holders; h++) {
		if (!h->to_ask)
			continue;
		a = h->answer != 0 ? answers[h->answer - 1] : blank_answer(h);
		if (a.e.table != UNLISTED)
			tables |= 1u << a.e.table;
		else if (is_inet(&a.e) || a.e.family == AF_UNSPEC)
			tables = UINT_MAX;	/* sctp, MPTCP; not known */
	}
	/* It may be in the namespace of another of the processes. */
	for (ns = 0; ns < count.namespaces; ns++)
		namespaces[ns].pending = namespaces[ns].unread =
		    tables & read_mask;
}

/* What is still missing */

/*
 * How many times an entry is counted in `sockets: used`.  An MPTCP socket is,
 * and so is each of its subflows, which are its rows in net/tcp.
 */
static int
times_counted(const struct entry *e)
{
	struct holder *h = first_holder(e->inode);
	int n;

	if ((e->flags & UNCOUNTED) != 0)
		return 0;
	if (h == NULL)
		return 1;
	n = !h->counted;
	h->counted = 1;
	return n + ((e->flags & MULTIPATH) != 0 && e->table != UNLISTED);
}

/*
 * Counts the sockets that were seen in each namespace.  One that could not be
 * asked may be in any.
 */
static void
add_up_seen(void)
{
	struct netns *ns, nowhere = { .seen = 0 };
	struct holder *h;
	const struct entry *e;

	for (ns = namespaces; ns < namespaces + count.namespaces; ns++) {
		ns->seen = 0;
		ns->sum = 0;
	}
	for (h = holders; h < holders + count.holders; h++)
		h->counted = 0;
	for (e = entries; e < entries + count.entries; e++) {
		ns = e->netns != NOWHERE ? &namespaces[e->netns] : &nowhere;
		ns->seen += times_counted(e);
		ns->sum += e->inode;
	}
	for (ns = namespaces; ns < namespaces + count.namespaces; ns++) {
		ns->seen += nowhere.seen;
		ns->sum += nowhere.sum;
	}
}

static int
is_miscounted(const struct netns *ns)
{
	return ns->used > ns->seen;
}

static int
miscounted(void)
{
	const struct netns *ns;
	int n = 0;

	add_up_seen();
	for (ns = namespaces; ns < namespaces + count.namespaces; ns++)
		n += is_miscounted(ns);
	return n;
}

/*
 * Whether there is a socket of user space that nobody seems to hold; with
 * unconnected set, not a connection, which may be newer than what was read of
 * its process.
 */
static int
has_ownerless(int unconnected)
{
	const struct entry *e;

	for (e = entries; e < entries + count.entries; e++)
		if (e->inode != 0 && (e->flags & UNCOUNTED) == 0 &&
		    first_holder(e->inode) == NULL && (!unconnected ||
		    (e->state != TCP_ESTABLISHED &&
		    e->state != STATE_UNIX + SS_CONNECTED)))
			return 1;
	return 0;
}

/* Forgets who held a socket that was gone when it was asked. */
static void
drop_unanswered(void)
{
	const struct holder *first;
	struct holder *h;
	size_t n = 0;

	for (h = holders; h < holders + count.holders; h++) {
		first = first_holder(h->inode);
		h->unanswered = first->unanswered && !first->has_entry;
	}
	for (h = holders; h < holders + count.holders; h++)
		if (!h->unanswered)
			holders[n++] = *h;
	count.holders = n;
	index_holders();
}

/*
 * Something is amiss: a socket that nobody seems to hold, or one that the
 * kernel counts and nobody has seen.  All processes are looked at once more.
 * Returns 1 if a holder was found.
 */
static int
search_holders(void)
{
	const struct entry *e;
	struct holder *h;
	size_t before;

	drop_unanswered();
	before = count.holders;
	searching = 1;
	scan_jobs(prepare_worker, count.tasks, search_task, take_search,
	    lose_search);
	searching = 0;
	if (count.holders == before)
		return 0;
	index_holders();
	for (e = entries; e < entries + count.entries; e++)
		if ((h = first_holder(e->inode)) != NULL)
			h->has_entry = 1;
	return 1;
}

/* All that psock does, but to print. */
static void
look(void)
{
	size_t i;

	scan_list();
	scan_processes();
	/* Nothing will tell that a mapping of these processes is amiss. */
	if (!want_ownerless && asks_kernel)
		(void)search_holders();
	if (!reads_all && count.holders == 0)
		return;		/* there is no row */
	if (!reads_all && asks_kernel)
		choose_tables();
	do
		scan_tables();
	while (scan_sockets());
	if (!asks_kernel || !want_ownerless || (!has_ownerless(0) &&
	    (some_tables || miscounted() == 0)))
		return;
	asks_mptcp = 1;		/* the kernel counts those once more */
	/* No table is pending yet: scan_sockets says which are. */
	if (search_holders() || miscounted() > 0)
		while (scan_sockets())
			scan_tables();
	if (has_ownerless(1) || (!some_tables && miscounted() > 0))
		for (i = 0; i < count.tasks; i++)
			if (tasks[i].moves)
				count_process(tasks[i].pid, "fd",
				    "descriptors moved while they were read");
}

/* What is counted and what is seen are compared if nothing else is missing. */
static int
can_count(void)
{
	/* Before Linux 4.16 only the host has a count. */
	return status == 0 && asks_kernel && privileged && want_ownerless &&
	    !some_tables && is_since("4.16");
}

/*
 * Whether this is a pid namespace below the host's, but the host's network:
 * sockets of others are seen, and their processes are not.
 */
static int
is_inner(void)
{
	return asks_kernel && want_ownerless && host.initial_netns &&
	    host.pid_ns != 0 && host.pid_ns != INITIAL_PID_NS;
}

/*
 * Marks the namespaces that are miscounted and, in the look before, were so
 * over the same sockets; returns their number.
 */
static int
mark_confirmed(const struct netns *before, size_t n)
{
	const struct netns *b;
	struct netns *ns;
	int confirmed = 0;

	for (ns = namespaces; ns < namespaces + count.namespaces; ns++) {
		for (b = before; b < before + n && b->inode != ns->inode; b++)
			;
		ns->confirmed = b < before + n && b->sum == ns->sum &&
		    is_miscounted(b) && is_miscounted(ns);
		confirmed += ns->confirmed;
	}
	return confirmed;
}

/*
 * Looks again, at most twice, and reports each namespace in which the kernel
 * counts more sockets than psock saw, twice in a row and over the same sockets.
 */
static void
confirm_counts(void)
{
	enum { MAX_LOOKS = 3 };
	struct netns *before;
	const struct netns *ns;
	size_t n;
	int looks, confirmed = 0;

	for (looks = 1; looks < MAX_LOOKS && can_count() &&
	    miscounted() > confirmed; looks++) {
		n = count.namespaces;
		before = allocate((n + 1) * sizeof *before);
		memcpy(before, namespaces, n * sizeof *before);
		/* What was just closed may be counted for a while. */
		(void)poll(NULL, 0, 500);
		count = (struct sizes){ 0 };
		asks_mptcp = 0;
		look();
		add_up_seen();
		confirmed = mark_confirmed(before, n);
		free(before);
	}
	if (confirmed == 0 || !can_count())
		return;
	for (ns = namespaces; ns < namespaces + count.namespaces; ns++)
		if (ns->confirmed)
			warning("netns %llu: %lld %s counted by the kernel "
			    "and seen nowhere", (unsigned long long)ns->inode,
			    (long long)(ns->used - ns->seen),
			    ns->used - ns->seen == 1 ? "socket is" :
			    "sockets are");
}

/* The other end */

/* A hash table of index + 1. */
static size_t *connection_buckets;
static size_t connection_mask;

static struct end
end_of(const struct entry *e, const unsigned char *address, uint32_t port)
{
	struct end end = { .port = port };

	memcpy(end.address, address, sizeof end.address);
	if (e->family == AF_INET)
		map_address(end.address);
	return end;
}

/* The end that a unix socket is. */
static struct end
unix_end(uint64_t inode)
{
	struct end end = { .port = 0 };

	memcpy(end.address, &inode, sizeof inode);
	return end;
}

/* Returns -1 if an entry has no other end that can be known. */
static int
connection_of(const struct entry *e, struct connection *c)
{
	if (e->family == AF_UNIX && e->inode != 0) {
		*c = (struct connection){ .local = unix_end(e->inode),
		    .netns = NOWHERE };
		return 0;
	}
	if (!is_inet(e) || e->local_port == 0 || e->remote_port == 0 ||
	    (e->protocol != IPPROTO_TCP && e->protocol != IPPROTO_UDP &&
	    e->protocol != IPPROTO_SCTP))
		return -1;
	*c = (struct connection){ end_of(e, e->local, e->local_port),
	    end_of(e, e->remote, e->remote_port), e->protocol, e->netns,
	    e->inode, 0 };
	return 0;
}

static void
add_connection(const struct connection *c)
{
	connections = grow(connections, &room.connections, count.connections,
	    sizeof *c);
	connections[count.connections++] = *c;
}

/* Bytes that two have in common if their ends are the same. */
enum { COMPARED = offsetof(struct connection, netns) };

static size_t *
bucket_of(const struct connection *c)
{
	return &connection_buckets[hash(mix(0, c, COMPARED), connection_mask)];
}

/*
 * Looks for a connection with these ends.  Returns in how many namespaces
 * there is one, and sets *match to that in c's own or, if there is none, to
 * another.
 */
static int
find_connection(const struct connection *c, struct connection **match)
{
	struct connection *other;
	size_t i;
	int n = 0;

	for (i = *bucket_of(c); i != 0; i = other->next) {
		other = &connections[i - 1];
		if (memcmp(other, c, COMPARED) != 0)
			continue;
		if (n++ == 0 || other->netns == c->netns)
			*match = other;
	}
	return n;
}

/* Those with the same ends in one namespace become one, of no inode. */
static void
index_connections(void)
{
	struct connection *c, *same;
	size_t i, *bucket;

	connection_mask = hash_mask(2 * count.connections);
	connection_buckets = allocate((connection_mask + 1) *
	    sizeof *connection_buckets);
	for (i = 0; i < count.connections; i++) {
		c = &connections[i];
		if (find_connection(c, &same) == 0 ||
		    same->netns != c->netns) {
			bucket = bucket_of(c);
			c->next = *bucket;
			*bucket = i + 1;
		} else if (same->inode != c->inode) {
			same->inode = 0;
		}
	}
}

static int
is_loopback(const struct end *end)
{
	static const unsigned char one[16] = { [15] = 1 };

	return memcmp(end->address, one, sizeof one) == 0 ||
	    (memcmp(end->address, mapped, sizeof mapped) == 0 &&
	    end->address[12] == 127);
}

/*
 * The inode of the socket at the other end of an entry: that in the same
 * namespace or, without one, the only such one of all.  If several namespaces
 * have one of the two ends, nobody can know which it is.  0: none is known.
 */
static uint64_t
find_peer(const struct entry *e)
{
	static const struct entry *last;
	static uint64_t inode;
	struct connection c, other, *peer, *own;
	int n;

	if (e == last)
		return inode;
	last = e;
	inode = 0;
	if (connection_of(e, &c) == -1)
		return inode;
	other = c;
	other.local = c.remote;
	other.remote = c.local;
	n = find_connection(&other, &peer);
	if (n > 0 && (peer->netns == c.netns || (n == 1 &&
	    !is_loopback(&c.local) && !is_loopback(&c.remote) &&
	    find_connection(&c, &own) == 1)))
		inode = peer->inode;
	return inode;
}

/* A socket that has been asked for all peers here; -1 with errno. */
static int
open_diag(void)
{
	const struct {
		struct nlmsghdr head;
		struct unix_diag_req peers;
	} request = {
		{ .nlmsg_len = sizeof request,
		    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		{ .sdiag_family = AF_UNIX, .udiag_states = UINT32_MAX,
		    .udiag_show = UDIAG_SHOW_PEER },
	};
	/* Not by socketcall(2), whose arguments the sandbox cannot see. */
	const int s = (int)syscall(SYS_socket, AF_NETLINK,
	    SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (s == -1 || syscall(SYS_sendto, s, &request, sizeof request, 0,
	    NULL, 0) != -1)
		return s;
	close_quietly(s);
	return -1;
}

/* Takes len bytes of netlink off, and what fills them up to a word. */
static void
skip_padded(const char **s, size_t *n, size_t len)
{
	len = (len + 3) & ~(size_t)3;
	if (len > *n)
		len = *n;
	*s += len;
	*n -= len;
}

/* Sends the connection of the peer that a message of n bytes names. */
static void
send_peer(const char *s, size_t n)
{
	struct connection c = { .netns = NOWHERE };
	struct unix_diag_msg m;
	struct nlattr a;
	uint32_t peer;
	size_t len;

	if (take_head(&s, &n, &m, sizeof m) == -1)
		return;
	c.remote = unix_end(m.udiag_ino);
	while (take_head(&s, &n, &a, sizeof a) == 0 &&
	    a.nla_len >= sizeof a && a.nla_len - sizeof a <= n) {
		len = a.nla_len - sizeof a;
		if (a.nla_type == UNIX_DIAG_PEER && len == sizeof peer) {
			memcpy(&peer, s, len);
			c.inode = peer;
			send_record(FOUND_PEER, &c, sizeof c, NULL, 0);
		}
		skip_padded(&s, &n, len);
	}
}

/*
 * Goes through the messages of one read(2).  Returns 0 at the end of the dump,
 * -1 if there are more, else an errno: EAGAIN if it was interrupted.
 */
static int
read_messages(const char *s, size_t n)
{
	struct nlmsghdr h;
	int error = 0;
	size_t len;

	while (take_head(&s, &n, &h, sizeof h) == 0) {
		len = h.nlmsg_len - sizeof h;
		if (h.nlmsg_len < sizeof h || len > n ||
		    (h.nlmsg_flags & NLM_F_DUMP_INTR) != 0)
			return EAGAIN;
		switch (h.nlmsg_type) {
		case NLMSG_DONE:
		case NLMSG_ERROR:
			if (len >= sizeof error)
				memcpy(&error, s, sizeof error);
			return error < 0 ? -error : 0;
		case SOCK_DIAG_BY_FAMILY:
			send_peer(s, len);
		}
		skip_padded(&s, &n, len);
	}
	return -1;
}

/* Reads the peers of the namespace that this is; returns an errno. */
static int
read_peers(void)
{
	static char buf[65536];	/* more than the kernel sends at once */
	ssize_t n;
	int error = -1, s = open_diag();

	if (s == -1)
		return errno;
	while (error == -1) {
		step();
		n = read(s, buf, sizeof buf);
		error = n == -1 ? errno : read_messages(buf, (size_t)n);
	}
	close(s);
	return error;
}

/* Enters a namespace, through a task that is in it or by its link. */
static int
enter_any_netns(const struct netns *ns)
{
	const uint32_t n = (uint32_t)(ns - namespaces);
	size_t i;

	if (is_inside(ns))
		return 0;
	for (i = ns->first_task; i < count.tasks; i++) {
		if (tasks[i].netns != n)
			continue;
		if (enter_by_task(&tasks[i]) == 0)
			return 0;
		if (!is_gone(errno)) {
			count_number("netns", ns->inode, "setns",
			    strerror(errno));
			return -1;
		}
	}
	for (i = ns->first_link; i < count.ns_links; i++) {
		if (ns_links[i].netns != n)
			continue;
		/* A copy of it must not come into this worker's hands. */
		if (ns_links[i].socket != 0) {
			count_number("netns", ns->inode, "unix_diag",
			    "only a socket keeps it");
			return -1;
		}
		if (enter_by_link(&ns_links[i]) == 0)
			return 0;
	}
	return -1;
}

/* A job of the fifth scan: a namespace. */
static void
ask_peers(size_t job)
{
	const struct netns *ns = &namespaces[job];
	const char *why;
	int tries = 0, error;

	if (!ns->asks_peers || enter_any_netns(ns) == -1)
		return;
	do {
		send_record(FOUND_AGAIN, NULL, 0, NULL, 0);
		error = read_peers();
	} while (error == EAGAIN && ++tries < MAX_READS);
	switch (error) {
	case 0:
		return;
	case EAGAIN:
		why = "changed while it was read";
		break;
	case ENOENT:	/* no unix_diag */
	case EINVAL:	/* before Linux 3.3 */
	case ENOSYS:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		why = "not in this kernel";
		break;
	default:
		why = strerror(error);
	}
	count_number("netns", ns->inode, "unix_diag", why);
}

static void
prepare_peers(void)
{
	open_proc();
	if (!in_worker)
		return;
	/* sock_diag closes sockets for who has CAP_NET_ADMIN. */
	if (getauxval(AT_EUID) == 0)
		(void)keep_capabilities(may_look | 1u << CAP_SYS_ADMIN);
	confine_worker(peer_calls, NPEER, peer_conditions, NPEER_CONDITIONS);
}

static void
take_peer(size_t job, int kind, const char *s, size_t n)
{
	struct connection c;

	(void)job;
	if (kind == FOUND_AGAIN)
		forget_job();
	else if (take_head(&s, &n, &c, sizeof c) == 0)
		add_connection(&c);
}

static void
lose_peers(size_t job, const char *why)
{
	forget_job();
	count_number("netns", namespaces[job].inode, "unix_diag", why);
}

/* The fifth scan: asks each namespace that has unix sockets. */
static void
scan_peers(void)
{
	const struct entry *e;
	size_t njobs = 0;

	for (e = entries; e < entries + count.entries; e++)
		if (e->family == AF_UNIX && e->netns != NOWHERE &&
		    namespaces[e->netns].inode != 0) {
			namespaces[e->netns].asks_peers = 1;
			njobs = count.namespaces;
		}
	scan_jobs(prepare_peers, njobs, ask_peers, take_peer, lose_peers);
}

static void
join_ends(void)
{
	const struct entry *e;
	struct connection c;

	if (asks_kernel)
		scan_peers();
	for (e = entries; e < entries + count.entries; e++)
		if (e->family != AF_UNIX && connection_of(e, &c) == 0)
			add_connection(&c);
	index_connections();
}

/* Columns */

/* The member of the row's entry that the column is for. */
static const void *
member(void)
{
	return (const char *)shown_entry + column->offset;
}

static void
print_u16(void)
{
	const uint16_t *n = member();

	put_number(*n);
}

static void
print_u32(void)
{
	const uint32_t *n = member();

	if (*n != UNKNOWN)
		put_number(*n);
}

static void
print_u64(void)
{
	const uint64_t *n = member();

	put_number(*n);
}

/* The member of the row's task that the column is for. */
static void
print_task(void)
{
	const char *task = (const char *)shown_task;
	const int *n = (const void *)(task + column->offset);

	put_signed(*n);
}

static void
print_fd(void)
{
	put_signed(shown_holder != NULL ? shown_holder->fd : NONE);
}

/*
 * An IPv4 address without inet_ntop(3), whose snprintf(3) took a quarter of
 * psock's own time on a host of 27,000 sockets.
 */
static void
print_ipv4(const unsigned char *a)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			put_char('.');
		put_number(a[i]);
	}
}

/* Two bytes, in as few hexadecimal digits as say it. */
static void
print_group(const unsigned char *a)
{
	const unsigned value = (unsigned)a[0] << 8 | a[1];
	int shift = 12;

	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[value >> shift & 15]);
}

/*
 * As RFC 5952 has it.  musl's inet_ntop(3) brings 11 KB along with its
 * snprintf(3); glibc's writes ::102:304 as ::1.2.3.4.
 */
static void
print_inet6(const unsigned char *a)
{
	size_t i, n, first = 8, most = 1;

	if (memcmp(a, mapped, sizeof mapped) == 0) {
		put_string("::ffff:");
		print_ipv4(a + 12);
		return;
	}
	for (i = 0; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && a[2 * (i + n)] == 0 &&
		    a[2 * (i + n) + 1] == 0; n++)
			;
		if (n > most) {
			most = n;
			first = i;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == first) {
			put_string("::");
			i += most;
		} else if (i > 0) {
			put_char(':');
		}
		if (i < 8)
			print_group(a + 2 * i);
	}
}

static void
print_address(void)
{
	const unsigned char *a = member();
	uint32_t cid;

	if (shown_entry->family == AF_INET) {
		print_ipv4(a);
	} else if (shown_entry->family == AF_INET6) {
		print_inet6(a);
	} else if (shown_entry->family == AF_VSOCK) {
		memcpy(&cid, a, sizeof cid);
		put_number(cid);
	}
}

/* A text is the path of a unix socket (offset 1), else an interface (0). */
static void
print_text(void)
{
	if ((shown_entry->family == AF_UNIX) == column->offset)
		put_field(text_of(shown_entry), shown_entry->text_len);
}

static void
print_state(void)
{
	put_string(state_names[shown_entry->state]);
}

static void
print_net_namespace(void)
{
	put_number(shown_entry->netns == NOWHERE ? 0 :
	    namespaces[shown_entry->netns].inode);
}

static void
print_detail(void)
{
	const struct text *t = shown_task->details;

	if (t != NULL)
		put_field(t[column->offset].s, t[column->offset].len);
}

static void
print_type(void)
{
	if (shown_entry->type < sizeof type_names / sizeof *type_names)
		put_string(type_names[shown_entry->type]);
}

static void
print_peer(void)
{
	const uint64_t peer = find_peer(shown_entry);

	if (peer != 0)
		put_number(peer);
}

/* The first of its holders has the lowest number. */
static void
print_peer_pid(void)
{
	const uint64_t peer = find_peer(shown_entry);
	const struct holder *h = first_holder(peer);

	if (peer != 0)
		put_signed(h != NULL ? pid_of(h) : NONE);
}

/* The name of the table or, without one, of the protocol, in lower case. */
static void
print_proto(void)
{
	const struct entry *e = shown_entry;
	const uint8_t table = e->table != UNLISTED ? e->table : table_of(e);
	const struct protocol_name *p;
	const char *s;

	if (table != UNLISTED) {
		put_string(nettables[table].name);
		return;
	}
	for (p = protocol_names; p->name != NULL; p++)
		if (p->family == e->family && p->protocol == e->protocol)
			break;
	if (p->name == NULL)
		return;
	s = strncmp(p->name, "AF_", 3) == 0 ? p->name + 3 : p->name;
	for (; *s != '\0'; s++)
		put_char(*s >= 'A' && *s <= 'Z' ? (char)(*s | 0x20) : *s);
}

enum { DEFAULT_COLUMNS = 12 };	/* the first, down to net_namespace */

/* A member is printed as what it is: what has another type is refused. */
#define ENTRY(member) _Generic(((struct entry *)0)->member, \
    uint16_t: print_u16, uint32_t: print_u32, uint64_t: print_u64, \
    unsigned char *: print_address), 0, offsetof(struct entry, member)

#define DETAIL(which) print_detail, 1u << (which), which

static const struct column columns[] = {
	{ "pid", print_task, 0, offsetof(struct task, pid) },
	{ "fd", print_fd, 0, 0 },
	{ "socket", ENTRY(inode) },
	{ "family", ENTRY(family) },
	{ "protocol", ENTRY(protocol) },
	{ "local_address", ENTRY(local) },
	{ "remote_address", ENTRY(remote) },
	{ "local_port", ENTRY(local_port) },
	{ "remote_port", ENTRY(remote_port) },
	{ "path", print_text, 0, 1 },
	{ "state", print_state, 0, 0 },
	{ "net_namespace", print_net_namespace, 0, 0 },
	{ "tid", print_task, 0, offsetof(struct task, tid) },
	{ "comm", DETAIL(COMM) },
	{ "exe", DETAIL(EXE) },
	{ "cwd", DETAIL(CWD) },
	{ "cmdline", DETAIL(CMDLINE) },
	{ "uid", DETAIL(UID) },
	{ "user", DETAIL(USER_NAME) },
	{ "ppid", DETAIL(PPID) },
	{ "start_time", DETAIL(START_TIME) },
	{ "cgroup", DETAIL(CGROUP) },
	{ "type", print_type, NEED_TYPE, 0 },
	{ "proto", print_proto, 0, 0 },
	{ "owner", ENTRY(owner) },
	{ "rx_queue", ENTRY(rx_queue) },
	{ "tx_queue", ENTRY(tx_queue) },
	{ "interface", print_text, NEED_INTERFACE, 0 },
	{ "v6only", print_u32, NEED_V6ONLY, offsetof(struct entry, v6only) },
	{ "filter", print_u32, NEED_FILTER,
	    offsetof(struct entry, filter_length) },
	{ "peer", print_peer, NEED_PEER, 0 },
	{ "peer_pid", print_peer_pid, NEED_PEER, 0 },
	{ NULL, NULL, 0, 0 },
};

/* Printing */

static int
compare_entries(const void *a, const void *b)
{
	const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	const struct entry *x = &entries[i], *y = &entries[j];

	if (x->table != UNLISTED && y->table != UNLISTED &&
	    x->netns != y->netns)
		return (x->netns > y->netns) - (x->netns < y->netns);
	if (x->table != y->table)
		return (x->table > y->table) - (x->table < y->table);
	return (i > j) - (i < j);
}

/*
 * The entries in the order of their rows, as indexes: sockets that were asked
 * and tables that were read again come later.
 */
static uint32_t *
order_entries(void)
{
	uint32_t *order = allocate((count.entries + 1) * sizeof *order), i;

	for (i = 0; i < count.entries; i++)
		order[i] = i;
	sort(order, count.entries, sizeof *order, compare_entries);
	return order;
}

static void
print_entry(const struct entry *e)
{
	shown_entry = e;
	shown_holder = first_holder(e->inode);
	shown_task = &nobody;
	if (shown_holder == NULL && is_wanted(NONE))
		print_row();
	for (; shown_holder != NULL;
	    shown_holder = next_holder(shown_holder->next, e->inode)) {
		shown_task = &tasks[shown_holder->task];
		if (is_wanted(shown_task->pid))
			print_row();
	}
}

static void
print_entries(void)
{
	const uint32_t *order = order_entries();
	const struct entry *e;
	uint32_t i;

	if (!no_header)
		print_header();
	for (i = 0; i < count.entries; i++) {
		e = &entries[order[i]];
		if (e->table == UNLISTED || (table_mask & 1u << e->table) != 0)
			print_entry(e);
	}
}

static void
turn_word(unsigned char *a)
{
	const unsigned char b[4] = { a[3], a[2], a[1], a[0] };

	memcpy(a, b, sizeof b);
}

/*
 * Addresses are written in the byte order of the machine that they come from:
 * if a loopback address shows the other one, and none ours, they are turned.
 */
static void
turn_addresses(void)
{
	static const unsigned char ours[2][16] = { { 127, 0, 0, 1 },
	    { [15] = 1 } }, theirs[2][16] = { { 1, 0, 0, 127 },
	    { [12] = 1 } };
	struct entry *e, *end = entries + count.entries;
	int i, v6, turned = 0;

	for (e = entries; e < end; e++) {
		v6 = e->family == AF_INET6;
		if ((!v6 && e->family != AF_INET) ||
		    e->protocol == IPPROTO_SCTP)
			continue;
		if (memcmp(e->local, ours[v6], 16) == 0)
			return;
		turned |= memcmp(e->local, theirs[v6], 16) == 0;
	}
	if (!turned)
		return;
	warning("%s/proc: addresses of the other byte order, turned", root);
	for (e = entries; e < end; e++)
		for (i = 0; i < 16 && is_inet(e) &&
		    e->protocol != IPPROTO_SCTP; i += 4) {
			turn_word(e->local + i);
			turn_word(e->remote + i);
		}
}

/* Options */

static const char help[] =
"usage: psock [-Hqx] [-o columns] [-p pid,...] [-r root] [-t table,...]\n"
"       psock -h | -V\n"
"\n"
"Prints a row for every process and descriptor that holds a socket, in all\n"
"network namespaces.  Only root sees all.  Fields are separated by TABs and\n"
"escaped.\n"
"\n"
"  -H  print no header row\n"
"  -o  print these columns, separated by commas; +LIST adds to the default\n"
"  -p  only sockets of these processes; -1: those that no process holds\n"
"  -q  print no warnings\n"
"  -r  look at the system below this directory\n"
"  -t  only sockets in these tables\n"
"  -x  also look for processes that are hidden from the list in /proc\n"
"  -h  print this, -V the version\n"
"\n"
"columns   pid fd socket family protocol local_address remote_address\n"
"          local_port remote_port path state net_namespace (default)\n"
"          tid comm exe cwd cmdline uid user ppid start_time cgroup\n"
"          type proto owner rx_queue tx_queue interface v6only filter\n"
"          peer peer_pid\n"
"tables    tcp tcp6 udp udp6 udplite udplite6 raw raw6 icmp icmp6 unix\n"
"          packet netlink sctp\n"
"escapes   \\\\ \\t \\n \\r, and \\xHH for other control characters and for\n"
"          bytes that are not UTF-8\n"
"status    0: all is there; 1: something could not be read, which standard\n"
"          error says; 2: wrong usage, or nothing could be read or written\n"
"port 22   psock | awk -F '\\t' '$8 == 22'; more in psock(1) and psock(7)\n";

/* -p: process numbers, -1 for the sockets that nobody holds. */
static void
parse_pids(const char *list)
{
	const char *item;
	uint64_t value;
	size_t len, i, n;

	want_ownerless = 0;
	while (next_item(&list, &item, &len)) {
		if (len == 2 && memcmp(item, "-1", 2) == 0) {
			add_number(&pids, NONE);
			want_ownerless = 1;
		} else if (parse_number(item, len, 10, INT_MAX, &value) == 0) {
			add_number(&pids, (int)value);
		} else {
			usage_error("-p: '%.*s' is no process number",
			    (int)(len < 64 ? len : 64), item);
		}
	}
	sort(pids.n, pids.count, sizeof *pids.n, compare_ints);
	for (i = 1, n = 1; i < pids.count; i++)
		if (pids.n[i] != pids.n[n - 1])
			pids.n[n++] = pids.n[i];
	pids.count = n;
}

static const char *
table_name(size_t i)
{
	/* The last two are one: sctp. */
	return i + 1 < NTABLES ? nettables[i].name : NULL;
}

static void
parse_tables(const char *list)
{
	const char *item;
	unsigned found_bits;
	size_t i, len;

	some_tables = 1;
	while (next_item(&list, &item, &len)) {
		found_bits = 0;
		for (i = 0; i < NTABLES; i++)
			if (field_is(&(struct text){ item, len },
			    nettables[i].name))
				found_bits |= 1u << i;
		if (found_bits == 0)
			unknown_item("-t: table", item, len, table_name);
		table_mask |= found_bits;
	}
}

static void
parse_options(int argc, char *argv[])
{
	const unsigned tcp = 1u << TCP | 1u << TCP6;
	const unsigned udp = 1u << UDP | 1u << UDP6;
	int c;

	while ((c = next_option(argc, argv, "p:t:x", help,
	    "psock " VERSION "\n")) != -1)
		switch (c) {
		case 'p':
			parse_pids(optarg);
			break;
		case 't':
			parse_tables(optarg);
			break;
		case 'x':
			xflag = 1;
			break;
		}
	if (optind < argc)
		usage_error("%s: psock takes no arguments but options",
		    argv[optind]);
	if (!some_tables)
		table_mask = (1u << NTABLES) - 1;
	needs = choose_columns(columns, DEFAULT_COLUMNS);
	read_mask = table_mask;
	if ((needs & NEED_PEER) == 0) {
		reads_all = want_ownerless;
		return;
	}
	/* The peer of an IPv4 socket may be one at an IPv6 address. */
	if ((table_mask & tcp) != 0)
		read_mask |= tcp;
	if ((table_mask & udp) != 0)
		read_mask |= udp;
}

/* For a user's first run, in which nearly all rows have pid -1. */
static int
explain_rights(int result)
{
	if (result == 1 && asks_kernel && want_ownerless &&
	    getauxval(AT_EUID) != 0 && has_ownerless(0))
		note("not root: processes of other users cannot be read, so "
		    "their sockets have pid -1; root sees every process and "
		    "namespace");
	return result;
}

int
main(int argc, char *argv[])
{
	struct rlimit files;

	start("psock");
	parse_options(argc, argv);
	multiplier = random_odd();
	asks_kernel = root == NULL;
	/* Before Linux 6.14 a file can be named like a socket there. */
	reads_rings = !asks_kernel || is_since("6.14");
	privileged = asks_kernel && getauxval(AT_EUID) == 0 &&
	    has_capability(CAP_SYS_PTRACE);
	/* Leave no descriptor unopened for want of a number. */
	if (prlimit(0, RLIMIT_NOFILE, NULL, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)prlimit(0, RLIMIT_NOFILE, &files, NULL);
	}
	confine_psock();
	look();
	if (is_inner())
		warning("/proc: this pid namespace is not the host's: "
		    "processes outside of it are not seen");
	confirm_counts();
	report_unsure_rows();
	if (root != NULL)
		turn_addresses();
	if ((needs & NEED_PEER) != 0)
		join_ends();
	print_entries();
	return explain_rights(finish());
}
