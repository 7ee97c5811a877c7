/* SPDX-License-Identifier: ISC */

/*
 * nosys: nosys CALL,... COMMAND...: runs the command under a kernel that
 * does not have the system calls named; "fork": has no room for a process;
 * "ended": on which pidfd_open(2) comes too late.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned number, error;
} calls[] = {
	{ "pidfd_open", SYS_pidfd_open, ENOSYS },
	{ "pidfd_getfd", SYS_pidfd_getfd, ENOSYS },
	{ "kcmp", SYS_kcmp, ENOSYS },
	{ "fsopen", SYS_fsopen, ENOSYS },
	{ "fsmount", SYS_fsmount, ENOSYS },
	{ "openat2", SYS_openat2, ENOSYS },
	{ "statx", SYS_statx, ENOSYS },
	{ "setns", SYS_setns, ENOSYS },
	{ "socket", SYS_socket, ENOSYS },
	{ "prctl", SYS_prctl, ENOSYS },
	{ "capset", SYS_capset, ENOSYS },
	{ "fork", SYS_clone, EAGAIN },
#ifdef SYS_fork
	{ "fork", SYS_fork, EAGAIN },
#endif
	{ "ended", SYS_pidfd_open, ENOENT },
};

int
main(int argc, char *argv[])
{
	struct sock_filter code[64] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { 1, code };
	size_t i;
	char *name;
	int known;

	if (argc < 3) {
		fprintf(stderr, "usage: nosys call,... command ...\n");
		return 2;
	}
	for (name = strtok(argv[1], ","); name != NULL;
	    name = strtok(NULL, ",")) {
		known = 0;
		for (i = 0; i < sizeof calls / sizeof *calls; i++) {
			if (strcmp(calls[i].name, name) != 0)
				continue;
			known = 1;
			code[prog.len++] = (struct sock_filter)BPF_JUMP(
			    BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1);
			code[prog.len++] = (struct sock_filter)BPF_STMT(
			    BPF_RET | BPF_K,
			    SECCOMP_RET_ERRNO | calls[i].error);
		}
		if (!known) {
			fprintf(stderr, "nosys: %s: unknown\n", name);
			return 2;
		}
	}
	code[prog.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == -1) {
		perror("nosys: seccomp");
		return 2;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
