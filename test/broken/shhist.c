/* SPDX-License-Identifier: ISC */

/*
 * shhist with parsers that are in an attacker's hands: if they send an entry
 * whose command names one of the attacks below, they do that instead.  Whoever
 * comes back from a system call sends the entry after all.
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
#define send_record send_or_attack
#include "../../shhist.c"
#undef send_record
#undef main

/* common.c's own */
void send_record(int, const void *, size_t, const void *, size_t);

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

/* Bytes that are no record. */
static const struct {
	const char *name;
	int fd;
	const char *bytes;
	size_t n;
} lies[] = {
	{ "half", 1, "\x10\0\0\0\7\0\0\0half", 12 },
	{ "long", 1, "\xff\xff\xff\xff\7\0\0\0long", 12 },
	{ "stdin", 0, "stdin \033c\n", 9 },
	{ "stderr", 2, "stderr \033c\n", 10 },
};

/* Records that are believed of nobody. */
static const struct {
	const char *name;
	int kind;
	const char *bytes;
	size_t n;
} records[] = {
	{ "user", USER, "", 0 },
	{ "owner", OWNER, "\0\0\0\0\0\0\0\0", 8 },
	{ "short-found", OPENED, "found", 5 },
	{ "short-start", START, "", 1 },
	{ "far-start", START, "\7\0\0\0\0\0\0\0bash", 12 },
	{ "negative-start", START, "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
	{ "short-trouble", TROUBLE, "no", 2 },
	{ "far-trouble", TROUBLE, "\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0no",
	    18 },
	{ "short-detail", DETAIL, "", 1 },
	{ "short-entry", ENTRY, "entry", 5 },
	{ "unknown", 4711, "unknown", 7 },
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
			flush_records();
			_exit(write(lies[i].fd, lies[i].bytes, lies[i].n) ==
			    -1);
		}
}

static void
attack(const char *text, size_t n)
{
	char name[32];
	size_t i;
	int fd;

	(void)snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0,
	    text);
	attack_call(name);
	attack_memory(name);
	tell_lie(name);
	for (i = 0; i < sizeof records / sizeof *records; i++)
		if (strcmp(name, records[i].name) == 0)
			send_record(records[i].kind, records[i].bytes,
			    records[i].n, NULL, 0);
	if (strcmp(name, "crash") == 0)
		__builtin_trap();
	if (strcmp(name, "exit") == 0)
		_exit(2);
	while (strcmp(name, "spin") == 0)
		;
	/* The end of its only job (-2), and then the beginning of another. */
	if (strncmp(name, "goes-on", 7) == 0) {
		send_record(-2, NULL, 0, NULL, 0);
		for (i = 0; i < 1 << 19; i++)
			send_record(-1, &i, sizeof i, NULL, 0);
		flush_records();
		for (;;)
			;
	}
	while (strcmp(name, "endless") == 0)
		if (write(1, "\0\0\0\2\3\0\0\0", 8) == -1)
			_exit(2);
	if (strcmp(name, "inherited") == 0)
		for (fd = 3; fd < 256; fd++)
			(void)write(fd, "\033c", 2);
}

void
send_or_attack(int kind, const void *head, size_t nhead, const void *text,
    size_t ntext)
{
	if (kind == ENTRY)
		attack(text, ntext);
	send_record(kind, head, nhead, text, ntext);
}

/*
 * Its argument "attacks" lists those that must cost their user's rows,
 * "records" those that must cost nothing.
 */
int
main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 2 && strcmp(argv[1], "records") == 0 &&
	    i < sizeof records / sizeof *records; i++)
		puts(records[i].name);
	if (i > 0)
		return 0;
	if (argc != 2 || strcmp(argv[1], "attacks") != 0)
		return shhist_main(argc, argv);
	for (i = 0; i < sizeof calls / sizeof *calls; i++)
		puts(calls[i].name);
	for (i = 0; i < sizeof lies / sizeof *lies; i++)
		puts(lies[i].name);
	puts("crash\nexit\nmmap-exec\nmprotect-exec\nhoard");
#ifdef __x86_64__
	puts("i386-getpid");
#endif
	return 0;
}
