/* SPDX-License-Identifier: ISC */

/*
 * What psock and shhist share.  Every byte that reaches standard output or
 * standard error from either tool passes through this file.
 *
 * From top to bottom: output, workers (what runs in them), messages, options
 * and columns, numbers, lines of a file, seccomp and capabilities, users and
 * mounts, workers (what runs in their parent).
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#ifdef SYS_clock_gettime32	/* musl's name of it on 32-bit machines */
#define SYS_clock_gettime SYS_clock_gettime32
#endif

enum {
	OUTPUT_SIZE = 262144,
	READ_SIZE = 65536,
	STEP_SIZE = 1024,	/* bytes read that are a step: a slow disk */
	MESSAGE_SIZE = 1024,	/* a longer message is cut, marked "..." */
	MAX_COUNTED = 256,
	MAX_COLUMNS = 64,
};

const char *progname;
int status;
int in_worker;
/* What step counts in the parent, which nobody watches. */
static volatile uint32_t unwatched_steps;
volatile uint32_t *steps = &unwatched_steps;
int no_header;
int quiet;
const char *chosen_columns;
const char *root;
const struct column *column;

/* The room behind OUTPUT_SIZE lets print_row add TABs without a check. */
static char output[OUTPUT_SIZE + MAX_COLUMNS];
static size_t output_used;

static const struct column *chosen[MAX_COLUMNS];
static size_t nchosen;

/* A counted warning; first is which of the first call (count_warning). */
static struct counted {
	char *unit, *what, *why, *first;
	unsigned long long count;
} counted[MAX_COUNTED];
static size_t ncounted;

/* Output */

/* Bytes that stand for themselves: printable ASCII but the backslash. */
static int
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

