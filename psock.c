/* SPDX-License-Identifier: ISC */

/*
 * psock: every socket of the host with every descriptor that holds it.
 *
 * Four steps.  First every process (and every thread that has descriptors
 * or a network namespace of its own) is visited: its socket descriptors
 * become holders, its namespace goes on the list.  (On a busy host a helper
 * does most of that.)  Then the tables of every namespace are read, each
 * once, through a process that is in it; each line becomes an entry.  Then
 * what does not fit is looked into: a socket that is held but in no table is
 * asked itself, tables that lost rows are read again, forged rows are
 * dropped.  At last entries and holders are joined by inode number and
 * printed.
 *
 * Text from /proc is the attacker's: unix names hold newlines, processes
 * vanish between two calls, a path leads elsewhere by the time it is opened.
 * Below another root no link is followed.  And he may keep us waiting without
 * end: so a worker takes all those steps, whose parent passes its rows on.
 *
 * From top to bottom: columns, privileges, risks, reading below /proc,
 * processes, holders by inode, all processes (the helper, the worker), tables,
 * namespaces, processes and tables at once, mounts, asking sockets, forged
 * rows, printing, options, main.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
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
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
	LINE_MAX_BYTES = 65536,	/* longest line of a table */
	UNIX_NAME_MAX = 108,	/* bytes of sun_path */
	TEXT_MAX = 131072,	/* longest cmdline, path or cgroup kept */
	MAX_FIELDS = 32,
	MAX_ROW_FIELDS = 1024,	/* sctp lists all addresses of a host */
	MAX_TABLES = 16,
	PASSES = 3,		/* reads of a table, at most */
	WAITING_MAX = UINT8_MAX - 1,
	/* entry.table of a socket that is in none, of a row that is dropped */
	UNLISTED = 254,
	FORGED = 255,
	GET_NETNS = 0x894C,	/* SIOCGSKNS, Linux 4.10 */
	NONE = -1,
};

#define NOT_TOLD UINT32_MAX	/* a number that no table has for an entry */

/*
 * What must be read or asked for the chosen columns: first that of a process,
 * which read_details reads and the helper does not.
 */
enum {
	NEED_COMM = 1 << 0,
	NEED_EXE = 1 << 1,
	NEED_CWD = 1 << 2,
	NEED_CMDLINE = 1 << 3,
	NEED_STATUS = 1 << 4,
	NEED_STAT = 1 << 5,
	NEED_CGROUP = 1 << 6,
	NEED_INTERFACE = 1 << 7,
	NEED_TYPE = 1 << 8,
	NEED_FILTER = 1 << 9,
	NEED_PROCESS = NEED_INTERFACE - 1,
};

/* Indexes of state_names; the kernel's numbers plus the base. */
enum {
	TCP_UNKNOWN = 13,
	STATE_UNIX = 16,
	UNIX_LISTEN = STATE_UNIX + SS_DISCONNECTING + 1,	/* a flag */
	STATE_SCTP = 24,
	SCTP_ESTABLISHED = STATE_SCTP + 3,
	SCTP_LISTEN = STATE_SCTP + 8,	/* of an endpoint alone */
	SCTP_UNKNOWN,
};

static const char *const state_names[] = {
	"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
	"FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN",
	"CLOSING", "NEW_SYN_RECV", [TCP_UNKNOWN] = "UNKNOWN",
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

/* A text of the attacker's, any bytes. */
struct text {
	char *s;
	size_t len;
};

/* What the columns show of a process; a number that is not known is NONE. */
struct details {
	struct text comm, exe, cwd, cmdline, cgroup;
	int64_t uid, ppid, start_time;
};

/* A descriptor table: a process, or a thread with one of its own. */
struct task {
	int pid, tid;
	uint32_t netns;
	struct details *details;
};

struct holder {
	uint64_t inode;
	uint32_t task;
	int32_t fd;
	uint32_t next;		/* of the same hash value; 0 ends, else +1 */
	/* Of a socket's first: it was told that nobody asked; nobody could. */
	uint8_t unasked, silent;
};

struct netns {
	uint64_t inode;		/* 0: cannot be known */
	uint64_t table_inode;	/* st_ino of its net/tcp, 0: not asked */
	uint32_t first_task;
	int fd;			/* to enter it by, NONE: read by a process */
	unsigned want;		/* tables that are still to be read */
	unsigned doubtful;	/* tables whose rows net/protocols disputes */
	unsigned steady;	/* doubtful ones with the same rows again */
	unsigned explained;	/* doubtful ones that had forged rows */
	uint64_t sums[MAX_TABLES];	/* of their last read, see tally */
};

/* One socket, as a line of a table or the socket itself tells it. */
struct entry {
	uint64_t inode;
	unsigned char local[16], remote[16];
	uint32_t local_port, remote_port;
	uint32_t rx_queue, tx_queue, owner;
	uint32_t netns;
	uint32_t text;		/* into texts: unix name, interface */
	/*
	 * The SUSPECT behind it; from ask_columns on, the length of its
	 * filter.  0: none, else +1.
	 */
	uint32_t rest;
	/*
	 * Of the same hash value; 0 ends, else +1.  From print_entries on, its
	 * own index, for a stable sort.
	 */
	uint32_t next;
	uint32_t next_row;	/* the same in row_buckets */
	uint16_t family, protocol, text_len;
	uint8_t type, state, table, pass;
	/* How often that pass told it; 255: or more.  See is_waiting. */
	uint8_t told;
	uint8_t flags;
};

enum {
	BOUND = 1,		/* netlink that was asked: has a port id */
	SUSPECT = 2,		/* unix: fits in the name before it */
	SETTLED = 4,		/* unix: what the socket says of itself */
	DOUBLE = 8,		/* unix: told, and part of a name as well */
	NAMED = 16,		/* unix: has a name, if only a newline */
	FIRST = 32,		/* unix: of its inode in its namespace */
};

/* Positions in nettable.columns of what every parser wants. */
enum { LOCAL, REMOTE, STATE, QUEUE, OWNER, INODE, TYPE, PROTOCOL, IFACE,
    RX_QUEUE, LOCAL_PORT, REMOTE_PORT, MAX_WANTED };

struct field {
	const char *s;
	size_t len;
};

struct nettable {
	const char *name, *file;
	uint16_t family, protocol;
	uint8_t type;
	/* Parses a line into *entry; returns -1 where it is malformed. */
	int (*parse)(const struct nettable *, struct entry *,
	    const struct field *, size_t nfields, const int *place);
	const char *const *columns;	/* names in the header */
	const char *sockstat;		/* line of net/sockstat{,6} */
	const char *counted[2];		/* names in net/protocols */
};

static int hflag;		/* -H */
static const char *root;	/* -r */
static unsigned needs;		/* of the chosen columns */
static unsigned table_mask;	/* -t, as bits of nettables */
static int some_tables;		/* -t was given */
static int *pids;		/* -p, sorted */
static size_t npids, pids_room;
static int want_ownerless = 1;

static int proc = NONE;		/* ROOT/proc */

static struct numbers {
	int *n;
	size_t count, room;
} processes;			/* all of them, ascending */
static size_t own_share;	/* of processes; the rest is the helper's */
static pid_t helper;
static char *reports, *reports_end;	/* for it to write, us to read */

/*
 * These live to the end.  They move when they grow, so that their elements
 * are named by index; unlisted points into holders when that is complete.
 */
static struct task *tasks;
static size_t ntasks, tasks_room;
static struct holder *holders;
static size_t nholders, holders_room;
static struct netns *namespaces;
static size_t nnamespaces, namespaces_room;
static struct entry *entries;
static size_t nentries, entries_room;
static char *texts;
static size_t texts_used, texts_room;

static const struct holder **unlisted;	/* of sockets that are in no table */
static size_t nunlisted, unlisted_room;

/* Hash tables of index + 1: by inode, but see row_bucket. */
static uint32_t *holder_buckets, *entry_buckets, *row_buckets;
static size_t holder_mask, entry_mask;
/* Odd, and not to be known by who chooses addresses, names and inodes. */
static uint64_t multiplier = UINT64_C(0x9e3779b97f4a7c15);

/* A namespace that a descriptor or a mount keeps: net:[inode]. */
static struct ns_link {
	uint64_t inode;
	uint32_t task;
	int fd;
	char *path;		/* of the mount; null: a descriptor */
} *ns_links;
static size_t nns_links, ns_links_room;

/* An io_uring, which may hold sockets that no descriptor does. */
static struct ring {
	uint32_t task;
	int fd;
} *rings;
static size_t nrings, rings_room;

/* The row that is being printed. */
static const struct entry *row;
static const struct holder *row_holder;
static const struct task *row_task;

/* Columns */

/* A member of the row's entry, the column's own. */
static const void *
member(void)
{
	return (const char *)row + column->offset;
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

	if (*n != NOT_TOLD)
		put_number(*n);
}

static void
print_u64(void)
{
	const uint64_t *n = member();

	put_number(*n);
}

static void
print_pid(void)
{
	put_signed(row_task != NULL ? row_task->pid : NONE);
}

static void
print_tid(void)
{
	put_signed(row_task != NULL ? row_task->tid : NONE);
}

static void
print_fd(void)
{
	put_signed(row_holder != NULL ? row_holder->fd : NONE);
}

static void
put_hex(unsigned value)
{
	int shift = 12;

	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[value >> shift & 15]);
}

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

/*
 * The first longest run of at least two zero words is "::" (RFC 5952); an
 * IPv4 address that is mapped is written as such.  inet_ntop(3) does the
 * same, but glibc's writes ::1.2.3.4 too, and musl's needs all of printf.
 */
static void
print_ipv6(const unsigned char *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, 0xff };
	int i, run, at = 8, most = 1;

	if (memcmp(a, mapped, sizeof mapped) == 0) {
		put_string("::ffff:");
		print_ipv4(a + 12);
		return;
	}
	for (i = 0; i < 8; i += run + 1) {
		for (run = 0; i + run < 8 && a[2 * (i + run)] == 0 &&
		    a[2 * (i + run) + 1] == 0; run++)
			;
		if (run > most) {
			most = run;
			at = i;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == at) {
			put_string("::");
			i += most - 1;
			continue;
		}
		if (i > 0 && i != at + most)
			put_char(':');
		put_hex(a[2 * i] * 256u + a[2 * i + 1]);
	}
}

static void
print_address(void)
{
	const unsigned char *a = member();
	uint32_t cid;

	if (row->family == AF_INET) {
		print_ipv4(a);
	} else if (row->family == AF_INET6) {
		print_ipv6(a);
	} else if (row->family == AF_VSOCK) {
		memcpy(&cid, a, sizeof cid);
		put_number(cid);
	}
}

/* The unix name or interface of an entry. */
static const char *
text_of(const struct entry *e)
{
	return texts != NULL ? texts + e->text : "";
}

static void
print_path(void)
{
	if (row->family == AF_UNIX)
		put_field(text_of(row), row->text_len);
}

static void
print_interface(void)
{
	if (row->family == AF_PACKET)
		put_field(text_of(row), row->text_len);
}

static void
print_state(void)
{
	put_string(state_names[row->state]);
}

static void
print_net_namespace(void)
{
	put_number(row->netns == UINT32_MAX ? 0 :
	    namespaces[row->netns].inode);
}

/* A member of the details of the row's process; null where it has none. */
static const void *
detail(void)
{
	if (row_task == NULL || row_task->details == NULL)
		return NULL;
	return (const char *)row_task->details + column->offset;
}

static void
print_text(void)
{
	const struct text *t = detail();

	if (t != NULL)
		put_field(t->s, t->len);
}

static void
print_known(void)
{
	const int64_t *n = detail();

	if (n != NULL && *n != NONE)
		put_signed(*n);
}

static void
print_type(void)
{
	if (row->type < sizeof type_names / sizeof *type_names)
		put_string(type_names[row->type]);
}

static void
print_filter(void)
{
	if (row->rest != 0)
		put_number(row->rest - 1);
}

enum { DEFAULT_COLUMNS = 12 };	/* the first, down to net_namespace */

/* A member is printed as what it is: what has another type is refused. */
#define ENTRY(member) _Generic(((struct entry *)0)->member, \
    uint16_t: print_u16, uint32_t: print_u32, uint64_t: print_u64, \
    unsigned char *: print_address), 0, offsetof(struct entry, member)
#define DETAIL(need, member) _Generic(((struct details *)0)->member, \
    struct text: print_text, int64_t: print_known), \
    need, offsetof(struct details, member)

static const struct column columns[] = {
	{ "pid", print_pid, 0, 0 },
	{ "fd", print_fd, 0, 0 },
	{ "socket", ENTRY(inode) },
	{ "family", ENTRY(family) },
	{ "protocol", ENTRY(protocol) },
	{ "local_address", ENTRY(local) },
	{ "remote_address", ENTRY(remote) },
	{ "local_port", ENTRY(local_port) },
	{ "remote_port", ENTRY(remote_port) },
	{ "path", print_path, 0, 0 },
	{ "state", print_state, 0, 0 },
	{ "net_namespace", print_net_namespace, 0, 0 },
	{ "tid", print_tid, 0, 0 },
	{ "comm", DETAIL(NEED_COMM, comm) },
	{ "exe", DETAIL(NEED_EXE, exe) },
	{ "cwd", DETAIL(NEED_CWD, cwd) },
	{ "cmdline", DETAIL(NEED_CMDLINE, cmdline) },
	{ "uid", DETAIL(NEED_STATUS, uid) },
	{ "ppid", DETAIL(NEED_STAT, ppid) },
	{ "start_time", DETAIL(NEED_STAT, start_time) },
	{ "cgroup", DETAIL(NEED_CGROUP, cgroup) },
	{ "type", print_type, NEED_TYPE, 0 },
	{ "owner", ENTRY(owner) },
	{ "rx_queue", ENTRY(rx_queue) },
	{ "tx_queue", ENTRY(tx_queue) },
	{ "interface", print_interface, NEED_INTERFACE, 0 },
	{ "filter", print_filter, NEED_FILTER, 0 },
	{ NULL, NULL, 0, 0 },
};

/* Privileges */

/*
 * All that psock asks of the kernel once /proc is open and the helper runs;
 * mounting a procfs and forking would make this list no sandbox.  Copies of
 * others' sockets come into its hands, so what it is allowed is to look: it
 * opens for reading alone, and writes to standard output and error alone.
 */
static const int allowed_calls[] = {
	SYS_readlinkat, SYS_getdents64, SYS_fstat, SYS_statx,
	SYS_wait4,	/* for the helper */
	SYS_lseek,	/* over holes */
#ifdef SYS__llseek
	SYS__llseek,
#endif
	SYS_sysinfo,	/* glibc's qsort asks for the size of memory */
	SYS_setns, SYS_kcmp, SYS_pidfd_open, SYS_pidfd_getfd, SYS_getxattr,
	SYS_getsockopt, SYS_getsockname, SYS_getpeername,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64	/* 32-bit machines */
	SYS_fstatat64, SYS_fstat64,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_rt_sigaction, SYS_readlink, SYS_open,
#endif
};

static const struct condition conditions[] = {
	{ SYS_write, 0, UINT32_MAX, STDOUT_FILENO },
	{ SYS_write, 0, UINT32_MAX, STDERR_FILENO },
	{ SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0 },
	{ SYS_ioctl, 1, UINT32_MAX, GET_NETNS },
#ifdef SYS_socketcall	/* before Linux 4.3 */
	{ SYS_socketcall, 0, UINT32_MAX, SYS_GETSOCKOPT },
	{ SYS_socketcall, 0, UINT32_MAX, SYS_GETSOCKNAME },
	{ SYS_socketcall, 0, UINT32_MAX, SYS_GETPEERNAME },
#endif
};

