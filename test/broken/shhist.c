/* SPDX-License-Identifier: ISC */

/*
 * shhist with parsers that are in an attacker's hands: where they print an
 * entry whose command names one of the attacks below, they do that instead.
 * Whoever comes back from a system call prints the row after all.
 */

#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define main shhist_main
#define print_row print_or_attack
#include "../../shhist.c"
#undef print_row
#undef main

void print_row(void);	/* common.c's own */

/* System calls that a parser has no use for. */
static const struct {
	const char *name;
	long number;
} calls[] = {
	{ "openat", SYS_openat },
	{ "socket", SYS_socket },
	{ "connect", SYS_connect },
	{ "sendto", SYS_sendto },
	{ "execve", SYS_execve },
	{ "clone", SYS_clone },
	{ "kill", SYS_kill },
	{ "ptrace", SYS_ptrace },
	{ "process_vm_readv", SYS_process_vm_readv },
	{ "ioctl", SYS_ioctl },
	{ "fcntl", SYS_fcntl },
	{ "dup", SYS_dup },
	{ "getdents64", SYS_getdents64 },
	{ "unlinkat", SYS_unlinkat },
	{ "fchmod", SYS_fchmod },
	{ "ftruncate", SYS_ftruncate },
	{ "setresuid", SYS_setresuid },
	{ "prctl", SYS_prctl },
	{ "setrlimit", SYS_prlimit64 },
	{ "mount", SYS_mount },
	{ "getpid", SYS_getpid },
#ifdef __x86_64__
	/* The architecture of x32 is this one; its numbers have a bit more. */
	{ "x32-getpid", 0x40000000 | SYS_getpid },
	{ "x32-read", 0x40000000 | SYS_read },
#endif
};

/* Bytes that are no row, or that a terminal would obey. */
static const struct {
	const char *name;
	int fd;
	const char *bytes;
	size_t n;
} lies[] = {
	{ "half", 1, "0\t0\thalf", 8 },
	{ "narrow", 1, "0\t0\tnarrow\n", 11 },
	{ "wide", 1, "0\t0\twide\t\t\n", 11 },
	{ "escape", 1, "0\t0\tescape \033]0;x\a\t\n", 19 },
	{ "delete", 1, "0\t0\tdelete \177\t\n", 14 },
	{ "c1", 1, "0\t0\tc1 \xc2\x85\t\n", 11 },
	{ "bidi", 1, "0\t0\tbidi \xe2\x80\xae\t\n", 14 },
	{ "utf8", 1, "0\t0\tutf8 \xff\t\n", 12 },
	{ "nul", 1, "0\t0\tnul \0\t\n", 11 },
	{ "message", 1, "\0message \033c\n", 12 },
	{ "tabbed", 1, "\0tabbed \t\n", 10 },
	{ "stdin", 0, "stdin \033c\n", 9 },
	{ "stderr", 2, "stderr \033c\n", 10 },
};

static void
attack_call(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(name, calls[i].name) == 0)
			(void)syscall(calls[i].number, 0, 0, 0, 0, 0, 0);
#ifdef __x86_64__
	if (strcmp(name, "i386-getpid") == 0)
		__asm__ volatile("int $0x80" : : "a"(20) : "memory");
#endif
}

/* Memory that can be run, and more than parsing needs. */
static void
attack_memory(const char *name)
{
	static _Alignas(4096) char page[4096];

	if (strcmp(name, "mmap-exec") == 0)
		(void)mmap(NULL, sizeof page, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (strcmp(name, "mprotect-exec") == 0)
		(void)mprotect(page, sizeof page, PROT_READ | PROT_EXEC);
	if (strcmp(name, "hoard") == 0 && mmap(NULL, 1 << 30,
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
	    MAP_NORESERVE, -1, 0) == MAP_FAILED)
		_exit(2);
}

static void
tell_lie(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof lies / sizeof *lies; i++)
		if (strcmp(name, lies[i].name) == 0) {
			flush_output();
			_exit(write(lies[i].fd, lies[i].bytes, lies[i].n) ==
			    -1);
		}
}

void
print_or_attack(void)
{
	char name[32];
	int fd;

	(void)format(name, sizeof name, "%.*s", entry.length < sizeof name ?
	    (int)entry.length : 0, entry.command);
	attack_call(name);
	attack_memory(name);
	tell_lie(name);
	if (strcmp(name, "crash") == 0)
		__builtin_trap();
	if (strcmp(name, "exit") == 0)
		_exit(2);
	if (strcmp(name, "refuse") == 0)
		_exit(REFUSED);
	while (strcmp(name, "spin") == 0)
		;
	while (strcmp(name, "endless") == 0)
		put_char('x');
	if (strcmp(name, "inherited") == 0)
		for (fd = 3; fd < 256; fd++)
			(void)write(fd, "\033c", 2);
	print_row();
}

/* Its argument "attacks" lists those that must cost their user's rows. */
int
main(int argc, char **argv)
{
	size_t i;

	if (argc != 2 || strcmp(argv[1], "attacks") != 0)
		return shhist_main(argc, argv);
	for (i = 0; i < sizeof calls / sizeof *calls; i++)
		puts(calls[i].name);
	for (i = 0; i < sizeof lies / sizeof *lies; i++)
		puts(lies[i].name);
	puts("crash\nexit\nrefuse\nmmap-exec\nmprotect-exec\nhoard");
#ifdef __x86_64__
	puts("i386-getpid");
#endif
	return 0;
}