size_t
utf8_length(const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	unsigned char low = 0x80, high = 0xbf;	/* range of the second byte */
	size_t len, i;

	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;	/* overlong */
	else if (s[0] == 0xed)
		high = 0x9f;	/* surrogates */
	else if (s[0] == 0xf0)
		low = 0x90;	/* overlong */
	else if (s[0] == 0xf4)
		high = 0x8f;	/* past U+10FFFF */
	if (s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/*
 * Characters that drive a terminal or lie to its reader: C1 controls,
 * U+061C, U+200E-U+200F, U+2028-U+202E, U+2066-U+2069.
 */
static int
steers(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;

	if (len == 2)
		return (s[0] == 0xc2 && s[1] < 0xa0) ||
		    (s[0] == 0xd8 && s[1] == 0x9c);
	if (len != 3 || s[0] != 0xe2)
		return 0;
	if (s[1] == 0x80)
		return s[2] == 0x8e || s[2] == 0x8f ||
		    (s[2] >= 0xa8 && s[2] <= 0xae);
	return s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

/*
 * Copies the bytes at s that stand for themselves, up to the first that does
 * not, and returns their number.  Up to n bytes at dst may be written.
 */
static size_t
copy_plain(char *dst, const char *s, size_t n)
{
	uint64_t marks;
	size_t i;

	for (i = 0; n - i >= 8; i += 8) {
		memcpy(dst + i, s + i, 8);
		marks = mark_unplain(load_word(s + i));
		if (marks != 0)
			return i + first_marked(marks);
	}
	for (; i < n && is_plain((unsigned char)s[i]); i++)
		dst[i] = s[i];
	return i;
}

/* Escapes the one byte c to dst; returns the bytes written, at most 4. */
static size_t
escape_byte(char *dst, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char names[] = "\\\\\tt\nn\rr";
	const char *p;

	dst[0] = '\\';
	for (p = names; *p != '\0'; p += 2)
		if ((unsigned char)*p == c) {
			dst[1] = p[1];
			return 2;
		}
	dst[1] = 'x';
	dst[2] = hex[c >> 4];
	dst[3] = hex[c & 15];
	return 4;
}

size_t
escape(char *dst, const char *s, size_t n)
{
	char *out = dst;
	size_t len;

	for (; n > 0; s += len, n -= len) {
		len = copy_plain(out, s, n);
		out += len;
		if (len > 0)
			continue;
		len = utf8_length(s, n);
		if (len > 1 && !steers(s, len)) {
			memcpy(out, s, len);
			out += len;
		} else {
			out += escape_byte(out, (unsigned char)*s);
			len = 1;
		}
	}
	return (size_t)(out - dst);
}

static int
write_all(int fd, const char *s, size_t n)
{
	ssize_t done;

	while (n > 0) {
		done = write(fd, s, n);
		if (done < 0 && errno == EINTR)
			continue;
		/* Who has it open, too, may have made it so. */
		if (done < 0 && errno == EAGAIN &&
		    poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1) > 0)
			continue;
		if (done < 0)
			return -1;
		s += done;
		n -= (size_t)done;
	}
	return 0;
}

static void
write_out(const char *s, size_t n)
{
	if (write_all(STDOUT_FILENO, s, n) == -1)
		fatal("standard output: %s", strerror(errno));
}

void
flush_output(void)
{
	size_t n = output_used;

	output_used = 0;
	write_out(output, n);
}

void
put_raw(const char *s, size_t n)
{
	if (output_used + n >= OUTPUT_SIZE)
		flush_output();
	if (n >= OUTPUT_SIZE) {
		write_out(s, n);
		return;
	}
	copy_bytes(output + output_used, s, n);
	output_used += n;
}

void
put_char(char c)
{
	output[output_used++] = c;
	if (output_used >= OUTPUT_SIZE)
		flush_output();
}

void
put_string(const char *s)
{
	put_raw(s, strlen(s));
}

/* Writes the digits of value before end; returns where they begin. */
static char *
write_digits(char *end, uint64_t value)
{
	static const char pairs[] =
	    "00010203040506070809101112131415161718192021222324"
	    "25262728293031323334353637383940414243444546474849"
	    "50515253545556575859606162636465666768697071727374"
	    "75767778798081828384858687888990919293949596979899";
	uint32_t low, rest;

	for (; value > UINT32_MAX; value /= 10)
		*--end = (char)('0' + value % 10);
	for (low = (uint32_t)value; low >= 10; low = rest) {
		/* low / 100; with -Os gcc divides, thrice as slow */
		rest = (uint32_t)((uint64_t)low * 0x51eb851f >> 37);
		end -= 2;
		memcpy(end, pairs + 2 * (low - 100 * rest), 2);
		if (rest == 0)
			return end;
	}
	*--end = (char)('0' + low);
	return end;
}

char *
decimal(char digits[DECIMAL_SIZE], uint64_t value)
{
	digits[DECIMAL_SIZE - 1] = '\0';
	return write_digits(digits + DECIMAL_SIZE - 1, value);
}

void
put_number(uint64_t value)
{
	/* With room behind, so that whole words can be copied. */
	static char digits[20 + 24];
	char *end = digits + 20, *s;

	if (value < 10) {	/* most numbers of a row */
		put_char((char)('0' + value));
		return;
	}
	if (output_used + 24 >= OUTPUT_SIZE)
		flush_output();
	s = write_digits(end, value);
	memcpy(output + output_used, s, 8);
	if (end - s > 8)
		memcpy(output + output_used + 8, s + 8, 16);
	output_used += (size_t)(end - s);
}

void
put_signed(int64_t value)
{
	if (value < 0)
		put_char('-');
	put_number(value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void
put_long_field(const char *s, size_t n)
{
	const size_t most = OUTPUT_SIZE / 8;
	size_t part, i;

	while (n > 0) {
		part = n;
		if (part > most) {
			/* Cut between characters: before a byte that begins
			 * one, or anywhere where none is near. */
			part = most;
			for (i = 0; i < 4; i++)
				if (((unsigned char)s[most - i] & 0xc0) != 0x80)
					break;
			if (i < 4)
				part = most - i;
		}
		if (output_used + 4 * part >= OUTPUT_SIZE)
			flush_output();
		output_used += escape(output + output_used, s, part);
		s += part;
		n -= part;
	}
}

void
put_field(const char *s, size_t n)
{
	if (output_used + 4 * n >= OUTPUT_SIZE) {
		put_long_field(s, n);
		return;
	}
	output_used += escape(output + output_used, s, n);
}

/* Workers: in the worker */

enum {
	PIPE_SIZE = 1 << 20,	/* with 64 KiB both sides would always wait */
	SEND_SIZE = 65536,
	MAX_RECORD = 32 << 20,	/* what a broken worker makes us keep */
	MAX_WORKERS = 64,
	/* Kinds of records that every worker may send; a tool's are >= 0. */
	BEGIN = -1, END = -2, WARNING = -3, NOTE = -4, COUNT = -5,
};

#define NO_JOB SIZE_MAX

/* What stands before the head and text of each record in the pipe. */
struct record_prefix {
	uint32_t length;
	int32_t kind;
};

/*
 * Memory that a worker shares with its parent, which must see how far the
 * worker is even when it hangs.  A broken worker may write anything here.
 */
struct slot {
	volatile uint32_t steps;
	volatile size_t job;	/* the one it does now; NO_JOB: none */
};

/*
 * The first job of a scan that no worker has claimed.  All workers share it,
 * so that whoever is done takes the next and none waits for a slow one.
 */
struct queue {
	_Atomic size_t next;
};

/* A worker, as its parent sees it. */
struct worker {
	int in_use;		/* it runs, or its records are not all taken */
	pid_t pid;
	int fd;			/* of its pipe; -1: the worker has ended */
	struct slot *slot;
	uint32_t steps;		/* in the slot, a second ago */
	/* Seconds of its whole life without progress, and under watch. */
	unsigned stalled, watched;
	size_t job;		/* the only one, if it is alone */
	/* Read from the pipe and not taken yet: used bytes, at buf + from. */
	char *buf;
	size_t from, used, room;
};

static size_t processors = 1;	/* that this process may use */
static const struct scan *scan;
static struct queue *queue;
static struct worker workers[MAX_WORKERS];
static size_t turn;		/* the job whose records are taken now */
static int turn_began;		/* scan->begin was called for it */
static struct worker *current;	/* that sends them; null: none has begun */
static const char **why_lost;	/* for each job; null: it is not lost */
/* The entry of workers that stands for the parent in do_jobs_here, or null. */
static struct worker *ourselves;

/* In a worker: records that are not written to the pipe yet. */
static char to_send[SEND_SIZE];
static size_t send_used;
static int send_fd = -1;

static int
is_running(const struct worker *w)
{
	return w->in_use && w->fd != -1;
}

static int
is_patient(size_t job)
{
	return scan->is_patient != NULL && scan->is_patient(job);
}

/* Makes room in the buffer of a worker for n more bytes. */
static void
make_room(struct worker *w, size_t n)
{
	if (w->from > 0 && w->from + w->used + n > w->room) {
		memmove(w->buf, w->buf + w->from, w->used);
		w->from = 0;
	}
	w->buf = grow(w->buf, &w->room, w->from + w->used + n, 1);
}

/* Sends bytes to the parent; in do_jobs_here, straight into its buffer. */
static void
send_bytes(const void *s, size_t n)
{
	if (ourselves != NULL) {
		make_room(ourselves, n);
		memcpy(ourselves->buf + ourselves->from + ourselves->used, s,
		    n);
		ourselves->used += n;
	} else if (write_all(send_fd, s, n) == -1) {
		_exit(2);	/* the parent is gone */
	}
}

void
flush_records(void)
{
	size_t n = send_used;

	send_used = 0;
	send_bytes(to_send, n);
}

void
send_record(int kind, const void *head, size_t nhead, const void *text,
    size_t ntext)
{
	struct record_prefix p = { (uint32_t)(nhead + ntext), kind };
	const size_t n = sizeof p + nhead;

	if (ntext > MAX_RECORD - nhead)
		fatal("%s", strerror(EMSGSIZE));
	step();
	if (n + ntext > SEND_SIZE - send_used)
		flush_records();
	memcpy(to_send + send_used, &p, sizeof p);
	copy_bytes(to_send + send_used + sizeof p, head, nhead);
	send_used += n;
	if (ntext > SEND_SIZE - send_used) {
		flush_records();
		send_bytes(text, ntext);
		return;
	}
	copy_bytes(to_send + send_used, text, ntext);
	send_used += ntext;
}

/* Claims the next job for this worker; NO_JOB if none is left. */
static size_t
claim_job(void)
{
	size_t job = queue->next++;

	return job < scan->njobs ? job : NO_JOB;
}

/*
 * Does one job, after prepare if that is not null.  BEGIN, its records and END
 * are sent before it returns, so that a worker that hangs in its next job
 * holds back nothing of this one.
 */
static void
do_job(size_t job, void (*prepare)(void))
{
	send_record(BEGIN, &job, sizeof job, NULL, 0);
	if (prepare != NULL)
		prepare();
	scan->work(job);
	send_record(END, NULL, 0, NULL, 0);
	flush_records();
}

/*
 * All that a worker does, from its fork to its end: if it is alone the job in
 * its slot, else one job after the other until all are claimed.
 */
static _Noreturn void
be_worker(struct slot *slot)
{
	size_t job = slot->job, i;
	int fd;

	/* What another worker sends, this one must not be able to read. */
	for (i = 0; i < MAX_WORKERS; i++)
		if (is_running(&workers[i]))
			close(workers[i].fd);
	/* The terminal is not for a worker, which may be broken. */
	for (fd = is_patient(job) ? STDOUT_FILENO : STDIN_FILENO;
	    fd <= STDERR_FILENO; fd++)
		(void)dup2(send_fd, fd);
	close(send_fd);
	send_fd = STDOUT_FILENO;
	in_worker = 1;
	send_used = 0;
	steps = &slot->steps;
	if (!scan->alone)
		slot->job = job = claim_job();
	for (i = 0; job != NO_JOB; i++) {
		do_job(job, i == 0 ? scan->prepare : NULL);
		slot->job = job = scan->alone ? NO_JOB : claim_job();
	}
	_exit(0);
}

/* Messages */

static const char *
format_number(char digits[DECIMAL_SIZE], int64_t value, char conversion)
{
	char *s;

	if (conversion == 'c') {
		digits[0] = (char)value;
		digits[1] = '\0';
		return digits;
	}
	if (conversion == 'u' || value >= 0)
		return decimal(digits, (uint64_t)value);
	s = decimal(digits, -(uint64_t)value);
	*--s = '-';
	return s;
}

/* format_text with its arguments in ap. */
static size_t
format_args(char *dst, size_t size, const char *fmt, va_list ap)
{
	char number[DECIMAL_SIZE];
	size_t used = 0, len;
	const char *s;
	int64_t value;
	int most, longs;

	for (; *fmt != '\0'; fmt++) {
		s = fmt;
		len = 1;
		if (*fmt == '%') {
			most = INT_MAX;
			if (fmt[1] == '.') {	/* "%.*s" */
				most = va_arg(ap, int);
				fmt += 2;
			}
			for (longs = 0; *++fmt == 'l'; longs++)
				;
			if (*fmt == 's') {
				s = va_arg(ap, const char *);
				len = strnlen(s, (size_t)most);
			} else {
				value = longs > 0 ? va_arg(ap, long long) :
				    va_arg(ap, int);
				if (longs == 0 && *fmt == 'u')
					value &= UINT32_MAX;
				s = format_number(number, value, *fmt);
				len = *fmt == 'c' ? 1 : strlen(s);
			}
		}
		for (; len > 0; len--, s++, used++)
			if (used + 1 < size)
				dst[used] = *s;
	}
	if (size > 0)
		dst[used < size ? used : size - 1] = '\0';
	return used;
}

size_t
format_text(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format_args(dst, size, fmt, ap);
	va_end(ap);
	return n;
}

static void
print_message(const char *text, size_t n)
{
	char line[4 * MESSAGE_SIZE + 64];
	size_t used;

	used = format_text(line, 64, "%.*s: ", 60, progname);
	used += escape(line + used, text, n);
	line[used++] = '\n';
	/* If standard error is gone, there is still the exit status. */
	(void)write_all(STDERR_FILENO, line, used);
}

/* Prints a message, or in a worker sends it as a record of that kind. */
static void
report(int kind, const char *fmt, va_list ap)
{
	char text[MESSAGE_SIZE];
	size_t n;

	n = format_args(text, sizeof text, fmt, ap);
	if (n >= sizeof text) {
		n = sizeof text - 1;
		memcpy(text + n - 3, "...", 3);
	}
	if (in_worker)
		send_record(kind, NULL, 0, text, n);
	else
		print_message(text, n);
}

void
warning(const char *fmt, ...)
{
	va_list ap;

	status = 1;
	if (quiet && !in_worker)	/* the status is the parent's */
		return;
	va_start(ap, fmt);
	report(WARNING, fmt, ap);
	va_end(ap);
}

void
note(const char *fmt, ...)
{
	va_list ap;

	if (quiet)
		return;
	va_start(ap, fmt);
	report(NOTE, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(WARNING, fmt, ap);
	va_end(ap);
	if (in_worker)
		flush_records();
	_exit(2);
}

/*
 * Sends what count_warning was called with, as one message.  Each string is
 * cut to its share of the room; which, maybe a path, has half of it.
 */
static void
send_count(const char *const *strings)
{
	char text[MESSAGE_SIZE];
	size_t i, n, used = 0;

	for (i = 0; i < 4; i++) {
		n = strnlen(strings[i], i == 1 ? sizeof text / 2 :
		    sizeof text / 6 - 1);
		memcpy(text + used, strings[i], n);
		text[used + n] = '\0';
		used += n + 1;
	}
	send_record(COUNT, NULL, 0, text, used);
}

/* Finds a warning that was counted before, or begins to count a new one. */
static struct counted *
find_counted(const char *unit, const char *what, const char *why)
{
	struct counted *c;

	for (c = counted; c < counted + ncounted; c++)
		if (strcmp(c->what, what) == 0 && strcmp(c->why, why) == 0 &&
		    strcmp(c->unit, unit) == 0)
			return c;
	if (ncounted == MAX_COUNTED)
		return &counted[MAX_COUNTED - 1];
	c = &counted[ncounted++];
	c->count = 0;
	c->unit = strdup(unit);
	c->what = strdup(what);
	c->why = strdup(why);
	if (c->unit == NULL || c->what == NULL || c->why == NULL)
		fatal("%s", strerror(ENOMEM));
	return c;
}

void
count_warning(const char *unit, const char *which, const char *what,
    const char *why)
{
	const char *const strings[] = { unit, which, what, why };
	struct counted *c;

	status = 1;
	if (in_worker) {
		send_count(strings);
		return;
	}
	c = find_counted(unit, what, why);
	if (c->count++ == 0)
		c->first = strdup(which);
}

void
count_number(const char *unit, uint64_t which, const char *what,
    const char *why)
{
	char digits[DECIMAL_SIZE];

	count_warning(unit, decimal(digits, which), what, why);
}

static void
print_counts(void)
{
	const struct counted *c;
	const char *plural, *colon, *first;
	size_t n;

	for (c = counted; c < counted + ncounted; c++) {
		/* The plural of netns is netns; a worker may send "s". */
		n = strlen(c->unit);
		plural = n < 2 || c->unit[n - 1] != 's' ? "s" :
		    c->unit[n - 2] == 's' ? "es" : "";
		colon = *c->what != '\0' ? ": " : "";
		first = c->first != NULL ? c->first : "";
		if (c->count == 1)
			warning("%s %s%s%s: %s", c->unit, first, colon,
			    c->what, c->why);
		else
			warning("%llu %s%s (first: %s)%s%s: %s", c->count,
			    c->unit, plural, first, colon, c->what, c->why);
	}
	ncounted = 0;
}

/* Start, end, options and columns */

void
start(const char *name)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);
	int fd, filler;

	progname = name;
	if (n > 1)
		processors = (size_t)n;
	/* getopt(3) would write what it was given as it is. */
	opterr = 0;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);	/* ignored, children leave no status */
	if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
		fatal("standard output: %s", strerror(errno));
	/* The lowest number that is free is that of the closed one. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd += 2)
		while (fcntl(fd, F_GETFD) == -1) {
			/* "/" is there even in a chroot without /dev. */
			filler = openat(AT_FDCWD, "/", O_PATH | O_CLOEXEC);
			if (filler == -1)
				fatal("/: %s", strerror(errno));
		}
}

int
finish(void)
{
	flush_output();
	print_counts();
	/* time(1) counts only the workers that were waited for. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (close(STDOUT_FILENO) == -1 && errno != EINTR)
		fatal("standard output: %s", strerror(errno));
	return status;
}

void
usage_error(const char *fmt, ...)
{
	char text[MESSAGE_SIZE / 2];
	va_list ap;

	va_start(ap, fmt);
	(void)format_args(text, sizeof text, fmt, ap);
	va_end(ap);
	fatal("%s (see %s -h)", text, progname);
}

/* Makes short options of the long ones that people type first. */
static void
shorten_options(char **argv)
{
	static char help[] = "-h", version[] = "-V";

	for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, "--help") == 0)
			*argv = help;
		else if (strcmp(*argv, "--version") == 0)
			*argv = version;
}