/*
 * Gives up what it does not need: of root's capabilities it keeps those
 * that let it open and list any /proc/PID (DAC_READ_SEARCH), follow its
 * links and copy its descriptors (SYS_PTRACE), enter a network namespace
 * (SYS_ADMIN), and ask a socket for its own (NET_ADMIN).  Not dumpable, its
 * memory and its copies of sockets are for nobody else.
 */
static void
confine_psock(void)
{
	const uint32_t look = 1u << CAP_DAC_READ_SEARCH | 1u << CAP_SYS_PTRACE;

	(void)keep_capabilities(root != NULL ? look :
	    look | 1u << CAP_SYS_ADMIN | 1u << CAP_NET_ADMIN);
	/* Without seccomp it goes on as it is. */
	(void)confine(allowed_calls, sizeof allowed_calls /
	    sizeof *allowed_calls, conditions, sizeof conditions /
	    sizeof *conditions);
}

/* Risks */

/*
 * Who looks at a process may have to wait for it without end: for a lock of
 * its memory, its execve(2), its socket or a directory of procfs, which is
 * held while memory comes from a FUSE file, or for the server of such a file.
 * No signal may end that.  So a worker does what psock does.  Its parent sees
 * whom it waits for, leaves it behind, and starts another one, which lets
 * that be.
 */
enum {
	MAX_AVOIDED = 32,	/* then nobody is looked at any more */
	MAX_WAIT = 10,		/* seconds of the first worker, in all */
	MAX_MORE = 3,		/* of each that follows */
	FEW_STEPS = 50,		/* a second: many short waits are one, too */
};

enum { READ = 1, COMPARE, CMDLINE, ASK, TABLES, LIST };

struct risk {
	volatile uint32_t steps;	/* so far */
	volatile int pid;
	volatile int kind;	/* 0: there is no risk now */
};

static struct risk unwatched, *risk = &unwatched;
static struct { int pid, kind; } avoided[MAX_AVOIDED + 1];	/* and LIST */
static size_t navoided;
static const char kept_waiting[] = "it kept us waiting";

/* Returns 0 where that is to be let be. */
static int
take_risk(int pid, int kind)
{
	size_t i;

	for (i = 0; i < navoided; i++)
		if ((navoided == MAX_AVOIDED && kind != LIST) ||
		    (avoided[i].pid == pid && avoided[i].kind == kind))
			return 0;
	risk->steps++;
	risk->pid = pid;
	risk->kind = kind;
	return 1;
}

static void
end_risk(void)
{
	risk->kind = 0;
}

/* Reading below /proc */

/* What vanished while it was being read is no error. */
static int
is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ESRCH;
}

/* Counts what could not be read of a unit, unless it is gone. */
static void
count_refusal(const char *unit, const char *what)
{
	if (!is_gone(errno))
		count_warning(unit, what, strerror(errno));
}

/*
 * Counts links of a task that could not be read, unless it is gone: one that
 * ends in the middle of readlink(2) refuses that (EACCES, Linux 6.18).
 */
static void
count_unread(int dir, const char *name)
{
	struct stat st;
	int why = errno;

	if (why == EACCES && root == NULL &&
	    fstatat(dir, "stat", &st, AT_SYMLINK_NOFOLLOW) == -1 &&
	    is_gone(errno))
		return;
	errno = why;
	count_refusal("process", name);
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
	format(name, sizeof name, "%.*s", (int)len, path);
	next = open_one(dir, name, O_DIRECTORY);
	if (next == -1)
		return -1;
	fd = open_below(next, path + len + 1, flags);
	close_quietly(next);
	return fd;
}

/* A reader of the file name below dir; returns -1 where there is none. */
static int
open_lines(struct reader *r, int dir, const char *name)
{
	/* Somebody else's tree may have files of any size. */
	*r = (struct reader){ .max = LINE_MAX_BYTES, .sparse = root != NULL };
	r->fd = open_below(dir, name, 0);
	return r->fd == -1 ? -1 : 0;
}

static void
close_lines(struct reader *r, const char *what)
{
	/* EINVAL, ESRCH: the process or its namespace ended meanwhile. */
	if (r->error != 0 && !is_gone(r->error) && r->error != EINVAL)
		count_warning("file", what, strerror(r->error));
	close(r->fd);
	reader_free(r);
}

/* Writes n in decimal to buf and returns it; format() takes longer. */
static const char *
number_name(char *buf, int n)
{
	char digits[12];
	size_t i = sizeof digits;

	digits[--i] = '\0';
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	return memcpy(buf, digits + i, sizeof digits - i);
}

static int
compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * The numeric names in a directory, ascending: processes, threads or
 * descriptors.  Returns 0, or -1 with errno.
 */
