/* SPDX-License-Identifier: ISC */

/*
 * fault: fault [-am] COMMAND...: runs the command once as it is, then again
 * and again with one system call of it or of its children failing or coming
 * back short: the first, the second, up to the last of each kind, with each
 * of the errors.  Judges each run:
 *
 *   - nothing crashes or hangs, no exit status but 0, 1 and 2;
 *   - exit 0 only with the very rows of the first run;
 *   - exit 1 only with whole rows, each with as many TABs as the first;
 *   - exit 1 and 2 only with a message.
 *
 * With -a, more calls and more errors.  The kernel hands the calls over by
 * seccomp, so that the binary is the one that is shipped.  With -m instead,
 * it is each malloc(3) that fails: a build with test/inside/malloc.c asks us.
 */

#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What not every machine has. */
#ifndef SYS_open
#define SYS_open SYS_openat
#define SYS_readlink SYS_readlinkat
#define SYS_fork SYS_clone
#define SYS_poll SYS_ppoll
#endif
#ifndef SYS_newfstatat
#define SYS_newfstatat SYS_fstat
#endif

enum { SHORT = -1, END = -2, HANG = 30000 };

/* What fails, and how; the errors behind the 0 are for -a. */
static const struct kind {
	const char *name;
	int calls[4];
	int errors[10];
} kinds[] = {
	{ "read", { SYS_read, END }, { EIO, EINTR, SHORT, 0, EACCES, ENOMEM,
	    ESTALE, END } },
	{ "write", { SYS_write, END }, { ENOSPC, EINTR, SHORT, 0, EIO, ENOMEM,
	    EFBIG, END } },
	{ "open", { SYS_openat, SYS_open, SYS_openat2, END }, { EACCES, EMFILE,
	    0, EIO, EINTR, ENOMEM, ENFILE, ELOOP, END } },
	{ "getdents", { SYS_getdents64, END }, { EIO, SHORT, 0, EACCES, ENOMEM,
	    EINTR, END } },
	{ "readlink", { SYS_readlinkat, SYS_readlink, END }, { EACCES, 0, EIO,
	    ENOMEM, EINTR, END } },
	{ "memory", { SYS_mmap, SYS_brk, SYS_mremap, END }, { ENOMEM, 0,
	    EAGAIN, END } },
	/* What test/inside/malloc.c asks by; refused, there is no memory. */
	{ "malloc", { SYS_madvise, END }, { ENOMEM, 0, END } },
	{ "stat", { SYS_newfstatat, SYS_statx, END }, { 0, EIO, EACCES,
	    ENOMEM, END } },
	{ "seek", { SYS_lseek, END }, { EIO, EINVAL, 0, END } },
	{ "fcntl", { SYS_fcntl, SYS_dup3, END }, { 0, EIO, EINVAL, END } },
	{ "ask", { SYS_pidfd_open, SYS_pidfd_getfd, SYS_ioctl, END }, { 0,
	    EMFILE, ENOMEM, END } },
	{ "setns", { SYS_setns, SYS_kcmp, END }, { 0, EPERM, ENOMEM, END } },
	{ "fork", { SYS_clone, SYS_fork, SYS_pipe2, END }, { 0, EAGAIN,
	    EMFILE, END } },
	{ "poll", { SYS_poll, SYS_ppoll, END }, { 0, EINTR, END } },
	{ "confine", { SYS_prctl, SYS_capset, SYS_prlimit64, END }, { 0,
	    EINVAL, EPERM, END } },
	{ NULL, { END }, { END } },
};

/* One run: a fault, and what came of it. */
struct run {
	const struct kind *kind;
	int error;
	unsigned long nth;	/* 0: none */
	unsigned long seen;	/* calls of the kind */
	int silenced;		/* what failed was standard error */
	char what[128];		/* the call that failed */
	int status;
	char *out, *err;
	size_t outlen, errlen;
};

static int out_fd, err_fd;
static int *listener;		/* shared with the child until its exec */
static struct run whole;
static unsigned long wrong;