static _Noreturn void
print_and_exit(const char *text)
{
	put_string(text);
	_exit(finish());
}

int
next_option(int argc, char **argv, const char *own, const char *help,
    const char *version)
{
	char options[64];
	int c;

	if (optind == 1)
		shorten_options(argv);
	(void)format_text(options, sizeof options, ":hHo:qr:V%s", own);
	while ((c = getopt(argc, argv, options)) != -1)
		switch (c) {
		case 'h':
			print_and_exit(help);
		case 'H':
			no_header = 1;
			break;
		case 'o':
			chosen_columns = optarg;
			break;
		case 'q':
			quiet = 1;
			break;
		case 'r':
			root = optarg;
			if (*root == '\0')
				usage_error("-r: empty name");
			break;
		case 'V':
			print_and_exit(version);
		case ':':
			usage_error("-%c: its argument is missing", optopt);
		case '?':
			usage_error("-%c: no such option", optopt);
		default:
			return c;
		}
	return -1;
}

int
next_item(const char **list, const char **item, size_t *len)
{
	if (*list == NULL)
		return 0;
	*item = *list;
	*len = (size_t)(strchrnul(*item, ',') - *item);
	*list = (*item)[*len] == ',' ? *item + *len + 1 : NULL;
	return 1;
}

void
unknown_item(const char *kind, const char *item, size_t len,
    const char *(*name)(size_t))
{
	char names[MESSAGE_SIZE / 2] = "";
	size_t used = 0, i;

	for (i = 0; name(i) != NULL && used < sizeof names; i++)
		used += format_text(names + used, sizeof names - used,
		    " %s", name(i));
	usage_error("%s: '%.*s' is none of:%s", kind,
	    (int)(len < 64 ? len : 64), item, names);
}