static int
read_numbers(int dir, struct numbers *list)
{
	static char buf[32768];
	struct dirent64_head {
		uint64_t ino, off;
		unsigned short len;
		unsigned char type;
		char name[];
	} *d;
	uint64_t value;
	long n, at;
	int sorted = 1;

	list->count = 0;
	while ((n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0)
		for (at = 0; at < n; at += d->len) {
			d = (struct dirent64_head *)(void *)(buf + at);
			if (parse_number(d->name, strlen(d->name), 10,
			    INT_MAX, &value) == -1 ||
			    (d->name[0] == '0' && d->name[1] != '\0'))
				continue;
			list->n = grow(list->n, &list->room, list->count,
			    sizeof *list->n);
			list->n[list->count] = (int)value;
			if (list->count > 0 &&
			    list->n[list->count - 1] > (int)value)
				sorted = 0;
			list->count++;
		}
	if (!sorted)
		qsort(list->n, list->count, sizeof *list->n, compare_ints);
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

/*
 * Whether a descriptor of ours, opened with O_PATH, is "socket:[inode]" or
 * the like, without asking its file.  Sets path to its link below proc.
 */
static int
leads_to(int fd, char *path, size_t size, const char *prefix, uint64_t inode)
{
	char link[64];
	uint64_t now;
	ssize_t len;

	format(path, size, "self/fd/%d", fd);
	len = readlinkat(proc, path, link, sizeof link);
	return parse_link(link, len, prefix, &now) == 0 && now == inode;
}

/* There is too much of something. */
static _Noreturn void
give_up(int errnum)
{
	fatal("%s", strerror(errnum));
}

static void *
allocate(size_t n)
{
	void *p = malloc(n);

	if (p != NULL)
		return memset(p, 0, n);
	give_up(ENOMEM);
}

/* Keeps the n bytes at s. */
static struct text
keep_text(const char *s, size_t n)
{
	struct text t = { allocate(n + 1), n };

	memcpy(t.s, s, n);
	return t;
}

/* The bytes of a file, at most TEXT_MAX of them; empty where refused. */
static struct text
read_text(int dir, const char *name)
{
	static char buf[TEXT_MAX + 1];
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	fd = open_below(dir, name, 0);
	if (fd != -1) {
		while (used < sizeof buf &&
		    (n = read(fd, buf + used, sizeof buf - used)) > 0)
			used += (size_t)n;
		if (n == -1)
			used = 0;
	}
	if (fd == -1 || n == -1)
		count_refusal("process", name);
	if (fd != -1)
		close(fd);
	if (used > TEXT_MAX) {
		used = TEXT_MAX;
		count_warning("process", name, "cut at 128 KiB");
	}
	return keep_text(buf, used);
}

static struct text
read_link(int dir, const char *name)
{
	static char buf[TEXT_MAX];
	ssize_t n;

	n = readlinkat(dir, name, buf, sizeof buf);
	if (n == -1) {
		count_unread(dir, name);
		n = 0;
	}
	return keep_text(buf, (size_t)n);
}

/* Processes */

/* Splits s at blanks into at most max fields; returns how many. */
static size_t
split_some(const char *s, size_t len, struct field *fields, size_t max)
{
	const char *end = s + len;
	size_t n = 0;

	while (n < max) {
		while (s < end && (*s == ' ' || *s == '\t'))
			s++;
		if (s == end)
			break;
		fields[n].s = s;
		while (s < end && *s != ' ' && *s != '\t')
			s++;
		fields[n].len = (size_t)(s - fields[n].s);
		n++;
	}
	return n;
}

static size_t
split(const char *s, size_t len, struct field *fields)
{
	return split_some(s, len, fields, MAX_FIELDS);
}

static int
field_number(const struct field *f, int base, uint64_t max, uint64_t *value)
{
	return parse_number(f->s, f->len, base, max, value);
}

static int
field_is(const struct field *f, const char *s)
{
	return f->len == strlen(s) && memcmp(f->s, s, f->len) == 0;
}

/* Seconds since the epoch when the kernel started, from /proc/stat. */
static int64_t
boot_time(void)
{
	static int64_t btime = -1;
	static int tried;
	struct field f[MAX_FIELDS];
	struct reader r;
	uint64_t value;
	char *line;
	ptrdiff_t len;

	if (tried++)
		return btime;
	if (open_lines(&r, proc, "stat") == -1) {
		count_warning("file", "stat", strerror(errno));
		return btime;
	}
	while ((len = read_line(&r, '\n', &line)) != -1)
		if (split(line, (size_t)len, f) >= 2 &&
		    field_is(&f[0], "btime") &&
		    field_number(&f[1], 10, INT64_MAX / 2, &value) == 0)
			btime = (int64_t)value;
	close_lines(&r, "stat");
	return btime;
}

/*
 * /proc/PID/stat: "pid (comm) state ppid ...", the comm with blanks,
 * parentheses and newlines in it; the start in ticks is the 22nd field.
 */
static void
parse_stat(struct details *d, const struct text *t)
{
	struct field f[MAX_FIELDS];
	uint64_t ticks, ppid;
	char *left, *right;
	unsigned long hz = getauxval(AT_CLKTCK);

	left = memchr(t->s, '(', t->len);
	right = memrchr(t->s, ')', t->len);
	if (left == NULL || right == NULL || right < left)
		return;
	if (d->comm.len == 0)
		d->comm = keep_text(left + 1, (size_t)(right - left) - 1);
	if (split(right + 1, t->len - (size_t)(right + 1 - t->s), f) < 20 ||
	    field_number(&f[1], 10, INT_MAX, &ppid) == -1)
		return;
	d->ppid = (int64_t)ppid;
	if (field_number(&f[19], 10, INT64_MAX, &ticks) == -1 || hz == 0 ||
	    boot_time() == -1)
		return;
	d->start_time = boot_time() + (int64_t)(ticks / hz);
}

static void
parse_status(struct details *d, const struct text *t)
{
	struct field f[MAX_FIELDS];
	const char *s, *nl, *end = t->s + t->len;
	uint64_t uid;

	for (s = t->s; s < end; s = nl + 1) {
		nl = memchr(s, '\n', (size_t)(end - s));
		if (nl == NULL)
			nl = end;
		if (split(s, (size_t)(nl - s), f) > 1 &&
		    field_is(&f[0], "Uid:") &&
		    field_number(&f[1], 10, UINT32_MAX, &uid) == 0)
			d->uid = (int64_t)uid;
	}
}

/* The path in the unified hierarchy, else the first one that is not "/". */
static struct text
parse_cgroup(const struct text *t)
{
	const char *s = t->s, *end = t->s + t->len, *nl, *path, *first = NULL;
	size_t first_len = 0;

	for (; s < end; s = nl + 1) {
		nl = memchr(s, '\n', (size_t)(end - s));
		if (nl == NULL)
			nl = end;
		path = memchr(s, ':', (size_t)(nl - s));
		if (path != NULL)
			path = memchr(path + 1, ':', (size_t)(nl - path) - 1);
		if (path == NULL)
			continue;
		path++;
		if (path - s == 3 && s[0] == '0')
			return keep_text(path, (size_t)(nl - path));
		if (first == NULL && nl - path > 1) {
			first = path;
			first_len = (size_t)(nl - path);
		}
	}
	if (first == NULL)
		return keep_text("/", t->len > 0);
	return keep_text(first, first_len);
}

/* Arguments end in a NUL each: one blank between them. */
static struct text
read_cmdline(int dir, int pid)
{
	static int told;	/* the process; its threads follow each other */
	struct text t = { NULL, 0 };
	size_t i;

	if (take_risk(pid, CMDLINE)) {
		t = read_text(dir, "cmdline");
	} else if (told != pid) {
		told = pid;
		count_warning("process", "cmdline", kept_waiting);
	}
	(void)take_risk(pid, READ);
	if (t.len > 0 && t.s[t.len - 1] == '\0')
		t.len--;
	for (i = 0; i < t.len; i++)
		if (t.s[i] == '\0')
			t.s[i] = ' ';
	return t;
}

/*
 * Reads of a process what the columns need.  What belongs to its memory is
 * gone from dir where the leader has exited, and is read from the thread's.
 */
static struct details *
read_details(int pid, int dir, int thread_dir)
{
	const struct details unknown = { .uid = NONE, .ppid = NONE,
	    .start_time = NONE };
	struct details *d = allocate(sizeof *d);
	struct text t;

	*d = unknown;
	if ((needs & NEED_COMM) != 0) {
		d->comm = read_text(dir, "comm");
		if (d->comm.len > 0 && d->comm.s[d->comm.len - 1] == '\n')
			d->comm.len--;
	}
	/* There is no comm before Linux 2.6.33; stat has it as well. */
	if ((needs & NEED_STAT) != 0 ||
	    ((needs & NEED_COMM) != 0 && d->comm.len == 0)) {
		t = read_text(dir, "stat");
		parse_stat(d, &t);
		free(t.s);
	}
	if ((needs & NEED_STATUS) != 0) {
		t = read_text(dir, "status");
		parse_status(d, &t);
		free(t.s);
	}
	if ((needs & NEED_CGROUP) != 0) {
		t = read_text(dir, "cgroup");
		d->cgroup = parse_cgroup(&t);
		free(t.s);
	}
	if ((needs & NEED_CMDLINE) != 0)
		d->cmdline = read_cmdline(thread_dir, pid);
	if ((needs & NEED_EXE) != 0)
		d->exe = read_link(thread_dir, "exe");
	if ((needs & NEED_CWD) != 0)
		d->cwd = read_link(thread_dir, "cwd");
	return d;
}

static uint32_t
add_netns(uint64_t inode, uint64_t table_inode, uint32_t task, int fd)
{
	namespaces = grow(namespaces, &namespaces_room, nnamespaces,
	    sizeof *namespaces);
	namespaces[nnamespaces] = (struct netns){ .inode = inode,
	    .table_inode = table_inode, .first_task = task, .fd = fd,
	    .want = table_mask };
	return (uint32_t)nnamespaces++;
}

/* The namespace with this inode number, or UINT32_MAX. */
static uint32_t
find_netns(uint64_t inode)
{
	static uint32_t last;
	uint32_t i;

	if (last < nnamespaces && namespaces[last].inode == inode)
		return last;
	for (i = 0; i < nnamespaces; i++)
		if (namespaces[i].inode == inode)
			return last = i;
	return UINT32_MAX;
}

/* The directory of a task below /proc, as a descriptor. */
static int
open_task(const struct task *t)
{
	char name[64];

	if (t->tid == t->pid)
		number_name(name, t->pid);
	else
		format(name, sizeof name, "%d/task/%d", t->pid, t->tid);
	return open_below(proc, name, O_DIRECTORY);
}

/* The path of a task's descriptor below /proc. */
static void
descriptor_path(char *path, size_t size, const struct task *t, int fd)
{
	format(path, size, "%d/task/%d/fd/%d", t->pid, t->tid, fd);
}

/* st_ino of net/tcp, which is one for each namespace; 0: there is none. */
static uint64_t
read_table_inode(int dir)
{
	struct stat st;
	int netdir, told;

	netdir = open_below(dir, "net", O_DIRECTORY);
	if (netdir == -1)
		return 0;
	told = fstatat(netdir, "tcp", &st, AT_SYMLINK_NOFOLLOW);
	close(netdir);
	return told == -1 ? 0 : st.st_ino;
}

/*
 * The namespace of a task whose ns/net may not be read (or is not there,
 * before Linux 3.0), by the identity of its tables.
 */
static uint32_t
guess_netns(int dir, uint32_t task)
{
	uint64_t table = read_table_inode(dir);
	struct netns *ns;
	int ns_dir;
	uint32_t i;

	if (table == 0)
		return UINT32_MAX;
	for (i = 0; i < nnamespaces; i++) {
		ns = &namespaces[i];
		if (ns->table_inode == 0 &&
		    (ns_dir = open_task(&tasks[ns->first_task])) != -1) {
			ns->table_inode = read_table_inode(ns_dir);
			close(ns_dir);
		}
		if (ns->table_inode == table)
			return i;
	}
	return add_netns(0, table, task, NONE);
}

/* The inode of the task's namespace; -1 with errno where it is not told. */
static int
read_netns_inode(int dir, uint64_t *inode)
{
	char link[64];
	ssize_t len;
	int ns_dir;

	if (root == NULL) {
		len = readlinkat(dir, "ns/net", link, sizeof link);
	} else {
		ns_dir = open_below(dir, "ns", O_DIRECTORY | O_PATH);
		if (ns_dir == -1)
			return -1;
		len = readlinkat(ns_dir, "net", link, sizeof link);
		close(ns_dir);
	}
	if (len == -1)
		return -1;
	if (parse_link(link, len, "net:[", inode) == -1) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

static uint32_t
netns_of(int dir, uint32_t task)
{
	static int guessed;
	uint64_t inode;
	uint32_t ns;

	if (read_netns_inode(dir, &inode) == -1) {
		count_unread(dir, "ns/net");
		guessed = 1;
		return guess_netns(dir, task);
	}
	ns = find_netns(inode);
	if (ns == UINT32_MAX && guessed) {
		/* It may be one that a refusing process was in. */
		ns = guess_netns(dir, task);
		if (ns != UINT32_MAX)
			namespaces[ns].inode = inode;
	}
	return ns != UINT32_MAX ? ns : add_netns(inode, 0, task, NONE);
}

/* Keeps a link "net:[...]" for when all processes are known. */
static void
add_ns_link(uint64_t inode, uint32_t task, int fd, const char *path)
{
	struct ns_link *l;

	ns_links = grow(ns_links, &ns_links_room, nns_links, sizeof *l);
	l = &ns_links[nns_links++];
	*l = (struct ns_link){ .inode = inode, .task = task, .fd = fd };
	if (path != NULL)
		l->path = keep_text(path, strlen(path) + 1).s;
}

/* Whether holders[from..to), ascending by fd, have this descriptor. */
static int
is_held(size_t from, size_t to, int fd, uint64_t inode)
{
	size_t mid;

	while (from < to) {
		mid = from + (to - from) / 2;
		if (holders[mid].fd == fd)
			return holders[mid].inode == inode;
		if (holders[mid].fd < fd)
			from = mid + 1;
		else
			to = mid;
	}
	return 0;
}

static void
add_holder(uint64_t inode, uint32_t task, int fd)
{
	holders = grow(holders, &holders_room, nholders, sizeof *holders);
	holders[nholders++] = (struct holder){ inode, task, fd, 0, 0, 0 };
}

static void
add_ring(uint32_t task, int fd)
{
	rings = grow(rings, &rings_room, nrings, sizeof *rings);
	rings[nrings++] = (struct ring){ task, fd };
}

/* Whether a link is that of an io_uring's descriptor. */
static int
is_ring(const char *link, ssize_t len)
{
	static const char ring[] = "anon_inode:[io_uring]";

	return len == sizeof ring - 1 && memcmp(link, ring, (size_t)len) == 0;
}

/*
 * Reads the descriptors below dir.  Those that holders[leader..leader_end)
 * have too are the leader's, seen through a thread that shares them.
 * Returns their number, or SIZE_MAX where they may not be read.
 */
static size_t
read_fds(int dir, uint32_t task, size_t leader, size_t leader_end)
{
	static struct numbers list;
	char name[12], link[64];
	uint64_t inode;
	ssize_t len;
	size_t i;
	int fd_dir, fd, refused = 0;

	fd_dir = open_below(dir, "fd", O_DIRECTORY);
	if (fd_dir == -1 || read_numbers(fd_dir, &list) == -1) {
		refused = is_gone(errno) ? 0 : errno;
		list.count = 0;
	}
	for (i = 0; i < list.count; i++) {
		risk->steps++;	/* there may be a million */
		fd = list.n[i];
		len = readlinkat(fd_dir, number_name(name, fd), link,
		    sizeof link);
		if (len == -1 && !is_gone(errno)) {
			refused = errno;
			break;	/* one is refused where all are */
		}
		if (parse_link(link, len, "socket:[", &inode) == 0) {
			if (is_held(leader, leader_end, fd, inode))
				continue;
			add_holder(inode, task, fd);
		} else if (is_ring(link, len)) {
			add_ring(task, fd);
		} else if (root == NULL && want_ownerless &&
		    parse_link(link, len, "net:[", &inode) == 0)
			add_ns_link(inode, task, fd, NULL);
	}
	if (refused != 0) {
		errno = refused;
		count_unread(dir, "fd");
	}
	if (fd_dir != -1)
		close(fd_dir);
	return refused != 0 ? SIZE_MAX : list.count;
}

/*
 * Compares the descriptor tables of two threads by kcmp(2): 0 where they are
 * one, 1 or 2 where that of tid comes before or behind; else not known.
 */
static int
compare_tables(int pid, int tid, int other)
{
	enum { KCMP_FILES = 2 };
	int order = NONE;

	if (root == NULL && take_risk(pid, COMPARE)) {
		order = (int)syscall(SYS_kcmp, tid, other, KCMP_FILES, 0, 0);
		(void)take_risk(pid, READ);
	}
	return order;
}

/* How much was found that names its task. */
static size_t
count_findings(void)
{
	return nholders + nrings + nns_links;
}

/* A process with threads, as far as it has been read. */
struct leader {
	struct task task;
	int dir;
	size_t from, to;	/* its holders */
};

/* Threads with descriptors of their own, and the leader, in kcmp's order. */
static struct numbers own_tables;
/* Descriptors of threads that cannot be compared: he may have many of both. */
static size_t uncompared = 4 << 20;

/*
 * Whether a thread has descriptors that are none of own_tables, which it is
 * added to; 2: that cannot be known.
 */
static int
has_own_table(int pid, int tid)
{
	size_t low = 0, high = own_tables.count, mid;
	int order;

	while (low < high) {
		mid = low + (high - low) / 2;
		order = compare_tables(pid, tid, own_tables.n[mid]);
		if (order == 0)
			return 0;
		if (order == 1)
			high = mid;
		else if (order == 2)
			low = mid + 1;
		else
			return 2;
	}
	own_tables.n = grow(own_tables.n, &own_tables.room, own_tables.count,
	    sizeof *own_tables.n);
	memmove(own_tables.n + low + 1, own_tables.n + low,
	    (own_tables.count++ - low) * sizeof *own_tables.n);
	own_tables.n[low] = tid;
	return 1;
}

/*
 * Reads one thread beside the leader: it counts where it has descriptors
 * or a namespace of its own.
 */
static void
read_thread(struct leader *l, int task_dir, int tid)
{
	struct task t = { l->task.pid, tid, UINT32_MAX, NULL };
	char name[12];
	size_t n, before = count_findings();
	int dir, own, found;

	own = has_own_table(t.pid, tid);
	if (own == 2 && root == NULL && uncompared == 0) {
		count_warning("process", "threads", "too many descriptors");
		own = 0;
	}
	dir = open_below(task_dir, number_name(name, tid), O_DIRECTORY);
	if (dir == -1) {
		count_refusal("thread", "directory");
		return;
	}
	t.netns = netns_of(dir, (uint32_t)ntasks);
	if (own) {
		n = read_fds(dir, (uint32_t)ntasks, l->from, l->to);
		if (own == 2 && n != SIZE_MAX)
			uncompared -= n < uncompared ? n : uncompared;
	}
	found = count_findings() > before;
	if (found && (needs & NEED_PROCESS) != 0)
		t.details = read_details(t.pid, l->dir, dir);
	if (found || (t.netns != l->task.netns && t.netns != UINT32_MAX)) {
		tasks = grow(tasks, &tasks_room, ntasks, sizeof *tasks);
		tasks[ntasks++] = t;
	}
	close(dir);
}

static void
read_threads(struct leader *l)
{
	static struct numbers tids;
	struct stat st;
	size_t i;
	int task_dir;

	/* "." and ".." and one for each thread, as procfs counts links. */
	if (fstatat(l->dir, "task", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_nlink == 3)
		return;
	task_dir = open_below(l->dir, "task", O_DIRECTORY);
	if (task_dir == -1) {
		count_refusal("process", "task");
		return;
	}
	if (read_numbers(task_dir, &tids) == -1)
		count_refusal("process", "task");
	own_tables.count = 0;
	(void)has_own_table(l->task.pid, l->task.pid);
	for (i = 0; i < tids.count; i++)
		if (tids.n[i] != l->task.pid)
			read_thread(l, task_dir, tids.n[i]);
	close(task_dir);
}

/* Returns -1 where there is no such process. */
static int
read_process(int pid)
{
	struct leader l = { .task = { pid, pid, UINT32_MAX, NULL },
	    .from = nholders };
	size_t task = ntasks, before = count_findings();
	size_t nfds;

	l.dir = open_task(&l.task);
	if (l.dir == -1)
		return -1;
	if (!take_risk(pid, READ)) {
		count_warning("process", "not read", kept_waiting);
		close(l.dir);
		return 0;
	}
	tasks = grow(tasks, &tasks_room, ntasks, sizeof *tasks);
	tasks[ntasks++] = l.task;
	l.task.netns = netns_of(l.dir, (uint32_t)task);
	nfds = read_fds(l.dir, (uint32_t)task, 0, 0);
	l.to = nholders;
	if (count_findings() > before && (needs & NEED_PROCESS) != 0)
		l.task.details = read_details(pid, l.dir, l.dir);
	tasks[task] = l.task;
	/* What refuses its leader's descriptors refuses its threads'. */
	if (nfds != SIZE_MAX)
		read_threads(&l);
	close(l.dir);
	end_risk();
	return 0;
}

/*
 * The sockets that are registered with a ring: a process may close their
 * descriptors and go on to use them.  In fdinfo, "    0: socket:[123]".
 * From Linux 6.14.8 on a ring that is in use at that moment tells nothing,
 * and a process can keep it so.  Returns whether there was anything of a ring.
 */
static int
read_registered(const char *path, uint32_t task)
{
	static size_t spare = 1 << 20;	/* lines: each ring may have so many */
	struct field f[2];
	struct reader r;
	uint64_t inode;
	ptrdiff_t len;
	char *line;
	int told = 1;

	if (open_lines(&r, proc, path) == -1)
		return 1;
	while ((len = read_line(&r, '\n', &line)) != -1) {
		risk->steps++;
		if (spare == 0) {
			count_warning("io_uring", "fdinfo", "too many files");
			told = 1;
			break;
		}
		spare--;
		if (split_some(line, (size_t)len, f, 2) != 2)
			continue;
		/* What each file has (Linux 5.14), and what a ring has. */
		if (field_is(&f[0], "ino:"))
			told = 0;
		else if (field_is(&f[0], "UserFiles:"))
			told = 1;
		else if (parse_link(f[1].s, (ssize_t)f[1].len, "socket:[",
		    &inode) == 0)
			add_holder(inode, task, NONE);
	}
	close_lines(&r, "fdinfo");
	return told;
}

/*
 * Reads a ring as often as it takes, unless it has been closed by now and
 * another file has its number.
 */
static void
read_ring(const struct ring *ring)
{
	static int tries = 10000;	/* for all rings: 0.1 s */
	const struct task *t = &tasks[ring->task];
	char info[64], path[64], link[64];

	format(info, sizeof info, "%d/task/%d/fdinfo/%d", t->pid, t->tid,
	    ring->fd);
	descriptor_path(path, sizeof path, t, ring->fd);
	while (!read_registered(info, ring->task)) {
		if (root == NULL && !is_ring(link, readlinkat(proc, path, link,
		    sizeof link)))
			break;
		if (root != NULL || --tries <= 0) {
			count_warning("io_uring", "fdinfo", "locked");
			break;
		}
	}
}

/* Holders by inode */

/* The order of rows: by pid and fd; one inode of a number beside another. */
static int
compare_holders(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;
	int xpid = tasks[x->task].pid, ypid = tasks[y->task].pid;

	if (xpid != ypid)
		return (xpid > ypid) - (xpid < ypid);
	if (x->fd != y->fd)
		return (x->fd > y->fd) - (x->fd < y->fd);
	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* The high bits of a product by any odd number spread what it is made of. */
static size_t
hash(uint64_t key, size_t mask)
{
	return (size_t)(key * multiplier >>
	    __builtin_clzll(mask));
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

static uint32_t *
new_buckets(uint32_t *old, size_t mask)
{
	free(old);
	return allocate((mask + 1) * sizeof *old);
}

/*
 * Orders the holders by pid and fd.  Threads that share descriptors with
 * each other but not with their leader told of them more than once; it is
 * the first of them whose table it is.
 */
static void
sort_holders(void)
{
	size_t i, n = 0;

	for (i = 1; i < nholders; i++)
		if (compare_holders(&holders[i - 1], &holders[i]) >= 0)
			break;
	if (i >= nholders)
		return;
	qsort(holders, nholders, sizeof *holders, compare_holders);
	for (i = 0; i < nholders; i++)
		if (n == 0 || compare_holders(&holders[n - 1],
		    &holders[i]) != 0)
			holders[n++] = holders[i];
		else if (holders[i].task < holders[n - 1].task)
			holders[n - 1].task = holders[i].task;
	nholders = n;
}

/* Makes the holders found by inode. */
static void
index_holders(void)
{
	size_t i;
	uint32_t *bucket;

	if (nholders >= UINT32_MAX)
		give_up(EOVERFLOW);
	holder_mask = hash_mask(nholders);
	holder_buckets = new_buckets(NULL, holder_mask);
	for (i = nholders; i-- > 0;) {
		bucket = &holder_buckets[hash(holders[i].inode, holder_mask)];
		holders[i].next = *bucket;
		*bucket = (uint32_t)i + 1;
	}
}

/* The first holder at or behind the link that holds inode, or null. */
static const struct holder *
next_holder(uint32_t link, uint64_t inode)
{
	for (; link != 0; link = holders[link - 1].next)
		if (holders[link - 1].inode == inode)
			return &holders[link - 1];
	return NULL;
}

static const struct holder *
first_holder(uint64_t inode)
{
	if (inode == 0)
		return NULL;
	return next_holder(holder_buckets[hash(inode, holder_mask)], inode);
}

/* All processes */

/* Whether -p lets rows of this process through; -1: nobody's. */
static int
is_wanted(int pid)
{
	return npids == 0 || bsearch(&pid, pids, npids, sizeof *pids,
	    compare_ints) != NULL;
}

static void
list_processes(void)
{
	size_t i;

	if (read_numbers(proc, &processes) == -1)
		fatal("%s/proc: %s", root != NULL ? root : "",
		    strerror(errno));
	for (i = 0; i < npids; i++)
		if (pids[i] != NONE && bsearch(&pids[i], processes.n,
		    processes.count, sizeof *pids, compare_ints) == NULL)
			warning("process %d: %s", pids[i], strerror(ESRCH));
}

/*
 * The helper.  Of the time that a busy host takes, two thirds go to links of
 * descriptors and one to tables.  So a child reads most of the processes
 * while we read the tables of the first namespace, and leaves its reports in
 * memory that we share.  What is not plain (it has threads, it refuses, it
 * vanished, it is the first of its namespace) we read ourselves, and all of
 * it if the child fails.  A report says what we would have read: the helper
 * is the same program, confined as we are.
 */
struct report {
	uint64_t netns, nholders;	/* the holders are behind it */
	int plain;
};

static void
add_report(const void *s, size_t n)
{
	if (n > (size_t)(reports_end - reports))
		_exit(1);
	memcpy(reports, s, n);
	reports += n;
}

static void
report_process(int pid)
{
	struct report r = { 0, 0, 0 };

	ntasks = nholders = nrings = nnamespaces = nns_links = 0;
	status = 0;
	if (read_process(pid) == 0 && status == 0 && ntasks == 1 &&
	    nrings + nns_links == 0 && nnamespaces == 1 &&
	    namespaces->inode != 0)
		r = (struct report){ namespaces->inode, nholders, 1 };
	add_report(&r, sizeof r);
	if (r.nholders > 0)
		add_report(holders, nholders * sizeof *holders);
}

/* Starts the helper where it is worth its while, before confine_psock. */
static void
start_helper(void)
{
	enum { WORTH_IT = 100 };	/* processes */
	const size_t size = 64 << 20;	/* what is not used is not there */
	size_t i;

	own_share = processes.count;
	if (root != NULL || (needs & NEED_PROCESS) != 0 || !want_ownerless ||
	    processes.count < WORTH_IT)
		return;
	reports = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reports == MAP_FAILED)
		return;
	reports_end = reports + size;
	helper = _Fork();
	if (helper == -1)
		return;
	own_share = processes.count / 4;
	if (helper != 0)
		return;
	if (risk != &unwatched)
		risk++;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	confine_psock();
	for (i = own_share; i < processes.count; i++)
		report_process(processes.n[i]);
	_exit(0);
}

/* Waits for the helper; where it failed there are no reports. */
static void
await_helper(void)
{
	int result;

	if (waitpid(helper, &result, 0) != helper || result != 0)
		reports = reports_end;
}

/* Takes the next report, that of a process; -1 where we read that. */
static int
take_report(int pid)
{
	struct report r;
	const char *from;
	uint32_t ns;

	if ((size_t)(reports_end - reports) < sizeof r)
		return -1;
	memcpy(&r, reports, sizeof r);
	from = reports += sizeof r;
	if (r.nholders > (size_t)(reports_end - reports) / sizeof *holders)
		return -1;
	reports += r.nholders * sizeof *holders;
	ns = find_netns(r.netns);
	if (!r.plain || ns == UINT32_MAX)	/* netns_of tells it better */
		return -1;
	holders = grow(holders, &holders_room, nholders + r.nholders,
	    sizeof *holders);
	memcpy(holders + nholders, from, r.nholders * sizeof *holders);
	tasks = grow(tasks, &tasks_room, ntasks, sizeof *tasks);
	tasks[ntasks] = (struct task){ pid, pid, ns, NULL };
	for (; r.nholders > 0; r.nholders--)
		holders[nholders++].task = (uint32_t)ntasks;
	ntasks++;
	return 0;
}

/* The worker */

/*
 * Starts one, which writes to us.  Returns its number, 0 in itself, or -1
 * where there can be none: what is to be done is done without.
 */
static pid_t
start_worker(struct pollfd from[2])
{
	int ends[2], to[2], n;
	pid_t pid = -1;

	for (n = 0; n < 2 && pipe(ends) == 0; n++) {
		from[n] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
		to[n] = ends[1];
		/* With 64 KiB we would wake each other all the time. */
		(void)syscall(SYS_fcntl, ends[1], F_SETPIPE_SZ, 1 << 20);
	}
	risk = mmap(NULL, 2 * sizeof *risk, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (risk == MAP_FAILED)
		risk = &unwatched;
	else if (n == 2)
		pid = _Fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		dup2(to[0], STDOUT_FILENO);
		dup2(to[1], STDERR_FILENO);
	}
	while (n-- > 0) {
		close(to[n]);
		if (pid <= 0)
			close(from[n].fd);
	}
	return pid;
}

/* Whether the worker, or its helper, has waited too long: then for what. */
static int
has_waited(uint32_t steps[2], unsigned *seconds)
{
	const unsigned most = navoided == 0 ? MAX_WAIT : MAX_MORE;
	int i;

	for (i = 0; i < 2; i++) {
		if (risk[i].kind != 0 && risk[i].steps - steps[i] < FEW_STEPS &&
		    ++*seconds >= most) {
			avoided[navoided].pid = risk[i].pid;
			avoided[navoided++].kind = risk[i].kind;
			return 1;
		}
		steps[i] = risk[i].steps;
	}
	return 0;
}

/* What the worker has to say comes behind its rows. */
static char *said;
static size_t said_length, said_room;

/* Passes on what the worker writes; -1: it has waited too long. */
static int
relay(struct pollfd from[2])
{
	static char buf[65536];
	uint32_t steps[2] = { 0, 0 };
	unsigned seconds = 0;
	ssize_t got;
	int i;

	said_length = 0;
	while (from[0].fd != -1 || from[1].fd != -1) {
		if (poll(from, 2, 1000) == 0 && has_waited(steps, &seconds))
			return -1;
		for (i = 0; i < 2; i++) {
			if (from[i].revents == 0)
				continue;
			from[i].revents = 0;
			got = read(from[i].fd, buf, sizeof buf);
			if (got == -1)
				fatal("worker: %s", strerror(errno));
			if (got == 0) {
				close(from[i].fd);
				from[i].fd = -1;
			} else if (i == 0) {
				put_raw(buf, (size_t)got);
			} else {
				said = grow(said, &said_room, said_length +
				    (size_t)got, 1);
				memcpy(said + said_length, buf, (size_t)got);
				said_length += (size_t)got;
			}
		}
	}
	return 0;
}

/* Returns in the worker. */
static void
start_work(void)
{
	struct pollfd from[2];
	pid_t pid;
	int result = 0;

	while ((pid = start_worker(from)) > 0) {
		if (relay(from) == 0) {
			flush_output();
			(void)write_all(STDERR_FILENO, said, said_length);
			if (waitpid(pid, &result, 0) == -1 ||
			    !WIFEXITED(result))
				fatal("killed by signal %d",
				    WTERMSIG(result));
			status = WEXITSTATUS(result);
			_exit(finish());
		}
		kill(pid, SIGKILL);
		close(from[0].fd);
		close(from[1].fd);
	}
}

/* Tables */

/* Keeps text for an entry. */
static void
set_text(struct entry *e, const char *s, size_t len)
{
	if (texts_used > UINT32_MAX - len)
		give_up(EOVERFLOW);
	texts = grow(texts, &texts_room, texts_used + len, 1);
	memcpy(texts + texts_used, s, len);
	e->text = (uint32_t)texts_used;
	e->text_len = (uint16_t)len;
	texts_used += len;
}

/* Whether it is a row of the unix table that names an inode, or was one. */
static int
has_row_bucket(const struct entry *e)
{
	return e->family == AF_UNIX && e->table != UNLISTED && e->inode != 0;
}

/* What same_facts compares, but for the protocol. */
static uint64_t
facts_key(const struct entry *e)
{
	uint64_t key = e->netns, word;
	const char *s = text_of(e);
	size_t i;

	for (i = 0; i < sizeof e->local; i += sizeof word) {
		memcpy(&word, e->local + i, sizeof word);
		key = key * multiplier + word;
		memcpy(&word, e->remote + i, sizeof word);
		key = key * multiplier + word;
	}
	for (i = 0; i < e->text_len; i++)
		key = key * multiplier + (unsigned char)s[i];
	key = key * multiplier + e->type;
	if (e->family == AF_UNIX)
		key = key * multiplier + e->state;
	key = key * multiplier + e->local_port;
	return key * multiplier + e->remote_port;
}

/* By its inode; TIME_WAIT and a waiting connection have none. */
static uint32_t *
entry_bucket(const struct entry *e)
{
	uint64_t key = e->inode != 0 ? e->inode : facts_key(e);

	return &entry_buckets[hash(key, entry_mask)];
}

/*
 * Where a row of the unix table is looked for: the first one of its inode in
 * a namespace by these numbers, the others, of which thousands may be forged,
 * by all that they say.
 */
static uint32_t *
row_bucket(const struct entry *e, int first)
{
	uint64_t key = first ? e->netns : facts_key(e);

	return &row_buckets[hash(key + e->inode * multiplier,
	    entry_mask / 4)];
}

static void
link_entry(uint32_t i)
{
	struct entry *e = &entries[i];
	uint32_t *bucket = entry_bucket(e);

	e->next = *bucket;
	*bucket = i + 1;
	if (has_row_bucket(e)) {
		bucket = row_bucket(e, e->flags & FIRST);
		e->next_row = *bucket;
		*bucket = i + 1;
	}
}

static void
index_entries(size_t room)
{
	uint32_t i;

	entry_mask = hash_mask(room);
	entry_buckets = new_buckets(entry_buckets, entry_mask);
	row_buckets = new_buckets(row_buckets, entry_mask / 4);
	for (i = 0; i < nentries; i++)
		link_entry(i);
}

static int
same_facts(const struct entry *a, const struct entry *b)
{
	return a->netns == b->netns && a->family == b->family &&
	    a->protocol == b->protocol && a->type == b->type &&
	    (a->state == b->state || a->family != AF_UNIX) &&
	    a->local_port == b->local_port &&
	    a->remote_port == b->remote_port &&
	    memcmp(a->local, b->local, sizeof a->local) == 0 &&
	    memcmp(a->remote, b->remote, sizeof a->remote) == 0 &&
	    a->text_len == b->text_len &&
	    memcmp(text_of(a), text_of(b), a->text_len) == 0;
}

/*
 * Connections that wait at one unix socket look alike: one entry stands for
 * as many of them as it is told, up to WAITING_MAX.
 */
static int
is_waiting(const struct entry *e)
{
	return e->inode == 0 && e->family == AF_UNIX;
}

/*
 * Whether a is told already by b.  icmp6 lists IPv4 ping sockets as well
 * (seen on Linux 6.18).  In another read of the table, or since it was asked,
 * a socket may have got another address or state.
 */
static int
is_told(const struct entry *a, const struct entry *b)
{
	if (a->inode != 0 && a->inode == b->inode && b->table == UNLISTED)
		return 1;
	if (a->inode != b->inode || a->netns != b->netns)
		return 0;
	if (a->inode == 0)
		return a->table == b->table && same_facts(a, b) &&
		    (a->pass != b->pass || !is_waiting(a) ||
		    b->told < WAITING_MAX);
	return same_facts(a, b) || (a->pass != b->pass &&
	    a->table == b->table) || (b->protocol == IPPROTO_ICMP &&
	    a->protocol == IPPROTO_ICMPV6);
}

/* The first row of an inode of the unix table in its namespace, or 0. */
static uint32_t
find_first_row(const struct entry *e)
{
	uint32_t i = *row_bucket(e, 1);

	while (i != 0 && ((entries[i - 1].flags & FIRST) == 0 ||
	    entries[i - 1].inode != e->inode ||
	    entries[i - 1].netns != e->netns))
		i = entries[i - 1].next_row;
	return i;
}

/* The row that says the same, where first is the first one of its inode. */
static uint32_t
find_same_row(const struct entry *e, uint32_t first)
{
	uint32_t i = first;

	if (i == 0 || same_facts(e, &entries[i - 1]))
		return i;
	i = *row_bucket(e, 0);
	while (i != 0 && (entries[i - 1].inode != e->inode ||
	    !same_facts(e, &entries[i - 1])))
		i = entries[i - 1].next_row;
	return i;
}

/*
 * The entry, as its index + 1, that stands for e already, rather one that says
 * the same than one that was another then; 0: none.  Sets FIRST of e.
 */
static uint32_t
find_told(struct entry *e)
{
	uint32_t i, told = 0, first = 0;

	if (has_row_bucket(e)) {
		first = find_first_row(e);
		e->flags |= first == 0 ? FIRST : 0;
	}
	if (first != 0) {
		told = find_same_row(e, first);
		if (told == 0 && is_told(e, &entries[first - 1]))
			told = first;
		return told;
	}
	i = *entry_bucket(e);
	for (; i != 0; i = entries[i - 1].next)
		if (is_told(e, &entries[i - 1])) {
			told = i;
			if (same_facts(e, &entries[i - 1]))
				break;
		}
	return told;
}

/* Adds an entry, unless it is told already or nobody wants it. */
static void
add_entry(struct entry *e)
{
	static uint32_t last;	/* tells the one before; 0: none, else +1 */
	uint32_t told, before = last;
	struct entry *other;

	last = 0;
	if (!want_ownerless && first_holder(e->inode) == NULL)
		return;
	/* Each entry of a chain is another line of the cache. */
	if (2 * nentries >= entry_mask)
		index_entries(8 * nentries);
	told = find_told(e);
	if (told == 0) {
		if (nentries >= UINT32_MAX - 1)
			give_up(EOVERFLOW);
		entries = grow(entries, &entries_room, nentries,
		    sizeof *entries);
		e->told = 0;
		entries[nentries] = *e;
		link_entry((uint32_t)nentries++);
		told = (uint32_t)nentries;
	}
	other = &entries[told - 1];
	if (other->pass == e->pass && other->told < UINT8_MAX &&
	    same_facts(other, e))
		other->told++;
	if ((e->flags & SUSPECT) != 0 && before != 0)
		entries[before - 1].rest = told;
	last = told;
}

/* Takes back the entries from mark on; the newest is first in its bucket. */
static void
drop_entries(size_t mark)
{
	struct entry *e;

	while (nentries > mark) {
		e = &entries[--nentries];
		*entry_bucket(e) = e->next;
		if (has_row_bucket(e))
			*row_bucket(e, e->flags & FIRST) = e->next_row;
	}
}

static const struct entry *
find_entry(uint64_t inode)
{
	uint32_t i = entry_buckets[hash(inode, entry_mask)];

	while (i != 0 && (entries[i - 1].inode != inode ||
	    entries[i - 1].table == FORGED))
		i = entries[i - 1].next;
	return i != 0 ? &entries[i - 1] : NULL;
}

/* "0100007F:22B8": 32-bit words in the host's byte order, port in hex. */
static int
parse_address(const struct field *f, size_t words, unsigned char *address,
    uint32_t *port)
{
	uint64_t value;
	uint32_t word;
	size_t i;

	if (f->len != words * 8 + 5 || f->s[words * 8] != ':')
		return -1;
	for (i = 0; i < words; i++) {
		if (parse_number(f->s + 8 * i, 8, 16, UINT32_MAX, &value) == -1)
			return -1;
		word = (uint32_t)value;
		memcpy(address + 4 * i, &word, sizeof word);
	}
	if (parse_number(f->s + words * 8 + 1, 4, 16, 0xffff, &value) == -1)
		return -1;
	*port = (uint32_t)value;
	return 0;
}

static int
set_number(uint32_t *to, const struct field *f, int base)
{
	uint64_t value;

	if (field_number(f, base, UINT32_MAX, &value) == -1)
		return -1;
	*to = (uint32_t)value;
	return 0;
}

static uint8_t
tcp_state(uint64_t n)
{
	return n > 0 && n < TCP_UNKNOWN ? (uint8_t)n : TCP_UNKNOWN;
}

/* tcp, udp, udplite, raw and icmp, of either family. */
static int
parse_inet(const struct nettable *t, struct entry *e, const struct field *f,
    size_t nfields, const int *place)
{
	const struct field *queue = &f[place[QUEUE]];
	size_t words = t->family == AF_INET ? 1 : 4;
	uint64_t state, value;

	(void)nfields;
	if (parse_address(&f[place[LOCAL]], words, e->local,
	    &e->local_port) == -1 ||
	    parse_address(&f[place[REMOTE]], words, e->remote,
	    &e->remote_port) == -1 ||
	    field_number(&f[place[STATE]], 16, 0xff, &state) == -1 ||
	    set_number(&e->owner, &f[place[OWNER]], 10) == -1 ||
	    field_number(&f[place[INODE]], 10, UINT64_MAX, &e->inode) == -1)
		return -1;
	if (queue->len != 17 || queue->s[8] != ':' ||
	    parse_number(queue->s, 8, 16, UINT32_MAX, &value) == -1)
		return -1;
	e->tx_queue = (uint32_t)value;
	if (parse_number(queue->s + 9, 8, 16, UINT32_MAX, &value) == -1)
		return -1;
	e->rx_queue = (uint32_t)value;
	if (t->protocol == IPPROTO_TCP)
		e->state = tcp_state(state);
	return 0;
}

/*
 * "Num: RefCount Protocol Flags Type St Inode[ Path]"; what read_unix hands
 * over has that form already and its path in the text.
 */
static int
parse_unix(const struct nettable *t, struct entry *e, const struct field *f,
    size_t nfields, const int *place)
{
	uint64_t flags, type, state;

	(void)t;
	(void)place;
	if (nfields < 7 || field_number(&f[3], 16, UINT32_MAX, &flags) == -1 ||
	    field_number(&f[4], 16, 0xffff, &type) == -1 ||
	    field_number(&f[5], 16, 0xff, &state) == -1 ||
	    field_number(&f[6], 10, UINT64_MAX, &e->inode) == -1)
		return -1;
	e->type = (uint8_t)(type <= 5 ? type : 0);
	e->state = (uint8_t)((flags & __SO_ACCEPTCON) != 0 ? UNIX_LISTEN :
	    state <= SS_DISCONNECTING ? STATE_UNIX + state : STATE_UNIX);
	return 0;
}

static int
parse_packet(const struct nettable *t, struct entry *e, const struct field *f,
    size_t nfields, const int *place)
{
	uint64_t type, protocol;

	(void)t;
	(void)nfields;
	if (field_number(&f[place[TYPE]], 10, 0xffff, &type) == -1 ||
	    field_number(&f[place[PROTOCOL]], 16, 0xffff, &protocol) == -1 ||
	    set_number(&e->local_port, &f[place[IFACE]], 10) == -1 ||
	    set_number(&e->rx_queue, &f[place[RX_QUEUE]], 10) == -1 ||
	    set_number(&e->owner, &f[place[OWNER]], 10) == -1 ||
	    field_number(&f[place[INODE]], 10, UINT64_MAX, &e->inode) == -1)
		return -1;
	/* 10 is SOCK_PACKET, obsolete since Linux 2.0. */
	e->type = (uint8_t)(type <= 5 ? type : 0);
	e->protocol = (uint16_t)protocol;
	return 0;
}

static int
parse_netlink(const struct nettable *t, struct entry *e,
    const struct field *f, size_t nfields, const int *place)
{
	uint64_t protocol;

	(void)t;
	(void)nfields;
	if (field_number(&f[place[PROTOCOL]], 10, 0xffff, &protocol) == -1 ||
	    set_number(&e->rx_queue, &f[place[RX_QUEUE]], 10) == -1)
		return -1;
	e->protocol = (uint16_t)protocol;
	/* Linux 2.6.12 has no inode here. */
	if (place[INODE] == NONE)
		return 0;
	return field_number(&f[place[INODE]], 10, UINT64_MAX, &e->inode);
}

/* "10.0.0.1", or "fd00:0000:0000:0000:0000:0000:0000:0001": all of it. */
static int
parse_sctp_address(const char *s, size_t len, uint16_t *family,
    unsigned char *address)
{
	const char *end = s + len, *next;
	const int v4 = memchr(s, '.', len) != NULL;
	size_t words = v4 ? 4 : 8;
	uint64_t value;

	*family = v4 ? AF_INET : AF_INET6;
	for (; words > 0; words--) {
		next = end;
		if (words > 1)
			next = memchr(s, v4 ? '.' : ':', (size_t)(end - s));
		if (next == NULL || parse_number(s, (size_t)(next - s),
		    v4 ? 10 : 16, v4 ? 0xff : 0xffff, &value) == -1)
			return -1;
		s = next + (words > 1);
		if (!v4)
			*address++ = (unsigned char)(value >> 8);
		*address++ = (unsigned char)value;
	}
	return 0;
}

/*
 * The address of a list of addresses that is marked as the primary one, or
 * the first: "*10.0.0.1 10.0.0.2".  Sets *next behind the list.
 */
static int
parse_sctp_list(const struct field *f, size_t nfields, size_t *next,
    uint16_t *family, unsigned char *address)
{
	const struct field *best = NULL;
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

/* Beside an IPv6 address, one of IPv4 is written as a mapped one. */
static void
map_address(const struct entry *e, uint16_t family, unsigned char *address)
{
	if (e->family == AF_INET6 && family == AF_INET) {
		memcpy(address + 12, address, 4);
		memset(address, 0, 10);
		memset(address + 10, 0xff, 2);
	}
}

/*
 * sctp/eps and sctp/assocs.  The lists of addresses move what is behind
 * them; all that is wanted stands before them but the addresses.
 */
static int
parse_sctp(const struct nettable *t, struct entry *e, const struct field *f,
    size_t nfields, const int *place)
{
	/* 0 and 1 are one-to-many: enum sctp_socket_type of the kernel. */
	enum { STYLE_TCP = 2 };
	int assoc = place[REMOTE_PORT] != NONE;
	size_t next = (size_t)place[LOCAL];
	uint64_t style = STYLE_TCP, state;
	uint16_t local = 0, remote = 0;

	(void)t;
	if (nfields == MAX_ROW_FIELDS ||	/* it may be cut */
	    set_number(&e->local_port, &f[place[LOCAL_PORT]], 10) == -1 ||
	    field_number(&f[place[STATE]], 10, 0xff, &state) == -1 ||
	    (assoc && set_number(&e->remote_port, &f[place[REMOTE_PORT]],
	    10) == -1) || (place[TYPE] != NONE &&
	    field_number(&f[place[TYPE]], 10, 0xff, &style) == -1) ||
	    (place[OWNER] != NONE &&
	    set_number(&e->owner, &f[place[OWNER]], 10) == -1) ||
	    (place[INODE] != NONE &&
	    field_number(&f[place[INODE]], 10, UINT64_MAX, &e->inode) == -1))
		return -1;
	/* An endpoint has the socket's state, numbered as TCP's. */
	if (assoc)
		e->state = (uint8_t)(state < SCTP_LISTEN - STATE_SCTP ?
		    STATE_SCTP + state : SCTP_UNKNOWN);
	else
		e->state = state == TCP_LISTEN ? SCTP_LISTEN :
		    state == TCP_ESTABLISHED ? SCTP_ESTABLISHED : STATE_SCTP;
	e->type = style == STYLE_TCP ? SOCK_STREAM : SOCK_SEQPACKET;
	if (parse_sctp_list(f, nfields, &next, &local, e->local) == -1)
		return -1;
	if (assoc && (next >= nfields || f[next].len != 3 ||
	    memcmp(f[next++].s, "<->", 3) != 0 ||
	    parse_sctp_list(f, nfields, &next, &remote, e->remote) == -1 ||
	    remote == 0))
		return -1;
	if (local == AF_INET6 || remote == AF_INET6)
		e->family = AF_INET6;
	map_address(e, local, e->local);
	map_address(e, remote, e->remote);
	return 0;
}

/*
 * The names in the header that each parser goes by.  "rem*" stands for
 * rem_address and remote_address.  A leading '?' marks what old kernels lack.
 */
static const char *const inet_columns[MAX_WANTED] = {
	[LOCAL] = "local_address", [REMOTE] = "rem*", [STATE] = "st",
	[QUEUE] = "tx_queue", [OWNER] = "uid", [INODE] = "inode",
};
static const char *const unix_columns[MAX_WANTED] = {
	[TYPE] = "Type", [STATE] = "St", [INODE] = "Inode",
};
static const char *const packet_columns[MAX_WANTED] = {
	[TYPE] = "Type", [PROTOCOL] = "Proto", [IFACE] = "Iface",
	[RX_QUEUE] = "Rmem", [OWNER] = "User", [INODE] = "Inode",
};
static const char *const netlink_columns[MAX_WANTED] = {
	[PROTOCOL] = "Eth", [RX_QUEUE] = "Rmem", [INODE] = "?Inode",
};
static const char *const eps_columns[MAX_WANTED] = {
	[TYPE] = "?STY", [STATE] = "SST", [LOCAL_PORT] = "LPORT",
	[OWNER] = "?UID", [INODE] = "?INODE", [LOCAL] = "LADDRS",
};
static const char *const assocs_columns[MAX_WANTED] = {
	[TYPE] = "?STY", [STATE] = "ST", [LOCAL_PORT] = "LPORT",
	[REMOTE_PORT] = "RPORT", [OWNER] = "?UID", [INODE] = "?INODE",
	[LOCAL] = "LADDRS",
};

/*
 * In the order of the rows.  idle_tables knows tcp and tcp6 by their place,
 * table_of takes the first row of a family that is neither inet nor inet6.
 */
static const struct nettable nettables[] = {
	{ "tcp", "tcp", AF_INET, IPPROTO_TCP, SOCK_STREAM, parse_inet,
	    inet_columns, "TCP:", { "TCP", NULL } },
	{ "tcp6", "tcp6", AF_INET6, IPPROTO_TCP, SOCK_STREAM, parse_inet,
	    inet_columns, "TCP6:", { "TCPv6", NULL } },
	{ "udp", "udp", AF_INET, IPPROTO_UDP, SOCK_DGRAM, parse_inet,
	    inet_columns, "UDP:", { "UDP", NULL } },
	{ "udp6", "udp6", AF_INET6, IPPROTO_UDP, SOCK_DGRAM, parse_inet,
	    inet_columns, "UDP6:", { "UDPv6", NULL } },
	{ "udplite", "udplite", AF_INET, IPPROTO_UDPLITE, SOCK_DGRAM,
	    parse_inet, inet_columns, "UDPLITE:", { "UDP-Lite", NULL } },
	{ "udplite6", "udplite6", AF_INET6, IPPROTO_UDPLITE, SOCK_DGRAM,
	    parse_inet, inet_columns, "UDPLITE6:", { "UDPLITEv6", NULL } },
	{ "raw", "raw", AF_INET, IPPROTO_RAW, SOCK_RAW, parse_inet,
	    inet_columns, "RAW:", { "RAW", NULL } },
	{ "raw6", "raw6", AF_INET6, IPPROTO_RAW, SOCK_RAW, parse_inet,
	    inet_columns, "RAW6:", { "RAWv6", NULL } },
	{ "icmp", "icmp", AF_INET, IPPROTO_ICMP, SOCK_DGRAM, parse_inet,
	    inet_columns, NULL, { NULL, NULL } },
	{ "icmp6", "icmp6", AF_INET6, IPPROTO_ICMPV6, SOCK_DGRAM, parse_inet,
	    inet_columns, NULL, { NULL, NULL } },
	{ "unix", "unix", AF_UNIX, 0, 0, parse_unix,
	    unix_columns, NULL, { "UNIX", "UNIX-STREAM" } },
	{ "packet", "packet", AF_PACKET, 0, 0, parse_packet,
	    packet_columns, NULL, { "PACKET", NULL } },
	{ "netlink", "netlink", AF_NETLINK, 0, 0, parse_netlink,
	    netlink_columns, NULL, { NULL, NULL } },
	{ "sctp", "sctp/eps", AF_INET, IPPROTO_SCTP, 0, parse_sctp,
	    eps_columns, NULL, { NULL, NULL } },
	{ "sctp", "sctp/assocs", AF_INET, IPPROTO_SCTP, 0, parse_sctp,
	    assocs_columns, NULL, { NULL, NULL } },
};
enum { NTABLES = sizeof nettables / sizeof *nettables };
_Static_assert((int)NTABLES <= (int)MAX_TABLES, "struct netns has no room");

/* Whether a name in a header is the wanted one; "rem*" is a prefix. */
static int
is_column(const struct field *f, const char *want)
{
	size_t len = strlen(want) - 1;

	return want[len] != '*' ? field_is(f, want) :
	    f->len >= len && memcmp(f->s, want, len) == 0;
}

/*
 * Finds the places of the wanted columns by the header.  Two of its names
 * share a field with the one before: tx_queue:rx_queue and tr:tm->when.
 */
static int
parse_header(const struct nettable *t, char *line, size_t len, int *place)
{
	static const char *const joined[] = { "rx_queue", "tm->when" };
	struct field f[MAX_FIELDS];
	const char *want;
	size_t i, n, w;
	int at;

	n = split(line, len, f);
	for (w = 0; w < MAX_WANTED; w++) {
		place[w] = NONE;
		want = t->columns[w];
		if (want == NULL)
			continue;
		for (at = 0, i = 0; i < n; i++) {
			if (is_column(&f[i], want + (*want == '?')))
				place[w] = at;
			at += i + 1 == n || (!field_is(&f[i + 1], joined[0]) &&
			    !field_is(&f[i + 1], joined[1]));
			if (place[w] != NONE)
				break;
		}
		if (place[w] == NONE && *want != '?')
			return -1;
	}
	return 0;
}

/* How many rows a table had, and how many of them with an inode. */
struct tally {
	int64_t rows, live;
	uint64_t sum;	/* of the inodes: another one where sockets came */
};

/* The name of an interface, by the files of net/ that tell it. */
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
	struct field f[MAX_FIELDS];
	struct reader r;
	uint64_t value;
	size_t i, n, len = 0;
	ptrdiff_t got;
	char *line;

	for (i = 0; i < sizeof sources / sizeof *sources && len == 0; i++) {
		if (open_lines(&r, netdir, sources[i].file) == -1) {
			count_refusal("table", sources[i].file);
			continue;
		}
		while (len == 0 && (got = read_line(&r, '\n', &line)) != -1) {
			n = split(line, (size_t)got, f);
			if (n <= sources[i].name || field_number(
			    &f[sources[i].index], sources[i].base, UINT32_MAX,
			    &value) == -1 || value != index)
				continue;
			while (len < f[sources[i].name].len && len < size &&
			    f[sources[i].name].s[len] != ':')
				len++;
			memcpy(name, f[sources[i].name].s, len);
		}
		close_lines(&r, sources[i].file);
	}
	if (len == 0)	/* no file of net/ names it */
		len = format(name, size, "%u", index);
	return len;
}

/* A packet row has its interface's index in local_port so far. */
static void
name_interface(int netdir, struct entry *e)
{
	static char name[64];
	static size_t len;
	static uint32_t named, netns = UINT32_MAX;
	uint32_t index = e->local_port;

	e->local_port = 0;
	if ((needs & NEED_INTERFACE) == 0 || index == 0)
		return;
	if (index != named || e->netns != netns)
		len = read_interface(netdir, index, name, sizeof name);
	named = index;
	netns = e->netns;
	set_text(e, name, len);
}

static void
keep_entry(struct entry *e, struct tally *tally)
{
	risk->steps++;
	tally->rows++;
	tally->live += e->inode != 0;
	tally->sum += e->inode;
	add_entry(e);
}

/* Reads the rows behind the header of any table but unix. */
static void
read_rows(struct reader *r, int netdir, const struct nettable *t,
    const struct entry *blank, const int *place, struct tally *tally)
{
	struct field f[MAX_ROW_FIELDS];
	struct entry e;
	size_t n, wanted;
	ptrdiff_t len;
	char *line;
	int i, most = 0;

	for (i = 0; i < MAX_WANTED; i++)
		if (place[i] > most)
			most = place[i];
	/* A list of addresses is the last that sctp's parser wants. */
	wanted = t->parse == parse_sctp ? MAX_ROW_FIELDS : (size_t)most + 1;
	while ((len = read_line(r, '\n', &line)) != -1) {
		n = split_some(line, (size_t)len, f, wanted);
		e = *blank;
		if (!r->ended || n <= (size_t)most ||
		    t->parse(t, &e, f, n, place) == -1) {
			count_warning("line", t->name, "malformed");
			continue;
		}
		if (t->family == AF_PACKET)
			name_interface(netdir, &e);
		keep_entry(&e, tally);
	}
}

static size_t
hex_length(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') ||
		    (s[i] >= 'A' && s[i] <= 'F') ||
		    (s[i] >= 'a' && s[i] <= 'f')))
			break;
	return i;
}

/*
 * The length of the part of a unix row before its path, where the line has
 * the exact form "%pK: %08X %08X %08X %04X %02X %5lu[ path]", else 0.
 */
static size_t
unix_row_length(const char *s, size_t n)
{
	static const unsigned char widths[] = { 8, 8, 8, 4, 2 };
	size_t at, i, digits;

	at = hex_length(s, n);
	if ((at != 8 && at != 16) || at + 1 >= n || s[at] != ':')
		return 0;
	at++;
	for (i = 0; i < sizeof widths; i++) {
		if (n - at < 1u + widths[i] || s[at] != ' ' ||
		    hex_length(s + at + 1, widths[i]) != widths[i])
			return 0;
		at += 1u + widths[i];
	}
	if (at == n || s[at++] != ' ')
		return 0;
	for (i = 0; at < n && s[at] == ' ' && i < 4; i++)
		at++;
	for (digits = 0; at < n && s[at] >= '0' && s[at] <= '9'; digits++)
		at++;
	if (digits == 0 || i + digits < 5 || (at < n && s[at] != ' '))
		return 0;
	return at;
}

/*
 * The unix table.  The kernel writes names raw, newlines included: a line
 * that has not the form of a row goes on with the name before it.
 */
static void
read_unix(struct reader *r, const struct nettable *t,
    const struct entry *blank, struct tally *tally)
{
	struct field f[MAX_FIELDS];
	struct entry e = *blank;
	char name[UNIX_NAME_MAX], *line;
	size_t head, n, used = 0, taken = sizeof name;
	ptrdiff_t len;
	int pending = 0, suspect;

	while ((len = read_line(r, '\n', &line)) != -1) {
		head = unix_row_length(line, (size_t)len);
		n = (size_t)len - head;
		if (head == 0 ? !pending || used + 1 + n > sizeof name :
		    n > sizeof name + 1) {
			count_warning("line", t->name, "malformed");
			continue;
		}
		if (head == 0) {
			name[used++] = '\n';
		} else {
			if (pending) {
				set_text(&e, name, used);
				keep_entry(&e, tally);
			}
			/* A name may hold two rows, the first without one. */
			if ((e.flags & NAMED) != 0)
				taken = used;
			taken += 1 + (size_t)len;
			suspect = taken <= sizeof name;
			e = *blank;
			e.flags = (uint8_t)((suspect ? SUSPECT : 0) |
			    (n > 0 ? NAMED : 0));
			used = 0;
			pending = t->parse(t, &e, f, split(line, head, f),
			    NULL) == 0;
			if (!pending)
				count_warning("line", t->name, "malformed");
			head += n > 0;
			n -= n > 0;
		}
		memcpy(name + used, line + head, n);
		used += n;
	}
	if (pending) {
		set_text(&e, name, used);
		keep_entry(&e, tally);
	}
}

/* Returns -1 where the namespace has no such table. */
static int
read_table(int netdir, size_t table, uint32_t ns, int pass,
    struct tally *tally)
{
	const struct nettable *t = &nettables[table];
	const struct entry blank = { .family = t->family, .netns = ns,
	    .protocol = t->protocol, .type = t->type,
	    .owner = NOT_TOLD, .rx_queue = NOT_TOLD, .tx_queue = NOT_TOLD,
	    .table = (uint8_t)table, .pass = (uint8_t)pass };
	int place[MAX_WANTED];
	struct reader r;
	ptrdiff_t len;
	char *line;

	*tally = (struct tally){ 0, 0, 0 };
	risk->steps += FEW_STEPS;	/* a hash may be large, and empty */
	if (open_lines(&r, netdir, t->file) == -1) {
		count_refusal("table", t->file);
		return -1;
	}
	len = read_line(&r, '\n', &line);
	if (len == -1 || parse_header(t, line, (size_t)len, place) == -1) {
		if (r.error == 0)
			count_warning("table", t->file, "unknown header");
	} else if (t->family == AF_UNIX) {
		read_unix(&r, t, &blank, tally);
	} else {
		read_rows(&r, netdir, t, &blank, place, tally);
	}
	close_lines(&r, t->file);
	return 0;
}

/* Namespaces */

/* Takes one line of net/sockstat: "TCP: inuse 0 orphan 0 tw 0 ...". */
static void
parse_sockstat(const struct field *f, size_t n, unsigned *idle, int *waiting)
{
	size_t t;

	if (n < 3 || !field_is(&f[1], "inuse"))
		return;
	if (n >= 7 && field_is(&f[5], "tw"))
		*waiting = !field_is(&f[6], "0");
	for (t = 0; t < NTABLES && field_is(&f[2], "0"); t++)
		if (nettables[t].sockstat != NULL &&
		    field_is(&f[0], nettables[t].sockstat))
			*idle |= 1u << t;
}

/*
 * The tables that net/sockstat and net/sockstat6 say are empty: their hash
 * need not be walked.  tw counts both families, and a listener of tcp6 may
 * have connections of tcp that are not accepted yet.
 */
static unsigned
idle_tables(int netdir)
{
	static const char *const files[] = { "sockstat", "sockstat6" };
	enum { TCP = 1 << 0, TCP6 = 1 << 1 };	/* the first two tables */
	struct field f[MAX_FIELDS];
	struct reader r;
	unsigned idle = 0;
	int waiting = 1;
	size_t i;
	ptrdiff_t len;
	char *line;

	for (i = 0; i < 2; i++) {
		if (open_lines(&r, netdir, files[i]) == -1)
			return 0;
		while ((len = read_line(&r, '\n', &line)) != -1)
			parse_sockstat(f, split(line, (size_t)len, f), &idle,
			    &waiting);
		close_lines(&r, files[i]);
	}
	if (waiting)
		idle &= ~(unsigned)(TCP | TCP6);
	if ((idle & TCP6) == 0)
		idle &= ~(unsigned)TCP;
	return idle;
}

/* Whether net/protocols counts the sockets of a table under this name. */
static int
is_counted(const struct nettable *t, const struct field *name)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (t->counted[i] != NULL && field_is(name, t->counted[i]))
			return 1;
	return 0;
}

/* The sockets of each table by net/protocols; -1: not told. */
static void
read_counts(int netdir, int64_t *counts)
{
	struct field f[MAX_FIELDS];
	struct reader r;
	uint64_t value;
	size_t t;
	ptrdiff_t len;
	char *line;

	for (t = 0; t < NTABLES; t++)
		counts[t] = -1;
	if (open_lines(&r, netdir, "protocols") == -1)
		return;
	while ((len = read_line(&r, '\n', &line)) != -1) {
		if (split(line, (size_t)len, f) < 3 ||
		    field_number(&f[2], 10, INT32_MAX, &value) == -1)
			continue;
		for (t = 0; t < NTABLES; t++)
			if (is_counted(&nettables[t], &f[0]))
				counts[t] = (counts[t] < 0 ? 0 : counts[t]) +
				    (int64_t)value;
	}
	close_lines(&r, "protocols");
}

/*
 * Whether a table had another number of rows than net/protocols counts.
 * TIME_WAIT and the like are rows but not counted.  All unix rows are, and
 * so are sockets that are closed but whose datagrams are still to be read.
 */
static int
is_doubtful(const struct nettable *t, const struct tally *y, int64_t count)
{
	if (t->family == AF_UNIX)
		return count < y->rows;
	return count < y->live || count > y->rows;
}

/*
 * Holds a table's rows against net/protocols.  Where sockets come and go
 * they disagree by chance, but not twice over the same sockets.
 */
static void
judge_counts(struct netns *ns, size_t table, const struct tally *y,
    int64_t before, int64_t after)
{
	unsigned bit = 1u << table;

	ns->doubtful &= ~bit;
	ns->steady &= ~bit;
	if (before != -1 && before == after &&
	    is_doubtful(&nettables[table], y, after)) {
		ns->doubtful |= bit;
		/* Below another root there is one read, and nothing moves. */
		if (root != NULL || y->sum == ns->sums[table])
			ns->steady |= bit;
	}
	ns->sums[table] = y->sum;
}

/* Reads the wanted tables of a namespace; returns 0 where there is none. */
static int
read_tables(int netdir, uint32_t ns, int pass)
{
	int64_t before[NTABLES], after[NTABLES];
	struct tally tallies[NTABLES];
	unsigned bit, want = namespaces[ns].want, read = 0;
	size_t t;

	read_counts(netdir, before);
	/* Only a table of the kernel's own costs time when it is empty. */
	if (root == NULL)
		want &= ~idle_tables(netdir);
	for (t = 0; t < NTABLES; t++) {
		bit = 1u << t;
		if ((want & bit) != 0 &&
		    read_table(netdir, t, ns, pass, &tallies[t]) == 0)
			read |= bit;
	}
	read_counts(netdir, after);
	for (t = 0; t < NTABLES; t++)
		if ((read & 1u << t) != 0)
			judge_counts(&namespaces[ns], t, &tallies[t],
			    before[t], after[t]);
	/* One that is idle was left out. */
	return read != 0 || want != namespaces[ns].want;
}

/* Whether the task that dir belongs to is (still) in the namespace. */
static int
is_in_netns(int dir, const struct netns *ns)
{
	uint64_t inode;

	if (ns->inode != 0 && read_netns_inode(dir, &inode) == 0)
		return inode == ns->inode;
	return ns->table_inode == 0 ||
	    read_table_inode(dir) == ns->table_inode;
}

/* Reads a namespace through a task in it; returns 0 where that ended. */
static int
read_through(const struct task *t, uint32_t ns, int pass)
{
	size_t mark = nentries;
	int dir, netdir, done = 0;

	if (!take_risk(t->pid, TABLES)) {
		count_warning("process", "net", kept_waiting);
		return 0;
	}
	dir = open_task(t);
	if (dir == -1) {
		count_refusal("process", "directory");
		end_risk();
		return 0;
	}
	netdir = open_below(dir, "net", O_DIRECTORY);
	if (netdir != -1) {
		read_tables(netdir, ns, pass);
		close(netdir);
		done = is_in_netns(dir, &namespaces[ns]);
	} else if (!is_gone(errno) && errno != EINVAL) {
		count_warning("process", "net", strerror(errno));
	}
	close(dir);
	end_risk();
	if (!done)
		drop_entries(mark);
	return done;
}

/* Enters a namespace that no process is in, reads it and comes back. */
static void
read_entered(uint32_t ns, int pass)
{
	int home, netdir;

	home = open_below(proc, "self/ns/net", 0);
	if (home == -1 || setns(namespaces[ns].fd, CLONE_NEWNET) == -1) {
		count_warning("namespace", "setns", strerror(errno));
		if (home != -1)
			close(home);
		return;
	}
	netdir = open_below(proc, "self/net", O_DIRECTORY);
	if (netdir != -1) {
		read_tables(netdir, ns, pass);
		close(netdir);
	} else {
		count_warning("namespace", "net", strerror(errno));
	}
	if (setns(home, CLONE_NEWNET) == -1)
		fatal("setns: %s", strerror(errno));
	close(home);
}

/* Returns 0 where no process of the namespace could serve. */
static int
read_netns(uint32_t ns, int pass)
{
	size_t i;

	if (namespaces[ns].fd != NONE) {
		read_entered(ns, pass);
		return 1;
	}
	for (i = namespaces[ns].first_task; i < ntasks; i++)
		if (tasks[i].netns == ns && read_through(&tasks[i], ns, pass))
			return 1;
	return 0;
}

/* No process has tables of its own: before Linux 2.6.25, or none is left. */
static void
read_sole_netns(void)
{
	int netdir = open_below(proc, "net", O_DIRECTORY), found = 0;

	if (nnamespaces == 0)
		add_netns(0, 0, 0, NONE);
	if (netdir != -1) {
		found = read_tables(netdir, 0, 0);
		close(netdir);
	}
	if (!found && ntasks == 0)
		fatal("%s/proc: no process and no table",
		    root != NULL ? root : "");
	if (!found)
		warning("net: no table");
}

static uint32_t
keep_netns(int fd, uint64_t inode)
{
	uint32_t ns = find_netns(inode);

	if (ns == UINT32_MAX)
		return add_netns(inode, 0, 0, fd);
	close(fd);
	return ns;
}

/*
 * Opens a namespace for setns(2).  By now its path may lead to any file, and
 * to open that may do something: so it is looked at first.  Returns -1 with
 * errno; ENOENT where it is another file.
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

/* The namespaces that only a mount or a descriptor keeps. */
static void
add_linked_netns(void)
{
	const struct ns_link *l;
	int fd;

	for (l = ns_links; l < ns_links + nns_links; l++) {
		if (find_netns(l->inode) != UINT32_MAX)
			continue;
		if (!take_risk(l->path != NULL ? NONE : tasks[l->task].pid,
		    READ)) {
			count_warning("namespace", "open", kept_waiting);
			continue;
		}
		fd = open_netns(l);
		end_risk();
		if (fd == -1)
			count_refusal("namespace", "open");
		else
			keep_netns(fd, l->inode);
	}
}

/* Processes and tables at once */

/*
 * Reads the processes that are asked for; while the helper reads its share,
 * the tables of the first namespace.
 */
static void
read_all(void)
{
	size_t i;

	for (i = 0; i < processes.count; i++) {
		if (!want_ownerless && !is_wanted(processes.n[i]))
			continue;
		if (i == own_share) {
			if (nnamespaces > 0 && read_netns(0, 0))
				namespaces[0].want = 0;
			await_helper();
		}
		if ((i < own_share || take_report(processes.n[i]) == -1) &&
		    read_process(processes.n[i]) == -1)
			count_refusal("process", "directory");
	}
}

static void
read_processes(void)
{
	size_t i;

	read_all();
	for (i = 0; i < nrings; i++) {
		/* By now its number may be that of what keeps us waiting. */
		if (take_risk(tasks[rings[i].task].pid, READ))
			read_ring(&rings[i]);
		end_risk();
	}
	sort_holders();
	index_holders();
}

/* Mounts */

/* Undoes the \ooo of mountinfo in place. */
static void
decode_octal(char *s)
{
	uint64_t hi, mid, lo;
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && parse_number(s + 1, s[1] != '\0', 10, 3,
		    &hi) == 0 && parse_number(s + 2, s[2] != '\0', 10, 7,
		    &mid) == 0 && parse_number(s + 3, s[3] != '\0', 10, 7,
		    &lo) == 0) {
			*to++ = (char)(hi * 64 + mid * 8 + lo);
			s += 4;
		} else {
			*to++ = *s++;
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

/* Whether the options of a procfs keep other users' processes from us. */
static int
hides_others(const struct field *options)
{
	static const char name[] = "hidepid=";
	const size_t len = sizeof name - 1;
	size_t i;

	for (i = 0; i + len < options->len; i++)
		if (memcmp(options->s + i, name, len) == 0)
			return options->s[i + len] != '0';
	return 0;
}

/*
 * Looks at one mount: "id parent dev root mountpoint options ... - type
 * source superoptions".  Returns 1 where it hides a process.
 */
static int
look_at_mount(char *line, size_t len)
{
	struct field f[MAX_FIELDS];
	uint64_t inode;
	size_t n, dash;
	char path[PATH_MAX];

	n = split(line, len, f);
	for (dash = 6; dash < n && !field_is(&f[dash], "-"); dash++)
		;
	if (dash + 1 >= n || f[4].len >= sizeof path)
		return 0;
	memcpy(path, f[4].s, f[4].len);
	path[f[4].len] = '\0';
	decode_octal(path);
	if (field_is(&f[dash + 1], "nsfs") && want_ownerless &&
	    parse_link(f[3].s, (ssize_t)f[3].len, "net:[", &inode) == 0)
		add_ns_link(inode, 0, NONE, path);
	if (strcmp(path, "/proc") == 0 && getauxval(AT_EUID) != 0 &&
	    dash + 3 < n && hides_others(&f[dash + 3]))
		warning("/proc: mounted with hidepid: processes of other "
		    "users are not seen");
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

static void
use_own_proc(const char *why, int refused)
{
	int fd = mount_proc(), before = status;

	if (fd == -1) {
		warning("/proc: %s", why);
		if (refused)
			fatal("/proc: no other can be mounted");
		return;
	}
	warning("/proc: %s; read through a procfs of our own", why);
	status = before;	/* nothing is missing */
	close(proc);
	proc = fd;
}

static void
read_mounts(void)
{
	struct reader r;
	ptrdiff_t len;
	char *line;
	int hidden = 0;

	if (!is_whole_proc(proc))
		use_own_proc("not a whole procfs", 1);
	if (open_lines(&r, proc, "self/mountinfo") == -1) {
		count_refusal("file", "mountinfo");
	} else {
		while ((len = read_line(&r, '\n', &line)) != -1)
			hidden += look_at_mount(line, (size_t)len);
		close_lines(&r, "mountinfo");
	}
	if (hidden != 0)
		use_own_proc("something is hidden by mounts below it", 0);
	/* For getxattr(2), which takes no directory. */
	(void)syscall(SYS_fchdir, proc);
}

/* Asking sockets */

/* Counts a socket that errno kept from being asked, if that is unexpected. */
static void
count_unasked(uint64_t inode)
{
	struct holder *h = &holders[first_holder(inode) - holders];

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
	if (h->unasked == 0)
		count_warning("socket", "not asked", errno == ETIMEDOUT ?
		    kept_waiting : strerror(errno));
	h->unasked = 1;
}

/* Returns 0 where the kernel does not tell. */
static int
socket_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, SOL_SOCKET, option, &value, &len) == -1)
		return 0;
	return value;
}

/* By now it may be any file, and its server may never answer. */
static void
return_socket(int fd)
{
	if (fd != -1)
		close(fd);
	end_risk();
}

/* Asks a socket itself: a copy of the holder's descriptor, or -1. */
static int
borrow_socket(const struct holder *h)
{
	const struct task *t = &tasks[h->task];
	struct stat st;
	int pidfd, fd;

	if (!take_risk(t->pid, ASK)) {
		errno = ETIMEDOUT;
		count_unasked(h->inode);
		return -1;
	}
	/* O_EXCL is PIDFD_THREAD (Linux 6.9). */
	pidfd = (int)syscall(SYS_pidfd_open, t->tid,
	    t->tid == t->pid ? 0 : O_EXCL);
	if (pidfd == -1) {
		count_unasked(h->inode);
		end_risk();
		return -1;
	}
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, h->fd, 0);
	if (fd == -1)
		count_unasked(h->inode);
	close(pidfd);
	if (socket_option(fd, SO_TYPE) != 0 && fstat(fd, &st) == 0 &&
	    st.st_ino == h->inode)
		return fd;
	return_socket(fd);
	return -1;
}

