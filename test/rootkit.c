/* SPDX-License-Identifier: ISC */

/*
 * rootkit: rootkit [-i] [-p PID] [-t TABLE TEXT] COMMAND...: runs the command
 * under a kernel that lies: its lists of a procfs leave out the process PID,
 * its /proc/PID/net/TABLE the lines that have TEXT in them; with -i, the
 * namespace of processes is the initial one.  All else, such as /proc/PID
 * itself, is as it was.  Who asks is a filter of seccomp that the command
 * gets; who answers is this program.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 1 << 20 };

static const char *hidden_pid, *table, *text = "";
static int initial;
static int notify;		/* the filter's questions */
static char data[SIZE];

struct entry {			/* of getdents64(2) */
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static void
die(const char *what)
{
	perror(what);
	exit(125);
}

/* Another number for what that process knows as fd; -1 if it has none. */
static int
copy_fd(pid_t pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), copy;

	if (pidfd == -1)	/* a thread: none of psock's */
		return -1;
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	return copy;
}

static int
is_list_of_processes(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
	    fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_ino == 1;
}

static int
is_table(int fd)
{
	char link[64], path[4096], *name;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	name = strrchr(path, '/');
	return name != NULL && strcmp(name + 1, table) == 0 &&
	    strstr(path, "/net/") != NULL;
}

/* Both leave out what is hidden, and return what is left. */
static size_t
edit_list(size_t n)
{
	struct entry *e;
	size_t i, left = 0, len;

	for (i = 0; i < n; i += len) {
		e = (struct entry *)(data + i);
		len = e->len;
		if (strcmp(e->name, hidden_pid) == 0)
			continue;
		memmove(data + left, e, len);
		left += len;
	}
	return left;
}

static size_t
edit_table(size_t n)
{
	size_t i, left = 0, len;
	char *end;

	for (i = 0; i < n; i += len) {
		end = memchr(data + i, '\n', n - i);
		len = end == NULL ? n - i : (size_t)(end + 1 - (data + i));
		if (memmem(data + i, len, text, strlen(text)) != NULL)
			continue;
		memmove(data + left, data + i, len);
		left += len;
	}
	return left;
}

/* Nothing left is no end: what follows may be. */
static ssize_t
lie(int call, int fd, size_t size)
{
	ssize_t n;
	size_t left = 0;

	if (size > SIZE)
		size = SIZE;
	do {
		n = call == SYS_read ? read(fd, data, size) :
		    syscall(SYS_getdents64, fd, data, size);
		if (n > 0)
			left = call == SYS_read ? edit_table((size_t)n) :
			    edit_list((size_t)n);
	} while (n > 0 && left == 0);
	return n < 0 ? -1 : (ssize_t)left;
}

/* Whether a process names the link of its namespace of processes. */
static int
is_pid_namespace(pid_t pid, uint64_t path)
{
	char name[32] = "";
	struct iovec to = { name, sizeof name - 1 };
	struct iovec from = { (void *)(uintptr_t)path, to.iov_len };
	size_t len;

	if (process_vm_readv(pid, &to, 1, &from, 1, 0) <= 0)
		return 0;
	len = strlen(name);
	return len >= 6 && strcmp(name + len - 6, "ns/pid") == 0;
}

/* Returns the length of the answer in data, or -1: it may ask the kernel. */
static ssize_t
find_answer(const struct seccomp_notif *q)
{
	const uint64_t *args = (const uint64_t *)q->data.args;
	ssize_t n = -1;
	int fd;

	if (q->data.nr == SYS_readlinkat)
		return is_pid_namespace((pid_t)q->pid, args[1]) ?
		    sprintf(data, "pid:[4026531836]") : -1;
	fd = copy_fd((pid_t)q->pid, (int)args[0]);
	if (fd != -1 && (q->data.nr == SYS_read ? is_table(fd) :
	    is_list_of_processes(fd)))
		n = lie(q->data.nr, fd, args[2]);
	close(fd);
	return n;
}

static void
answer(const struct seccomp_notif *q)
{
	struct seccomp_notif_resp r = { .id = q->id };
	int to = q->data.nr == SYS_readlinkat ? 2 : 1;
	ssize_t n = find_answer(q);
	struct iovec from = { data, (size_t)n }, buf = {
	    (void *)(uintptr_t)q->data.args[to], (size_t)n };

	r.val = n;
	if (n == -1)
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (process_vm_writev((pid_t)q->pid, &from, 1, &buf, 1, 0) != n)
		r.error = -EFAULT;
	if (r.flags != 0 || r.error != 0)
		r.val = 0;
	/* Whoever asked may be gone by now. */
	ioctl(notify, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

/* A call that is allowed, or asked for. */
static void
add_call(struct sock_fprog *prog, unsigned call, int ask)
{
	prog->filter[prog->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP |
	    BPF_JEQ | BPF_K, call, 0, 1);
	prog->filter[prog->len++] = (struct sock_filter)BPF_STMT(BPF_RET |
	    BPF_K, ask ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
}

/* Returns the descriptor of those questions. */
static int
install_filter(void)
{
	struct sock_filter code[16] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { 1, code };

	add_call(&prog, SYS_read, table != NULL);
	add_call(&prog, SYS_getdents64, hidden_pid != NULL);
	add_call(&prog, SYS_readlinkat, initial);
	code[prog.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_ALLOW);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static pid_t
start(char *const command[])
{
	int to[2], go[2], fd;
	pid_t pid;

	if (pipe(to) == -1 || pipe(go) == -1 || (pid = fork()) == -1)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(to[0]);
		fd = install_filter();
		if (fd == -1)
			die("seccomp");
		if (write(to[1], &fd, sizeof fd) != sizeof fd)
			exit(125);
		close(to[1]);
		/* Until the other has it: the end of this. */
		if (read(go[0], &fd, sizeof fd) != 0)
			exit(125);
		close(go[0]);
		execvp(command[0], command);
		die(command[0]);
	}
	close(to[1]);
	close(go[0]);
	if (read(to[0], &fd, sizeof fd) != sizeof fd)
		exit(125);
	notify = copy_fd(pid, fd);
	if (notify == -1)
		die("pidfd_getfd");
	close(to[0]);
	close(go[1]);
	return pid;
}

int
main(int argc, char *argv[])
{
	struct pollfd p = { .events = POLLIN };
	struct seccomp_notif q;
	int opt, state;
	pid_t pid;

	while ((opt = getopt(argc, argv, "+ip:t:")) != -1)
		switch (opt) {
		case 'i':
			initial = 1;
			break;
		case 'p':
			hidden_pid = optarg;
			break;
		case 't':
			table = optarg;
			text = argv[optind++];
			break;
		default:
			return 2;
		}
	pid = start(argv + optind);
	p.fd = notify;
	/* It hangs up when nobody is left who could ask. */
	while (poll(&p, 1, -1) == 1 && p.revents & POLLIN) {
		memset(&q, 0, sizeof q);
		if (ioctl(notify, SECCOMP_IOCTL_NOTIF_RECV, &q) == 0)
			answer(&q);
	}
	waitpid(pid, &state, 0);
	return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}