static const struct column *known_columns;

static const char *
column_name(size_t i)
{
	return known_columns[i].name;
}

static void
choose_column(const struct column *all, const char *name, size_t len)
{
	const struct column *c;

	for (c = all; c->name != NULL; c++)
		if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
			break;
	if (c->name == NULL)
		unknown_item("-o: column", name, len, column_name);
	if (nchosen == MAX_COLUMNS)
		usage_error("-o: more than %d columns", MAX_COLUMNS);
	chosen[nchosen++] = c;
}

unsigned
choose_columns(const struct column *all, size_t ndefault)
{
	const char *list = chosen_columns, *item;
	unsigned needs = 0;
	size_t i, len;

	nchosen = 0;
	known_columns = all;
	if (list == NULL || *list == '+')
		for (i = 0; i < ndefault; i++)
			chosen[nchosen++] = &all[i];
	if (list != NULL)
		list += *list == '+';
	while (next_item(&list, &item, &len))
		choose_column(all, item, len);
	for (i = 0; i < nchosen; i++)
		needs |= chosen[i]->needs;
	return needs;
}

void
print_header(void)
{
	size_t i;

	for (i = 0; i < nchosen; i++) {
		if (i > 0)
			put_char('\t');
		put_string(chosen[i]->name);
	}
	put_char('\n');
}

void
print_row(void)
{
	size_t i;

	for (i = 0; i < nchosen; i++) {
		column = chosen[i];
		column->print();
		output[output_used++] = '\t';
	}
	output[output_used - 1] = '\n';
	if (output_used >= OUTPUT_SIZE)
		flush_output();
}

/* Numbers and arrays */

int
parse_number(const char *s, size_t n, int base, uint64_t max, uint64_t *value)
{
	/* one more than the value of a digit; 0 for others */
	static const unsigned char digits[256] = {
		['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
		['A'] = 11, 12, 13, 14, 15, 16,
		['a'] = 11, 12, 13, 14, 15, 16,
	};
	const char *end = s + n, *fits = n < 15 ? end : s + 15;
	const unsigned b = (unsigned)base;
	uint64_t v = 0;
	unsigned digit = 0;

	/* 15 digits fit into 64 bits, whatever the base is. */
	for (; s < fits && (digit = digits[(unsigned char)*s] - 1u) < b; s++)
		v = v * b + digit;
	for (; s < end && (digit = digits[(unsigned char)*s] - 1u) < b; s++)
		if (__builtin_mul_overflow(v, b, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return -1;
	if (n == 0 || s < end || v > max)
		return -1;
	*value = v;
	return 0;
}

void *
grow(void *array, size_t *room, size_t count, size_t size)
{
	size_t want = *room == 0 ? 64 : *room;

	while (want <= count) {
		if (want > PTRDIFF_MAX / 2 / size)
			fatal("%s", strerror(ENOMEM));
		want *= 2;
	}
	if (want != *room) {
		array = realloc(array, want * size);
		if (array == NULL)
			fatal("%s", strerror(ENOMEM));
		*room = want;
	}
	return array;
}

void
sort(void *array, size_t n, size_t size,
    int (*compare)(const void *, const void *))
{
	const char *s = array;
	size_t i;

	for (i = 1; i < n; i++, s += size)
		if (compare(s, s + size) > 0) {
			qsort(array, n, size, compare);
			return;
		}
}

uint64_t
random_odd(void)
{
	/* What the kernel gives each program for such an end (2.6.29). */
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t word = UINT64_C(0x9e3779b97f4a7c15);

	if (random != NULL)
		memcpy(&word, random, sizeof word);
	return word | 1;
}

/* Lines of a file */

/*
 * The buffer of a reader that was freed, for the next one.  Without it, 200
 * namespaces took a third more processor time (205 ms, not 155).
 */
static char *spare;

/* memchr(3) for short lines, over which that of musl is slow. */
static char *
find(char *s, int c, size_t n)
{
	uint64_t w, marks;

	for (; n >= 8; s += 8, n -= 8) {
		w = load_word(s) ^ ONES * (unsigned char)c;
		marks = (w - ONES) & ~w & HIGHS;
		if (marks != 0)
			return s + first_marked(marks);
	}
	for (; n > 0; s++, n--)
		if (*s == (char)c)
			return s;
	return NULL;
}

/*
 * Moves fd past a hole of its file, and sets *skipped if there is one before
 * data.  Returns how many bytes may be read at once, which end before the next
 * hole; 0 if fd is left at a wrong place.  If the file system does not say
 * where holes are, they are read as zeros.
 */
static size_t
data_ahead(int fd, int *skipped)
{
	off_t here, data, hole;

	here = lseek(fd, 0, SEEK_CUR);
	if (here == -1)
		return READ_SIZE;
	data = lseek(fd, here, SEEK_DATA);
	if (data == -1) {
		/* ENXIO: nothing but a hole up to the end. */
		if (errno == ENXIO && lseek(fd, 0, SEEK_END) == -1)
			return 0;
		return READ_SIZE;
	}
	*skipped = data > here;
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole != -1 && lseek(fd, data, SEEK_SET) == -1)
		return 0;
	if (hole > data && hole - data < READ_SIZE)
		return (size_t)(hole - data);
	return READ_SIZE;
}

/*
 * Reads more into the buffer, after moving what is not used to its beginning.
 * Returns 0 at the end of the file or on errors.
 */
static int
fill(struct reader *r)
{
	size_t want = READ_SIZE;
	ssize_t n;
	int skipped = 0;

	if (r->eof)
		return 0;
	if (r->start > 0) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->buf == NULL && spare != NULL) {
		r->buf = spare;
		r->size = 2 * READ_SIZE;
		spare = NULL;
	}
	if (r->end + READ_SIZE > r->size)
		r->buf = grow(r->buf, &r->size, r->end + READ_SIZE, 1);
	if (r->sparse)
		want = data_ahead(r->fd, &skipped);
	if (skipped) {		/* or what is before and behind it were one */
		r->buf[r->end++] = '\0';
		want -= want == READ_SIZE;
	}
	if (want == 0)
		errno = EIO;	/* not EINVAL, which psock passes over */
	do
		n = want == 0 ? -1 : read(r->fd, r->buf + r->end, want);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		r->error = n == -1 ? errno : 0;
		r->eof = 1;
		return 0;
	}
	r->end += (size_t)n;
	*steps += 1 + (uint32_t)n / STEP_SIZE;
	r->count += (uint64_t)n;
	if (r->limit > 0 && r->count > r->limit) {
		r->error = EFBIG;
		r->eof = 1;
	}
	return 1;
}