enum { ASKED, GONE, REFUSED };

/* Sets the local or remote address of an entry from a sockaddr. */
static void
set_address(struct entry *e, const struct sockaddr_storage *ss, socklen_t len,
    unsigned char *address, uint32_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_vm vm;
	struct sockaddr_ll ll;
	struct sockaddr_nl nl;

	if (e->family == AF_NETLINK && len >= sizeof nl) {
		memcpy(&nl, ss, sizeof nl);
		if (nl.nl_pid != 0)
			e->flags |= BOUND;
		return;
	}
	if (e->family == AF_INET && len >= sizeof in) {
		memcpy(&in, ss, sizeof in);
		memcpy(address, &in.sin_addr, 4);
		*port = ntohs(in.sin_port);
	} else if (e->family == AF_INET6 && len >= sizeof in6) {
		memcpy(&in6, ss, sizeof in6);
		memcpy(address, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
	} else if (e->family == AF_VSOCK && len >= sizeof vm) {
		memcpy(&vm, ss, sizeof vm);
		memcpy(address, &vm.svm_cid, 4);
		*port = vm.svm_port == VMADDR_PORT_ANY ? 0 : vm.svm_port;
	} else if (e->family == AF_PACKET && len >= 12) {
		memcpy(&ll, ss, sizeof ll < len ? sizeof ll : len);
		e->protocol = ntohs(ll.sll_protocol);
	}
}

/* The name of a unix socket as the kernel's table has it. */
static void
set_unix_name(struct entry *e, const struct sockaddr_storage *ss,
    socklen_t len)
{
	struct sockaddr_un un;
	size_t i, n;

	if (len <= offsetof(struct sockaddr_un, sun_path))
		return;
	memcpy(&un, ss, sizeof un);
	n = len - offsetof(struct sockaddr_un, sun_path);
	if (n > sizeof un.sun_path)
		n = sizeof un.sun_path;
	if (un.sun_path[0] != '\0') {
		n = strnlen(un.sun_path, n);
	} else {
		for (i = 0; i < n; i++)
			if (un.sun_path[i] == '\0')
				un.sun_path[i] = '@';
	}
	set_text(e, un.sun_path, n);
}

static void
ask_state(int fd, struct entry *e, int connected)
{
	struct tcp_info info;
	socklen_t len = sizeof info;

	if (e->family == AF_UNIX) {
		e->state = STATE_UNIX + (connected ? SS_CONNECTED :
		    SS_UNCONNECTED);
		if (socket_option(fd, SO_ACCEPTCONN) == 1)
			e->state = UNIX_LISTEN;
	} else if (e->protocol == IPPROTO_TCP && e->type == SOCK_STREAM &&
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0) {
		e->state = tcp_state(info.tcpi_state);
	}
}

/* The namespace of a socket; a copy of it keeps that alive. */
static uint32_t
ask_netns(int fd, uint64_t inode)
{
	struct stat st;
	int ns;

	ns = ioctl(fd, GET_NETNS);
	if (ns == -1) {
		count_unasked(inode);
		return UINT32_MAX;
	}
	if (fstat(ns, &st) == -1) {
		close(ns);
		return UINT32_MAX;
	}
	return keep_netns(ns, st.st_ino);
}

/* The table that should list a socket, as a bit; 0: none does. */
static unsigned
table_of(const struct entry *e, int asked)
{
	const struct nettable *t;
	size_t i;

	if (asked && e->protocol == IPPROTO_TCP && e->state == TCP_CLOSE)
		return 0;	/* unbound, or bound but not listening */
	if (asked && e->local_port == 0 && e->type == SOCK_DGRAM &&
	    (e->family == AF_INET || e->family == AF_INET6))
		return 0;
	if (asked && e->family == AF_NETLINK &&
	    (e->flags & BOUND) == 0)
		return 0;
	for (i = 0; i < NTABLES; i++) {
		t = &nettables[i];
		if (t->family == e->family && t->parse != parse_sctp &&
		    (t->protocol == e->protocol || (t->family != AF_INET &&
		    t->family != AF_INET6)))
			return table_mask & 1u << i;
	}
	return 0;
}

/* What a copy of a socket's descriptor tells of it. */
static void
ask_copy(int fd, struct entry *e)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct stat st;
	uint16_t protocol = (uint16_t)socket_option(fd, SO_PROTOCOL);
	int raw, connected;

	e->family = (uint16_t)socket_option(fd, SO_DOMAIN);
	e->type = (uint8_t)socket_option(fd, SO_TYPE);
	raw = e->type == SOCK_RAW &&
	    (e->family == AF_INET || e->family == AF_INET6);
	e->protocol = raw ? IPPROTO_RAW : protocol;
	if (some_tables && table_of(e, 0) == 0)
		return;		/* what is not printed is not asked */
	if (fstat(fd, &st) == 0)
		e->owner = st.st_uid;
	memset(&ss, 0, sizeof ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0) {
		set_address(e, &ss, len, e->local, &e->local_port);
		if (e->family == AF_UNIX)
			set_unix_name(e, &ss, len);
	}
	len = sizeof ss;
	memset(&ss, 0, sizeof ss);
	connected = getpeername(fd, (struct sockaddr *)&ss, &len) == 0;
	if (connected)
		set_address(e, &ss, len, e->remote, &e->remote_port);
	if (raw)
		e->local_port = protocol;	/* as the tables have it */
	ask_state(fd, e, connected);
	e->netns = ask_netns(fd, e->inode);
}

