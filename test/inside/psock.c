/* SPDX-License-Identifier: ISC */

/*
 * psock's own source, but a main that lets a child try each call below where
 * psock reads what others wrote.  Prints which should have been stopped by
 * SIGSYS and was not, or the other way round.
 */

static int psock_main(int, char *[]);
#define main static psock_main
#include "../../psock.c"
#undef main

#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef SYS_mmap	/* arm */
#define SYS_mmap SYS_mmap2
#endif

static int other = -1;	/* somebody's socket, open for writing */

/* What a broken parser would like to do: each is stopped. */
static const struct attempt {
	const char *name;
	long call, a, b, c;
} forbidden[] = {
	{ "write to a copied socket", SYS_write, 9, (long)"x", 1 },
	{ "open for writing", SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_WRONLY },
	{ "open for both", SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDWR },
	{ "create", SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_CREAT | O_RDONLY },
	{ "truncate", SYS_openat, AT_FDCWD, (long)"/dev/null",
	    O_TRUNC | O_RDONLY },
	{ "socket", SYS_socket, AF_INET, SOCK_STREAM, 0 },
	{ "connect", SYS_connect, 9, 0, 0 },
	{ "sendto", SYS_sendto, 9, (long)"x", 1 },
	{ "shutdown", SYS_shutdown, 9, SHUT_RDWR, 0 },
	{ "setsockopt", SYS_setsockopt, 9, 0, 0 },
	{ "bind", SYS_bind, 9, 0, 0 },
	{ "kill", SYS_kill, 1, 0, 0 },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, 9, 0, 0 },
	{ "ptrace", SYS_ptrace, PTRACE_SEIZE, 1, 0 },
	{ "process_vm_writev", SYS_process_vm_writev, 1, 0, 0 },
	{ "execve", SYS_execve, (long)"/bin/true", 0, 0 },
	{ "clone", SYS_clone, SIGCHLD, 0, 0 },
	{ "pipe2", SYS_pipe2, 0, 0, 0 },
	{ "ioctl", SYS_ioctl, 0, TIOCSTI, (long)"x" },
	{ "mmap executable", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC },
	{ "mprotect executable", SYS_mprotect, 0, 0, PROT_READ | PROT_EXEC },
	{ "unlinkat", SYS_unlinkat, AT_FDCWD, (long)"/none", 0 },
	{ "mount", SYS_mount, 0, 0, 0 },
	{ "move_mount", SYS_move_mount, -1, 0, -1 },
	{ "unshare", SYS_unshare, 0, 0, 0 },
	{ "setuid", SYS_setuid, 0, 0, 0 },
	{ "capset", SYS_capset, 0, 0, 0 },
	{ "bpf", SYS_bpf, 0, 0, 0 },
	{ "init_module", SYS_init_module, 0, 0, 0 },
	{ "fsopen", SYS_fsopen, (long)"proc", 0, 0 },
	{ "fsmount", SYS_fsmount, -1, 0, 0 },
	{ "prctl", SYS_prctl, PR_SET_DUMPABLE, 1, 0 },
	{ NULL, 0, 0, 0, 0 },
}, allowed[] = {
	{ "open for reading", SYS_openat, AT_FDCWD, (long)"/proc", O_RDONLY },
	{ "write to standard error", SYS_write, 2, (long)"", 0 },
	{ "ask for a namespace", SYS_ioctl, 9, GET_NETNS, 0 },
	{ "memory", SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE },
	{ NULL, 0, 0, 0, 0 },
};

/* Whether a confined child that tries it is killed by SIGSYS. */
static int
is_stopped(const struct attempt *a)
{
	int result;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		dup2(other, 9);
		confine_psock();
		syscall(a->call, a->a, a->b, a->c, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
		_exit(0);
	}
	if (pid == -1 || waitpid(pid, &result, 0) != pid)
		return -1;
	return WIFSIGNALED(result) ? WTERMSIG(result) == SIGSYS :
	    WEXITSTATUS(result) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct attempt *a;
	int wrong = 0, tried = 0;

	other = socket(AF_UNIX, SOCK_DGRAM, 0);
	for (a = forbidden; a->name != NULL; a++, tried++)
		if (is_stopped(a) != 1 && ++wrong)
			printf("not stopped: %s\n", a->name);
	for (a = allowed; a->name != NULL; a++, tried++)
		if (is_stopped(a) != 0 && ++wrong)
			printf("stopped: %s\n", a->name);
	printf("%d tried\n", tried);
	(void)psock_main;
	return wrong != 0;
}