/* Skips the rest of a line whose beginning was returned, cut. */
static void
skip_line(struct reader *r, int delim)
{
	char *p;

	do {
		p = memchr(r->buf + r->start, delim, r->end - r->start);
		if (p != NULL) {
			r->start = (size_t)(p - r->buf) + 1;
			return;
		}
		r->start = r->end;
	} while (fill(r));
}

/*
 * read_line for a line that is not whole in the buffer, is longer than max,
 * or follows one that was cut.
 */
static ptrdiff_t
read_far_line(struct reader *r, int delim, char **line)
{
	size_t seen = 0, len;
	char *p;

	if (r->cut)
		skip_line(r, delim);
	do {
		len = r->end - r->start;
		p = memchr(r->buf + r->start + seen, delim, len - seen);
		seen = len;
	} while (p == NULL && len <= r->max && fill(r));
	if (p == NULL && len == 0)
		return -1;
	*line = r->buf + r->start;
	if (p != NULL)
		len = (size_t)(p - *line);
	r->cut = len > r->max;
	r->ended = p != NULL && !r->cut;
	if (r->cut)
		len = r->max;
	r->start += len + (p != NULL && !r->cut);
	return (ptrdiff_t)len;
}

ptrdiff_t
read_line(struct reader *r, int delim, char **line)
{
	char *s, *p;

	if (r->buf == NULL && !fill(r))
		return -1;
	s = r->buf + r->start;
	p = find(s, delim, r->end - r->start);
	if (p == NULL || r->cut || (size_t)(p - s) > r->max)
		return read_far_line(r, delim, line);
	r->start += (size_t)(p - s) + 1;
	r->ended = 1;
	*line = s;
	return p - s;
}

size_t
read_ahead(struct reader *r, size_t n)
{
	while (r->end - r->start < n && fill(r))
		;
	return r->end - r->start < n ? r->end - r->start : n;
}

void
reader_free(struct reader *r)
{
	if (spare == NULL && r->size == 2 * READ_SIZE)
		spare = r->buf;
	else
		free(r->buf);
	*r = (struct reader){ .fd = -1 };
}

void
close_quietly(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

/* What a process may still do: seccomp and capabilities */

#if defined(__x86_64__)
static const uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__i386__)
static const uint32_t architecture = AUDIT_ARCH_I386;
#elif defined(__aarch64__)
static const uint32_t architecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__)
static const uint32_t architecture = AUDIT_ARCH_ARM;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
static const uint32_t architecture = AUDIT_ARCH_PPC64LE;
#elif defined(__s390x__)
static const uint32_t architecture = AUDIT_ARCH_S390X;
#elif defined(__riscv) && __riscv_xlen == 64
static const uint32_t architecture = AUDIT_ARCH_RISCV64;
#else
static const uint32_t architecture;
#endif

/*
 * Where the lower half of an argument is: filters load 32 bits at once, and
 * flags are in the lower ones.
 */
static uint32_t
argument_at(int i)
{
	return (uint32_t)(offsetof(struct seccomp_data, args) + 8u *
	    (unsigned)i + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
}

/* What both tools need to the end: to read what is open, and memory. */
static const int usual_calls[] = {
	SYS_read, SYS_close, SYS_exit_group, SYS_brk, SYS_munmap, SYS_mremap,
	SYS_madvise, SYS_restart_syscall,
#ifdef SYS_getrandom	/* glibc's first malloc */
	SYS_getrandom,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_futex, SYS_sigaltstack, SYS_getpid, SYS_gettid, SYS_sched_yield,
	SYS_rt_sigprocmask,
#endif
};

/*
 * Memory, but none that can be run, nor any that is a file: that of another
 * process could be written to.  To write, it has standard output alone, which
 * in a worker is its pipe.
 */
static const struct condition usual_conditions[] = {
	{ SYS_write, 0, UINT32_MAX, STDOUT_FILENO, 0 },
	{ SYS_mprotect, 2, PROT_EXEC, 0, 0 },	/* musl, where brk fails */
#if defined(SYS_mmap2)		/* i386, arm */
	{ SYS_mmap2, 3, MAP_ANONYMOUS, MAP_ANONYMOUS, 1 },
	{ SYS_mmap2, 2, PROT_EXEC, 0, 0 },
#elif defined(__s390x__)	/* by a pointer to its arguments */
	{ SYS_mmap, 0, 0, 0, 0 },
#else
	{ SYS_mmap, 3, MAP_ANONYMOUS, MAP_ANONYMOUS, 1 },
	{ SYS_mmap, 2, PROT_EXEC, 0, 0 },
#endif
};

enum {
	USUAL_CALLS = sizeof usual_calls / sizeof *usual_calls,
	USUAL_CONDITIONS = sizeof usual_conditions / sizeof *usual_conditions,
	FILTER_SIZE = 512,
};

/*
 * Instructions of a filter.  IF compares with k, and skips if_equal of the
 * next instructions if that is equal, else if_not of them.
 */
enum {
	LOAD = BPF_LD | BPF_W | BPF_ABS,
	AND = BPF_ALU | BPF_AND | BPF_K,
	IF = BPF_JMP | BPF_JEQ | BPF_K,
	RETURN = BPF_RET | BPF_K,
};

static struct sock_filter filter[FILTER_SIZE];
static size_t filter_used;

static void
add_code(int code, size_t k, int if_equal, int if_not)
{
	filter[filter_used++] = (struct sock_filter)BPF_JUMP((uint16_t)code,
	    (uint32_t)k, (uint8_t)if_equal, (uint8_t)if_not);
}

static void
allow_calls(const int *calls, size_t n)
{
	for (; n > 0; n--) {
		add_code(IF, (uint32_t)*calls++, 0, 1);
		add_code(RETURN, SECCOMP_RET_ALLOW, 0, 0);
	}
}

/*
 * Allows the calls that meet a condition.  The last instruction ends the
 * filter: it allows a call that meets it or, if the condition is required,
 * kills for one that does not.  Every other call skips it.
 */
static void
allow_conditions(const struct condition *c, size_t n)
{
	for (; n > 0; n--, c++) {
		add_code(LOAD, offsetof(struct seccomp_data, nr), 0, 0);
		add_code(IF, (uint32_t)c->call, 0, 4);
		add_code(LOAD, argument_at(c->argument), 0, 0);
		add_code(AND, c->mask, 0, 0);
		add_code(IF, c->value, c->required, !c->required);
		add_code(RETURN, c->required ? SECCOMP_RET_KILL :
		    SECCOMP_RET_ALLOW, 0, 0);
	}
}

/*
 * A worker may not close its pipe: a descriptor that it copies from another
 * process (pidfd_getfd) would get the number that it may write to.
 */
static void
keep_pipe_open(void)
{
	add_code(IF, SYS_close, 0, 4);
	add_code(LOAD, argument_at(0), 0, 0);
	add_code(IF, STDOUT_FILENO, 0, 1);
	add_code(RETURN, SECCOMP_RET_KILL, 0, 0);
	add_code(RETURN, SECCOMP_RET_ALLOW, 0, 0);
}

/* What a parent asks for besides: to fork workers, and to watch them. */
static const int parent_calls[] = {
	SYS_write, SYS_clone, SYS_dup3, SYS_kill, SYS_wait4, SYS_pipe2,
	SYS_fcntl,
	SYS_prctl, SYS_getpid, SYS_getppid, SYS_gettid, SYS_clock_gettime,
	SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_set_tid_address, SYS_ppoll,
	SYS_set_robust_list, SYS_capget, SYS_capset,
	-1,	/* no call at all: what strace makes of one that it lets fail */
#ifdef SYS_fork
	SYS_fork, SYS_dup2,
#endif
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_fcntl64	/* 32-bit machines */
	SYS_fcntl64, SYS_clock_gettime64, SYS_ppoll_time64,
#endif
#ifdef SYS_waitpid
	SYS_waitpid,
#endif
#ifdef SYS_seccomp
	SYS_seccomp,
#endif
#ifdef SYS_rseq
	SYS_rseq,
#endif
};

enum { PARENT_CALLS = sizeof parent_calls / sizeof *parent_calls };

/*
 * Installs a filter.  A call of another architecture (on x86_64, one of i386)
 * has other numbers: that kills, too.
 */
int
confine(const int *calls, size_t n, const struct condition *c, size_t m)
{
	struct sock_fprog program;

	if (architecture == 0 || 2 * (USUAL_CALLS + PARENT_CALLS + n) + 6 *
	    (USUAL_CONDITIONS + m) + 10 > FILTER_SIZE) {
		errno = ENOSYS;
		return -1;
	}
	filter_used = 0;
	add_code(LOAD, offsetof(struct seccomp_data, arch), 0, 0);
	add_code(IF, architecture, 1, 0);
	add_code(RETURN, SECCOMP_RET_KILL, 0, 0);
	add_code(LOAD, offsetof(struct seccomp_data, nr), 0, 0);
	if (in_worker)
		keep_pipe_open();
	else
		allow_calls(parent_calls, PARENT_CALLS);
	allow_calls(usual_calls, USUAL_CALLS);
	allow_calls(calls, n);
	allow_conditions(usual_conditions, USUAL_CONDITIONS);
	allow_conditions(c, m);
	add_code(RETURN, SECCOMP_RET_KILL, 0, 0);
	program.len = (unsigned short)filter_used;
	program.filter = filter;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int
has_capability(int capability)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	return syscall(SYS_capget, &head, caps) == 0 &&
	    (caps[0].effective & 1u << capability) != 0;
}

int
keep_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (syscall(SYS_capget, &head, caps) == -1)
		return -1;
	caps[0].effective &= keep;
	caps[0].permitted &= keep;
	caps[0].inheritable = 0;
	memset(&caps[1], 0, sizeof caps[1]);
	return (int)syscall(SYS_capset, &head, caps);
}