static void
die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Lets every call through but those of the kind, which come to us. */
static int
listen_for(const struct kind *k)
{
	struct sock_filter code[16] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { 1, code };
	int i;

	for (i = 0; i < 4 && k->calls[i] != END; i++) {
		code[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP |
		    BPF_JEQ | BPF_K, (unsigned)k->calls[i], 0, 1);
		code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET |
		    BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_ALLOW);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/*
 * Starts the command with our table of descriptors, so that the listener is
 * ours too; exec(3) parts them.
 */
static pid_t
begin(const struct kind *k, char **command)
{
	const struct rlimit none = { 0, 0 };
	pid_t pid;

	if (ftruncate(out_fd, 0) == -1 || ftruncate(err_fd, 0) == -1)
		die("ftruncate");
	lseek(out_fd, 0, SEEK_SET);
	lseek(err_fd, 0, SEEK_SET);
	*listener = -1;
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_VFORK | SIGCHLD,
	    0, 0, 0, 0);
	if (pid == -1)
		die("clone");
	if (pid > 0)
		return pid;
	setrlimit(RLIMIT_CORE, &none);
	*listener = listen_for(k);
	if (*listener == -1 || unshare(CLONE_FILES) == -1)
		_exit(126);
	close(*listener);
	dup2(out_fd, STDOUT_FILENO);
	dup2(err_fd, STDERR_FILENO);
	close(out_fd);
	close(err_fd);
	execv(*command, command);
	_exit(127);
}

/*
 * Makes the call with a length that is shorter, in the caller's place.
 * Returns what it gave, or -1 to let the caller do it whole.
 */
static long
come_short(const struct seccomp_notif *req)
{
	char buf[128];
	struct iovec here = { buf, sizeof buf },
	    there = { (void *)(uintptr_t)req->data.args[1], 0 };
	size_t len = req->data.nr == SYS_getdents64 ? 96 : 1;
	int pidfd, fd;
	long n = -1;

	if (req->data.args[2] <= len)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, req->pid, 0);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)req->data.args[0], 0);
	there.iov_len = here.iov_len = len;
	if (req->data.nr != SYS_write)
		n = syscall(req->data.nr, fd, buf, len);
	else if (process_vm_readv((pid_t)req->pid, &here, 1, &there, 1, 0) > 0)
		n = write(fd, buf, len);
	there.iov_len = here.iov_len = n > 0 ? (size_t)n : 0;
	if (n > 0 && req->data.nr != SYS_write &&
	    process_vm_writev((pid_t)req->pid, &here, 1, &there, 1, 0) != n)
		die("process_vm_writev");
	close(fd);
	close(pidfd);
	return n;
}

/* Says which call it is, with its path or its descriptor. */
static void
describe(struct run *r, const struct seccomp_notif *req)
{
	char path[64] = "";
	int nr = req->data.nr;
	int at = nr == SYS_open || nr == SYS_readlink ? 0 : 1;
	struct iovec here = { path, sizeof path - 1 },
	    there = { (void *)(uintptr_t)req->data.args[at], sizeof path - 1 };

	if (r->kind->calls[0] == SYS_openat || nr == SYS_readlink ||
	    nr == SYS_readlinkat || nr == SYS_newfstatat)
		process_vm_readv((pid_t)req->pid, &here, 1, &there, 1, 0);
	r->silenced |= nr == SYS_write && req->data.args[0] == STDERR_FILENO;
	snprintf(r->what, sizeof r->what, "%s %lu (call %d, %lx%s%s): %s",
	    r->kind->name, r->nth, nr, (unsigned long)req->data.args[0],
	    *path == '\0' ? "" : ", ", path,
	    r->error == SHORT ? "short" : strerrorname_np(r->error));
}

static int
is_counted(const struct seccomp_notif *req)
{
	/* madvise(NULL, 0, -1) is test/inside/malloc.c. */
	return req->data.nr != SYS_madvise || (int)req->data.args[2] == -1;
}