/* Names of protocols that are not in nettables.counted. */
static const struct protocol_name {
	const char *name;
	unsigned short family, protocol;
	unsigned char type;
} protocol_names[] = {
	{ "PING", AF_INET, IPPROTO_ICMP, SOCK_DGRAM },
	{ "PINGv6", AF_INET6, IPPROTO_ICMPV6, SOCK_DGRAM },
	{ "SCTP", AF_INET, IPPROTO_SCTP, 0 },
	{ "SCTPv6", AF_INET6, IPPROTO_SCTP, 0 },
	{ "DCCP", AF_INET, IPPROTO_DCCP, 0 },
	{ "DCCPv6", AF_INET6, IPPROTO_DCCP, 0 },
	{ "L2TP/IP", AF_INET, 115, SOCK_DGRAM },
	{ "L2TP/IPv6", AF_INET6, 115, SOCK_DGRAM },
	{ "MPTCP", AF_INET, 262, SOCK_STREAM },
	{ "MPTCPv6", AF_INET6, 262, SOCK_STREAM },
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
 * The name of a socket's protocol, an attribute of its descriptor; -1 where
 * there is none.  It is looked at first, for by now it may be any file.
 */
static ssize_t
read_protocol_name(const struct holder *h, char *name, size_t size)
{
	char path[64];
	ssize_t len = -1;
	int fd;

	descriptor_path(path, sizeof path, &tasks[h->task], h->fd);
	fd = openat(proc, path, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (leads_to(fd, path, sizeof path, "socket:[", h->inode))
		len = getxattr(path, "system.sockprotoname", name, size);
	close(fd);
	return len;
}

/* What the name of its protocol tells of a socket, where asking is no. */
static void
ask_attribute(const struct holder *h, struct entry *e)
{
	const struct protocol_name *p;
	char name[64];
	struct field f = { name, 0 };
	ssize_t len;
	size_t i;

	len = read_protocol_name(h, name, sizeof name);
	if (len <= 0)
		return;
	f.len = strnlen(name, (size_t)len);
	for (i = 0; i < NTABLES; i++)
		if (is_counted(&nettables[i], &f)) {
			e->family = nettables[i].family;
			e->protocol = nettables[i].protocol;
			e->type = nettables[i].type;
			return;
		}
	for (p = protocol_names; p->name != NULL; p++)
		if (field_is(&f, p->name)) {
			e->family = p->family;
			e->protocol = p->protocol;
			e->type = p->type;
		}
}

/* Whether the descriptor is still the socket that it was. */
static int
still_holds(const struct holder *h)
{
	char path[64], link[64];
	uint64_t inode;
	ssize_t len;

	if (h->fd == NONE)	/* an io_uring does */
		return 1;
	descriptor_path(path, sizeof path, &tasks[h->task], h->fd);
	len = readlinkat(proc, path, link, sizeof link);
	return parse_link(link, len, "socket:[", &inode) == 0 &&
	    inode == h->inode;
}

/* Asks the holders of an inode, one after the other, for its entry. */
static int
ask_socket(uint64_t inode, struct entry *e)
{
	const struct holder *h;
	int fd, result = GONE;

	*e = (struct entry){ .inode = inode, .netns = UINT32_MAX,
	    .owner = NOT_TOLD, .rx_queue = NOT_TOLD, .tx_queue = NOT_TOLD,
	    .table = UNLISTED };
	for (h = first_holder(inode); h != NULL && root == NULL;
	    h = next_holder(h->next, inode)) {
		fd = borrow_socket(h);
		if (fd != -1) {
			ask_copy(fd, e);
			return_socket(fd);
			return ASKED;
		}
		if (still_holds(h)) {
			ask_attribute(h, e);
			result = REFUSED;
		}
	}
	return root != NULL ? REFUSED : result;
}

static void
keep_unlisted(const struct holder *h)
{
	unlisted = grow(unlisted, &unlisted_room, nunlisted,
	    sizeof *unlisted);
	unlisted[nunlisted++] = h;
}

/* Lists the sockets that are held but in no table, by their first holder. */
static void
find_unlisted(void)
{
	const struct holder *h;

	for (h = holders; h < holders + nholders; h++)
		if (find_entry(h->inode) == NULL && first_holder(h->inode) == h)
			keep_unlisted(h);
}

/*
 * Asks the unlisted.  One that no table should tell has its row by that; a
 * table that should have told one is marked for another read.  Returns how
 * many namespaces have marks.
 */
static int
ask_unlisted(void)
{
	const struct holder *h;
	struct entry e;
	size_t i, lost = 0;
	uint32_t ns;
	unsigned bit;
	int asked, marked = 0;

	for (i = 0; i < nnamespaces; i++)
		namespaces[i].want = namespaces[i].doubtful;
	for (i = 0; i < nunlisted; i++) {
		h = unlisted[i];
		if (find_entry(h->inode) != NULL ||
		    (asked = ask_socket(h->inode, &e)) == GONE)
			continue;
		bit = table_of(&e, asked == ASKED);
		ns = asked == ASKED ? e.netns : tasks[h->task].netns;
		if (bit != 0 && ns != UINT32_MAX)
			namespaces[ns].want |= bit;
		if (bit != 0)
			unlisted[lost++] = h;
		else if (!some_tables)
			add_entry(&e);
	}
	nunlisted = lost;
	for (i = 0; i < nnamespaces; i++)
		marked += namespaces[i].want != 0;
	return marked;
}

/*
 * Reads the namespaces with these numbers that have marks; returns 0 where
 * none could be read, now or before.
 */
static int
read_marked(uint32_t from, int pass)
{
	uint32_t i;
	int found = 0;

	for (i = from; i < nnamespaces; i++)
		if (namespaces[i].want == 0 || read_netns(i, pass))
			found = 1;
	return found;
}

static void
read_namespaces(void)
{
	uint32_t known;
	int pass, found;

	if (!want_ownerless && nholders == 0)
		return;
	found = read_marked(0, 0);
	known = (uint32_t)nnamespaces;
	/* Each takes a descriptor: those of the host come first. */
	add_linked_netns();
	if (!read_marked(known, 0) && !found)
		read_sole_netns();
	find_unlisted();
	for (pass = 1; root == NULL && pass < PASSES && ask_unlisted(); pass++)
		(void)read_marked(0, pass);
}

/* Tells of the tables that still disagree with net/protocols. */
static void
report_doubts(void)
{
	uint32_t i;
	size_t t;

	for (i = 0; i < nnamespaces; i++)
		for (t = 0; t < NTABLES; t++)
			if ((namespaces[i].steady &
			    ~namespaces[i].explained & 1u << t) != 0)
				count_warning("table", nettables[t].name,
				    "not the number of rows that "
				    "net/protocols counts");
}

/*
 * Sockets that are held but in no table are told by themselves.  One that
 * its table lost in every read has its row among that table's.
 */
static void
add_unlisted(void)
{
	const struct holder *h;
	struct entry e;
	unsigned bit;
	size_t i;
	int told;

	for (i = 0; i < nunlisted; i++) {
		h = unlisted[i];
		if (find_entry(h->inode) != NULL)
			continue;
		told = ask_socket(h->inode, &e);
		bit = told == ASKED ? table_of(&e, 1) : 0;
		if (bit != 0 && e.netns != UINT32_MAX)
			for (e.table = 0; bit != 1u << e.table; e.table++)
				;
		if (told != GONE && (bit != 0 || !some_tables))
			add_entry(&e);
	}
}

/* Forged rows */

/*
 * A row of the unix table is SUSPECT when it fits into a name before it
 * (read_unix).  If it is held, its socket is asked (settle_inode); if not,
 * each socket before it is, and what that one's name contains is dropped
 * (drop_embedded).  Where none can be asked, both rows stay, with a warning.
 * One forgery, and in a second round all sockets before suspects are asked.
 */

/*
 * Whether a row of the unix table has its socket's name.  That may go on
 * with a newline and what was taken for a row.
 */
static int
is_true_name(const struct entry *e, const struct entry *truth)
{
	return e->text_len <= truth->text_len &&
	    memcmp(text_of(e), text_of(truth), e->text_len) == 0 &&
	    (e->text_len == truth->text_len || ((e->flags & NAMED) != 0 &&
	    text_of(truth)[e->text_len] == '\n'));
}

/* Whether it says what its socket says. */
static int
is_true_row(const struct entry *e, const struct entry *truth)
{
	return e->type == truth->type &&
	    (e->state == UNIX_LISTEN) == (truth->state == UNIX_LISTEN) &&
	    is_true_name(e, truth);
}

static int forgeries;

static void
drop_forged(struct entry *e, const struct entry *kept)
{
	forgeries++;
	/*
	 * One that gets a name moves in the table (Linux 6.18): the same read
	 * may tell it without and with that.
	 */
	if ((e->flags & NAMED) != 0 || kept == NULL ||
	    e->type != kept->type) {
		count_warning("row", nettables[e->table].name,
		    "forged, dropped");
		namespaces[e->netns].explained |= 1u << e->table;
	}
	if (e->told == 0 || !is_waiting(e))
		e->table = FORGED;
}

static size_t
line_length(const char *s, const char *end)
{
	const char *nl = memchr(s, '\n', (size_t)(end - s));

	return (size_t)((nl != NULL ? nl : end) - s);
}

/* Where a row's name ends: at the next row, as read_unix has it. */
static const char *
end_of_name(const char *s, const char *end)
{
	size_t line = line_length(s, end);

	while ((s += line) < end) {
		s++;
		line = line_length(s, end);
		if (unix_row_length(s, line) != 0)
			return s - 1;
	}
	return s;
}

/* The entry at a link of a chain, or NULL.  Unlinks dropped ones before it. */
static struct entry *
follow(uint32_t *link)
{
	while (*link != 0 && entries[*link - 1].table == FORGED)
		*link = entries[*link - 1].next;
	return *link != 0 ? &entries[*link - 1] : NULL;
}

/* The row of the unix table that says the same, or NULL. */
static struct entry *
find_row(const struct entry *e)
{
	struct entry *other;
	uint32_t *link, i;

	if (e->inode != 0) {
		i = find_same_row(e, find_first_row(e));
		return i != 0 ? &entries[i - 1] : NULL;
	}
	link = entry_bucket(e);
	while ((other = follow(link)) != NULL && (other->inode != 0 ||
	    !same_facts(e, other)))
		link = &other->next;
	return other;
}

/*
 * Drops what looked like a row but is part of this socket's name, where it
 * names what nobody holds; others are asked themselves.  A read tells a
 * socket once, and with it each row in its name, if it has that already
 * (named).  What was told more often, or by another read, may be true.
 */
static void
drop_embedded(const struct entry *e, int named)
{
	struct field f[MAX_FIELDS];
	struct entry r = { .family = AF_UNIX, .netns = e->netns }, *other;
	const char *s = text_of(e), *end = s + e->text_len;
	size_t line, len;

	while ((s = memchr(s, '\n', (size_t)(end - s))) != NULL) {
		s++;
		line = line_length(s, end);
		len = unix_row_length(s, line);
		if (len == 0 || parse_unix(NULL, &r, f, split(s, len, f),
		    NULL) == -1 || first_holder(r.inode) != NULL)
			continue;
		s += len + (len < line);
		r.text = (uint32_t)(s - texts);
		r.text_len = (uint16_t)(end_of_name(s, end) - s);
		other = find_row(&r);
		if (other == NULL || other->table != e->table)
			continue;
		if (named && other->pass == e->pass &&
		    other->told < UINT8_MAX && (--other->told == 0 ||
		    is_waiting(other))) {
			drop_forged(other, NULL);
		} else {
			forgeries++;
			other->flags |= DOUBLE;
		}
	}
}

/*
 * Asks a unix socket for what is true of its inode.  One row of the table
 * keeps that, for it may have changed since it was read; more than one, or
 * one of what is no unix socket, is forged.
 */
static void
settle_inode(const struct entry *e)
{
	struct entry truth, *other, *lost, *kept = NULL;
	struct holder *h = &holders[first_holder(e->inode) - holders];
	uint8_t table = e->table;
	uint32_t *link;
	int named, before = forgeries;

	h->silent = ask_socket(e->inode, &truth) != ASKED;
	if (h->silent)
		return;
	link = entry_bucket(e);
	for (; (other = follow(link)) != NULL; link = &other->next) {
		if (other->inode != truth.inode || other->table != table)
			continue;
		lost = other;
		if (truth.family == AF_UNIX && (truth.netns == UINT32_MAX ||
		    truth.netns == other->netns) && (kept == NULL ||
		    is_true_row(other, &truth))) {
			lost = kept;
			kept = other;
		}
		if (lost != NULL)
			drop_forged(lost, kept);
	}
	if (kept == NULL) {
		keep_unlisted(h);
		return;
	}
	if ((kept->flags & SETTLED) != 0)
		return;
	kept->flags |= SETTLED;
	/* Another's name may have told the name that it got meanwhile. */
	named = is_true_name(kept, &truth) && (forgeries == before ||
	    (kept->flags & SUSPECT) == 0);
	if (!is_true_row(kept, &truth))
		kept->state = truth.state;
	kept->type = truth.type;
	kept->text = truth.text;
	kept->text_len = truth.text_len;
	drop_embedded(kept, named);
}

/* Whether another entry names the same inode with other facts. */
static int
is_disputed(const struct entry *e)
{
	uint32_t *link = entry_bucket(e);
	struct entry *other;

	while ((other = follow(link)) != NULL &&
	    (other == e || other->inode != e->inode))
		link = &other->next;
	return other != NULL;
}

static int
is_unix_row(const struct entry *e)
{
	return e->family == AF_UNIX && e->table < NTABLES;
}

/* Whether it is a row of the unix table whose socket was not asked yet. */
static int
is_unsettled(const struct entry *e)
{
	const struct holder *h;

	if (!is_unix_row(e) || (e->flags & SETTLED) != 0)
		return 0;
	h = first_holder(e->inode);
	return h != NULL && !h->silent;
}

/*
 * Settles the rows that may be forged: the socket of each is asked and, where
 * that denies it or nobody holds it, those of the rows before it as well;
 * thorough, those of the rows before any.
 */
static void
settle_rows(int thorough)
{
	struct entry *e, *rest;

	for (e = entries; e < entries + nentries; e++)
		if (is_unsettled(e) && (is_disputed(e) ||
		    (e->flags & SUSPECT) != 0))
			settle_inode(e);
	for (e = entries; e < entries + nentries; e++) {
		/* What a failed read brought is no more. */
		if (e->rest == 0 || e->rest > nentries || !is_unsettled(e))
			continue;
		rest = &entries[e->rest - 1];
		if (thorough || !is_unix_row(rest) ||
		    first_holder(rest->inode) == NULL)
			settle_inode(e);
	}
}

/*
 * Anybody can forge rows of the unix table, by a name with a newline.  A row
 * behind one with a name may be the rest of that.  Where one was, and where
 * a read told a socket twice, every one that could be is asked.  By that a
 * namespace may show that only a socket keeps and that a row hid: it is read,
 * and has forged rows in turn.
 */
static void
settle_forgeries(void)
{
	struct entry *e;
	uint32_t i, known;
	int thorough;

	if (nentries == 0)
		return;
	for (e = entries; e < entries + nentries; e++)
		forgeries += is_unix_row(e) && e->inode != 0 && e->told > 1;
	do {
		known = (uint32_t)nnamespaces;
		for (thorough = 0; thorough < 1 + (forgeries > 0); thorough++)
			settle_rows(thorough);
		for (i = known; i < nnamespaces; i++)
			(void)read_netns(i, 0);
	} while (known < nnamespaces);
	for (e = entries; e < entries + nentries; e++)
		if (is_unix_row(e) && e->inode != 0 && is_disputed(e))
			count_warning("row", nettables[e->table].name,
			    "names an inode that another row names, "
			    "one of them forged");
		else if (is_unix_row(e) && (e->flags & DOUBLE) != 0)
			count_warning("row", nettables[e->table].name,
			    "is part of a name as well, may be forged");
}

/*
 * Asks for what no table tells: the type of a netlink socket, RAW or DGRAM,
 * and the length of a filter.
 */
static void
ask_columns(void)
{
	struct entry *e;
	const struct holder *h;
	socklen_t len;
	int fd;

	if ((needs & (NEED_TYPE | NEED_FILTER)) == 0)
		return;
	for (e = entries; e < entries + nentries; e++) {
		e->rest = 0;
		h = first_holder(e->inode);
		if (h == NULL || root != NULL || e->table == FORGED ||
		    ((needs & NEED_FILTER) == 0 &&
		    ((needs & NEED_TYPE) == 0 || e->type != 0)) ||
		    (fd = borrow_socket(h)) == -1)
			continue;
		if (e->type == 0)
			e->type = (uint8_t)socket_option(fd, SO_TYPE);
		/* With no room the kernel (3.8 on) gives the number alone. */
		len = 0;
		if (getsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, NULL,
		    &len) == 0)
			e->rest = len + 1;
		return_socket(fd);
	}
}

/* Printing */

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->table < NTABLES && y->table < NTABLES &&
	    x->netns != y->netns)
		return (x->netns > y->netns) - (x->netns < y->netns);
	if (x->table != y->table)
		return (x->table > y->table) - (x->table < y->table);
	return (x->next > y->next) - (x->next < y->next);
}