/* Users and mounts */

int
parse_passwd(char *line, size_t n, struct passwd_entry *e)
{
	char *f[7], *colon;
	size_t i;

	if (memchr(line, '\0', n) != NULL)
		return -1;
	line[n] = '\0';
	for (i = 0; i < 7; i++) {
		f[i] = line;
		colon = strchr(line, ':');
		if (colon == NULL && i < 6)
			return -1;
		if (colon != NULL) {
			*colon = '\0';
			line = colon + 1;
		}
	}
	e->name = f[0];
	e->home = f[5];
	if (parse_number(f[2], strlen(f[2]), 10, UINT32_MAX - 1,
	    &e->uid) == -1)
		return -1;
	return parse_number(f[3], strlen(f[3]), 10, UINT32_MAX - 1, &e->gid);
}

/* memmem(3), of which musl's own is 1.2 KB large. */
const char *
find_text(const char *s, size_t n, const char *text)
{
	size_t len = strlen(text);

	for (; n >= len; s++, n--)
		if (memcmp(s, text, len) == 0)
			return s;
	return NULL;
}

/* The number behind name in mount options; 0 if it is not there, -1 if bad. */
static int64_t
option_number(const char *s, size_t n, const char *name)
{
	const char *p;
	uint64_t value;
	size_t len;

	p = find_text(s, n, name);
	if (p == NULL)
		return 0;
	p += strlen(name);
	for (len = 0; p + len < s + n && p[len] >= '0' && p[len] <= '9'; len++)
		;
	return parse_number(p, len, 10, UINT32_MAX, &value) == 0 ?
	    (int64_t)value : -1;
}

/* Whether this process has a group. */
static int
is_member(int64_t gid)
{
	gid_t groups[1024];
	int i, n;

	if (gid == (int64_t)getegid())
		return 1;
	n = getgroups(sizeof groups / sizeof *groups, groups);
	for (i = 0; i < n; i++)
		if (gid == (int64_t)groups[i])
			return 1;
	return 0;
}

int
hides_processes(const char *line, size_t n)
{
	const char *options;
	size_t left;

	options = find_text(line, n, " - proc ");
	if (options == NULL || getauxval(AT_EUID) == 0 ||
	    find_text(line, (size_t)(options - line), " /proc ") == NULL)
		return 0;
	left = n - (size_t)(options - line);
	/* 1, 2, and since Linux 5.8 "invisible", "ptraceable" and so on. */
	if (find_text(options, left, "hidepid=") == NULL ||
	    find_text(options, left, "hidepid=0") != NULL ||
	    find_text(options, left, "hidepid=off") != NULL)
		return 0;
	/* That hides them from the group, too. */
	if (find_text(options, left, "hidepid=ptraceable") != NULL)
		return 1;
	return !is_member(option_number(options, left, "gid="));
}

/* Workers: in the parent */

/*
 * A worker is killed after so many seconds without progress: the first, the
 * next three, all others.  The more have hung, the less is one more worth
 * waiting for, or a dead file server would cost 10 seconds a job.  Once all
 * scans have had MAX_STALLED such seconds, this scan ends, and each later one
 * at its first.
 */
enum {
	FIRST_PATIENCE = 10,
	SOME_PATIENCE = 3,
	LAST_PATIENCE = 1,
	MAX_STALLED = 60,
	FEW_STEPS = 50,		/* a second; fewer: it waits again and again */
};

/* In all scans: workers that hung, and seconds in which one or more did. */
static unsigned nkilled, stalled_seconds;

static unsigned
patience(void)
{
	return nkilled == 0 ? FIRST_PATIENCE :
	    nkilled < 4 ? SOME_PATIENCE : LAST_PATIENCE;
}

static int64_t last_watch;	/* when the workers were looked at, in ms */

