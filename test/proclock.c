/* SPDX-License-Identifier: ISC */

/*
 * proclock: proclock [-c N] [-d N] FILE WHEN DIRECTORY...: locks directories
 * of procfs, which takes no privilege.  One thread reads the directory into
 * a page of FILE, of sleepyfs, that never comes; behind it, one who would
 * make a directory waits for the lock, and behind that one everybody who
 * looks for a name there.  They wait until sleepyfs ends.
 * WHEN: now; opened: when somebody opens our /proc/PID/fd; psock: when there
 * is a process of that name.  Then "." in DIRECTORY is that process, else
 * this one: ./net, or /proc itself.  With psock it goes on: each process of
 * that name that follows has its directories locked.
 * -c N: N copies of this program do the same, each with its own directories.
 * -d N: N children, which end once the directories are locked (not with psock).
 * Prints a line "PID waits" when it watches, and "PID locked DIRECTORY".  Each
 * copy holds an unbound UDP socket, which no table lists.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SIZE = 1 << 20,		/* of the file; its second half never comes */
	LAST = 1000000,		/* within that, shortly before a page ends */
	DEAD = 2000,		/* children at most */
	NEW = 256		/* young processes that are watched */
};

static char *page;
static int tasks;		/* /proc/self/task, opened while it can be */
static pid_t children[DEAD];
static int nchildren;

/* A thread that will wait in the kernel for ever. */
struct blocked {
	int directory;
	void (*call)(int);
	atomic_int stat;	/* its file in tasks, open before it calls */
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* Into memory of which a part never comes. */
static void
list_names(int directory)
{
	syscall(SYS_getdents64, directory, page + LAST, 32768);
}

static void
make_directory(int directory)
{
	mkdirat(directory, "new", 0700);
}

static void *
run_blocked(void *arg)
{
	struct blocked *b = arg;
	char name[64];
	int fd;

	snprintf(name, sizeof name, "%d/stat", (int)gettid());
	fd = openat(tasks, name, O_RDONLY);
	if (fd == -1)
		die(name);
	atomic_store(&b->stat, fd);
	b->call(b->directory);
	return NULL;
}

static int
is_asleep(int stat)
{
	char text[512], *end;
	ssize_t n = pread(stat, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	return end != NULL && (end[2] == 'S' || end[2] == 'D');
}

static void
block_thread(int directory, void (*call)(int))
{
	struct blocked *b = calloc(1, sizeof *b);
	pthread_t thread;

	if (b == NULL)
		die("calloc");
	b->directory = directory;
	b->call = call;
	if (pthread_create(&thread, NULL, run_blocked, b) != 0)
		die("pthread_create");
	while (atomic_load(&b->stat) == 0 || !is_asleep(b->stat))
		;
}

/* One that is gone meanwhile, or closed to us, is left out. */
static void
lock_directory(pid_t pid, const char *name)
{
	char path[256];
	int fd;

	if (*name == '.')
		snprintf(path, sizeof path, "/proc/%d%s", (int)pid, name + 1);
	else
		snprintf(path, sizeof path, "%s", name);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd == -1) {
		perror(path);
		return;
	}
	block_thread(fd, list_names);
	block_thread(fd, make_directory);
	printf("%d locked %s\n", (int)getpid(), path);
}

static void
lock_all(pid_t pid, char *const names[])
{
	for (; *names != NULL; names++)
		lock_directory(pid, *names);
}

/* Of which no name may be looked up later. */
static void
keep_children(int n)
{
	for (; nchildren < n && nchildren < DEAD; nchildren++)
		if ((children[nchildren] = fork()) == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
}

static void
end_children(void)
{
	while (nchildren > 0) {
		kill(children[--nchildren], SIGKILL);
		waitpid(children[nchildren], NULL, 0);
	}
}

/* Until somebody opens the list of our descriptors. */
static void
await_opening(void)
{
	char event[4096];
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd == -1 || inotify_add_watch(fd, "/proc/self/fd", IN_OPEN) == -1)
		die("inotify");
	printf("%d waits\n", (int)getpid());
	if (read(fd, event, sizeof event) <= 0)
		die("inotify");
}

/* The number that the last new process got. */
static pid_t
newest(int loadavg)
{
	char text[128], *last;
	ssize_t n = pread(loadavg, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	last = strrchr(text, ' ');
	return last == NULL ? 0 : (pid_t)atoi(last + 1);
}

static int
is_psock(pid_t pid)
{
	char path[64], name[6] = "";
	int fd;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || read(fd, name, 5) <= 0)
		name[0] = '\0';
	close(fd);
	return strcmp(name, "psock") == 0;
}

/* Each of the youngest processes, as soon as it has that name. */
static void
lock_each_psock(char *const names[])
{
	static pid_t locked[NEW];
	int loadavg = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	pid_t first = newest(loadavg), pid, last;

	printf("%d waits\n", (int)getpid());
	for (;; nap()) {
		last = newest(loadavg);
		pid = last - first < NEW ? first : last - NEW + 1;
		for (; pid <= last; pid++)
			if (locked[pid % NEW] != pid && is_psock(pid)) {
				locked[pid % NEW] = pid;
				lock_all(pid, names);
			}
	}
}

static void
map_page(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	page = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (page == MAP_FAILED)
		die(file);
}

/* The last one goes on as this process. */
static void
make_copies(int n)
{
	for (; n > 1; n--)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			return;
		}
}

int
main(int argc, char *argv[])
{
	int opt, copies = 1, dead = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "c:d:")) != -1)
		if (opt == 'c')
			copies = atoi(optarg);
		else if (opt == 'd')
			dead = atoi(optarg);
		else
			return 2;
	if (argc - optind < 3)
		return 2;
	argv += optind;
	map_page(argv[0]);
	make_copies(copies);
	if (socket(AF_INET, SOCK_DGRAM, 0) == -1)
		die("socket");
	keep_children(dead);
	tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
	if (strcmp(argv[1], "psock") == 0)
		lock_each_psock(argv + 2);
	if (strcmp(argv[1], "opened") == 0)
		await_opening();
	lock_all(getpid(), argv + 2);
	end_children();
	for (;;)
		pause();
}