static void
print_entry(const struct entry *e)
{
	int n = is_waiting(e) ? e->told : 1;

	row = e;
	row_holder = first_holder(e->inode);
	row_task = NULL;
	for (; n > 0 && row_holder == NULL && is_wanted(NONE); n--)
		print_row();
	for (; row_holder != NULL;
	    row_holder = next_holder(row_holder->next, e->inode)) {
		row_task = &tasks[row_holder->task];
		if (is_wanted(row_task->pid))
			print_row();
	}
}

static void
print_entries(void)
{
	size_t i;

	for (i = 0; i < nentries; i++)
		entries[i].next = (uint32_t)i;
	/* More reads of a table, or asked sockets, come in another order. */
	for (i = 1; i < nentries; i++)
		if (compare_entries(&entries[i - 1], &entries[i]) > 0) {
			qsort(entries, nentries, sizeof *entries,
			    compare_entries);
			break;
		}
	if (!hflag)
		print_header();
	for (i = 0; i < nentries; i++)
		if (entries[i].table != FORGED)
			print_entry(&entries[i]);
}

/* Options */

static const char usage[] =
    "usage: psock [-Hq] [-o columns] [-p pid,...] [-r root] [-t table,...]\n"
    "       psock -h | -V\n";

/* -p: process numbers, -1 for the sockets that nobody holds. */
static void
parse_pids(const char *list)
{
	uint64_t value;
	size_t len, i, n;

	want_ownerless = 0;
	for (;; list += len + 1) {
		len = (size_t)(strchrnul(list, ',') - list);
		pids = grow(pids, &pids_room, npids, sizeof *pids);
		if (len == 2 && memcmp(list, "-1", 2) == 0) {
			pids[npids++] = NONE;
			want_ownerless = 1;
		} else if (parse_number(list, len, 10, INT_MAX, &value) == 0) {
			pids[npids++] = (int)value;
		} else {
			fatal("-p: not a process: '%.*s'",
			    (int)(len < 64 ? len : 64), list);
		}
		if (list[len] == '\0')
			break;
	}
	qsort(pids, npids, sizeof *pids, compare_ints);
	for (i = 1, n = 1; i < npids; i++)
		if (pids[i] != pids[n - 1])
			pids[n++] = pids[i];
	npids = n;
}