static void
answer(struct run *r, int fd)
{
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;
	long n;

	memset(&req, 0, sizeof req);
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) == -1)
		return;
	resp = (struct seccomp_notif_resp){ .id = req.id,
	    .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	if (is_counted(&req) && ++r->seen == r->nth) {
		describe(r, &req);
		if (r->error != SHORT) {
			resp.flags = 0;
			resp.error = -r->error;
		} else if ((n = come_short(&req)) != -1) {
			resp.flags = 0;
			resp.val = n;
		}
	}
	(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static char *
take(int fd, size_t *len)
{
	struct stat st;
	char *s;

	fstat(fd, &st);
	*len = (size_t)st.st_size;
	s = calloc(1, *len + 1);
	if (s == NULL || pread(fd, s, *len, 0) != (ssize_t)*len)
		die("output");
	return s;
}

static void
run(struct run *r, char **command)
{
	pid_t pid = begin(r->kind, command);
	struct pollfd p = { *listener, POLLIN, 0 };

	/* POLLHUP: the last process with the filter is gone. */
	while (poll(&p, 1, HANG) == 1 && (p.revents & POLLIN) != 0)
		answer(r, p.fd);
	if (p.revents == 0)
		kill(pid, SIGKILL);
	close(p.fd);
	waitpid(pid, &r->status, __WALL);
	r->out = take(out_fd, &r->outlen);
	r->err = take(err_fd, &r->errlen);
}

/* Whether each row is whole and has as many TABs as those of the first run. */
static int
is_rows(const struct run *r)
{
	size_t i, want = 0, tabs = 0;

	for (i = 0; i < whole.outlen && whole.out[i] != '\n'; i++)
		want += whole.out[i] == '\t';
	for (i = 0; i < r->outlen; i++)
		if (r->out[i] == '\n') {
			if (tabs != want)
				return 0;
			tabs = 0;
		} else
			tabs += r->out[i] == '\t';
	return r->outlen == 0 || r->out[r->outlen - 1] == '\n';
}

/* The same for the same lines in whatever order, which may be the kernel's. */
static uint64_t
sum_of_lines(const struct run *r)
{
	uint64_t sum = 0, line = 1;
	size_t i;

	for (i = 0; i < r->outlen; i++) {
		line = (line ^ (unsigned char)r->out[i]) * 0x100000001b3;
		if (r->out[i] == '\n') {
			sum += line;
			line = 1;
		}
	}
	return sum + line;
}

static const char *
judge(const struct run *r)
{
	const char *died = strstr(r->err, ": history reader died");

	if (!WIFEXITED(r->status))
		return WTERMSIG(r->status) == SIGKILL ? "killed or hung" :
		    strsignal(WTERMSIG(r->status));
	switch (WEXITSTATUS(r->status)) {
	case 0:
		return sum_of_lines(r) == sum_of_lines(&whole) ? NULL :
		    "exit 0 with other rows";
	case 1:
		if (!is_rows(r))
			return "exit 1 without whole rows";
		/* FALLTHROUGH */
	case 2:
		if (r->silenced)
			return NULL;
		if (r->errlen == 0)
			return "no message";
		/* A child that ends by itself has said why before that. */
		if (died != NULL && memchr(r->err, '\n',
		    (size_t)(died - r->err)) == NULL)
			return "a child crashed";
		return NULL;
	}
	return "odd exit status";
}

static void
try(const struct kind *k, int error, unsigned long *counts, char **command)
{
	struct run r;
	const char *verdict;
	unsigned long nth = 0;

	do {
		r = (struct run){ .kind = k, .error = error, .nth = ++nth };
		run(&r, command);
		verdict = judge(&r);
		if (verdict != NULL) {
			wrong++;
			printf("%s: %s\n%s", r.what, verdict, r.err);
		}
		if (r.seen >= nth && WIFEXITED(r.status) &&
		    WEXITSTATUS(r.status) <= 2)
			counts[WEXITSTATUS(r.status)]++;
		free(r.out);
		free(r.err);
	} while (r.seen >= nth);
}

int
main(int argc, char *argv[])
{
	const struct kind *k;
	const int *e;
	int all = 0, mallocs = 0, c;
	char **command;

	while ((c = getopt(argc, argv, "+am")) != -1) {
		all |= c == 'a';
		mallocs |= c == 'm';
	}
	command = argv + optind;
	if (*command == NULL)
		return 2;
	out_fd = memfd_create("out", MFD_CLOEXEC);
	err_fd = memfd_create("err", MFD_CLOEXEC);
	listener = mmap(NULL, sizeof *listener, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (out_fd == -1 || err_fd == -1 || listener == MAP_FAILED)
		die("memory");
	whole.kind = kinds;
	run(&whole, command);
	if (!WIFEXITED(whole.status) || WEXITSTATUS(whole.status) != 0 ||
	    whole.outlen == 0) {
		printf("without a fault: status %x\n%s%s",
		    (unsigned)whole.status, whole.out, whole.err);
		return 2;
	}
	for (k = kinds; k->name != NULL; k++) {
		unsigned long counts[3] = { 0, 0, 0 };

		if ((k->calls[0] == SYS_madvise) != mallocs)
			continue;
		for (e = k->errors; *e != END && (*e != 0 || all); e++)
			if (*e != 0)
				try(k, *e, counts, command);
		printf("%s: %lu whole, %lu reported, %lu nothing\n", k->name,
		    counts[0], counts[1], counts[2]);
	}
	return wrong != 0;
}