static int64_t
milliseconds(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Memory that a worker and its parent share; null if there is none. */
static void *
share(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

static void
drop_worker(struct worker *w)
{
	free(w->buf);
	if (w->slot != NULL)
		(void)munmap(w->slot, sizeof *w->slot);
	*w = (struct worker){ .fd = -1 };
}

/*
 * Forks a worker; job is its only one if it is alone, else NO_JOB.  Returns
 * 0, or -1 if no worker can be had.
 */
static int
fork_worker(struct worker *w, size_t job)
{
	struct slot *slot = share(sizeof *slot);
	pid_t parent = getpid();
	int ends[2];

	*w = (struct worker){ .in_use = 1, .pid = -1, .fd = -1, .slot = slot,
	    .job = job };
	/* A first second that is not whole is not held against it. */
	if (milliseconds() - last_watch > 100)
		w->steps -= FEW_STEPS;
	if (slot == NULL || pipe2(ends, O_CLOEXEC) == -1)
		goto failed;
	slot->job = job;
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	w->pid = _Fork();
	if (w->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != parent)
			_exit(2);	/* it ended before that */
		close(ends[0]);
		send_fd = ends[1];
		be_worker(slot);
	}
	close(ends[1]);
	if (w->pid == -1) {
		close(ends[0]);
		goto failed;
	}
	w->fd = ends[0];
	/* No worker must reach the slot of another. */
	(void)madvise(slot, sizeof *slot, MADV_DONTFORK);
	return 0;
failed:
	drop_worker(w);
	return -1;
}

/*
 * Waits for a worker that has ended, so that no zombie stays.  One that hangs
 * in the kernel ends late, even if it was killed, and we never block for it:
 * its pid is kept and tried once more, after MAX_WORKERS others.
 */
static void
reap(pid_t pid)
{
	static pid_t late[MAX_WORKERS];
	static size_t n;

	if (waitpid(pid, NULL, WNOHANG) != 0)
		return;
	n = (n + 1) % MAX_WORKERS;
	if (late[n] != 0)
		(void)waitpid(late[n], NULL, WNOHANG);
	late[n] = pid;
}

/*
 * Why a worker ended before its job did.  Its pipe is closed before it has a
 * status, so we wait for that, 100 ms at the most.
 */
static const char *
why_ended(pid_t pid)
{
	char why[40], *copy;
	int result = 0, i;

	for (i = 0; i < 100 && waitpid(pid, &result, WNOHANG) == 0; i++)
		(void)poll(NULL, 0, 1);
	if (i == 100)	/* it closed its pipe, and lives on */
		(void)kill(pid, SIGKILL);
	if (!WIFSIGNALED(result))
		return "exited";
	(void)format_text(why, sizeof why, "killed by signal %d",
	    WTERMSIG(result));
	copy = strdup(why);
	return copy != NULL ? copy : "killed";
}

/*
 * Closes the pipe of a worker and notes that the job it was at is lost; why is
 * null if it was not killed by us.  What it sent before is taken all the same.
 */
static void
end_worker(struct worker *w, const char *why)
{
	size_t job = w->slot->job;

	close(w->fd);
	w->fd = -1;
	if (scan->alone) {
		if (job == NO_JOB && why == NULL)
			why = "exited";	/* mostly after END, which counts */
		job = w->job;	/* whatever its slot says */
	}
	if (job < scan->njobs)
		why_lost[job] = why != NULL ? why : why_ended(w->pid);
	reap(w->pid);
}

/* Reads into the buffer what is in the pipe; -1 at its end. */
static int
read_worker(struct worker *w)
{
	ssize_t n;

	make_room(w, OUTPUT_SIZE);
	n = read(w->fd, w->buf + w->from + w->used, w->room - w->from -
	    w->used);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	w->used += (size_t)n;
	return n == 0 ? -1 : 0;
}

/*
 * Kills a worker.  What is still in its pipe is read first: that may be the
 * end of a job before the one that is lost.
 */
static void
kill_worker(struct worker *w, const char *why)
{
	size_t before;

	(void)kill(w->pid, SIGKILL);
	do
		before = w->used;
	while (read_worker(w) == 0 && w->used > before);
	end_worker(w, why);
}

/* Kills a worker that is broken, if it runs, and forgets what it sent. */
static void
reject_worker(struct worker *w)
{
	if (w->fd != -1)
		kill_worker(w, "sent what it may not");
	w->used = 0;
}

/* Finds the next record of a worker; returns 0 if it has not come whole. */
static int
next_record(struct worker *w, struct record_prefix *p, const char **s)
{
	if (w->used < sizeof *p)
		return 0;
	memcpy(p, w->buf + w->from, sizeof *p);
	*s = w->buf + w->from + sizeof *p;
	if (p->length <= MAX_RECORD)
		return w->used - sizeof *p >= p->length;
	reject_worker(w);
	return 0;
}

static void
skip_record(struct worker *w, const struct record_prefix *p)
{
	w->from += sizeof *p + p->length;
	w->used -= sizeof *p + p->length;
	if (w->used == 0)
		w->from = 0;
}

/*
 * Takes BEGIN of the job whose turn it is, if that is what the worker sent
 * next; returns 1 if so.  BEGIN of a later job stays in the buffer until its
 * turn.  A worker is killed that sends anything else between two jobs.
 */
static int
take_begin(struct worker *w)
{
	struct record_prefix p;
	const char *s;
	size_t job, n;

	if (!w->in_use || (scan->alone && w->job != turn) ||
	    !next_record(w, &p, &s))
		return 0;
	n = p.length;
	if (p.kind != BEGIN || take_head(&s, &n, &job, sizeof job) == -1 ||
	    job < turn || job >= scan->njobs) {
		reject_worker(w);
		return 0;
	}
	if (job != turn)
		return 0;
	skip_record(w, &p);
	return 1;
}

/* Takes what send_count sent: four strings, each with its NUL. */
static void
take_count(const char *s, size_t n)
{
	const char *f[4], *nul;
	size_t i;

	if (n > MESSAGE_SIZE)	/* the strings are kept */
		return;
	for (i = 0; i < 4; i++) {
		nul = memchr(s, '\0', n);
		if (nul == NULL)
			return;
		f[i] = s;
		n -= (size_t)(nul + 1 - s);
		s = nul + 1;
	}
	if (*f[0] != '\0')
		count_warning(f[0], f[1], f[2], f[3]);
}

/* Does what a record asks for; one of an unknown kind is ignored. */
static void
take_record(const struct record_prefix *p, const char *s)
{
	int n = p->length < INT_MAX ? (int)p->length : INT_MAX;

	switch (p->kind) {
	case WARNING:
		warning("%.*s", n, s);
		break;
	case NOTE:
		note("%.*s", n, s);
		break;
	case COUNT:
		take_count(s, p->length);
		break;
	default:
		if (p->kind >= 0)
			scan->take(turn, p->kind, s, p->length);
	}
}

/* Takes the records that have come of the job; returns 1 after its END. */
static int
take_job(struct worker *w)
{
	struct record_prefix p;
	const char *s;

	while (next_record(w, &p, &s)) {
		if (p.kind != END)
			take_record(&p, s);
		skip_record(w, &p);
		if (p.kind == END)
			return 1;
	}
	return 0;
}

static size_t
count_running(void)
{
	size_t i, n = 0;

	for (i = 0; i < MAX_WORKERS; i++)
		n += (size_t)is_running(&workers[i]);
	return n;
}

/*
 * Frees the entries of workers that have ended and whose records are all
 * taken.  A worker that is alone has nothing to say after its only job: if it
 * sends more it is killed, or it could fill our memory.
 */
static void
drop_workers(void)
{
	struct record_prefix p;
	struct worker *w;
	const char *s;
	int done;

	for (w = workers; w < workers + MAX_WORKERS; w++) {
		done = w->in_use && scan->alone && w->job < turn;
		if (done && w->used > 0)
			reject_worker(w);
		if (w->in_use && w->fd == -1 && w != ourselves &&
		    (done || !next_record(w, &p, &s)))
			drop_worker(w);
	}
}

/*
 * Takes the records that have come, one job after the other, until one is
 * missing.  A job is over after its END; it is lost if its worker has ended
 * and there is none, or if nobody began it and none will.
 */
static void
take_records(void)
{
	size_t i;
	int ended;

	for (; turn < scan->njobs; turn++, turn_began = 0, current = NULL) {
		for (i = 0; current == NULL && i < MAX_WORKERS; i++)
			if (take_begin(&workers[i]))
				current = &workers[i];
		/*
		 * A worker that dies between claim_job and writing to its slot
		 * leaves a job that nobody does.  That is known when all are
		 * claimed and no worker runs that might still send it.
		 */
		if (current == NULL && why_lost[turn] == NULL) {
			if (queue->next < scan->njobs || count_running() > 0 ||
			    ourselves != NULL)
				break;
			why_lost[turn] = "lost";
		}
		if (!turn_began && scan->begin != NULL)
			scan->begin(turn);
		turn_began = 1;
		ended = current != NULL && take_job(current);
		/* While its worker runs, more of the job may come. */
		if (!ended && current != NULL && (current->fd != -1 ||
		    current == ourselves))
			break;
		if (!ended)
			scan->lose(turn, why_lost[turn] != NULL ?
			    why_lost[turn] : "lost");
	}
	drop_workers();
}

/*
 * Does the jobs that are left in the parent, since no worker can be forked.
 * Records go through the buffer of w, as if a worker had sent them.
 */
static void
do_jobs_here(struct worker *w)
{
	static int warned;
	size_t job, i;

	if (!warned++)
		warning("no worker: %s: a job that hangs is waited for",
		    strerror(errno));
	*w = (struct worker){ .in_use = 1, .fd = -1 };
	ourselves = w;
	for (i = 0; (job = claim_job()) != NO_JOB; i++) {
		do_job(job, i == 0 ? scan->prepare : NULL);
		take_records();
	}
	ourselves = NULL;
}

/*
 * Forks workers until as many run as may.  One that is alone gets its job
 * here, which is lost if the fork fails; others claim theirs themselves.
 */
static void
start_workers(size_t most)
{
	struct worker *w;
	size_t running = count_running(), job = NO_JOB;

	for (w = workers; w < workers + MAX_WORKERS && running < most; w++) {
		if (w->in_use || queue->next >= scan->njobs)
			continue;
		if (scan->alone)
			job = claim_job();
		if (fork_worker(w, job) == 0) {
			running++;
		} else if (scan->alone) {
			why_lost[job] = strerror(errno);
		} else if (running == 0) {
			do_jobs_here(w);
		} else {
			break;
		}
	}
}

/*
 * Whether the parent reads from a worker now.  It does not if the worker is
 * alone, the turn of its job has not come, and scan->ahead bytes of it are
 * here: its pipe fills, and it waits.
 */
static int
is_polled(const struct worker *w)
{
	return is_running(w) && (!scan->alone || w->job <= turn ||
	    w->used <= scan->ahead);
}

/* Ends a scan early: kills its workers, and loses all jobs not done yet. */
static void
give_up(void)
{
	size_t i;

	for (i = queue->next; i < scan->njobs; i++)
		why_lost[i] = "not read, for others did not answer";
	queue->next = scan->njobs;
	for (i = 0; i < MAX_WORKERS; i++)
		if (is_running(&workers[i]))
			kill_worker(&workers[i], "did not answer");
}

/*
 * Once a second: kills the workers that hung for too long.  Those whose pipe
 * is not read are left alone: they wait for us.
 */
static void
watch_workers(void)
{
	const int64_t now = milliseconds(), passed = now - last_watch;
	struct worker *w;
	uint32_t made;
	int any_stalled = 0;

	if (passed < 1000)
		return;
	for (w = workers; w < workers + MAX_WORKERS; w++) {
		if (!is_polled(w))
			continue;
		made = w->slot->steps - w->steps;
		w->steps += made;
		/*
		 * If two seconds have passed, it was us who did not run: we
		 * were stopped, or waited for whoever reads our output.
		 */
		if (passed >= 2000 || is_patient(w->job))
			continue;
		if (++w->watched == scan->lifetime)
			kill_worker(w, "did not end");
		if (made >= FEW_STEPS || w->fd == -1)
			continue;
		any_stalled = 1;
		if (++w->stalled >= patience()) {
			kill_worker(w, "did not answer");
			nkilled++;
		}
	}
	last_watch = now;
	stalled_seconds += (unsigned)any_stalled;
	if (any_stalled && stalled_seconds >= MAX_STALLED)
		give_up();
}

/* Waits until a worker sends something or ends, a second at the most. */
static void
poll_workers(void)
{
	struct pollfd fds[MAX_WORKERS];
	struct worker *of[MAX_WORKERS];
	nfds_t i, n = 0;

	for (i = 0; i < MAX_WORKERS; i++)
		if (is_polled(&workers[i])) {
			of[n] = &workers[i];
			fds[n++] = (struct pollfd){ workers[i].fd, POLLIN, 0 };
		}
	if (poll(fds, n, 1000) > 0)
		for (i = 0; i < n; i++)
			if (fds[i].revents != 0 && read_worker(of[i]) == -1)
				end_worker(of[i], NULL);
	watch_workers();
}

void
run_scan(const struct scan *s)
{
	size_t i, most = s->most;

	if (s->njobs == 0)
		return;
	if (most == 0)
		most = processors;
	/* The other entries are for workers that ended before their turn. */
	if (most > MAX_WORKERS / 2)
		most = MAX_WORKERS / 2;
	if (most > s->njobs)
		most = s->njobs;
	scan = s;
	turn = 0;
	turn_began = 0;
	current = NULL;
	queue = share(sizeof *queue);
	why_lost = calloc(s->njobs, sizeof *why_lost);
	if (queue == NULL || why_lost == NULL)
		fatal("%s", strerror(ENOMEM));
	if (s->alone)		/* we alone claim, for each worker */
		(void)madvise(queue, sizeof *queue, MADV_DONTFORK);
	while (turn < s->njobs) {
		start_workers(most);
		take_records();
		if (turn < s->njobs)
			poll_workers();
	}
	/* All jobs are done: who still runs is about to exit. */
	for (i = 0; i < MAX_WORKERS; i++) {
		if (is_running(&workers[i]))
			end_worker(&workers[i], "");
		drop_worker(&workers[i]);
	}
	free(why_lost);
	(void)munmap(queue, sizeof *queue);
}

int
take_head(const char **s, size_t *n, void *head, size_t size)
{
	if (*n < size)
		return -1;
	copy_bytes(head, *s, size);
	*s += size;
	*n -= size;
	return 0;
}