static void
parse_tables(const char *list)
{
	size_t i, len;
	unsigned found;
	char names[256] = "";

	for (i = 0; i < NTABLES; i++)
		if (i == 0 || strcmp(nettables[i].name,
		    nettables[i - 1].name) != 0)
			format(names + strlen(names), sizeof names -
			    strlen(names), " %s", nettables[i].name);
	some_tables = 1;
	for (;; list += len + 1) {
		len = (size_t)(strchrnul(list, ',') - list);
		found = 0;
		for (i = 0; i < NTABLES; i++)
			if (strlen(nettables[i].name) == len &&
			    memcmp(nettables[i].name, list, len) == 0)
				found |= 1u << i;
		if (found == 0)
			fatal("-t: unknown table '%.*s'; the tables are:%s",
			    (int)(len < 64 ? len : 64), list, names);
		table_mask |= found;
		if (list[len] == '\0')
			break;
	}
}

/* By what the kernel gives each program (2.6.29) for such an end. */
static void
choose_multiplier(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t word;

	if (random == NULL)
		return;
	memcpy(&word, random, sizeof word);
	multiplier = word | 1;
}

static void
open_proc(void)
{
	int dir;

	dir = openat(AT_FDCWD, root != NULL ? root : "/", O_PATH |
	    O_DIRECTORY | O_CLOEXEC);
	if (dir != -1)
		proc = open_below(dir, "proc", O_DIRECTORY);
	if (dir == -1 || proc == -1)
		fatal("%s/proc: %s", root != NULL ? root : "",
		    strerror(errno));
	close(dir);
	if (root == NULL)
		read_mounts();
}

