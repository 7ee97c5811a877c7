/* SPDX-License-Identifier: ISC */

/*
 * psock's own source, but a main that tries each call below in a worker of its
 * own, and in a child that is confined as the parent is; then others, as if
 * the columns of the other end were chosen.  Prints which should have been
 * stopped by SIGSYS and was not, or the other way round.
 */

static int psock_main(int, char *[]);
#define main static psock_main
#include "../../psock.c"
#undef main

#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef SYS_mmap	/* arm */
#define SYS_mmap SYS_mmap2
#endif

enum { OTHER = 9 };	/* somebody's socket, open for writing */

/* Who is stopped. */
enum { NOBODY, WORKER, BOTH };

/*
 * What a broken parser would like to do.  The parent, which parses nothing,
 * forks workers, watches and kills them, and mounts a procfs for them.
 */
static const struct attempt {
	const char *name;
	int stopped;
	long call, a, b, c, flags;
} usual_attempts[] = {
	{ "write to a copied socket", WORKER, SYS_write, OTHER, (long)"x", 1 },
	{ "write to standard error of the terminal", WORKER, SYS_write, 10,
	    (long)"", 0 },
	{ "close its pipe, whose number a copy gets", WORKER, SYS_close, 1, 0,
	    0 },
	{ "open for writing", BOTH, SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_WRONLY },
	{ "open for both", BOTH, SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_RDWR },
	{ "create", BOTH, SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_CREAT | O_RDONLY },
	{ "truncate", BOTH, SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_TRUNC | O_RDONLY },
	{ "socket", BOTH, SYS_socket, AF_INET, SOCK_STREAM, 0 },
	{ "socket of sock_diag", BOTH, SYS_socket, AF_NETLINK, SOCK_RAW,
	    NETLINK_SOCK_DIAG },
	{ "connect", BOTH, SYS_connect, OTHER, 0, 0 },
	{ "sendto", BOTH, SYS_sendto, OTHER, (long)"x", 1 },
	{ "shutdown", BOTH, SYS_shutdown, OTHER, SHUT_RDWR, 0 },
	{ "setsockopt", BOTH, SYS_setsockopt, OTHER, 0, 0 },
	{ "bind", BOTH, SYS_bind, OTHER, 0, 0 },
	{ "kill", WORKER, SYS_kill, 1, 0, 0 },
	{ "pidfd_send_signal", BOTH, SYS_pidfd_send_signal, OTHER, 0, 0 },
	{ "ptrace", BOTH, SYS_ptrace, PTRACE_SEIZE, 1, 0 },
	{ "process_vm_writev", BOTH, SYS_process_vm_writev, 1, 0, 0 },
	{ "execve", BOTH, SYS_execve, (long)"/bin/true", 0, 0 },
	{ "clone", WORKER, SYS_clone, SIGCHLD, 0, 0 },
	{ "pipe2", WORKER, SYS_pipe2, 0, 0, 0 },
	{ "dup3", WORKER, SYS_dup3, OTHER, 1, 0 },
	{ "terminal input", BOTH, SYS_ioctl, 0, TIOCSTI, (long)"x" },
	{ "mmap executable", BOTH, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC },
	{ "mmap of a copied file", BOTH, SYS_mmap, 0, 4096, PROT_READ |
	    PROT_WRITE, MAP_SHARED },
	{ "mprotect executable", BOTH, SYS_mprotect, 0, 0,
	    PROT_READ | PROT_EXEC },
	{ "unlinkat", BOTH, SYS_unlinkat, AT_FDCWD, (long)"/none", 0 },
	{ "mount", BOTH, SYS_mount, 0, 0, 0 },
	{ "move_mount", BOTH, SYS_move_mount, -1, 0, -1 },
	{ "unshare", BOTH, SYS_unshare, 0, 0, 0 },
	{ "setuid", BOTH, SYS_setuid, 0, 0, 0 },
	{ "capset", WORKER, SYS_capset, 0, 0, 0 },
	{ "bpf", BOTH, SYS_bpf, 0, 0, 0 },
	{ "init_module", BOTH, SYS_init_module, 0, 0, 0 },
	{ "fsopen", WORKER, SYS_fsopen, (long)"proc", 0, 0 },
	{ "fsmount", WORKER, SYS_fsmount, -1, 0, 0 },
	{ "prctl", WORKER, SYS_prctl, PR_SET_DUMPABLE, 1, 0 },
	{ "open for reading", NOBODY, SYS_openat, AT_FDCWD, (long)"/proc",
	    O_RDONLY },
	{ "ask for a namespace", NOBODY, SYS_ioctl, OTHER, GET_NETNS, 0 },
	{ "memory", NOBODY, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS },
};

