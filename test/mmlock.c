/* SPDX-License-Identifier: ISC */

/*
 * mmlock: mmlock FILE mm|exec|socket: keeps the memory of a process locked,
 * so that nobody can read its command line or its maps, which takes no
 * privilege: a child waits for a page of FILE, of sleepyfs, that never comes; a
 * thread that maps FILE has locked the memory when it waits for that page.
 * With "exec", a process that shares this memory runs another program: it
 * waits for the memory, and all who ask the kernel about it (kcmp(2),
 * pidfd_getfd(2), since some 6.18 who read its stat, too) wait for it.
 * With "socket", the socket is locked instead, by one who sets its options
 * from that page: all who ask it for its name wait.
 * Prints "PID locked", of the process that is locked, which holds an unbound
 * UDP socket, and waits until it is killed.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIZE = 1 << 20, NEVER = 1000000 };

static int file;
/* Shared by all processes: who is about to wait, and whether he may. */
static struct {
	atomic_int page, map, exec, go, ask;
} *begun;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static const volatile char *
map_file(void)
{
	const volatile char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE,
	    file, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void
wait_for_page(void)
{
	const volatile char *p = map_file();

	atomic_store(&begun->page, (int)syscall(SYS_gettid));
	(void)p[NEVER];
}

/* The options of IP are copied while the socket is locked. */
static void
lock_socket(int fd)
{
	const volatile char *p = map_file();

	atomic_store(&begun->map, (int)syscall(SYS_gettid));
	setsockopt(fd, IPPROTO_IP, IP_OPTIONS, (const char *)p + NEVER, 40);
}

static void *
wait_in_mmap(void *arg)
{
	atomic_store(&begun->map, (int)syscall(SYS_gettid));
	map_file();
	return arg;
}

/* Touches no page for the first time once the memory is locked. */
static int
run_program(void *arg)
{
	static char path[] = "/bin/true";
	static char *argv[] = { path, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	path[0] = '/';
	argv[1] = arg;
	atomic_store(&begun->exec, (int)syscall(SYS_getpid));
	while (atomic_load(&begun->go) == 0)
		;
	syscall(SYS_execve, path, argv, NULL);
	return 1;
}

/* The process whose memory is locked. */
static void
lock_memory(int with_exec)
{
	static char stack[1 << 16];
	pthread_t thread;

	if (with_exec && clone(run_program, stack + sizeof stack,
	    CLONE_VM | SIGCHLD, NULL) == -1)
		die("clone");
	while (with_exec && atomic_load(&begun->exec) == 0)
		;
	if (pthread_create(&thread, NULL, wait_in_mmap, NULL) != 0)
		die("pthread_create");
	for (;;)
		pause();
}

/* Waits until the one that has begun sleeps in the kernel. */
static void
await_sleep(const atomic_int *tid)
{
	char name[64], text[512], *end;
	ssize_t n;
	int fd, asleep = 0;

	while (atomic_load(tid) == 0)
		;
	snprintf(name, sizeof name, "/proc/%d/stat", atomic_load(tid));
	fd = open(name, O_RDONLY);
	if (fd == -1)
		die(name);
	while (!asleep) {
		n = pread(fd, text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		end = strrchr(text, ')');
		asleep = end != NULL && (end[2] == 'S' || end[2] == 'D');
	}
	close(fd);
}

/* Until even that waits. */
static void
ask(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd == -1)
		die("pidfd_open");
	atomic_store(&begun->ask, (int)syscall(SYS_gettid));
	for (;;)
		close((int)syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}

static pid_t
child(void)
{
	pid_t pid = fork();

	if (pid == -1)
		die("fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Returns the process. */
static pid_t
lock_process(int with_exec)
{
	pid_t locked;

	if (child() == 0)
		wait_for_page();
	await_sleep(&begun->page);
	locked = child();
	if (locked == 0)
		lock_memory(with_exec);
	await_sleep(&begun->map);
	if (with_exec) {
		locked = atomic_load(&begun->exec);
		atomic_store(&begun->go, 1);
		if (child() == 0)
			ask(locked);
		await_sleep(&begun->ask);
	}
	return locked;
}

int
main(int argc, char *argv[])
{
	pid_t locked = getpid();
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 3)
		return 2;
	file = open(argv[1], O_RDONLY);
	begun = mmap(NULL, sizeof *begun, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (file == -1 || begun == MAP_FAILED || fd == -1)
		die(argv[1]);
	if (strcmp(argv[2], "socket") != 0) {
		locked = lock_process(strcmp(argv[2], "exec") == 0);
	} else {
		if (child() == 0)
			lock_socket(fd);
		await_sleep(&begun->map);
	}
	printf("%d locked\n", (int)locked);
	fflush(stdout);
	for (;;)
		pause();
}