static void
show_sockets(void)
{
	struct rlimit files;

	/* Namespaces are kept open, and users may have many. */
	if (prlimit(0, RLIMIT_NOFILE, NULL, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)prlimit(0, RLIMIT_NOFILE, &files, NULL);
	}
	start_work();
	/* What a sandbox would not allow: a procfs of our own, the helper. */
	if (!take_risk(NONE, LIST))
		fatal("/proc: %s", kept_waiting);
	open_proc();
	list_processes();
	end_risk();
	start_helper();
	confine_psock();
	index_entries(0);
	read_processes();
	read_namespaces();
	settle_forgeries();
	report_doubts();
	add_unlisted();
	ask_columns();
	print_entries();
}

int
main(int argc, char *argv[])
{
	const char *list = NULL;
	int c;

	start("psock");
	while ((c = getopt(argc, argv, "Hqo:p:r:t:hV")) != -1)
		switch (c) {
		case 'H':
			hflag = 1;
			break;
		case 'q':
			quiet = 1;
			break;
		case 'o':
			list = optarg;
			break;
		case 'p':
			parse_pids(optarg);
			break;
		case 'r':
			root = optarg;
			if (*root == '\0')
				fatal("-r: empty name");
			break;
		case 't':
			parse_tables(optarg);
			break;
		case 'h':
			put_string(usage);
			return finish();
		case 'V':
			put_string("psock " VERSION "\n");
			return finish();
		default:
			usage_error(usage);
		}
	if (optind < argc)
		usage_error(usage);
	if (!some_tables)
		table_mask = (1u << NTABLES) - 1;
	needs = choose_columns(columns, DEFAULT_COLUMNS, list);
	choose_multiplier();
	show_sockets();
	return finish();
}