/* What only the worker that asks for peers may, or may not any more. */
static const struct attempt peer_attempts[] = {
	{ "socket of sock_diag", NOBODY, SYS_socket, AF_NETLINK, SOCK_RAW,
	    NETLINK_SOCK_DIAG },
	{ "socket of another netlink", BOTH, SYS_socket, AF_NETLINK, SOCK_RAW,
	    NETLINK_ROUTE },
	{ "socket of that number elsewhere", BOTH, SYS_socket, AF_INET,
	    SOCK_RAW, NETLINK_SOCK_DIAG },
	{ "copy a socket", WORKER, SYS_pidfd_getfd, -1, 0, 0 },
	{ "ask a process", WORKER, SYS_pidfd_open, 1, 0, 0 },
	{ "setsockopt", BOTH, SYS_setsockopt, OTHER, 0, 0 },
	{ "sendmsg", BOTH, SYS_sendmsg, OTHER, 0, 0 },
	{ "bind", BOTH, SYS_bind, OTHER, 0, 0 },
	{ "write to a copied socket", WORKER, SYS_write, OTHER, (long)"x", 1 },
	{ "open for writing", BOTH, SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_WRONLY },
	{ "execve", BOTH, SYS_execve, (long)"/bin/true", 0, 0 },
};

static const struct attempt *attempts;
static int wrong;

static void
judge(size_t i, const char *who, int stopped, int wanted)
{
	if (stopped == wanted)
		return;
	wrong++;
	printf("%s: %s: %s\n", who, attempts[i].name,
	    stopped ? "stopped" : "not stopped");
}

static void
try(size_t i)
{
	const struct attempt *a = &attempts[i];

	syscall(a->call, a->a, a->b, a->c, a->flags, -1, 0);
}

static void
take_attempt(size_t i, int kind, const char *s, size_t n)
{
	(void)kind;
	(void)s;
	(void)n;
	judge(i, "worker", 0, attempts[i].stopped != NOBODY);
}

static void
work_attempt(size_t i)
{
	try(i);
	send_record(0, NULL, 0, NULL, 0);
}

static void
lose_attempt(size_t i, const char *why)
{
	char killed[64];

	(void)snprintf(killed, sizeof killed, "killed by signal %d", SIGSYS);
	judge(i, why, strcmp(why, killed) == 0, attempts[i].stopped != NOBODY);
}

/* Whether a child that is confined as the parent is killed by SIGSYS. */
static int
is_stopped(size_t i)
{
	int result;
	pid_t pid = fork();

	if (pid == 0) {
		confine_psock();
		try(i);
		_exit(0);
	}
	return waitpid(pid, &result, 0) == pid && WIFSIGNALED(result) &&
	    WTERMSIG(result) == SIGSYS;
}

/* Tries n of them in the parent and in workers. */
static void
try_all(const struct attempt *all, size_t n, void (*prepare)(void))
{
	const struct scan scan = { .njobs = n, .alone = 1, .most = 1,
	    .prepare = prepare, .work = work_attempt,
	    .take = take_attempt, .lose = lose_attempt };
	size_t i;

	attempts = all;
	for (i = 0; i < n; i++)
		judge(i, "parent", is_stopped(i), attempts[i].stopped == BOTH);
	run_scan(&scan);
	printf("%zu tried\n", n);
}

int
main(void)
{
	start("psock");
	dup2(socket(AF_UNIX, SOCK_DGRAM, 0), OTHER);
	dup2(2, OTHER + 1);
	asks_kernel = 1;
	try_all(usual_attempts, sizeof usual_attempts /
	    sizeof *usual_attempts, prepare_worker);
	needs |= NEED_PEER;
	try_all(peer_attempts, sizeof peer_attempts / sizeof *peer_attempts,
	    prepare_peers);
	fflush(stdout);
	(void)psock_main;
	return wrong != 0 || finish() != 0;
}
