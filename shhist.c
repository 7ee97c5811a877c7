/* SPDX-License-Identifier: ISC */

/*
 * shhist prints one row for every command in the shell histories of every
 * user.
 *
 * Root reads here what any user wrote.  So the parent opens nothing below a
 * home, nor /etc/passwd and /home, which may be on a server that is dead: it
 * runs two scans (see common.h).  In the first, workers list the users.  In
 * the second, each user has a worker: it becomes that user for good (become),
 * opens the user's files (add_file), gives up everything but reading them
 * (confine_parser), and only then parses them and sends entries (emit).  The
 * parent escapes and prints these (take_entry), in the order of the users.
 * With -m each process has a worker, which opens the memory and then becomes
 * the user (read_memory).  If a worker crashes, or a file does not answer it,
 * what it sent before is printed and lose_job says that rows are lost.
 *
 * From top to bottom: columns, what a worker sends, lines of a file, parsers,
 * databases, formats and places, files printed already, the memory of shells,
 * the confined parser, opening files, startup files, a user's files, operands,
 * processes, taking records, users, options, main.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#ifndef VERSION
#define VERSION "unknown"
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_setresuid32	/* on machines that never had ids of 16 bits */
#define SYS_setgroups32 SYS_setgroups
#define SYS_setresgid32 SYS_setresgid
#define SYS_setresuid32 SYS_setresuid
#endif
#ifdef SYS_clock_gettime32	/* musl's name of it on 32-bit machines */
#define SYS_clock_gettime SYS_clock_gettime32
#endif

enum {
	MAX_COMMAND = 16 << 20,	/* a longer one is cut, with a warning */
	MAX_MEMORY = 512 << 20,	/* of a parser */
	GROWTH = 16 << 20,	/* bytes that may come while a file is read */
	MAX_LIST = 256 << 20,	/* bytes of a passwd list: we keep its users */
	AHEAD = 65536,		/* bytes kept of a user before it is his turn */
	LIFETIME = 600,		/* seconds that a user's files may take */
	PROCESSES_TIME = 60,	/* seconds for all processes of a user */
	LOST_TIME = 10,		/* of these for a process that was lost */
	TICK = 10,		/* ms between tries */
	BATCH = 512,		/* files that a parser holds open at once */
	NAMES = 16384,		/* of a directory that are sorted at once */
	MAX_KNOWN = (1 << 20) - 1,	/* files that are known as printed */
	FIRST_BYTES = 4096,	/* of a file, which decide its format */
	HEAD_SIZE = 64,		/* of a file: if it changes, the rest has */
	EPOCH = 9,		/* fewest digits of a stamp that decides it */
	HELD = 4096,		/* entries of mksh that wait for a change */
	HELD_BYTES = 1 << 20,
	NOBODY = 65534,		/* uid, and gid */
	NDEFAULT = 4,
};

/* Bytes that grow; never more than MAX_COMMAND of a command. */
struct buffer {
	char *s;
	size_t n, size;
};

/*
 * What is sent of an entry, besides its command.  The time is in the digits
 * that it is printed as: nearly all are copied from a file as they are.
 */
struct entry {
	uint64_t line;
	unsigned char time_length;
	char time[23];
};

/* What few entries have; it is sent before them, with the directory. */
struct detail {
	struct number {
		int64_t value;
		int known;
	} duration, exit_status;
	uint64_t address;	/* of the entry, in the memory of a process */
};

/* The records that workers send: head; text. */
enum {
	/* Of the first scan: */
	USER,		/* ids of a user; name, NUL and home */
	NO_LIST,	/* -; why the file of -p cannot be read */
	ORPHAN,		/* -; a home, which may be in no passwd entry */
	/* Of the second: */
	OWNER,		/* uid of the owner of an orphan's home; - */
	OPENED,		/* struct opened; the path of the file */
	COMPLETE,	/* -; -: all files of a batch were sent */
	START,		/* number, in its batch, of a file; its format */
	TROUBLE,	/* struct trouble; what is wrong */
	DETAIL,		/* struct detail of the next ENTRY; its directory */
	ENTRY,		/* struct entry; the command */
	DONE,		/* -; -: the file of the last START was parsed */
	SPENT,		/* ms that were spent on a process; - */
};

struct format;

/* A file that is open, to be parsed. */
struct file {
	struct reader r;
	const struct format *format;	/* null: the content decides */
	int unnamed;		/* no name says that it is a history */
	char *s;		/* the line read last, of n bytes */
	size_t n;
	uint64_t line;		/* its number */
	int damaged;		/* it has NULs before it */
	int again;		/* next_line returns it once more */
	uint64_t number;	/* in its batch */
	const char *sent_format;
	const char *troubles[4];	/* reported already, each but once */
	int log;		/* descriptor of a database's -wal, or -1 */
	/* When it was opened. */
	struct timespec written;
	off_t size;
	struct memory *memory;	/* of a process, or null */
	/* The entry that is being put together; text: its command so far. */
	struct entry entry;
	struct detail detail;
	int has_detail;
	const char *cwd;
	size_t ncwd;
	struct buffer text;
};

/* A sequence that stands for one byte. */
struct escape {
	const char *from;
	char to;
};

struct format {
	const char *name;
	void (*parse)(struct file *);
	const char *header;	/* what a file begins with */
	const char *stamp;	/* what stands before the digits of a time */
	char more;		/* a line that ends in it goes on in the next */
	int windows;		/* lines may end in CR LF */
	int reversed;		/* lines of a command, with CR between them */
	const struct escape *escapes;
};

/* When a place is read; the name of any says the format of an operand. */
enum {
	ALWAYS,
	CLIENT,		/* with -a */
	OPERAND,	/* in no home */
	STARTUP,	/* read for HISTFILE=, and no history itself */
};

struct place {
	const char *path;	/* one '*' at most, for no '/' */
	const char *format;	/* null: the content decides */
	int kind;
};

/* What distinguishes a file that was printed, or an entry in memory. */
struct identity {
	uint64_t dev, ino;
	/* uid: read by its owner; OTHERS | format: as that by others. */
	uint64_t holder;
};
#define OTHERS ((uint64_t)1 << 32)
#define HERE (OTHERS - 1)	/* in a worker: this home had it already */

/* What is sent of a file that was opened, before its path. */
struct opened {
	uint64_t dev, ino;	/* ino 0: it is never a duplicate */
	uint64_t owner;
	uint64_t format;	/* a pointer, only to be compared */
};

/* What is sent of a file that is wrong, before why. */
struct trouble {
	uint64_t file;
	uint64_t line;		/* 0: the whole file */
};

/* Whose history; with -m of which process. */
struct user {
	uint64_t uid, gid;
	char *name, *home;	/* with -m /proc/PID */
	uint64_t pid;
	int orphan;		/* no user's home: a worker finds its owner */
};

/* One that -u asks for. */
struct wanted {
	const char *name;
	size_t len;
	uint64_t uid;
	int number, seen;
};

static const char malformed[] = "malformed entry";
static const char too_long[] = "command longer than 16 MiB is cut";
static const char passed_over[] = "a line that belongs to no entry";
static const char sqlite_magic[] = "SQLite format 3";	/* and its NUL */
static const char changed[] = "changed while it was read";

static char none[] = "", top_dir[] = "/";

static int aflag, mflag;
static const struct format *fflag;
static int rootfd = -1;		/* with -r, if it cannot be our root */
static int procfd = -1;		/* /proc */
static const char *passwd;	/* -p, or null */
/* The first directory of the home's path, if the user may not search "/". */
static int topfd = -1;
static size_t top;		/* length of its path */
static pid_t parent_pid;
static int copied;		/* root looks below -r, maybe at copies */

/* The row that is printed.  What is the same for a file is escaped once. */
static struct row {
	struct buffer uid, user, file, format, cwd;
	struct entry entry;
	struct detail detail;
	int has_detail;
	const char *command;
	size_t length;
} row;

static struct identity *known;	/* a hash table of what is printed already */
static size_t nknown, known_size;

/* In a worker: the user whose files it reads, or null; what it has open. */
static const struct user *reading;
static struct file batch[BATCH];
static size_t nbatch;

static struct user *users;	/* jobs of the second scan */
static size_t nusers, users_size;
static char **operands;
static struct wanted *wanted;
static size_t nwanted;
static int any_number;		/* -u asks for a uid */
static int need_names;		/* for the column user, or -u */
static int any_users;		/* the lists had one, asked for or not */

/* Columns */

/* What is the same for all of a file. */
static void
print_escaped(void)
{
	struct buffer b;

	memcpy(&b, (const char *)&row + column->offset, sizeof b);
	put_raw(b.s, b.n);
}

static void
print_time(void)
{
	put_field(row.entry.time, row.entry.time_length);
}

static void
print_command(void)
{
	put_field(row.command, row.length);
}

static void
print_line(void)
{
	/* The ids of rows in databases may be negative. */
	put_signed((int64_t)row.entry.line);
}

static void
print_detail(void)
{
	struct number n;

	memcpy(&n, (const char *)&row + column->offset, sizeof n);
	if (row.has_detail && n.known)
		put_signed(n.value);
}

static const struct column columns[] = {
	{ "uid",	print_escaped,	0, offsetof(struct row, uid) },
	{ "time",	print_time,	0, 0 },
	{ "command",	print_command,	0, 0 },
	{ "history_file", print_escaped, 0, offsetof(struct row, file) },
	{ "user",	print_escaped,	1, offsetof(struct row, user) },
	{ "format",	print_escaped,	0, offsetof(struct row, format) },
	{ "line",	print_line,	0, 0 },
	{ "duration",	print_detail,	0,
	    offsetof(struct row, detail.duration) },
	{ "cwd",	print_escaped,	0, offsetof(struct row, cwd) },
	{ "exit_status", print_detail,	0,
	    offsetof(struct row, detail.exit_status) },
	{ NULL,		NULL,		0, 0 },
};

/* What a worker sends */

static char *
copy_string(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		fatal("%s", strerror(ENOMEM));
	return copy;
}

/* Reports a file: an operand by itself, others counted. */
static void
report_file(const char *path, const char *why)
{
	if (reading == NULL)
		warning("%s: %s", path, why);
	else
		count_warning("file", path, "", why);
}

/* What is not there, or has ended since, is no error. */
static int
is_missing(void)
{
	return errno == ENOENT || errno == ENOTDIR || errno == ESRCH;
}

/*
 * Reports by errno why a file could not be opened; one of a user's need not be
 * there.  A copy may have lost the owners and modes that decide whether a user
 * may read it.
 */
static void
report_errno(const char *path)
{
	char which[PATH_MAX + 32];

	if (reading != NULL && is_missing())
		return;
	if (errno != EACCES || reading == NULL || !copied) {
		report_file(path, strerror(errno));
		return;
	}
	(void)format_text(which, sizeof which, "%s, as uid %llu", path,
	    (unsigned long long)reading->uid);
	count_warning("file", which, "",
	    "Permission denied; for copies that lost their owners see -p");
}

/* Whether anything was written to the file after it was opened. */
static int
was_written(const struct file *f)
{
	struct stat st;

	return fstat(f->r.fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mtim.tv_sec != f->written.tv_sec ||
	    st.st_mtim.tv_nsec != f->written.tv_nsec);
}

/*
 * Whether it has lost what it had when it was opened, such as the n bytes at
 * its beginning; it may have more.
 */
static int
lost_text(const struct file *f, const char *head, size_t n)
{
	char now[HEAD_SIZE];

	return was_written(f) && (lseek(f->r.fd, 0, SEEK_CUR) < f->size ||
	    lseek(f->r.fd, 0, SEEK_END) < f->size ||
	    pread(f->r.fd, now, n, 0) != (ssize_t)n ||
	    memcmp(now, head, n) != 0);
}

/* Reports something about the file that is parsed, but only once. */
static void
report_trouble(struct file *f, const char *why, int with_line)
{
	const struct trouble t = { f->number, with_line ? f->line : 0 };
	size_t i;

	for (i = 0; i < 4 && f->troubles[i] != NULL; i++)
		if (f->troubles[i] == why)
			return;
	if (i < 4)
		f->troubles[i] = why;
	send_record(TROUBLE, &t, sizeof t, why, strlen(why));
}

/* Sends which format the next entries have, unless it was sent. */
static void
send_start(struct file *f, const char *format)
{
	if (f->sent_format == format)
		return;
	f->sent_format = format;
	send_record(START, &f->number, sizeof f->number, format,
	    strlen(format));
}

static int64_t
now_ms(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* With -m: ms in which entries waited for whoever reads our output. */
static int64_t waited;

/* Sends the entry with this command, unless it is empty, and clears it. */
static void
emit(struct file *f, const char *command, size_t n)
{
	const int64_t began = mflag && n > 0 ? now_ms() : 0;

	if (n > 0 && f->has_detail)
		send_record(DETAIL, &f->detail, sizeof f->detail, f->cwd,
		    f->ncwd);
	if (n > 0)
		send_record(ENTRY, &f->entry, sizeof f->entry, command, n);
	if (mflag && n > 0)
		waited += now_ms() - began;
	f->entry.time_length = 1;
	f->entry.time[0] = '0';
	f->text.n = f->ncwd = 0;
	f->has_detail = 0;
}

static void
emit_text(struct file *f)
{
	emit(f, f->text.s, f->text.n);
}

static void
set_duration(struct file *f, int64_t seconds)
{
	f->detail.duration = (struct number){ seconds, 1 };
	f->has_detail = 1;
}

/* Lines of a file */

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number of digits at s. */
static size_t
digits(const char *s, size_t n)
{
	uint64_t w, marks;
	size_t i;

	for (i = 0; n - i >= 8; i += 8) {
		w = load_word(s + i);
		marks = (w | (w - ONES * '0') |
		    (w + ONES * (0x7f - '9'))) & HIGHS;
		if (marks != 0)
			return i + first_marked(marks);
	}
	while (i < n && is_digit(s[i]))
		i++;
	return i;
}

/* The number that s begins with; 0 if it is none or has over 64 bits. */
static int64_t
parse_seconds(const char *s, size_t n)
{
	size_t sign = n > 0 && *s == '-';
	uint64_t value;

	s += sign;
	n = digits(s, n - sign);
	if (parse_number(s, n, 10, (uint64_t)INT64_MAX + sign, &value) == -1)
		return 0;
	return (int64_t)(sign ? -value : value);
}

static void
set_seconds(struct file *f, int64_t seconds)
{
	f->entry.time_length = (unsigned char)format_text(f->entry.time,
	    sizeof f->entry.time, "%lld", (long long)seconds);
}

/*
 * Sets the time to the number that s begins with.  Few digits are copied
 * without being computed.
 */
static void
set_time(struct file *f, const char *s, size_t n)
{
	size_t len = digits(s, n);

	if (len == 0 || len > 18 || *s == '0') {
		set_seconds(f, parse_seconds(s, n));
		return;
	}
	copy_bytes(f->entry.time, s, len);
	f->entry.time_length = (unsigned char)len;
}

/* Reads the next line; returns 0 at the end of the file. */
static int
next_line(struct file *f, int delim)
{
	ptrdiff_t n;

	if (f->again) {
		f->again = 0;
		return 1;
	}
	n = read_line(&f->r, delim, &f->s);
	if (n == -1)
		return 0;
	f->line++;
	if (f->r.cut)
		report_trouble(f, too_long, 1);
	f->n = (size_t)n - (f->format->windows && n > 0 && f->r.ended &&
	    f->s[n - 1] == '\r');
	return 1;
}

/*
 * The next line of a text format that knows no NULs.  Those at its beginning
 * stand where a block never reached the disk: they are no part of it.  So
 * what follows may lack its beginning, and what stands before it its end.
 */
static int
next_text(struct file *f)
{
	size_t nuls = 0;

	if (!next_line(f, '\n'))
		return 0;
	f->damaged = f->n > 0 && *f->s == '\0';
	if (!f->damaged)
		return 1;
	while (nuls < f->n && f->s[nuls] == '\0')
		nuls++;
	report_trouble(f, "NUL bytes: a block that was never written", 1);
	if (nuls < f->n) {	/* one of nothing else stays as it is */
		f->s += nuls;
		f->n -= nuls;
	}
	return 1;
}

/* The next byte, or -1 at the end: binary formats are not lines. */
static int
next_byte(struct file *f)
{
	if (read_ahead(&f->r, 1) == 0)
		return -1;
	return (unsigned char)f->r.buf[f->r.start++];
}

/* Whether the file begins with these bytes; uses them up if so. */
static int
skip_magic(struct file *f, const char *magic)
{
	size_t len = strlen(magic);

	if (read_ahead(&f->r, len) < len ||
	    memcmp(f->r.buf + f->r.start, magic, len) != 0)
		return 0;
	f->r.start += len;
	return 1;
}

/* Adds n bytes to the command, as far as it may grow. */
static void
add(struct file *f, const char *s, size_t n)
{
	struct buffer *b = &f->text;

	if (n > MAX_COMMAND - b->n) {
		n = MAX_COMMAND - b->n;
		report_trouble(f, too_long, 1);
	}
	if (b->n + n >= b->size)
		b->s = grow(b->s, &b->size, b->n + n, 1);
	copy_bytes(b->s + b->n, s, n);
	b->n += n;
}

static int
starts(const char *s, size_t n, const char *prefix)
{
	size_t len = strlen(prefix);

	return n >= len && memcmp(s, prefix, len) == 0;
}

/* The length of the line at s, without its end. */
static size_t
line_length(const char *s, size_t n)
{
	const char *lf = n > 0 ? memchr(s, '\n', n) : NULL;

	return lf == NULL ? n : (size_t)(lf - s);
}

/*
 * The length of prefix, if the line is that and digits and nothing else, but
 * blanks; else 0.
 */
static size_t
stamp_prefix(const char *s, size_t n, const char *prefix)
{
	size_t i, len;

	for (i = 0; prefix[i] != '\0'; i++)
		if (i == n || s[i] != prefix[i])
			return 0;
	len = i + digits(s + i, n - i);
	if (len == i)
		return 0;
	while (len < n && (s[len] == ' ' || s[len] == '\t'))
		len++;
	return len == n ? i : 0;
}

/* The line begins with prefix. */
static int
begins(const struct file *f, const char *prefix)
{
	return starts(f->s, f->n, prefix);
}

/*
 * If the line is a stamp of the format, sends the entry before it, which is
 * complete now, and keeps the stamp as the time of the next one.
 */
static int
parse_stamp(struct file *f)
{
	const char *stamp = f->format->stamp;
	size_t skip;

	if (stamp == NULL || f->n == 0 || *f->s != *stamp)
		return 0;	/* most, at once */
	skip = stamp_prefix(f->s, f->n, stamp);
	if (skip == 0)
		return 0;
	emit_text(f);
	set_time(f, f->s + skip, f->n - skip);
	return 1;
}

/* The line has the character at its end that says that it goes on. */
static int
ends_in(const struct file *f, char more)
{
	return f->r.ended && f->n > 0 && f->s[f->n - 1] == more;
}

/* Puts a line and those it goes on with together, with newlines between. */
static void
join_lines(struct file *f, char more)
{
	for (;;) {
		add(f, f->s, f->n);
		if (!ends_in(f, more) || !next_text(f))
			return;
		f->again = f->damaged;
		if (f->again)
			return;
		f->text.s[f->text.n - 1] = '\n';
	}
}

/* The length of the sequence that s begins with, or 0. */
static size_t
match_escape(const char *s, size_t n, const char *from)
{
	size_t i;

	for (i = 0; from[i] != '\0'; i++)
		if (i == n || s[i] != from[i])
			return 0;
	return i;
}

/* Replaces the sequences in n bytes, in place, from left to right. */
static size_t
unescape(char *s, size_t n, const struct escape *escapes)
{
	const struct escape *e;
	size_t i, len, used = 0;

	for (i = 0; i < n; i += len) {
		len = 0;
		for (e = escapes; e->from != NULL && len == 0; e++)
			len = match_escape(s + i, n - i, e->from);
		s[used++] = len > 0 ? e[-1].to : s[i];
		len += len == 0;
	}
	return used;
}

/* Adds what stands behind the first bytes of a line to the command. */
static void
add_rest(struct file *f, size_t skip, const struct escape *escapes)
{
	add(f, f->s + skip, unescape(f->s + skip, f->n - skip, escapes));
}

/* Parsers */

static const struct escape fish_escapes[] = {
	{ "\\\\", '\\' }, { "\\n", '\n' }, { NULL, 0 }
}, nushell_escapes[] = {
	{ "<\\n>", '\n' }, { NULL, 0 }
}, psql_escapes[] = {
	{ "\001", '\n' }, { NULL, 0 }
}, vim_escapes[] = {
	{ "\026n", '\n' }, { "\026\026", '\026' }, { NULL, 0 }
};

static const char libedit[] = "_HiStOrY_V2_";

/*
 * Takes the byte that a sequence of libedit's stands for: \OOO, \^C, and of
 * what is no character in its locale \M-C and \M^C.  Returns the length of
 * the sequence that s begins with; 0 if there is none.
 */
static size_t
libedit_byte(const char *s, size_t n, char *c)
{
	const size_t high = n > 1 && s[1] == 'M';
	uint64_t byte;

	if (n < 3 + high || *s != '\\')
		return 0;
	if (n > 3 && parse_number(s + 1, 3, 8, UCHAR_MAX, &byte) == 0) {
		*c = (char)byte;
		return 4;
	}
	*c = s[2 + high];
	if (s[1 + high] == '^')
		*c = *c == '?' ? 0x7f : *c & 0x1f;
	else if (!high || s[2] != '-')
		return 0;
	*c = (char)(*c | (int)high << 7);
	return 3 + high;
}

/* Replaces libedit's sequences in n bytes, in place. */
static size_t
unescape_libedit(char *s, size_t n)
{
	size_t i, len, used = 0;
	char c;

	for (i = 0; i < n; i += len) {
		c = s[i];
		len = libedit_byte(s + i, n - i, &c);
		s[used++] = len > 0 ? c : s[i];
		len += len == 0;
	}
	return used;
}

/* Adds the lines of a command, which are in reverse, to the command. */
static void
add_reversed(struct file *f)
{
	size_t start, end = f->n;

	for (; ; end = start - 1) {
		for (start = end; start > 0 && f->s[start - 1] != '\r'; )
			start--;
		add(f, f->s + start, end - start);
		if (start == 0)
			return;
		add(f, "\n", 1);
	}
}

/*
 * A line an entry, with the stamps, joins and escapes of the format.  Any
 * client may have been built with libedit, whose files have its header; what
 * has a blank there was not written by it, for it writes them \040.
 */
static void
parse_lines(struct file *f)
{
	const struct format *format = f->format;
	const int escaped = f->line == 0 && skip_magic(f, libedit);
	size_t n;
	char *s;

	if (format->windows)	/* it may write a byte order mark */
		(void)skip_magic(f, "\xef\xbb\xbf");
	while (next_line(f, '\n')) {
		if (parse_stamp(f))
			continue;
		f->entry.line = f->line;
		if (escaped && memchr(f->s, ' ', f->n) == NULL)
			f->n = unescape_libedit(f->s, f->n);
		else if (format->more != '\0')
			join_lines(f, format->more);
		else if (format->reversed && !escaped)
			add_reversed(f);
		s = f->text.n > 0 ? f->text.s : f->s;
		n = f->text.n > 0 ? f->text.n : f->n;
		if (format->escapes != NULL)
			n = unescape(s, n, format->escapes);
		while (format->more == '\r' && !escaped && n > 0 &&
		    s[n - 1] == '\n')
			n--;	/* Python ends what has several lines so */
		emit(f, s, n);
	}
}

/*
 * Stamps before entries of several lines.  If the first line of a file is a
 * stamp, bash expects one before every entry: a line without one goes on with
 * the entry before it.  Else every line is an entry.  Tcsh writes a newline in
 * a command behind a backslash, whatever is before that, and a stamp before
 * every entry: so a line that ends in a backslash goes on unless a stamp
 * follows.
 */
static void
parse_stamped(struct file *f)
{
	const char more = f->format->more;
	int stamped = 0, goes_on = 0;

	while (next_text(f)) {
		if (f->damaged && (stamped || more != '\0')) {
			emit_text(f);
			goes_on = 0;
		}
		if (parse_stamp(f)) {
			stamped |= f->line == 1 && more == '\0';
			goes_on = 0;
			continue;
		}
		if (f->n == 0 && more == '\0')
			continue;
		if (goes_on) {
			add(f, "\n", 1);
		} else {
			if (f->text.n > 0)
				emit_text(f);
			f->entry.line = f->line;
		}
		add(f, f->s, f->n);
		goes_on = more == '\0' ? stamped : ends_in(f, more);
	}
}

static int
is_utf8(const char *s, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i += len) {
		len = utf8_length(s + i, n - i);
		if (len == 0)
			return 0;
	}
	return 1;
}

/*
 * Zsh writes NUL and the bytes 83 to a2 as 83 and the byte xor 20.  What it
 * wrote so is never well-formed UTF-8; what is, another program wrote.
 */
static size_t
unmetafy(char *s, size_t n)
{
	size_t i, used = 0;

	if (memchr(s, 0x83, n) == NULL || is_utf8(s, n))
		return n;
	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] == 0x83 && i + 1 < n)
			s[used++] = (char)(s[++i] ^ 0x20);
		else
			s[used++] = s[i];
	return used;
}

/* The length of the number that s begins with: digits, and a sign or none. */
static size_t
number_length(const char *s, size_t n)
{
	size_t sign = n > 1 && *s == '-' && is_digit(s[1]);

	return sign + digits(s + sign, n - sign);
}

/*
 * Takes ": START:SECONDS;" from the beginning of an entry; returns its
 * length, 0 if it has none.  Not fewer seconds than START are the end (zsh
 * 5.9 reads them so).
 */
static size_t
zsh_prefix(struct file *f, const char *s, size_t n)
{
	size_t i = 1, start, behind;
	int64_t began, seconds;

	if (n == 0 || *s != ':')
		return 0;
	while (i < n && s[i] == ' ')
		i++;
	start = i;
	i += number_length(s + i, n - i);
	if (i == start || i >= n || s[i] != ':')
		return 0;
	behind = ++i;
	i += number_length(s + i, n - i);
	if (i >= n || s[i] != ';')
		return 0;
	began = parse_seconds(s + start, n - start);
	set_time(f, s + start, n - start);
	if (i > behind) {
		seconds = parse_seconds(s + behind, n - behind);
		set_duration(f, began > 0 && seconds >= began ?
		    seconds - began : seconds);
	}
	return i + 1;
}

static void
parse_zsh(struct file *f)
{
	size_t n, skip, end;
	char *s;

	while (next_text(f)) {
		f->entry.line = f->line;
		join_lines(f, '\\');
		s = f->text.s;
		n = unmetafy(s, f->text.n);
		skip = zsh_prefix(f, s, n);
		if (skip == 0)
			skip = starts(s, n, "\\:") ? 1 : 0;
		/* "\ " at the end was written with one more blank. */
		for (end = n; end > skip && s[end - 1] == ' '; end--)
			;
		n -= end < n && end > skip && s[end - 1] == '\\';
		emit(f, s + skip, n - skip);
	}
}

static size_t
skip_blanks(const struct file *f, size_t i)
{
	while (i < f->n && f->s[i] == ' ')
		i++;
	return i;
}

/*
 * Lines are "- cmd: TEXT" and below that indented keys; what begins with a
 * stamp is of fish 1.x.
 */
static void
parse_fish(struct file *f)
{
	static const struct format old = { .stamp = "# ", .more = '\\' };
	int inside = 0;
	size_t i;

	while (next_text(f)) {
		if (f->line == 1 && parse_stamp(f)) {
			f->format = &old;
			parse_lines(f);
			return;
		}
		if (begins(f, " ") && inside && !f->damaged) {
			i = skip_blanks(f, 0);
			if (starts(f->s + i, f->n - i, "when:")) {
				i = skip_blanks(f, i + 5);
				set_time(f, f->s + i, f->n - i);
			}
			continue;
		}
		emit_text(f);
		inside = begins(f, "- cmd:");
		if (inside) {
			f->entry.line = f->line;
			add_rest(f, begins(f, "- cmd: ") ? 7 : 6, fish_escapes);
		} else if (f->n > 0) {
			report_trouble(f, passed_over, 1);
		}
	}
}

/*
 * ksh93's file, unless it is text: commands that end in a newline and one or
 * two NULs.  82 00 and four bytes more count commands, 81 00 says that the
 * entry before was undone, and we show it all the same.
 */
static void
parse_ksh(struct file *f)
{
	uint64_t ordinal = 0;
	int i;

	if (!skip_magic(f, "\x81")) {
		parse_lines(f);
		return;
	}
	(void)next_byte(f);	/* the version */
	while (next_line(f, '\0')) {
		if (f->n == 1 && ends_in(f, '\x81'))
			continue;
		if (f->n == 1 && ends_in(f, '\x82')) {
			for (i = 0; i < 4; i++)
				(void)next_byte(f);
			continue;
		}
		f->n -= f->n > 0 && f->s[f->n - 1] == '\n';
		if (f->n > 0) {
			f->entry.line = ++ordinal;
			emit(f, f->s, f->n);
		}
	}
}

/*
 * mksh changes an entry by writing its number again.  So the last entries
 * wait, in their order; a change that comes when its entry has been sent is
 * an entry of its own.
 */
static struct held {
	uint32_t number;
	uint64_t line;
	struct buffer command;
} held[HELD];
static size_t nheld, held_bytes;

static void
release(struct file *f)
{
	size_t i;

	for (i = 0; i < nheld; i++) {
		f->entry.line = held[i].line;
		emit(f, held[i].command.s, held[i].command.n);
		free(held[i].command.s);
	}
	nheld = held_bytes = 0;
}

/* The command of the line is that of a number: of a new entry, most times. */
static void
hold(struct file *f, uint32_t number)
{
	static uint32_t highest;
	size_t i = number <= highest ? nheld : 0;
	struct buffer *b;

	while (i > 0 && held[i - 1].number != number)
		i--;
	if (i == 0) {
		if (nheld == HELD || held_bytes > HELD_BYTES)
			release(f);
		if (nheld == 0 || number > highest)
			highest = number;
		i = ++nheld;
		held[i - 1] = (struct held){ number, f->line, { NULL, 0, 0 } };
	}
	b = &held[i - 1].command;
	b->s = grow(b->s, &b->size, f->n, 1);
	memcpy(b->s, f->s, f->n);
	held_bytes += f->n - b->n;
	b->n = f->n;
	if (held_bytes > MAX_COMMAND)
		release(f);
}

static void
parse_mksh(struct file *f)
{
	uint32_t number;
	int c, i;

	if (!skip_magic(f, f->format->header)) {
		parse_lines(f);
		return;
	}
	while ((c = next_byte(f)) != -1) {
		if (c != 0xff) {
			report_trouble(f, malformed, 1);
			continue;
		}
		number = 0;
		for (i = 0; i < 4; i++)
			number = number << 8 | (uint32_t)(next_byte(f) & 0xff);
		if (next_line(f, '\0') && f->n > 0)
			hold(f, number);
		/* What is left of it would be taken for entries. */
		while (f->r.cut)
			f->r.cut = next_byte(f) > 0;
	}
	release(f);
}

/*
 * HEXNUMBER:HEXTIME command, or without a time.  "c" and "d" take entries
 * back, which we show all the same; "p" is a shell's process.
 */
static void
parse_yash(struct file *f)
{
	uint64_t number, when;
	size_t colon, blank;
	char *p;

	while (next_text(f)) {
		if (f->n == 0 || memchr("cdp#", *f->s, 4) != NULL)
			continue;
		p = memchr(f->s, ' ', f->n);
		blank = p == NULL ? f->n : (size_t)(p - f->s);
		p = memchr(f->s, ':', blank);
		colon = p == NULL ? blank : (size_t)(p - f->s);
		if (parse_number(f->s, colon, 16, UINT64_MAX, &number) == -1) {
			report_trouble(f, malformed, 1);
			continue;
		}
		if (colon == blank || parse_number(f->s + colon + 1,
		    blank - colon - 1, 16, INT64_MAX, &when) == -1)
			when = 0;
		f->entry.line = f->line;
		set_seconds(f, (int64_t)when);
		emit(f, f->s + blank + 1, blank < f->n ? f->n - blank - 1 : 0);
	}
}

static void
parse_less(struct file *f)
{
	int commands = 0;

	while (next_line(f, '\n'))
		if (begins(f, ".")) {
			commands = begins(f, ".search") || begins(f, ".shell");
		} else if (begins(f, "\"") && commands) {
			f->entry.line = f->line;
			emit(f, f->s + 1, f->n - 1);
		}
}

/* A time of prompt_toolkit's: YYYY-MM-DD HH:MM:SS, of a zone not known. */
static int64_t
parse_date(const char *s, size_t n)
{
	static const char form[] = "0000-00-00 00:00:00";
	int64_t days, m;
	uint64_t v[6];
	size_t i, k = 0;

	for (i = 0; i < sizeof form - 1; i++)
		if (i == n || (form[i] == '0' ? !is_digit(s[i]) :
		    s[i] != form[i]))
			return 0;
	for (i = 0; k < 6; i += k == 0 ? 5 : 3, k++)
		(void)parse_number(s + i, k == 0 ? 4 : 2, 10, 9999, &v[k]);
	if (v[0] == 0)
		return 0;
	/* Days since the epoch, of a year that begins in March. */
	m = (int64_t)(v[1] + 9) % 12;
	v[0] -= m >= 10;
	days = (int64_t)(365 * v[0] + v[0] / 4 - v[0] / 100 + v[0] / 400) +
	    (m * 306 + 5) / 10 + (int64_t)v[2] - 1 - 719468;
	return ((days * 24 + (int64_t)v[3]) * 60 + (int64_t)v[4]) * 60 +
	    (int64_t)v[5];
}

/* "# DATE", then a line with a plus for each line of the command. */
static void
parse_prompt(struct file *f)
{
	int64_t when = 0;
	int inside = 0;

	while (next_line(f, '\n')) {
		if (begins(f, "+")) {
			if (inside) {
				add(f, "\n", 1);
			} else {
				f->entry.line = f->line;
				set_seconds(f, when);
			}
			inside = 1;
			add(f, f->s + 1, f->n - 1);
			continue;
		}
		emit_text(f);
		inside = 0;
		if (begins(f, "# "))
			when = parse_date(f->s + 2, f->n - 2);
		else if (f->n > 0)
			report_trouble(f, passed_over, 1);
	}
}

static void
parse_vim(struct file *f)
{
	static const char others[] = "#*|/?~&$=@\"\t'->!%<";
	int apart = 0;	/* a long command is on a line of its own */

	while (next_line(f, '\n')) {
		if (apart && !begins(f, "<"))
			report_trouble(f, malformed, 1);
		if (begins(f, ":")) {
			emit_text(f);
			f->entry.line = f->line;
			apart = stamp_prefix(f->s + 1, f->n - 1, "\026") > 0;
			if (!apart)
				add_rest(f, 1, vim_escapes);
			continue;
		}
		if (apart && begins(f, "<")) {
			add_rest(f, 1, vim_escapes);
		} else if (f->text.n > 0 && begins(f, "|2,0,")) {
			set_time(f, f->s + 5, f->n - 5);
			emit_text(f);
		} else if (f->n > 0 && memchr(others, *f->s,
		    sizeof others - 1) == NULL) {
			report_trouble(f, passed_over, 1);
		}
		apart = 0;
	}
}

/* If c and the next are the halves of a character, makes c that. */
static int
join_halves(uint32_t *c, uint32_t next)
{
	if (*c >> 10 != 0xd800 >> 10 || next >> 10 != 0xdc00 >> 10)
		return 0;
	*c = 0x10000 + ((*c & 0x3ff) << 10 | (next & 0x3ff));
	return 1;
}

static size_t
write_utf8(char *to, uint32_t c)
{
	const size_t len = 1 +
	    (size_t)((c >= 0x80) + (c >= 0x800) + (c >= 0x10000));
	size_t at;

	for (at = len; at > 1; c >>= 6)
		to[--at] = (char)(0x80 | (c & 0x3f));
	*to = (char)(len == 1 ? c : 0xf00u >> len | c);
	return len;
}

/* Takes \uXXXX from the beginning of s; returns 0 if it is not there. */
static int
parse_unicode(const char **s, const char *end, uint32_t *c)
{
	uint64_t number;

	if (end - *s < 6 || memcmp(*s, "\\u", 2) != 0 ||
	    parse_number(*s + 2, 4, 16, UINT16_MAX, &number) == -1)
		return 0;
	*c = (uint32_t)number;
	*s += 6;
	return 1;
}

/* Takes a string of JSON up to its quote, in place; returns its length. */
static size_t
unescape_json(char *s, const char *end)
{
	static const char names[] = "btnfr", bytes[] = "\b\t\n\f\r";
	const char *from = s, *behind, *name;
	uint32_t c, half = 0;
	char *to = s;

	while (from < end && *from != '"')
		if (parse_unicode(&from, end, &c)) {
			behind = from;
			if (parse_unicode(&behind, end, &half) &&
			    join_halves(&c, half))
				from = behind;
			if (c >= 0xdc80 && c <= 0xdcff)
				*to++ = (char)c; /* Python's, of no UTF-8 */
			else
				to += write_utf8(to, c);
		} else if (*from == '\\' && end - from > 1) {
			name = memchr(names, from[1], sizeof names - 1);
			*to++ = name != NULL ? bytes[name - names] : from[1];
			from += 2;
		} else {
			*to++ = *from++;
		}
	return (size_t)(to - s);
}

/*
 * Sets *s to the value of a key on a line, in which no string has an unescaped
 * quote.  Returns how much of the line is left there; 0 if there is no key.
 */
static size_t
find_value(const struct file *f, const char *key, char **s)
{
	const char *p = find_text(f->s, f->n, key);

	*s = p == NULL ? f->s + f->n : f->s + (p - f->s) + strlen(key);
	return (size_t)(f->s + f->n - *s);
}

/* xonsh's JSON: an object on a line for each command, and others. */
static void
parse_xonsh(struct file *f)
{
	const char *end;
	char *command, *s;
	int64_t took;
	size_t n;

	while (next_line(f, '\n')) {
		if (f->line == 1 && !begins(f, f->format->header))
			report_trouble(f, malformed, 1);
		if (find_value(f, "\"inp\": \"", &command) == 0)
			continue;
		f->entry.line = f->line;
		f->has_detail = 1;
		f->detail = (struct detail){ .address = 0 };
		n = find_value(f, "\"ts\": [", &s);
		if (n > 0)
			set_time(f, s, n);
		end = find_text(s, n, ", ");
		if (end != NULL && !__builtin_sub_overflow(parse_seconds(
		    end + 2, n - (size_t)(end - s) - 2), parse_seconds(s, n),
		    &took) && took >= 0)
			set_duration(f, took);
		n = find_value(f, "\"rtn\": ", &s);
		if (number_length(s, n) > 0)
			f->detail.exit_status = (struct number){
			    parse_seconds(s, n), 1 };
		n = find_value(f, "\"cwd\": \"", &s);
		f->cwd = s;
		f->ncwd = unescape_json(s, s + n);
		n = unescape_json(command, f->s + f->n);
		while (n > 0 && memchr(" \t\r\n", command[n - 1], 4) != NULL)
			n--;
		emit(f, command, n);
	}
}

/* Databases */

/*
 * sqlite's file format is public.  A file is pages, a table a tree of them;
 * its rows are in the leaves in the order of their ids, and what is too long
 * for a leaf is in a chain of pages.  Newer versions of pages are in the log,
 * the file -wal beside it.
 *
 * Nothing that a file says is trusted.  The ids in a page say which are below
 * it, and no others are taken from there: no row comes twice, circles run
 * dry.  Nor are more pages read than the file has.
 */
enum {
	MAX_DEPTH = 20,		/* of a tree, as sqlite has it */
	MAX_PAGE = 65536,
	MAX_PAGES = 1 << 24,	/* that may be in a log: 4 bytes each */
	MAX_KEYS = 1 << 22,	/* rows that can be sorted: 24 bytes each */
	MAX_OTHERS = 1 << 20,	/* bytes of a row besides its longest field */
	TABLE_COLUMNS = 64,	/* of a table; none is sought behind them */
	FRAME_HEADER = 24,	/* before a page in the log */
	MAX_OVERLAP = 16,	/* its size that the cells of a page may have */
	MOST_TIMES = 1024,	/* its size that is looked up of a database */
};

/*
 * What is sought in a table: of a history, in an order that set_value and
 * send_row rely on, and of the schema.
 */
enum { TIME, DURATION, STATUS, CWD, COMMAND, SOURCE, NFIELDS };
enum { TYPE, TABLE, ROOT, SQL };
enum { HISTORY, COMMANDS, PLACES, SCHEMA, NTABLES };

static const struct program {
	const char *name;
	int table;		/* only histdb has other than HISTORY */
	const char *table_name, *column[NFIELDS];
	int64_t second;		/* units of time and duration in a second */
	/*
	 * REAL: a float of seconds, times second when read; DURATION is the
	 * end.  JOINED: command and cwd are ids of rows in other tables.
	 */
	enum { PLAIN, REAL, JOINED } form;
} programs[] = {
	{ "atuin", HISTORY, "history", { "timestamp", "duration", "exit",
	    "cwd", "command", NULL }, 1000000000, PLAIN },
	{ "nushell", HISTORY, "history", { "start_timestamp", "duration_ms",
	    "exit_status", "cwd", "command_line", NULL }, 1000, PLAIN },
	{ "mcfly", HISTORY, "commands", { "when_run", NULL, "exit_code",
	    "dir", "cmd", NULL }, 1, PLAIN },
	{ "xonsh", HISTORY, "xonsh_history", { "tsb", "tse", "rtn", "cwd",
	    "inp", NULL }, 1000000, REAL },
	{ "ipython", HISTORY, "history", { NULL, NULL, NULL, NULL,
	    "source_raw", "source" }, 1, PLAIN },
	{ "histdb", HISTORY, "history", { "start_time", "duration",
	    "exit_status", "place_id", "command_id", NULL }, 1, JOINED },
	{ "histdb", COMMANDS, "commands", { [COMMAND] = "argv" }, 1, PLAIN },
	{ "histdb", PLACES, "places", { [CWD] = "dir" }, 1, PLAIN },
};
enum { NPROGRAMS = sizeof programs / sizeof *programs };

struct datum {
	enum { NOTHING, INTEGER, BYTES } type;
	int64_t number;
	const char *s;		/* in the row, or in utf8 */
	size_t n;
	struct buffer utf8;
};

/* Where a row is, and what sorts it: its time, or in other tables its id. */
struct key {
	int64_t order, id;
	uint32_t page, cell;
};

struct table {
	uint32_t root;		/* page */
	uint32_t page;		/* in memory, of the row looked up last */
	unsigned char field[TABLE_COLUMNS];
	unsigned found;		/* a bit for each field */
	struct buffer row;	/* that was read last, if in several pages */
	struct datum data[NFIELDS];
	struct key *keys;
	size_t nkeys, size;
};

/* A row, or what is below an interior page. */
struct cell {
	int64_t id;
	uint32_t page, number;	/* where it is */
	uint32_t below;		/* a page, if it is in an interior one */
	uint64_t length;
	size_t here;		/* bytes at s; more are in overflow pages */
	const unsigned char *s;
};

struct database {
	struct file *f;
	int fd, log;
	unsigned char salts[8];	/* of the log */
	uint32_t *frames;	/* number of the newest of each page; 0: none */
	size_t page_size, usable;
	uint64_t npages, left;	/* pages of a tree to be read yet */
	uint64_t chain_left;	/* overflow pages to be read yet */
	uint64_t looked_up;	/* bytes of rows in other tables */
	uint64_t bad;		/* pages and rows that could not be read */
	int encoding, disordered, sorting;
	int log_unread;		/* not to its end */
	const struct program *program;
	struct table tables[NTABLES];
	int64_t before;		/* time of the last row */
	size_t nrows;
	/* What is done with a row of a table; -1 if it cannot be read. */
	int (*visit)(struct database *, struct table *, const struct cell *);
};

struct page {
	const unsigned char *bytes;
	uint32_t number, right;	/* right: the last page below */
	size_t cells, n;	/* where the offsets of its cells are */
	int leaf;
};

/*
 * On the way from the root of a tree to a row; of the row that was looked up
 * last in each table; of a chain.
 */
static unsigned char tree_pages[MAX_DEPTH][FRAME_HEADER + MAX_PAGE],
    row_pages[NTABLES][FRAME_HEADER + MAX_PAGE],
    chained[FRAME_HEADER + MAX_PAGE];

static uint64_t
big_endian(const unsigned char *s, size_t n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | *s++;
	return value;
}

static int
read_varint(const unsigned char **s, const unsigned char *end, uint64_t *value)
{
	int i;

	for (*value = 0, i = 0; i < 9 && *s < end; i++) {
		*value = i == 8 ? *value << 8 | **s :
		    *value << 7 | (**s & 0x7f);
		if (*(*s)++ < 0x80 || i == 8)
			return 0;
	}
	return -1;
}

/* Returns 0, or -1 with errno, which is 0 if there are fewer than n bytes. */
static int
read_at(int fd, void *buf, size_t n, uint64_t offset)
{
	ssize_t got;

	do
		got = pread(fd, buf, n, (off_t)offset);
	while (got == -1 && errno == EINTR);
	*steps += 1 + (uint32_t)n / 1024;
	if (got == (ssize_t)n)
		return 0;
	if (got != -1)
		errno = 0;
	return -1;
}

/* Adds n bytes to a checksum of the log; whether it is now as stored. */
static int
add_checksum(uint32_t sum[2], const unsigned char *s, size_t n, int big,
    const unsigned char *stored)
{
	uint32_t word;
	size_t i;

	for (i = 0; i < n / 4; i++) {
		memcpy(&word, s + 4 * i, 4);
		word = big ? be32toh(word) : le32toh(word);
		sum[i % 2] += word + sum[1 - i % 2];
	}
	return sum[0] == big_endian(stored, 4) &&
	    sum[1] == big_endian(stored + 4, 4);
}

static int
set_page_size(struct database *d, uint64_t size)
{
	d->page_size = (size_t)size;
	return size >= 512 && size <= MAX_PAGE && (size & (size - 1)) == 0;
}

static int
read_frame(const struct database *d, uint32_t number, unsigned char *f)
{
	const size_t n = FRAME_HEADER + d->page_size;

	return read_at(d->log, f, n, 32 + (uint64_t)(number - 1) * n) == 0 &&
	    memcmp(f + 8, d->salts, sizeof d->salts) == 0;
}

/* Notes the frames of the log, up to the last that ends a transaction. */
static void
read_log(struct database *d)
{
	unsigned char h[32], *f = chained;
	uint32_t sum[2] = { 0, 0 }, n, page, last = 0;
	int big;

	if (read_at(d->log, h, sizeof h, 0) == -1) {
		d->log_unread = errno != 0;
		return;
	}
	memcpy(d->salts, h + 16, sizeof d->salts);
	big = h[3] & 1;
	if (!add_checksum(sum, h, 24, big, h + 24) ||
	    (big_endian(h, 8) | 1ULL << 32) != 0x377f0683002de218 ||
	    !set_page_size(d, big_endian(h + 8, 4))) {
		d->log_unread = 1;
		return;
	}
	errno = 0;
	for (n = 1; read_frame(d, n, f); n++) {
		(void)add_checksum(sum, f, 8, big, f);
		if (!add_checksum(sum, f + FRAME_HEADER, d->page_size, big,
		    f + 16))
			break;
		last = big_endian(f + 4, 4) != 0 ? n : last;
	}
	d->log_unread = errno != 0;
	if (last == 0)
		return;
	d->frames = calloc(MAX_PAGES, sizeof *d->frames);
	if (d->frames == NULL)
		fatal("%s", strerror(ENOMEM));
	for (n = 1; n <= last; n++) {
		page = read_frame(d, n, f) ? (uint32_t)big_endian(f, 4) : 0;
		if (page < MAX_PAGES)
			d->frames[page] = n;
		else
			d->bad++;
	}
	d->npages = last;
}

/*
 * Returns a page, null if it cannot be read.  A program that begins its log
 * anew, with other salts, has copied all of it to the file before.
 */
static const unsigned char *
read_page(const struct database *d, uint32_t page, unsigned char *buf)
{
	unsigned char *bytes = buf + FRAME_HEADER;

	if (page == 0)
		return NULL;
	if (d->frames != NULL && page < MAX_PAGES && d->frames[page] > 0 &&
	    read_frame(d, d->frames[page], buf))
		return bytes;
	return read_at(d->fd, bytes, d->page_size,
	    (uint64_t)(page - 1) * d->page_size) == 0 ? bytes : NULL;
}

/* Reads a page into buf, unless it is there; -1 if it is none of a tree. */
static int
load_page(const struct database *d, uint32_t number, unsigned char *buf,
    uint32_t there, struct page *p)
{
	const size_t at = number == 1 ? 100 : 0;	/* behind the header */
	const unsigned char *b = buf + FRAME_HEADER;

	if (number == 0 ||
	    (there != number && read_page(d, number, buf) == NULL))
		return -1;
	p->bytes = b;
	p->number = number;
	p->leaf = b[at] == 13;
	p->n = big_endian(b + at + 3, 2);
	p->right = (uint32_t)big_endian(b + at + 8, 4);
	p->cells = at + (p->leaf ? 8 : 12);
	return (p->leaf || b[at] == 5) && p->cells + 2 * p->n <= d->usable ?
	    0 : -1;
}

static int
load_cell(const struct database *d, const struct page *p, size_t i,
    struct cell *c)
{
	const unsigned char *end = p->bytes + d->usable;
	const size_t least = (d->usable - 12) * 32 / 255 - 23;
	size_t at;
	uint64_t id;

	c->length = at = 0;
	c->page = p->number;
	c->number = (uint32_t)i;
	if (i < p->n)
		at = big_endian(p->bytes + p->cells + 2 * i, 2);
	if (at < p->cells + 2 * p->n || at + 4 > d->usable)
		return -1;
	c->s = p->bytes + at;
	c->below = (uint32_t)big_endian(c->s, 4);
	if (!p->leaf)
		c->s += 4;
	else if (read_varint(&c->s, end, &c->length) == -1)
		return -1;
	if (read_varint(&c->s, end, &id) == -1 || c->length > INT32_MAX)
		return -1;
	c->id = (int64_t)id;
	c->here = (size_t)c->length;
	if (c->length > d->usable - 35) {
		c->here = least + (c->length - least) % (d->usable - 4);
		if (c->here > d->usable - 35)
			c->here = least;
	}
	at = c->here + (c->here < c->length ? 4 : 0);
	return end - c->s < (ptrdiff_t)at ? -1 : 0;
}

/*
 * Sets *s to the bytes of a row and returns how many there are: all, but of a
 * giant only what a command may have; 0 if they cannot be read.
 */
static size_t
load_row(struct database *d, struct buffer *b, const struct cell *c,
    const unsigned char **s)
{
	const size_t most = MAX_COMMAND + MAX_OTHERS;
	size_t n = c->length < most ? (size_t)c->length : most, part = c->here;
	uint32_t next;

	*s = c->s;
	if (n <= c->here)
		return n;
	next = (uint32_t)big_endian(c->s + c->here, 4);
	for (b->n = 0; ; part = d->usable - 4) {
		if (part > n - b->n)
			part = n - b->n;
		b->s = grow(b->s, &b->size, b->n + part, 1);
		memcpy(b->s + b->n, *s, part);
		b->n += part;
		if (b->n == n)
			break;
		*s = d->chain_left == 0 ? NULL : read_page(d, next, chained);
		if (*s == NULL)
			return 0;
		d->chain_left--;
		next = (uint32_t)big_endian(*s, 4);
		*s += 4;
	}
	*s = (unsigned char *)b->s;
	return n == c->length && next != 0 ? 0 : n;	/* it goes on */
}

/* UTF-16 as UTF-8; half of a character is written as if it were whole. */
static void
convert_utf16(struct datum *v, size_t low)
{
	const unsigned char *s = (const unsigned char *)v->s, *end = s + v->n;
	uint32_t c, half;
	char *to;

	to = v->utf8.s = grow(v->utf8.s, &v->utf8.size, v->n / 2 * 3, 1);
	for (; end - s >= 2; s += 2) {
		c = (uint32_t)(s[low] | s[1 - low] << 8);
		half = end - s < 4 ? 0 :
		    (uint32_t)(s[2 + low] | s[3 - low] << 8);
		s += join_halves(&c, half) ? 2 : 0;
		to += write_utf8(to, c);
	}
	v->s = v->utf8.s;
	v->n = (size_t)(to - v->s);
}

/* Sets the value of a field from its type and n of its bytes. */
static void
set_value(const struct database *d, unsigned field, struct datum *v,
    uint64_t type, const unsigned char *s, size_t n)
{
	const int64_t unit = field <= DURATION && d->program != NULL &&
	    d->program->form == REAL ? d->program->second : 1;
	uint64_t bits;
	double real;

	v->type = type >= 12 ? BYTES :
	    type == 0 || type > 9 ? NOTHING : INTEGER;
	if (v->type == BYTES) {
		v->s = (const char *)s;
		v->n = n;
		if (type % 2 == 1 && d->encoding > 1)
			convert_utf16(v, d->encoding == 3);
		if (v->n > MAX_COMMAND) {
			v->n = MAX_COMMAND;
			report_trouble(d->f, too_long, 1);
		}
	} else if (type == 7) {
		bits = big_endian(s, n);
		memcpy(&real, &bits, sizeof real);
		real *= (double)unit;
		v->number = real > -9e18 && real < 9e18 ? (int64_t)real : 0;
	} else if (v->type == INTEGER) {
		bits = n == 0 ? 0 : big_endian(s, n) << (64 - 8 * n);
		v->number = n == 0 ? type == 9 : (int64_t)bits >> (64 - 8 * n);
		if (__builtin_mul_overflow(v->number, unit, &v->number))
			v->number = 0;
	}
}

/* Reads these fields of a row. */
static int
read_row(struct database *d, struct table *t, const struct cell *c,
    unsigned fields)
{
	static const unsigned char lengths[12] = { 0, 1, 2, 3, 4, 6, 8, 8 };
	const unsigned char *s, *bytes, *end;
	const size_t n = load_row(d, &t->row, c, &bytes);
	uint64_t head, at, type, len, there;
	unsigned i, field;

	for (i = 0; i < NFIELDS; i++) {
		t->data[i].type = NOTHING;
		t->data[i].number = 0;
		t->data[i].n = 0;
	}
	s = bytes;
	if (n == 0 || read_varint(&s, bytes + n, &head) == -1 || head > n)
		return -1;
	end = bytes + head;
	for (i = 0, at = head; s < end && i < TABLE_COLUMNS; i++, at += len) {
		if (read_varint(&s, end, &type) == -1)
			return -1;
		len = type < 12 ? lengths[type] : (type - 12) / 2;
		if (len > c->length - at || (type < 12 && at + len > n))
			return -1;
		field = t->field[i];
		if ((fields >> field & 1) == 0)
			continue;
		there = at > n ? 0 : len < n - at ? len : n - at;
		if (there < len)
			report_trouble(d->f, too_long, 1);
		set_value(d, field, &t->data[field], type,
		    bytes + (there == 0 ? 0 : at), (size_t)there);
	}
	return s == end && at != c->length ? -1 : 0;
}

/*
 * Goes on at a page that has the ids from low to high.  If one of them is not
 * below the next, either may be wrong; what belongs to the other is not lost.
 * A cell that is too long may lie over others, but not each over all others.
 */
static void
walk(struct database *d, struct table *t, size_t depth, uint32_t number,
    int64_t low, int64_t high)
{
	struct cell cells[2], *c, *next = cells;
	struct page p = { .number = 0 };
	int found = -1, follows;
	size_t i, used = 0;

	if (depth < MAX_DEPTH && d->left > 0 && low <= high)
		found = load_page(d, number, tree_pages[depth], 0, &p);
	d->left -= p.number > 0;	/* it was read, whatever it is */
	if (found == -1) {
		d->bad++;
		return;
	}
	follows = load_cell(d, &p, 0, next);
	for (i = 0; i < p.n; i++) {
		found = follows;
		c = next;
		next = &cells[c == cells];
		follows = load_cell(d, &p, i + 1, next);
		used += found == 0 ? c->here : 0;
		if (found == -1 || c->id < low || c->id > high ||
		    used / MAX_OVERLAP > d->usable) {
			d->bad++;
			continue;
		}
		if (follows == 0 && next->id <= c->id && next->id > low) {
			d->bad++;
			c->id = next->id - 1;
		} else if (p.leaf)
			d->bad += d->visit(d, t, c) == -1;
		if (!p.leaf)
			walk(d, t, depth + 1, c->below, low, c->id);
		high = c->id < INT64_MAX ? high : INT64_MIN;
		low = c->id < INT64_MAX ? c->id + 1 : c->id;
	}
	if (!p.leaf)
		walk(d, t, depth + 1, p.right, low, high);
}

/* Visits all rows of a table; what is damaged is counted. */
static void
walk_table(struct database *d, int table,
    int (*visit)(struct database *, struct table *, const struct cell *))
{
	d->visit = visit;
	d->left = d->chain_left = d->npages;
	walk(d, &d->tables[table], 0, d->tables[table].root, INT64_MIN,
	    INT64_MAX);
}

/* The length of a name, quoted or not, of a comment, of one character. */
static size_t
token_length(const char *s, size_t n)
{
	static const char ends[] = " \t\r\n\f(),\"'`[";
	const char *end = NULL;
	size_t len = 1;

	if (starts(s, n, "--"))
		return line_length(s, n);
	if (starts(s, n, "/*"))
		end = find_text(s + 2, n - 2, "*/");
	else if (strchr("\"'`[", *s) != NULL)
		end = memchr(s + 1, *s == '[' ? ']' : *s, n - 1);
	else {
		while (strchr(ends, *s) == NULL && len < n &&
		    strchr(ends, s[len]) == NULL)
			len++;
		return len;
	}
	return end == NULL ? n : (size_t)(end - s) + 1 + (*s == '/');
}

static int
is_name(const char *s, size_t n, const char *name)
{
	if (n > 1 && strchr("\"'`[", *s) != NULL) {
		s++;
		n -= 2;
	}
	return name != NULL && strlen(name) == n &&
	    strncasecmp(s, name, n) == 0;
}

/* Notes by its CREATE TABLE which columns of a table have the names. */
static unsigned
find_columns(unsigned char field[TABLE_COLUMNS], const char *s, size_t n,
    const char *const sought[NFIELDS])
{
	size_t len, number = 0;
	unsigned depth = 0, begins = 0, found = 0, f;

	memset(field, NFIELDS, TABLE_COLUMNS);
	for (; n > 0 && number < TABLE_COLUMNS; s += len, n -= len) {
		len = token_length(s, n);
		if (strchr(" \t\r\n\f", *s) != NULL || starts(s, len, "--") ||
		    starts(s, len, "/*"))
			continue;
		for (f = 0; begins && f < NFIELDS; f++)
			if (is_name(s, len, sought[f])) {
				field[number] = (unsigned char)f;
				found |= 1u << f;
			}
		begins = (*s == ',' && depth == 1) || (*s == '(' && depth == 0);
		number += *s == ',' && depth == 1;
		depth += (unsigned)(*s == '(') - (*s == ')');
	}
	return found;
}

/* Looks whether a row of the schema is of a table that we know. */
static int
match_table(struct database *d, struct table *t, const struct cell *c)
{
	const struct datum *v = t->data;
	const struct program *p;
	unsigned char field[TABLE_COLUMNS];
	unsigned found, need;

	if (read_row(d, t, c, t->found) == -1)
		return -1;
	if (!is_name(v[TYPE].s, v[TYPE].n, "table"))
		return 0;
	for (p = programs; p < programs + NPROGRAMS; p++) {
		need = (unsigned)(p->column[TIME] != NULL) << TIME |
		    (unsigned)(p->column[COMMAND] != NULL) << COMMAND;
		if (!is_name(v[TABLE].s, v[TABLE].n, p->table_name))
			continue;
		found = find_columns(field, v[SQL].s, v[SQL].n, p->column);
		if ((found & need) != need)
			continue;
		t = &d->tables[p->table];
		t->root = (uint32_t)v[ROOT].number;
		t->found = found;
		memcpy(t->field, field, sizeof field);
		if (p->table == HISTORY)
			d->program = p;
		return 0;
	}
	return 0;
}

static int
compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	const int order = (x->order > y->order) - (x->order < y->order);

	step();
	return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/*
 * Keeps where a row is; not on the first walk through the history, which only
 * finds whether its rows are in the order of their time.
 */
static int
look_at_row(struct database *d, struct table *t, const struct cell *c)
{
	struct key k = { c->id, c->id, c->page, c->number };

	if (t == &d->tables[HISTORY]) {
		if (read_row(d, t, c, t->found & 1u << TIME) == -1)
			return -1;
		k.order = t->data[TIME].number;
		d->disordered |= k.order < d->before;
		d->before = k.order;
		d->nrows++;
		if (!d->sorting)
			return 0;
	}
	if (t->nkeys == MAX_KEYS)
		return -1;
	t->keys = grow(t->keys, &t->size, t->nkeys, sizeof k);
	t->keys[t->nkeys++] = k;
	return 0;
}

/* Finds a row again. */
static int
load_key(struct database *d, struct table *t, const struct key *k,
    struct cell *c)
{
	struct page p;
	int got;

	got = load_page(d, k->page, row_pages[t - d->tables], t->page, &p);
	t->page = got == 0 ? k->page : 0;
	return got == 0 && p.leaf && load_cell(d, &p, k->cell, c) == 0 &&
	    c->id == k->id ? 0 : -1;
}

/*
 * The field of the row, in another table, that has this id.  A million rows
 * of a small file may have one giant command: so there is a limit.
 */
static const struct datum *
look_up(struct database *d, int table, int64_t id, int field)
{
	struct table *t = &d->tables[table];
	const struct key sought = { .order = id, .id = id }, *k = NULL;
	const uint64_t left = d->chain_left;
	struct cell c = { .length = 0 };
	int got;

	t->data[field].type = NOTHING;
	t->data[field].n = 0;
	if (t->nkeys > 0)
		k = bsearch(&sought, t->keys, t->nkeys, sizeof *k,
		    compare_keys);
	if (k == NULL)
		return &t->data[field];
	d->chain_left = d->npages;
	got = d->looked_up / MOST_TIMES > d->npages * d->page_size ? -1 :
	    load_key(d, t, k, &c);
	d->looked_up += c.length;
	d->bad += got == -1 || read_row(d, t, &c, t->found) == -1;
	d->chain_left = left;
	return &t->data[field];
}

/* Notes when a command began, how long it took, and its status. */
static void
note_details(struct database *d, const struct datum *v)
{
	const struct program *p = d->program;
	int64_t took = v[DURATION].number;
	struct file *f = d->f;

	if (p->form == REAL && (v[TIME].type == NOTHING ||
	    __builtin_sub_overflow(took, v[TIME].number, &took)))
		took = -1;
	set_seconds(f, v[TIME].number / p->second);
	f->has_detail = 1;
	f->detail.duration.known = v[DURATION].type == INTEGER && took >= 0;
	f->detail.duration.value = took / p->second;
	/* atuin has -1 for both until the command ends. */
	f->detail.exit_status.known = v[STATUS].type == INTEGER &&
	    (v[STATUS].number != -1 || took >= 0);
	f->detail.exit_status.value = v[STATUS].number;
}

/* Sends a row of the history; -1 if not all of it could be read. */
static int
send_row(struct database *d, struct table *t, const struct cell *c)
{
	const struct datum *v = t->data, *command = v + COMMAND, *cwd = v + CWD;
	struct file *f = d->f;
	int i, wrong = 0;

	f->entry.line = f->line = (uint64_t)c->id;
	if (read_row(d, t, c, t->found) == -1)
		return -1;
	for (i = 0; i < CWD; i++)
		wrong |= v[i].type == BYTES;
	if (d->program->form == JOINED) {
		command = look_up(d, COMMANDS, command->number, COMMAND);
		cwd = look_up(d, PLACES, cwd->number, CWD);
		if (command->type == NOTHING)
			return -1;
	} else if (command->type == NOTHING) {
		command = v + SOURCE;
	}
	if (command->type == INTEGER)
		return -1;
	note_details(d, v);
	f->cwd = cwd->s;
	f->ncwd = cwd->n;
	emit(f, command->s, command->n);
	return wrong || cwd->type == INTEGER ? -1 : 0;
}

/*
 * Rows whose ids are in the order of their time are sent as they are found,
 * in the memory of a few pages.  Others are sorted, by 24 bytes of each,
 * unless there are too many.
 */
static void
send_rows(struct database *d)
{
	struct table *t = &d->tables[HISTORY];
	struct cell c;
	size_t i;

	if (d->program->form == JOINED) {
		walk_table(d, COMMANDS, look_at_row);
		walk_table(d, PLACES, look_at_row);
	}
	walk_table(d, HISTORY, look_at_row);
	if (!d->disordered || d->nrows > MAX_KEYS) {
		if (d->disordered)
			report_trouble(d->f,
			    "too many rows to be sorted by time", 0);
		walk_table(d, HISTORY, send_row);
		return;
	}
	d->sorting = 1;
	walk_table(d, HISTORY, look_at_row);
	sort(t->keys, t->nkeys, sizeof *t->keys, compare_keys);
	d->chain_left = d->npages;
	for (i = 0; i < t->nkeys; i++)
		d->bad += load_key(d, t, &t->keys[i], &c) == -1 ||
		    send_row(d, t, &c) == -1;
}

/* Reads the header of a database, and its log; -1 if it is none. */
static int
open_database(struct database *d, off_t size)
{
	unsigned char *h = tree_pages[0] + FRAME_HEADER;

	if (d->log != -1)
		read_log(d);
	if (d->frames == NULL && (read_at(d->fd, h, 100, 0) == -1 ||
	    !set_page_size(d, big_endian(h + 16, 2) == 1 ? MAX_PAGE :
	    big_endian(h + 16, 2))))
		return -1;
	if (read_page(d, 1, tree_pages[0]) == NULL ||
	    memcmp(h, sqlite_magic, sizeof sqlite_magic) != 0)
		return -1;
	d->usable = d->page_size - h[20];
	d->encoding = h[59] & 3;
	d->npages += (uint64_t)(size > 0 ? size : 0) / d->page_size;
	return d->usable >= 480 ? 0 : -1;
}

static void
send_history(struct database *d)
{
	static const struct table schema = { .root = 1,
	    /* type, name, tbl_name (not sought), rootpage, sql */
	    .field = { TYPE, TABLE, NFIELDS, ROOT, SQL }, .found = 15 };

	d->tables[SCHEMA] = schema;
	walk_table(d, SCHEMA, match_table);
	if (d->program == NULL) {
		report_trouble(d->f,
		    "is a database of no program that is known", 0);
	} else {
		send_start(d->f, d->program->name);
		send_rows(d);
	}
	if (d->log_unread)
		report_trouble(d->f,
		    "the log beside it is damaged, and not read", 0);
	/* Its pages may be of two states, and rows in neither. */
	if (was_written(d->f))
		report_trouble(d->f, changed, 0);
	else if (d->bad > 0)
		report_trouble(d->f, "damaged: pages or rows were not read",
		    0);
}

static void
parse_database(struct file *f)
{
	const off_t size = lseek(f->r.fd, 0, SEEK_END);
	struct database d = { .f = f, .fd = f->r.fd, .log = f->log };
	struct table *t;
	size_t i;

	if (open_database(&d, size) == 0)
		send_history(&d);
	else if (size != 0)
		report_trouble(f, "cannot be read as a database", 0);
	for (t = d.tables; t < d.tables + NTABLES; t++) {
		for (i = 0; i < NFIELDS; i++)
			free(t->data[i].utf8.s);
		free(t->row.s);
		free(t->keys);
	}
	free(d.frames);
}

/* Formats and places */

static const struct format formats[] = {
	{ "bash", parse_stamped, .stamp = "#", .windows = 1 },
	{ .name = "zsh", .parse = parse_zsh },
	{ "fish", parse_fish, .header = "- cmd:", .stamp = "# " },
	{ "tcsh", parse_stamped, .stamp = "#+", .more = '\\' },
	{ .name = "ksh", .parse = parse_ksh },
	{ "mksh", parse_mksh, .header = "\xab\xcd" },
	{ .name = "plain", .parse = parse_lines },
	{ "nushell", parse_lines, .escapes = nushell_escapes },
	{ "powershell", parse_lines, .more = '`', .windows = 1 },
	{ "yash", parse_yash, .header = "#$# yash history" },
	{ "mysql", parse_lines, .header = libedit },
	{ "psql", parse_lines, .escapes = psql_escapes },
	{ "python", parse_lines, .more = '\r' },
	{ "duckdb", parse_lines, .more = '\r' },
	{ "node", parse_lines, .reversed = 1 },
	{ "irb", parse_lines, .more = '\\' },
	{ .name = "prompt_toolkit", .parse = parse_prompt },
	{ "less", parse_less, .header = ".less-history-file" },
	{ "vim", parse_vim, .header = "# This viminfo file" },
	{ "xonsh", parse_xonsh, .header = "{\"locs\": [" },
	{ "sqlite", parse_database, .header = sqlite_magic },
	{ .name = NULL },	/* of histories that shhist only reports */
};

static const char unread[] = "";	/* what they have for a name */

static const struct place places[] = {
	{ ".bash_history",			"bash",		ALWAYS },
	{ ".bash_sessions/*.history",		"bash",		ALWAYS },
	{ ".local/state/bash/history",		"bash",		ALWAYS },
	{ ".zsh_history",			"zsh",		ALWAYS },
	{ ".zhistory",				"zsh",		ALWAYS },
	{ ".histfile",				"zsh",		ALWAYS },
	{ ".zsh_sessions/*.history",		"zsh",		ALWAYS },
	{ ".config/zsh/.zsh_history",		"zsh",		ALWAYS },
	{ ".config/zsh/.zhistory",		"zsh",		ALWAYS },
	{ ".cache/zsh/history",			"zsh",		ALWAYS },
	{ ".local/share/zsh/history",		"zsh",		ALWAYS },
	{ ".local/state/zsh/history",		"zsh",		ALWAYS },
	{ ".history",				NULL,		ALWAYS },
	{ ".sh_history",			NULL,		ALWAYS },
	{ ".ash_history",			"plain",	ALWAYS },
	{ ".hush_history",			"plain",	ALWAYS },
	{ ".mksh_history",			"mksh",		ALWAYS },
	{ ".yash_history",			"yash",		ALWAYS },
	{ ".local/share/fish/*_history",	"fish",		ALWAYS },
	{ ".config/fish/*_history",		"fish",		ALWAYS },
	{ ".config/nushell/history.txt",	"nushell",	ALWAYS },
	{ ".local/share/powershell/PSReadLine/*_history.txt",
						"powershell",	ALWAYS },
	/* Copies of other shells' files; all else is a host of PSReadLine. */
	{ "*sh_history.txt",			NULL,		OPERAND },
	{ "*_history.txt",			"powershell",	OPERAND },
	{ ".config/nushell/history.sqlite3",	"sqlite",	ALWAYS },
	{ ".local/share/atuin/history.db",	"sqlite",	ALWAYS },
	{ ".local/share/mcfly/history.db",	"sqlite",	ALWAYS },
	{ ".mcfly/history.db",			"sqlite",	ALWAYS },
	{ ".histdb/zsh-history.db",		"sqlite",	ALWAYS },
	{ ".local/share/xonsh/xonsh-history.sqlite", "sqlite",	ALWAYS },
	{ ".local/share/xonsh/history_json/*.json", "xonsh",	ALWAYS },
	{ ".local/share/xonsh/xonsh-*.json",	"xonsh",	ALWAYS },
	{ ".local/state/elvish/db.bolt",	unread,		ALWAYS },
	{ ".python_history",			"python",	CLIENT },
	{ ".mysql_history",			"mysql",	CLIENT },
	{ ".mariadb_history",			"mysql",	CLIENT },
	{ ".psql_history",			"psql",		CLIENT },
	{ ".sqlite_history",			"plain",	CLIENT },
	{ ".rediscli_history",			"plain",	CLIENT },
	{ ".gdb_history",			"plain",	CLIENT },
	{ ".Rhistory",				"plain",	CLIENT },
	{ ".node_repl_history",			"node",		CLIENT },
	{ ".irb_history",			"irb",		CLIENT },
	{ ".dbshell",				"plain",	CLIENT },
	{ ".mongodb/mongosh/mongosh_repl_history", "node",	CLIENT },
	{ ".msf4/history",			"plain",	CLIENT },
	{ ".php_history",			"plain",	CLIENT },
	{ ".duckdb_history",			"duckdb",	CLIENT },
	{ ".valkeycli_history",			"plain",	CLIENT },
	{ ".config/irb/irb_history",		"irb",		CLIENT },
	{ ".config/pgcli/history",		"prompt_toolkit", CLIENT },
	{ ".mycli-history",			"prompt_toolkit", CLIENT },
	{ ".local/share/litecli/history",	"prompt_toolkit", CLIENT },
	{ ".ipython/profile_*/history.sqlite",	"sqlite",	CLIENT },
	{ ".lesshst",				"less",		CLIENT },
	{ ".local/state/lesshst",		"less",		CLIENT },
	{ ".viminfo",				"vim",		CLIENT },
	{ ".local/share/nvim/shada/main.shada",	unread,		CLIENT },
	{ ".local/state/nvim/shada/main.shada",	unread,		CLIENT },
	{ ".profile",				NULL,		STARTUP },
	{ ".bash_profile",			"bash",		STARTUP },
	{ ".bashrc",				"bash",		STARTUP },
	{ ".zshenv",				"zsh",		STARTUP },
	{ ".zprofile",				"zsh",		STARTUP },
	{ ".zshrc",				"zsh",		STARTUP },
	{ ".config/zsh/.zshenv",		"zsh",		STARTUP },
	{ ".config/zsh/.zshrc",			"zsh",		STARTUP },
	{ ".kshrc",				NULL,		STARTUP },
	{ ".mkshrc",				NULL,		STARTUP },
	{ ".yashrc",				"yash",		STARTUP },
	{ ".config/yash/rc",			"yash",		STARTUP },
	{ NULL,					NULL,		ALWAYS },
};
enum { NPLACES = sizeof places / sizeof *places - 1 };

/* The format of this name, else the last one. */
static const struct format *
find_format(const char *name)
{
	const struct format *f = formats;

	while (f->name != NULL && strcmp(f->name, name) != 0)
		f++;
	return f;
}

/* The format of a file: -f, or the one of that name; null: by its content. */
static const struct format *
choose_format(const char *name)
{
	if (name == NULL || (fflag != NULL && name != unread))
		return fflag;
	return find_format(name);
}

/*
 * What the form of a line says of its file; null for nothing.  Formats are
 * tried in the order of their table.  One with a header has it, or the stamp,
 * on the first line alone.
 */
static const struct format *
line_format(const char *s, size_t n, int first)
{
	const struct format *f;
	struct file zsh = { .line = 0 };	/* for the time in it */

	n -= n > 0 && s[n - 1] == '\r';
	for (f = formats; f->name != NULL; f++) {
		if (f->header != NULL && !first)
			continue;
		if (f->header != NULL && starts(s, n, f->header))
			return f;
		if (f->stamp != NULL && n >= strlen(f->stamp) + EPOCH &&
		    stamp_prefix(s, n, f->stamp))
			return f;
	}
	if (zsh_prefix(&zsh, s, n) > 0 && zsh.entry.time_length >= EPOCH)
		return find_format("zsh");
	return NULL;
}

/* The format that the beginning of a file has, "plain" if it has none. */
static const struct format *
content_format(struct file *f)
{
	const struct format *found = NULL;
	int first = 1, cut;
	size_t n, len;
	char *s;

	n = read_ahead(&f->r, FIRST_BYTES);
	cut = n == FIRST_BYTES;
	s = f->r.buf + f->r.start;
	if (n > 1 && (unsigned char)s[0] == 0x81 && (unsigned char)s[1] < 2)
		return find_format("ksh");
	for (; n > 0 && found == NULL; s += len, n -= len) {
		len = line_length(s, n);
		if (len > 0 && (first || len < n || !cut))
			found = line_format(s, len, first);
		first &= len == 0;
		len += len < n;
	}
	return found == NULL ? find_format("plain") : found;
}

/* What is no history, by the bytes that it begins with. */
static const struct magic {
	const char *bytes, *why;
} magics[] = {
	{ "\x1f\x8b", "is compressed, and not read" },
	{ "\xfd" "7zXZ", "is compressed, and not read" },
	{ "\x28\xb5\x2f\xfd", "is compressed, and not read" },
	{ "\x04\x22\x4d\x18", "is compressed, and not read" },
	{ "BZh", "is compressed, and not read" },
	{ "PK\3\4", "is compressed, and not read" },
	{ "b0VIM ", "is a swap file of vim, and not read" },
};

/* Files printed already */

/*
 * Where a file is among those known, or has its place.  A server of files may
 * give them any numbers: which ones meet depends on what is drawn at random
 * for each run, and on all bits.
 */
static struct identity *
find_known(struct identity id)
{
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
	static uint64_t factor;
	struct identity *k;
	uint64_t key;
	size_t i;

	if (factor == 0)
		factor = random_odd();
	key = ((id.holder * golden + id.dev) * golden + id.ino) * factor;
	/* Numbers in a row would stand at equal distances, some in runs. */
	key = (key ^ key >> 32) * golden;
	i = (size_t)(key >> __builtin_clzll(known_size - 1));
	for (;; i++) {
		k = &known[i & (known_size - 1)];
		if (k->ino == 0 || (k->ino == id.ino && k->dev == id.dev &&
		    k->holder == id.holder))
			return k;
	}
}

static int
is_known(struct identity id)
{
	return nknown > 0 && find_known(id)->ino != 0;
}

/*
 * Adds a file to those known.  Whoever has more files than we remember has
 * those printed again that others share.
 */
static void
add_known(struct identity id)
{
	struct identity *old = known, *k;
	size_t i, old_size = known_size;

	if (2 * nknown >= known_size) {
		known_size = known_size == 0 ? 64 : 2 * known_size;
		known = calloc(known_size, sizeof *known);
		if (known == NULL)
			fatal("%s", strerror(ENOMEM));
		for (i = 0; i < old_size; i++)
			if (old[i].ino != 0)
				*find_known(old[i]) = old[i];
		free(old);
	}
	k = find_known(id);
	if (k->ino == 0 && nknown < MAX_KNOWN) {
		*k = id;
		nknown++;
	}
}

/*
 * By what a file is known when uid has read it.  Who links another's file
 * into a home of his own may have it parsed as what it is not: so that hides
 * it from nobody who reads it as another format, nor from its owner.
 */
static struct identity
file_identity(const struct opened *f, uint64_t uid)
{
	return (struct identity){ f->dev, f->ino,
	    f->owner == uid ? uid : OTHERS | f->format };
}

/* Whether a file was printed for its owner, or for others as this format. */
static int
is_duplicate(const struct opened *f, uint64_t uid)
{
	return f->ino != 0 && (is_known(file_identity(f, uid)) ||
	    is_known((struct identity){ f->dev, f->ino, f->owner }));
}

/* What distinguishes an entry in memory from all else of the same user's. */
static struct identity
entry_identity(uint64_t uid, uint64_t address, const struct entry *e,
    const char *s, size_t n)
{
	const uint64_t prime = 0x100000001b3u;	/* FNV-1a */
	/* First, so that no byte makes up for what two addresses differ in. */
	uint64_t hash = address * prime;
	size_t i;

	for (i = 0; i < e->time_length; i++)
		hash = (hash ^ (unsigned char)e->time[i]) * prime;
	for (i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)s[i]) * prime;
	return (struct identity){ address, hash | 1, uid };
}

/* The memory of shells */

/*
 * What running shells hold in memory, for -m.
 *
 * Names and symbols decide nothing, for the executable is its user's: it may
 * be static, stripped, deleted, renamed.  The form of the data decides.
 * - GNU readline, which bash contains, has a static pointer to an array of
 *   pointers to entries, a null one at its end.  An entry begins with two
 *   strings: the command, and a stamp of one character (# in bash, NUL in
 *   most other programs) and the digits of its time.
 * - zsh has a static pointer into a ring of numbered entries, linked both
 *   ways.
 * So each word of static data is followed as if it were such a pointer, in
 * nothing but memory that is private and writable, where a read can do no
 * harm.
 *
 * The process runs on.  Pages are kept once read, so that what is tried is
 * of one time; a list is believed when two reads of it agree, and an entry
 * when it is still what it was after its strings were read.  Where a history
 * is full, the oldest entry's memory becomes the newest's.
 */
enum {
	PAGE = 4096,
	NPAGES = 512,		/* kept at once */
	MAX_ENTRIES = 1000000,
	MAX_TYPED = 1 << 20,	/* bytes of a command */
	MAX_READ = 1 << 30,	/* bytes of a process, half to search it */
	MAX_LISTS = 16,
	STAMP = 24,
	ENOUGH = 16,		/* entries of a list that are looked at */
	PATIENCE = 100,		/* tries to read a list that changes */
};

static const char out_of_time[] =
    "not read: the processes of its user took a minute";

/* A process that is read: a worker reads but one. */
struct memory {
	struct file *f;		/* what its entries are sent as */
	int64_t deadline;	/* ms: its user has had his time then */
	int maps, pagemap;	/* descriptors */
	size_t wordsize;	/* of its pointers */
	uint64_t bytes_read, may_read;
	unsigned calls;		/* since the time was looked at */
	const char *limit;	/* the first that was met */
	struct mapping {
		uint64_t start, end;
		int data;	/* static data of an object in memory */
	} *mappings;		/* private and writable, sorted */
	size_t nmappings, mappings_size;
	uint64_t object_end;	/* of the mapping before, if of an object */
	char pages[NPAGES][PAGE];
	uint64_t page_address[NPAGES];
	/* What pagemap says of as many pages from the first on. */
	uint64_t flags[512], first_flag, nflags;
	uint64_t *entries;	/* the list that was read last */
	size_t nentries, entries_size;
	uint64_t start_of_list, list_id;
	uint64_t newest;	/* number of the last one typed, in zsh */
	struct list {
		const struct shape *shape;
		uint64_t start, id;
	} lists[MAX_LISTS + 1];	/* the histories that were found */
};

/* A form in which histories are held. */
struct shape {
	/* Whether there seems to be a history at p. */
	int (*fits)(struct memory *, uint64_t p);
	/*
	 * Sets entries to those at p, and list_id to what stays the same when
	 * the list is found twice: an array's end, a ring's oldest entry.
	 */
	size_t (*read_list)(struct memory *, uint64_t p);
	/* Copies the entry at e to that of the file; -1 if there is none. */
	int (*read_entry)(struct memory *, uint64_t e);
};

/* Reports a limit; more of them follow from the first. */
static void
report_limit(struct memory *m, const char *why)
{
	if (m->limit == NULL)
		m->limit = why;
	report_trouble(m->f, m->limit, 0);
}

/* Whether more of the process may be read; if not, that is reported. */
static int
may_go_on(struct memory *m)
{
	step();
	if (m->bytes_read >= m->may_read) {
		report_limit(m, "more than 1 GiB to be read");
		return 0;
	}
	if (++m->calls % 64 == 0 && now_ms() - waited > m->deadline)
		m->deadline = 0;
	if (m->deadline == 0)
		report_limit(m, out_of_time);
	return m->deadline != 0;
}

/* Whether there are data of the process at an address. */
static int
is_mapped(const struct memory *m, uint64_t address)
{
	size_t low = 0, high = m->nmappings, middle;

	if (high == 0 || address < m->mappings->start)
		return 0;	/* nearly all, at once */
	while (low < high) {
		middle = low + (high - low) / 2;
		if (address < m->mappings[middle].start)
			high = middle;
		else if (address >= m->mappings[middle].end)
			low = middle + 1;
		else
			return 1;
	}
	return 0;
}

/*
 * Whether the process has the page at an address in use.  Any other holds
 * nothing that it made, and to read it would bring it into being.
 */
static int
is_used(struct memory *m, uint64_t address)
{
	uint64_t page = address / (uint64_t)getpagesize();
	ssize_t got;

	if (page - m->first_flag >= m->nflags) {
		if (!may_go_on(m))
			return 0;
		got = pread(m->pagemap, m->flags, sizeof m->flags,
		    (off_t)(page * sizeof *m->flags));
		if (got < (ssize_t)sizeof *m->flags)
			return 1;	/* a kernel without pagemap */
		m->first_flag = page;
		m->nflags = (uint64_t)got / sizeof *m->flags;
	}
	/* Present or swapped. */
	return m->flags[page - m->first_flag] >> 62 != 0;
}

/* The byte at an address and those that follow in its page, or null. */
static const char *
page_at(struct memory *m, uint64_t address)
{
	uint64_t start = address - address % PAGE;
	size_t i = start / PAGE % NPAGES;

	if (start == 0)
		return NULL;
	if (m->page_address[i] != start) {
		if (!is_mapped(m, start) || !is_used(m, start))
			return NULL;
		m->page_address[i] = 0;
		if (!may_go_on(m))
			return NULL;
		m->bytes_read += PAGE;
		if (pread(m->f->r.fd, m->pages[i], PAGE, (off_t)start) != PAGE)
			return NULL;
		m->page_address[i] = start;
	}
	return m->pages[i] + address % PAGE;
}

/* From now on memory is as it is now. */
static void
forget_pages(struct memory *m)
{
	memset(m->page_address, 0, sizeof m->page_address);
	m->nflags = 0;
}

static void
forget_page(struct memory *m, uint64_t address)
{
	m->page_address[address / PAGE % NPAGES] = 0;
}

static int
peek(struct memory *m, void *dst, uint64_t address, size_t n)
{
	char *to = dst;
	const char *from;
	size_t part;

	for (; n > 0; n -= part) {
		from = page_at(m, address);
		if (from == NULL)
			return -1;
		part = PAGE - address % PAGE;
		if (part > n)
			part = n;
		memcpy(to, from, part);
		to += part;
		address += part;
	}
	return 0;
}

/* The word of the process at an address, 0 if there is none. */
static uint64_t
word_at(struct memory *m, uint64_t address)
{
	uint32_t narrow;
	uint64_t wide;

	if (m->wordsize == sizeof narrow)
		return peek(m, &narrow, address, m->wordsize) == 0 ? narrow : 0;
	return peek(m, &wide, address, m->wordsize) == 0 ? wide : 0;
}

static int
is_pointer(const struct memory *m, uint64_t p)
{
	return p % m->wordsize == 0 && is_mapped(m, p);
}

/* Puts the string at an address into the text; -1 if it has no end. */
static int
read_string(struct memory *m, uint64_t address)
{
	struct file *f = m->f;
	const char *s;
	size_t n, len;

	f->text.n = 0;
	do {
		s = page_at(m, address);
		if (s == NULL)
			return -1;
		n = PAGE - address % PAGE;
		len = strnlen(s, n);
		if (len > MAX_TYPED - f->text.n) {
			len = MAX_TYPED - f->text.n;
			report_trouble(f, "command longer than 1 MiB is cut",
			    1);
		}
		add(f, s, len);
		address += len;
	} while (len == n);
	m->bytes_read += f->text.n;
	return 0;
}

/* Whether the n bytes at an address are still what we took them for. */
static int
is_unchanged(struct memory *m, uint64_t address, size_t n)
{
	char before[128], now[128];

	return peek(m, before, address, n) == 0 &&
	    pread(m->f->r.fd, now, n, (off_t)address) == (ssize_t)n &&
	    memcmp(before, now, n) == 0;
}

/* Reads the beginning of a stamp; returns the number of its digits. */
static size_t
read_stamp(struct memory *m, uint64_t address, char stamp[STAMP])
{
	const char *s;
	size_t i;

	memset(stamp, 0, STAMP);
	for (i = 0; i < STAMP - 1; i++) {
		s = page_at(m, address + i);
		if (s == NULL)
			return 0;
		stamp[i] = *s;
		if (i > 0 && *s == '\0')
			break;
	}
	if (*stamp == '\0' && !aflag)
		return 0;
	return digits(stamp + 1, STAMP - 1);
}

/*
 * Whether p is an array of entries of readline.  Only a stamp of today's
 * length and nothing behind it convinces; stamps that were read from a file
 * may be any digits, and more.  The first entries may be gone by now, the
 * last be newer than the page that we kept.
 */
static int
fits_readline(struct memory *m, uint64_t p)
{
	char stamp[STAMP];
	uint64_t e;
	size_t i, n;

	for (i = 0; i < ENOUGH; i++, p += m->wordsize) {
		e = word_at(m, p);
		if (!is_pointer(m, e))
			return 0;
		n = read_stamp(m, word_at(m, e + m->wordsize), stamp);
		if (n >= 9 && n <= 11 && stamp[1 + n] == '\0' &&
		    is_mapped(m, word_at(m, e)))
			return 1;
	}
	return 0;
}

static void
add_entry(struct memory *m, uint64_t e)
{
	m->entries = grow(m->entries, &m->entries_size, m->nentries + 1,
	    sizeof e);
	m->entries[m->nentries++] = e;
}

static size_t
read_array(struct memory *m, uint64_t p)
{
	const uint64_t begin = p;
	uint64_t e;

	for (m->nentries = 0; (e = word_at(m, p)) != 0; p += m->wordsize) {
		if (!is_pointer(m, e))
			return 0;
		if (m->nentries == MAX_ENTRIES) {
			report_limit(m, "more than a million entries");
			break;
		}
		add_entry(m, e);
	}
	m->start_of_list = begin;
	m->list_id = p;
	return m->nentries;
}

/*
 * Whether the array begins behind an entry by now.  That is one of the first:
 * little was typed since the array was read.
 */
static int
is_dropped(struct memory *m, uint64_t e)
{
	size_t i, n = m->nentries;
	uint64_t first;

	if (n > ENOUGH)
		n = ENOUGH;
	for (i = 0; i < n && m->entries[i] != e; i++)
		;
	if (i == n)
		return 0;
	forget_page(m, m->start_of_list);
	first = word_at(m, m->start_of_list);
	if (first == e)
		return 0;
	while (++i < n && m->entries[i] != first)
		;
	return i < n;
}

static int
read_readline(struct memory *m, uint64_t p)
{
	char stamp[STAMP];
	size_t n;

	n = read_stamp(m, word_at(m, p + m->wordsize), stamp);
	if (n == 0 || read_string(m, word_at(m, p)) == -1 ||
	    !is_unchanged(m, p, 2 * m->wordsize) || is_dropped(m, p))
		return -1;
	set_time(m->f, stamp + 1, n);
	send_start(m->f, *stamp == '\0' ? "readline" : "bash");
	return 0;
}

/* Whether a time has as many digits as those from 1973 to 5138. */
static int
is_today(uint64_t seconds)
{
	return seconds >= 100000000 && seconds < 100000000000;
}

/* The fields of zsh's struct histent, in words of the process. */
enum { NAME = 1, UP = 3, DOWN, STARTED = 6, ENDED, WORDS, NWORDS, NUMBER };

static uint64_t
zsh_field(struct memory *m, uint64_t e, unsigned field)
{
	uint64_t number = 0;

	if (field != NUMBER)
		return word_at(m, e + field * m->wordsize);
	(void)peek(m, &number, e + field * m->wordsize, sizeof number);
	return number;
}

/*
 * Whether a line was entered.  The one that is being typed is in the ring,
 * too, without time and words.
 */
static int
is_entered(struct memory *m, uint64_t e)
{
	return is_mapped(m, zsh_field(m, e, NAME)) &&
	    zsh_field(m, e, NUMBER) > 0 &&
	    ((uint32_t)zsh_field(m, e, NWORDS) > 0 ||
	    zsh_field(m, e, STARTED) > 0);
}

static void
forget_entry(struct memory *m, uint64_t e)
{
	forget_page(m, e);
	forget_page(m, e + NUMBER * m->wordsize);
}

/* Whether p is in zsh's ring.  Comments have a time there, but no words. */
static int
fits_zsh(struct memory *m, uint64_t p)
{
	uint64_t up = zsh_field(m, p, UP), started = zsh_field(m, p, STARTED);
	uint16_t bounds[2];

	if (!is_pointer(m, up) || !is_pointer(m, zsh_field(m, p, DOWN)) ||
	    zsh_field(m, p, NUMBER) - 1 > UINT32_MAX ||
	    !is_mapped(m, zsh_field(m, p, NAME)) ||
	    (started != 0 && !is_today(started)))
		return 0;
	forget_entry(m, p);	/* links may be newer than the pages */
	up = zsh_field(m, p, UP);
	forget_entry(m, up);
	if (zsh_field(m, up, DOWN) != p || !is_entered(m, up))
		return 0;
	if ((uint32_t)zsh_field(m, up, NWORDS) == 0)
		return is_today(zsh_field(m, up, STARTED));
	return peek(m, bounds, zsh_field(m, up, WORDS), sizeof bounds) == 0 &&
	    bounds[0] < bounds[1];
}

/*
 * Goes up to the oldest entry, and down from there to the newest.  Neither way
 * is endless, for the numbers must grow.
 */
static size_t
read_ring(struct memory *m, uint64_t p)
{
	uint64_t up, next = 0;
	size_t n;

	for (n = 0; n < MAX_ENTRIES; n++) {
		up = zsh_field(m, p, UP);
		if (zsh_field(m, up, NUMBER) >= zsh_field(m, p, NUMBER))
			break;
		p = up;
	}
	m->list_id = p;
	for (m->nentries = 0; m->nentries < MAX_ENTRIES; p = next) {
		add_entry(m, p);
		next = zsh_field(m, p, DOWN);
		if (!is_pointer(m, next) || zsh_field(m, next, UP) != p)
			return 0;
		if (is_entered(m, p))
			m->newest = zsh_field(m, p, NUMBER);
		if (zsh_field(m, next, NUMBER) <= zsh_field(m, p, NUMBER))
			return next == m->list_id ? m->nentries : 0;
	}
	report_limit(m, "more than a million entries");
	return m->nentries;
}

static int
read_zsh(struct memory *m, uint64_t e)
{
	const uint64_t started = zsh_field(m, e, STARTED),
	    ended = zsh_field(m, e, ENDED);
	struct file *f = m->f;

	if (!is_entered(m, e) || zsh_field(m, e, NUMBER) > m->newest ||
	    read_string(m, zsh_field(m, e, NAME)) == -1 ||
	    !is_unchanged(m, e, (NUMBER + 1) * m->wordsize))
		return -1;
	f->text.n = unmetafy(f->text.s, f->text.n);
	set_seconds(f, (int64_t)started);
	if (ended >= started)
		set_duration(f, (int64_t)(ended - started));
	send_start(f, "zsh");
	return 0;
}

static const struct shape shapes[] = {
	{ fits_readline, read_array, read_readline },
	{ fits_zsh, read_ring, read_zsh },
	{ NULL, NULL, NULL },
};

/* Reads a list until two reads of it agree. */
static size_t
confirm_list(struct memory *m, const struct shape *s, uint64_t p)
{
	/* No small one: entries stand at equal distances. */
	const uint64_t multiplier = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t sum, last = 0;
	size_t i, n, tries;

	for (tries = 0; tries < PATIENCE; tries++) {
		forget_pages(m);
		n = s->read_list(m, p);
		sum = n;
		for (i = 0; i < n; i++)
			sum = (sum + m->entries[i]) * multiplier;
		if (tries > 0 && sum == last)
			return n;
		last = sum;
	}
	report_trouble(m->f, "changes too fast", 0);
	return n;
}

/* Sends a list; tries twice, for zsh changes entries that are repeated. */
static void
send_list(struct memory *m, const struct list *l)
{
	struct file *f = m->f;
	size_t i, n, tries;

	n = confirm_list(m, l->shape, l->start);
	for (i = 0; i < n; i++) {
		f->entry.line = f->line = i + 1;
		f->detail = (struct detail){ .address = m->entries[i] };
		f->has_detail = 1;
		for (tries = 0; tries < 2 &&
		    l->shape->read_entry(m, m->entries[i]) == -1; tries++)
			forget_pages(m);
		if (tries < 2)
			emit_text(f);
		f->text.n = 0;
	}
}

/*
 * Adds a list to those found.  If two end at the same place, one is the
 * array as it was before the shell dropped its first entries.
 */
static void
add_list(struct memory *m, const struct shape *s, uint64_t p)
{
	struct list *l;

	if (confirm_list(m, s, p) == 0)
		return;
	for (l = m->lists; l->shape != NULL; l++)
		if (l->shape == s && l->id == m->list_id) {
			if (p > l->start)
				l->start = p;
			return;
		}
	if (l == m->lists + MAX_LISTS)
		report_limit(m, "more than 16 histories");
	else
		*l = (struct list){ s, p, m->list_id };
}

static void
search_mapping(struct memory *m, uint64_t address, uint64_t end)
{
	uint64_t words[PAGE / sizeof(uint64_t)];
	uint32_t narrow[PAGE / sizeof(uint32_t)];
	const struct shape *s;
	uint64_t p;
	size_t i;

	for (; address < end && m->deadline != 0; address += PAGE) {
		if (peek(m, words, address, PAGE) == -1)
			continue;
		memcpy(narrow, words, PAGE);
		for (i = 0; i < PAGE / m->wordsize; i++) {
			p = m->wordsize == sizeof *words ? words[i] : narrow[i];
			if (!is_pointer(m, p))
				continue;
			for (s = shapes; s->fits != NULL; s++)
				if (s->fits(m, p))
					add_list(m, s, p);
		}
	}
}

/*
 * Takes a line of maps.  The static data that no file has is adjacent to
 * those that one has, or to code (of programs that unpack themselves).
 */
static void
parse_mapping(struct memory *m, const char *line, size_t length)
{
	const char *dash, *blank;
	struct mapping n;

	dash = memchr(line, '-', length);
	blank = memchr(line, ' ', length);
	if (dash == NULL || blank == NULL || blank < dash ||
	    (size_t)(blank - line) + 5 > length ||
	    parse_number(line, (size_t)(dash - line), 16, UINT64_MAX,
	    &n.start) == -1 ||
	    parse_number(dash + 1, (size_t)(blank - dash) - 1, 16, UINT64_MAX,
	    &n.end) == -1)
		return;
	if (n.end > UINT32_MAX)
		m->wordsize = sizeof(uint64_t);
	n.data = blank[3] == 'x' || n.start == m->object_end ||
	    memchr(blank, '/', length - (size_t)(blank - line)) != NULL;
	m->object_end = n.data && blank[1] != '-' ? n.end : 0;
	if (memcmp(blank + 1, "rw", 2) == 0 && blank[4] == 'p') {
		m->mappings = grow(m->mappings, &m->mappings_size,
		    m->nmappings + 1, sizeof n);
		m->mappings[m->nmappings++] = n;
	}
}

static void
parse_memory(struct file *f)
{
	struct memory *m = f->memory;
	struct reader lines = { .fd = m->maps, .max = 2 * PATH_MAX };
	const struct list *l;
	ptrdiff_t n;
	size_t i;
	char *line;

	m->f = f;
	m->wordsize = sizeof(uint32_t);
	while ((n = read_line(&lines, '\n', &line)) != -1)
		parse_mapping(m, line, (size_t)n);
	f->r.error = lines.error;
	reader_free(&lines);
	m->may_read = MAX_READ / 2;
	for (i = 0; i < m->nmappings; i++)
		if (m->mappings[i].data)
			search_mapping(m, m->mappings[i].start,
			    m->mappings[i].end);
	m->may_read = MAX_READ;	/* the search leaves half for lists */
	for (l = m->lists; l->shape != NULL; l++)
		send_list(m, l);
}

/* ksh93 and mksh hold the file of their history open. */
static void
parse_removed(struct file *f)
{
	f->format = content_format(f);
	if (f->format->parse != parse_ksh && f->format->parse != parse_mksh)
		return;
	send_start(f, f->format->name);
	f->format->parse(f);
}

static const struct format memory_format = {
	.name = "memory", .parse = parse_memory
}, removed_format = {
	.name = "removed", .parse = parse_removed
};

/* The confined parser */

/*
 * Gives up every way back: no capability, no privilege by execve, no core, and
 * nobody but root may look into the process.  It ends with its parent: the
 * kernel forgets that if credentials change, so they must change before.
 */
static void
drop_capabilities(pid_t parent)
{
	struct rlimit zero = { 0, 0 };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)prlimit(0, RLIMIT_CORE, &zero, NULL);
	if (keep_capabilities(0) == -1)
		fatal("capset: %s", strerror(errno));
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(2);	/* it ended before that */
}

/* What a parser may ask of the kernel besides what confine allows to all. */
static const int parser_calls[] = {
	SYS_pread64, SYS_clock_gettime,
	/* fstat(3), as libcs call it: that shows no more than a path would. */
#ifdef SYS_fstat
	SYS_fstat,
#endif
#ifdef SYS_fstat64
	SYS_fstat64,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_statx
	SYS_statx,
#endif
	SYS_sysinfo,	/* glibc, qsort */
#ifdef SYS_lseek	/* over holes */
	SYS_lseek,
#endif
#ifdef SYS__llseek
	SYS__llseek,
#endif
#ifdef SYS_clock_gettime64	/* 32-bit machines */
	SYS_clock_gettime64,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_writev,
#endif
};

static void
close_if_open(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/*
 * From now on the process can only read what is open, send records, and have
 * as much memory as a few commands need.  Call it before the first byte is
 * parsed.  On a kernel without seccomp, only memory is limited.
 */
static void
confine_parser(void)
{
#ifndef __SANITIZE_ADDRESS__
	const struct rlimit enough = { MAX_MEMORY, MAX_MEMORY };

	(void)prlimit(0, RLIMIT_AS, &enough, NULL);
#endif
	close_if_open(&procfd);
	close_if_open(&rootfd);
	close_if_open(&topfd);
	flush_records();
	if (confine(parser_calls, sizeof parser_calls / sizeof *parser_calls,
	    NULL, 0) == -1 && errno != ENOSYS && errno != EINVAL)
		fatal("seccomp: %s", strerror(errno));
}

/* Why the file is no history, by its first bytes; null if it may be one. */
static const char *
why_refused(struct file *f)
{
	size_t i, n = read_ahead(&f->r, FIRST_BYTES), odd = 0;
	const char *s = f->r.buf + f->r.start;

	for (i = 0; i < sizeof magics / sizeof *magics; i++)
		if (starts(s, n, magics[i].bytes))
			return magics[i].why;
	if (!f->unnamed || f->format->parse != parse_lines)
		return NULL;
	for (i = 0; i < n; i++)
		if (s[i] == '\0')
			return "is no history";
		else if ((unsigned char)s[i] < ' ' &&
		    strchr("\t\n\r\033\001", s[i]) == NULL)
			odd++;
	return odd > 2 + n / 32 ? "is no history" : NULL;
}

static void
parse_file(struct file *f)
{
	const char *why = NULL;
	char head[HEAD_SIZE];
	size_t n = 0;

	if (f->format == NULL)
		f->format = content_format(f);
	if (f->format->parse == NULL)
		why = "is a history of a format that is not read";
	else if (fflag == NULL && !mflag)
		why = why_refused(f);
	if (why != NULL) {
		report_trouble(f, why, 0);
	} else {
		emit(f, "", 0);		/* so that the first has no time */
		if (f->format->parse != parse_database) {
			send_start(f, f->format->name);	/* else its program's */
			if (f->size > 0 &&
			    (n = read_ahead(&f->r, sizeof head)) > 0)
				memcpy(head, f->r.buf + f->r.start, n);
		}
		f->format->parse(f);
		emit_text(f);
		if (f->r.error != 0)
			report_trouble(f, strerror(f->r.error), 0);
		else if (n > 0 && lost_text(f, head, n))
			report_trouble(f, changed, 0);
		send_record(DONE, NULL, 0, NULL, 0);
	}
	reader_free(&f->r);
	free(f->text.s);
	f->text = (struct buffer){ NULL, 0, 0 };
}

static void
parse_files(void)
{
	size_t i;

	if (nbatch > 0) {
		send_record(COMPLETE, NULL, 0, NULL, 0);
		confine_parser();
	}
	for (i = 0; i < nbatch; i++)
		parse_file(&batch[i]);
}

/*
 * Forks a process of the same user for what must be confined while we
 * ourselves stay able to open files.  Returns 0 in it, else its number.
 */
static pid_t
fork_parser(void)
{
	pid_t self = getpid(), pid;

	flush_records();
	pid = _Fork();
	if (pid == -1)
		fatal("fork: %s", strerror(errno));
	if (pid == 0)
		drop_capabilities(self);
	return pid;
}

/* Waits for it.  If it crashed or failed, so do we, and the job is lost. */
static void
wait_for_parser(pid_t pid)
{
	pid_t ended;
	int result;

	while ((ended = waitpid(pid, &result, 0)) == -1 && errno == EINTR)
		;
	if (ended == pid && WIFSIGNALED(result))
		(void)kill(getpid(), WTERMSIG(result));
	if (ended != pid || result != 0)
		_exit(2);
}

/* Parses and closes the files that are open, to make room for more. */
static void
parse_batch(void)
{
	pid_t pid = fork_parser();

	if (pid == 0) {
		parse_files();
		flush_records();
		_exit(0);
	}
	wait_for_parser(pid);
	while (nbatch > 0) {
		close(batch[--nbatch].r.fd);
		close_if_open(&batch[nbatch].log);
	}
}

/* Opening files */

/*
 * In a worker, first of all.  Only root can change its root; others resolve
 * each path below rootfd.
 */
static void
enter_root(void)
{
	struct statfs fs;
	struct stat st;

	procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd != -1 && (fstatfs(procfd, &fs) == -1 ||
	    fs.f_type != PROC_SUPER_MAGIC ||
	    fstatat(procfd, "self/fd", &st, 0) == -1))
		close_if_open(&procfd);
	if (rootfd != -1 && fchdir(rootfd) == 0 && chroot(".") == 0)
		close_if_open(&rootfd);
}

/* Parses the files that are open if no descriptor is left; whether it did. */
static int
made_room(void)
{
	if (errno != EMFILE || nbatch == 0 || mflag)
		return 0;
	parse_batch();
	return 1;
}

/*
 * Opens a path below ROOT, links and ".." included; without openat2 (Linux
 * before 5.6) that fails with ENOSYS rather than to leave ROOT.
 */
static int
open_path(const char *path, int flags)
{
	struct open_how how = { .resolve = RESOLVE_IN_ROOT };
	int fd;

	flags |= O_CLOEXEC;
	how.flags = (unsigned)flags;
	do {
		if (rootfd != -1)
			fd = (int)syscall(SYS_openat2, rootfd, path, &how,
			    sizeof how);
		else if (topfd != -1 &&
		    strncmp(path, reading->home, top) == 0 &&
		    (path[top] == '/' || path[top] == '\0'))
			fd = openat(topfd, path[top] == '\0' ? "." :
			    path + top + 1, flags);
		else
			fd = open(path, flags);
	} while (fd == -1 && made_room());
	return fd;
}

/*
 * Opens the file behind the O_PATH descriptor fd for reading.  If another
 * process has a lease on it, that fails at once rather than block.  It is tried
 * again, for a second in all and not for each file.
 */
static int
reopen(int fd, const char *path)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME;
	static int tries;
	int new;
	char name[32];

	(void)format_text(name, sizeof name, "self/fd/%d", fd);
	for (;;) {
		new = procfd != -1 ? openat(procfd, name, flags) :
		    open_path(path, flags);
		if (new != -1)
			return new;
		if (errno == EPERM && (flags & O_NOATIME) != 0)
			flags &= ~O_NOATIME;
		else if (errno == EAGAIN && tries++ < 1000 / TICK)
			(void)poll(NULL, 0, TICK);
		else if (!made_room())
			return -1;
	}
}

/*
 * Opens a file if it is regular, and looks whether it is before that: opening a
 * FIFO shows us to its writer.  Some files of procfs never end: only an operand
 * may be one.  Returns -1 if it is not to be read.
 */
static int
open_regular(const char *path, struct stat *st)
{
	struct statfs fs;
	struct stat again;
	int fd, new = -1;

	st->st_mode = S_IFREG;	/* until we know better */
	fd = open_path(path, O_PATH);
	if (fd == -1)
		return -1;
	if (fstat(fd, st) == 0) {
		if (reading != NULL && fstatfs(fd, &fs) == 0 &&
		    fs.f_type == PROC_SUPER_MAGIC)
			st->st_mode = 0;
		errno = EMEDIUMTYPE;
		if (S_ISREG(st->st_mode))
			new = reopen(fd, path);
	}
	close_quietly(fd);
	/* Without /proc, another file may be there by now. */
	if (new != -1 && (fstat(new, &again) == -1 ||
	    again.st_ino != st->st_ino || again.st_dev != st->st_dev)) {
		close(new);
		new = -1;
		errno = ESTALE;
	}
	return new;
}

static void
report_unopened(const char *path, const struct stat *st)
{
	static const char *const types[] = {
		[S_IFIFO >> 12] = "is a FIFO, not a regular file",
		[S_IFCHR >> 12] = "is a character device, not a regular file",
		[S_IFDIR >> 12] = "is a directory, not a regular file",
		[S_IFBLK >> 12] = "is a block device, not a regular file",
		[S_IFSOCK >> 12] = "is a socket, not a regular file",
		[S_IFMT >> 12] = NULL,
	};
	const char *type = types[(st->st_mode & S_IFMT) >> 12];

	/* A file server may answer anything, that, too. */
	if (errno != EMEDIUMTYPE || S_ISREG(st->st_mode))
		report_errno(path);
	else
		report_file(path, type != NULL ? type :
		    "is the kernel's own, not a regular file");
}

/* What is sent of a file that is to be read as this format. */
static struct opened
describe(const struct stat *st, const struct format *format)
{
	return (struct opened){ st->st_dev, st->st_ino, st->st_uid,
	    (uintptr_t)format };
}

/* Keeps a file to be parsed, and says so to the parent. */
static struct file *
keep_file(int fd, const char *path, const struct stat *st,
    const struct format *format, int unnamed)
{
	const struct opened opened = describe(st, format);
	struct file *f = &batch[nbatch];

	*f = (struct file){ .number = nbatch++, .format = format,
	    .unnamed = unnamed, .log = -1, .written = st->st_mtim,
	    .size = st->st_size, .r = { .fd = fd, .max = MAX_COMMAND,
		.sparse = st->st_blocks < st->st_size / 512,
		.limit = (uint64_t)st->st_size + GROWTH } };
	send_record(OPENED, &opened, sizeof opened, path, strlen(path));
	return f;
}

enum { BESIDE = PATH_MAX + 16 };

/* Opens what a program keeps beside a database; -1 if there is nothing. */
static int
open_beside(char name[BESIDE], const char *path, const char *end)
{
	struct stat st;
	int fd;

	(void)format_text(name, BESIDE, "%s%s", path, end);
	fd = open_regular(name, &st);
	if (fd == -1 && !is_missing())
		report_unopened(name, &st);
	return fd;
}

/* The length of the directory in a path, with its slash. */
static size_t
directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? 0 : (size_t)(slash + 1 - path);
}

/*
 * Sets target to what path leads to if its last part is a link, as sqlite does
 * before it looks beside a database.
 */
static void
follow_links(const char *path, char target[PATH_MAX])
{
	enum { MAX_LINKS = 40 };
	char link[PATH_MAX];
	size_t keep;
	ssize_t n = 1;
	int i, fd;

	(void)format_text(target, PATH_MAX, "%s", path);
	for (i = 0; i < MAX_LINKS && n > 0; i++) {
		fd = open_path(target, O_PATH | O_NOFOLLOW);
		n = fd == -1 ? -1 : readlinkat(fd, "", link, sizeof link);
		close_if_open(&fd);
		keep = n > 0 && link[0] == '/' ? 0 : directory_length(target);
		if (n <= 0 || keep + (size_t)n >= PATH_MAX)
			return;
		memcpy(target + keep, link, (size_t)n);
		target[keep + (size_t)n] = '\0';
	}
}

/* Whether there is a journal of a transaction that was cut, or may be. */
static int
is_cut(int journal)
{
	char c = 1;	/* its header is zeroed when the transaction is over */
	ssize_t n = pread(journal, &c, 1, 0);

	return n == -1 || (n == 1 && c != '\0');
}

/* Opens the log of a file by its path, if it is a database; else -1. */
static int
open_log(int fd, const char *path, const struct format *format)
{
	char target[PATH_MAX], name[BESIDE], magic[sizeof sqlite_magic];
	int journal;

	if (format != NULL ? format->parse != parse_database :
	    pread(fd, magic, sizeof magic, 0) != sizeof magic ||
	    memcmp(magic, sqlite_magic, sizeof magic) != 0)
		return -1;
	follow_links(path, target);
	journal = open_beside(name, target, "-journal");
	if (journal != -1 && is_cut(journal))
		report_file(name, "a transaction was cut: rows may be wrong");
	close_if_open(&journal);
	return open_beside(name, target, "-wal");
}

/* Keeps a file to be parsed, with its log if it is a database. */
static void
keep_with_log(int fd, const char *path, const struct stat *st,
    const struct format *format, int unnamed)
{
	const int log = open_log(fd, path, format);

	keep_file(fd, path, st, format, unnamed)->log = log;
}

/* Opens a file of the user's to be parsed, unless it is printed already. */
static void
add_file(const char *path, const struct place *p, int backup)
{
	const struct format *format = choose_format(p->format);
	struct identity here;
	struct opened f;
	struct stat st;
	int fd;

	if (nbatch == BATCH)
		parse_batch();
	step();
	fd = open_regular(path, &st);
	if (fd == -1) {
		if (!backup || !S_ISDIR(st.st_mode))
			report_unopened(path, &st);
		return;
	}
	/*
	 * Of two names in this home, the first counts.  What other homes had
	 * we know as of our fork; so the parent checks again (take_start).
	 */
	here = (struct identity){ st.st_dev, st.st_ino, HERE };
	f = describe(&st, format);
	if (is_known(here) || is_duplicate(&f, reading->uid))
		close(fd);
	else
		keep_with_log(fd, path, &st, format, backup && format == NULL);
	add_known(here);
}

static int
compare_names(const void *a, const void *b)
{
	step();
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The name has the form of the pattern, which has one '*' at most. */
static int
matches(const char *pattern, size_t len, const char *name, size_t n)
{
	const char *star = memchr(pattern, '*', len);
	size_t head, tail;

	if (star == NULL)
		return len == n && memcmp(pattern, name, n) == 0;
	head = (size_t)(star - pattern);
	tail = len - head - 1;
	return n >= head + tail && memcmp(name, pattern, head) == 0 &&
	    memcmp(name + n - tail, star + 1, tail) == 0;
}

/* Opens a directory; null with errno if it cannot be. */
static DIR *
try_directory(const char *path)
{
	int fd = open_path(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	return fd == -1 ? NULL : fdopendir(fd);
}

/* The same, with a warning if it is there. */
static DIR *
open_directory(const char *path)
{
	DIR *dir = try_directory(path);

	if (dir == NULL && !is_missing())
		report_errno(path);
	return dir;
}

/* Which names of a directory are of interest, and what is done with them. */
struct search {
	const char *pattern;	/* of n bytes; null: backups of places there */
	size_t n;
	const char *subpath;	/* the path below a name, or null */
	const struct place *place;	/* for use; or with the directory */
	void (*use)(const char *path, const struct place *, int backup);
};

static int
is_chosen(const struct place *p)
{
	return p->kind == ALWAYS || (aflag && p->kind == CLIENT);
}

/*
 * Whether these last characters of a name are what a backup of the place has
 * behind its name.  NAME-wal belongs to a database.
 */
static int
is_ending(const struct place *p, const char *end)
{
	return *end == '.' || strcmp(end, "~") == 0 || (*end == '-' &&
	    (p->format == NULL || strcmp(p->format, "sqlite") != 0));
}

/* The place that a name is sought for, or null. */
static const struct place *
find_place(const struct search *s, const char *name)
{
	const struct place *p;
	const char *end;
	size_t n;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return NULL;
	if (s->pattern != NULL)
		return matches(s->pattern, s->n, name, strlen(name)) ?
		    s->place : NULL;
	n = directory_length(s->place->path);
	for (p = places; p->path != NULL; p++) {
		if (!is_chosen(p) || p->format == unread ||
		    directory_length(p->path) != n ||
		    memcmp(p->path, s->place->path, n) != 0)
			continue;
		for (end = name + 1; *end != '\0'; end++)
			if (is_ending(p, end) &&
			    matches(p->path + n, strlen(p->path + n), name,
			    (size_t)(end - name)))
				return p;
	}
	return NULL;
}

/*
 * Sets names to the next ones of a directory that are sought, sorted.  Of
 * more than NAMES only so many at once: users make as many files as they
 * like.  Returns 0 at the end, which is an error if errno is set.
 */
static size_t
next_names(DIR *dir, const struct search *s, char **names)
{
	struct dirent *d;
	size_t n = 0;

	for (errno = 0; n < NAMES && (d = readdir(dir)) != NULL; errno = 0) {
		step();
		if (find_place(s, d->d_name) != NULL)
			names[n++] = copy_string(d->d_name);
	}
	sort(names, n, sizeof *names, compare_names);
	return n;
}

/* Uses PATH/NAME for each name in the directory PATH that is sought. */
static void
search_directory(char path[PATH_MAX], const struct search *s)
{
	static char *names[NAMES];
	size_t i, n, used = strlen(path);
	DIR *dir;

	dir = open_directory(path);
	if (dir == NULL)
		return;
	while ((n = next_names(dir, s, names)) > 0)
		for (i = 0; i < n; i++) {
			if (format_text(path + used, PATH_MAX - used,
			    "/%s%s", names[i], s->subpath != NULL ? s->subpath :
			    "") < PATH_MAX - used)
				s->use(path, find_place(s, names[i]),
				    s->pattern == NULL);
			else
				report_file(path, strerror(ENAMETOOLONG));
			free(names[i]);
		}
	path[used] = '\0';
	if (errno != 0)
		report_errno(path);
	closedir(dir);
}

/* Makes path that of a file in the home; -1 with a warning if too long. */
static int
join_home(char path[PATH_MAX], const char *name)
{
	const char *home = strcmp(reading->home, "/") == 0 ? "" :
	    reading->home;

	if (format_text(path, PATH_MAX, "%s/%s", home, name) < PATH_MAX)
		return 0;
	report_file(path, strerror(ENAMETOOLONG));
	return -1;
}

/*
 * Searches a directory in the home: the first n bytes, with the slash, of the
 * path of a place.
 */
static void
search_home(size_t n, const struct search *s)
{
	char path[PATH_MAX];

	if (join_home(path, s->place->path) == -1)
		return;
	n += strlen(path) - strlen(s->place->path);
	path[n > 1 ? n - 1 : 1] = '\0';
	search_directory(path, s);
}

/* In a worker: places that, by its list, the home lacks, and their backups. */
static char absent[NPLACES];

/*
 * Most homes have few of the places.  So no path is tried that begins with a
 * name that is not listed; file systems may take small letters for capitals.
 * If the home cannot be listed, or does not list itself as all but a few file
 * systems do, all are tried.
 */
static void
find_absent(void)
{
	DIR *dir = try_directory(reading->home);
	const struct dirent *d;
	int listed = 0;
	size_t i, n;

	if (dir == NULL)
		return;
	memset(absent, 1, sizeof absent);
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0) {
		step();
		listed |= strcmp(d->d_name, ".") == 0;
		for (i = 0; *d->d_name == '.' && i < NPLACES; i++) {
			n = strcspn(places[i].path, "/");
			if (strncasecmp(places[i].path, d->d_name, n) == 0 &&
			    (d->d_name[n] == '\0' || places[i].path[n] == '\0'))
				absent[i] = 0;
		}
	}
	if (errno != 0 || !listed)
		memset(absent, 0, sizeof absent);
	closedir(dir);
}

static void
add_place(const struct place *p)
{
	struct search s = { .place = p, .use = add_file };
	const char *star = strchr(p->path, '*');
	char path[PATH_MAX];

	if (absent[p - places])
		return;
	if (star == NULL) {
		if (join_home(path, p->path) == 0)
			add_file(path, p, 0);
		return;
	}
	s.subpath = star + strcspn(star, "/");
	for (s.pattern = star; s.pattern[-1] != '/'; s.pattern--)
		;	/* only those for OPERAND have none before it */
	s.n = (size_t)(s.subpath - s.pattern);
	search_home((size_t)(s.pattern - p->path), &s);
}

/* Adds what editors and rotation leave beside the places of a directory. */
static void
add_backups(const struct place *p)
{
	const struct search s = { .place = p, .use = add_file };
	const size_t n = directory_length(p->path);
	const struct place *before;

	if (absent[p - places])
		return;
	for (before = places; before < p; before++)
		if (!absent[before - places] &&
		    directory_length(before->path) == n &&
		    memcmp(before->path, p->path, n) == 0)
			return;	/* that was its directory, too */
	search_home(n, &s);
}

/* Startup files */

/* A value, as far as it has been worked out. */
struct value {
	char s[PATH_MAX];
	size_t n;
	int variable;		/* whose value it is */
	const char *zdotdir;	/* below the home */
};

/* What startup files may set, and where that usually is, below the home. */
static const char *const variables[][2] = {
	{ "HISTFILE", NULL },
	{ "XDG_CACHE_HOME", "/.cache" },
	{ "XDG_CONFIG_HOME", "/.config" },
	{ "XDG_DATA_HOME", "/.local/share" },
	{ "XDG_STATE_HOME", "/.local/state" },
	{ "ZDOTDIR", NULL },
	{ "HOME", "" },
};
enum { HISTFILE, ZDOTDIR = 5, HOME, NVARIABLES };

static int
find_variable(const char *name, size_t n)
{
	int i;

	for (i = 0; i < NVARIABLES; i++)
		if (strlen(variables[i][0]) == n &&
		    memcmp(variables[i][0], name, n) == 0)
			break;
	return i;
}

static int
add_value(struct value *v, const char *s, size_t n)
{
	if (n >= sizeof v->s - v->n)
		return -1;
	memcpy(v->s + v->n, s, n);
	v->n += n;
	return 0;
}

/* Adds a variable, as it usually is set; -1 if that is not known. */
static int
add_variable(struct value *v, int variable)
{
	const char *home = reading->home, *below;

	if (variable == HISTFILE || variable == NVARIABLES)
		return -1;
	if (strcmp(home, "/") == 0)
		home = "";
	below = variable == ZDOTDIR ? v->zdotdir : variables[variable][1];
	return add_value(v, home, strlen(home)) == -1 ? -1 :
	    add_value(v, below, strlen(below));
}

static size_t
name_length(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && (s[i] == '_' || is_digit(s[i]) ||
	    (unsigned)(s[i] | 0x20) - 'a' < 26))
		i++;
	return i;
}

/*
 * Takes $NAME, ${NAME}, or that with :-WORD or :=WORD, from the beginning of
 * s: sets where NAME and WORD are and how long.  Returns the length of all, 0
 * for others.
 */
static size_t
split_variable(const char *s, size_t n, size_t name[2], size_t word[2])
{
	size_t braced = n > 1 && s[1] == '{', i = 1 + braced;
	int depth = 1;

	name[0] = i;
	name[1] = name_length(s + i, n - i);
	i += name[1];
	word[0] = word[1] = 0;
	if (!braced || name[1] == 0)
		return name[1] == 0 ? 0 : i;
	i += i < n && s[i] == ':';
	i += i < n && (s[i] == '-' || s[i] == '=');
	for (word[0] = i; i < n && depth > 0; i++)
		depth += (s[i] == '{') - (s[i] == '}');
	word[1] = i - 1 - word[0];
	if (depth > 0 || (word[1] > 0 && strchr("-=", s[word[0] - 1]) == NULL))
		return 0;
	return i;
}

/*
 * Adds the word that s begins with, within this quote or none, as a shell
 * expands it; -1 if that cannot be worked out.
 */
static int
add_word(struct value *v, const char *s, size_t n, char quote)
{
	size_t i, len, name[2], word[2];
	int failed = 0, variable;

	for (i = 0; i < n && failed == 0; i++) {
		if (quote != '\'' && s[i] == '$') {
			len = split_variable(s + i, n - i, name, word);
			if (len == 0 || word[1] > PATH_MAX)
				return -1;
			variable = find_variable(s + i + name[0], name[1]);
			failed = word[1] > 0 && (s[i + name[0]] == 'X' ||
			    variable == v->variable) ? 1 :
			    add_variable(v, variable);
			if (failed != 0 && word[1] > 0)
				failed = add_word(v, s + i + word[0], word[1],
				    '\0');
			i += len - 1;
		} else if (s[i] == quote) {
			quote = '\0';
		} else if (quote == '\0' && (s[i] == '\'' || s[i] == '"')) {
			quote = s[i];
		} else if (quote == '\0' && s[i] == '~' && i == 0 &&
		    (n == 1 || strchr("/ \t;", s[1]) != NULL)) {
			failed = add_variable(v, HOME);
		} else if (quote == '\0' && memchr(" \t;&|)<>\r", s[i], 9)) {
			break;
		} else if (quote != '\'' && s[i] == '}') {
			return 0;	/* of ${NAME:=WORD} */
		} else if (memchr(quote == '\0' ? "`(*?[{~" : "````````",
		    s[i], 7) != NULL && quote != '\'') {
			return -1;
		} else {
			i += s[i] == '\\' && quote != '\'';
			failed = i == n ? -1 : add_value(v, s + i, 1);
		}
	}
	return quote != '\0' ? -1 : failed;
}

/*
 * What one of variables is set to on the rest of a line, and which; null if
 * none is.  *quote is the quote that is open, or 0, before and behind that.
 */
static const char *
find_assignment(const char *p, const char *end, int *variable, char *quote)
{
	char before = ' ';	/* what a word, or its quote, follows, or 0 */
	const char *value;
	size_t len;

	for (; p < end; p++) {
		len = before == '\0' ? 0 : name_length(p, (size_t)(end - p));
		value = p + len;
		value += value < end && *value == ':';	/* ${NAME:=WORD} */
		if (len > 0 && value < end && *value == '=' &&
		    (*variable = find_variable(p, len)) < HOME)
			return value + 1;
		if (*p == '#' && *quote == '\0' &&
		    memchr(" \t;&|", before, 5) != NULL)
			return NULL;
		if (*quote == '\0' && (*p == '\'' || *p == '"')) {
			*quote = *p;
			continue;
		}
		if (*p == *quote)
			*quote = '\0';
		else if (*p == '\\' && *quote != '\'')
			p++;
		before = p < end && memchr(*quote == '\0' ? " \t;&|(){" :
		    "{{{{{{{{", *p, 8) != NULL ? *p : '\0';
	}
	return NULL;
}

/*
 * Whether a variable is set to a directory whose files are read anyway.  What
 * comes behind that in the file knows ZDOTDIR.
 */
static int
is_usual(struct value *v)
{
	static const char *const zdotdirs[] = { "", "/.config/zsh" };
	struct value usual;
	size_t i, n = v->n;

	while (n > 1 && v->s[n - 1] == '/')
		n--;
	for (i = 0; i < 2; i++) {
		usual = (struct value){ .n = 1, .zdotdir = zdotdirs[i] };
		if (v->n > 1 && (add_variable(&usual, v->variable) == -1 ||
		    usual.n != n || memcmp(usual.s + 1, v->s + 1, n - 1) != 0))
			continue;
		if (v->variable == ZDOTDIR)
			v->zdotdir = zdotdirs[i];
		return 1;
	}
	return 0;
}

/* Writes what the parent needs, with its NUL. */
static void
send_value(struct value *v)
{
	if (v->n > 1 && add_value(v, "", 1) == 0)
		(void)write(STDOUT_FILENO, v->s, v->n);
}

/*
 * Writes the path of a history, or the line that sets a variable to what is
 * not known, or not read anyway.
 */
static void
write_value(struct value *v, int worked_out, uint64_t line)
{
	if (v->variable != HISTFILE && worked_out && is_usual(v))
		return;
	if (v->variable != HISTFILE || !worked_out ||
	    (v->n > 1 && v->s[1] != '/'))
		v->n = 1 + format_text(v->s + 1, sizeof v->s - 1, "%d%llu",
		    v->variable, (unsigned long long)line);
	send_value(v);
}

/* Parses a startup file; writes its number, from 1, before each value. */
static void
parse_startup(int fd, int number)
{
	struct reader r = { .fd = fd, .max = 65536, .limit = GROWTH };
	const char *path = places[number].path, *value, *end;
	struct value v;
	ptrdiff_t n;
	uint64_t line;
	char *s, quote;

	v.zdotdir = starts(path, strlen(path), ".config/zsh/") ?
	    "/.config/zsh" : "";
	v.s[0] = (char)(number + 1);
	for (line = 1; (n = read_line(&r, '\n', &s)) != -1; line++) {
		step();
		end = s + n;
		quote = '\0';
		for (value = s; (value = find_assignment(value, end,
		    &v.variable, &quote)) != NULL;) {
			v.n = 1;
			write_value(&v, add_word(&v, value,
			    (size_t)(end - value), quote) == 0, line);
		}
	}
	if (r.error != 0) {
		v.n = 1 + format_text(v.s + 1, sizeof v.s - 1, "!%s",
		    strerror(r.error));
		send_value(&v);
	}
	reader_free(&r);
}

/*
 * Opens what the parser of startup files writes: paths with their NUL, behind
 * the number of the file, or a digit for a variable and the line, or "!" and
 * why not all was read.  With /dev/null no history is kept.
 */
static void
read_histfiles(int fd)
{
	struct reader r = { .fd = fd, .max = PATH_MAX };
	char path[PATH_MAX], which[PATH_MAX + 40], why[80];
	ptrdiff_t n;
	unsigned variable;
	char *s;

	while ((n = read_line(&r, '\0', &s)) != -1) {
		if (n <= 1 || !r.ended || *s <= 0 || *s > NPLACES)
			continue;
		variable = (unsigned)s[1] - '0';
		if (s[1] == '!' &&
		    join_home(path, places[*s - 1].path) == 0) {
			report_file(path, s + 2);
		} else if (variable < HOME &&
		    join_home(path, places[*s - 1].path) == 0) {
			(void)format_text(which, sizeof which, "%s: line %s",
			    path, s + 2);
			(void)format_text(why, sizeof why, "%s %s",
			    variables[variable][0], variable == HISTFILE ?
			    "is set to what cannot be worked out" :
			    "is set to what is not followed");
			report_file(which, why);
		} else if (s[1] == '/' && strcmp(s + 1, "/dev/null") != 0) {
			add_file(s + 1, &places[*s - 1], 0);
		}
	}
	reader_free(&r);
}

/*
 * Where else the user's shells write, by HISTFILE= in what they read when
 * they start.  That is as hostile as a history, and parsed confined; what
 * it names is then opened like any place.
 */
static void
add_histfiles(void)
{
	int fds[NPLACES], ends[2], i, n = 0;
	char path[PATH_MAX];
	struct stat st;
	pid_t pid;

	for (i = 0; i < NPLACES; i++) {
		fds[i] = -1;
		if (places[i].kind != STARTUP || absent[i] ||
		    join_home(path, places[i].path) == -1)
			continue;
		fds[i] = open_regular(path, &st);
		if (fds[i] == -1)
			report_unopened(path, &st);
		n += fds[i] != -1;
	}
	if (n == 0)
		return;
	while (pipe2(ends, O_CLOEXEC) == -1)
		if (!made_room())
			fatal("pipe: %s", strerror(errno));
	pid = fork_parser();
	if (pid == 0) {
		/* Two must not send records at once. */
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)dup2(ends[1], STDERR_FILENO);
		confine_parser();
		for (i = 0; i < NPLACES; i++)
			if (fds[i] != -1)
				parse_startup(fds[i], i);
		_exit(0);
	}
	close(ends[1]);
	for (i = 0; i < NPLACES; i++)
		close_if_open(&fds[i]);
	read_histfiles(ends[0]);
	close(ends[0]);
	wait_for_parser(pid);
}

/* A user's files */

/*
 * Becomes the user for good; whoever is not root stays what he is.  We have
 * no threads, for which libc's own calls bring 3 KB along.
 */
static int
become(const struct user *u)
{
	gid_t gid = (gid_t)u->gid;
	uid_t uid = (uid_t)u->uid;

	errno = EINVAL;		/* -1 would let us stay what we are */
	if (geteuid() == 0 && (u->uid >= UINT32_MAX || u->gid >= UINT32_MAX ||
	    syscall(SYS_setgroups32, 1, &gid) == -1 ||
	    syscall(SYS_setresgid32, gid, gid, gid) == -1 ||
	    syscall(SYS_setresuid32, uid, uid, uid) == -1)) {
		if (mflag)
			count_number("process", u->pid, "change of user",
			    strerror(errno));
		else
			count_warning("home", u->home, "change of user",
			    strerror(errno));
		return -1;
	}
	drop_capabilities(parent_pid);
	return 0;
}

/*
 * Becomes the user.  With -r, only who collected the evidence may be able to
 * search the root, though a user could search what is in it.  So the first
 * directory of the home's path is opened before, and paths begin there.
 */
static int
become_below_root(const struct user *u)
{
	char path[PATH_MAX];
	int fd;

	top = 1 + strcspn(u->home + 1, "/");
	(void)format_text(path, sizeof path, "%.*s", (int)top, u->home);
	fd = open_path(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	if (become(u) == -1)
		return -1;
	if (chdir("/") == -1)
		topfd = fd;
	else
		close_if_open(&fd);
	return 0;
}

/* Whether -u asks for a user.  Notes for the parent that there is one. */
static int
is_wanted(const struct user *u)
{
	struct wanted *w;
	int yes = 0;

	if (nwanted == 0)
		return 1;
	for (w = wanted; w < wanted + nwanted; w++)
		if ((strlen(u->name) == w->len &&
		    memcmp(u->name, w->name, w->len) == 0) ||
		    (w->number && w->uid == u->uid))
			yes = w->seen = 1;
	return yes;
}

/* Sets whose a home is that no user claims; -1 if it is not to be read. */
static int
find_owner(struct user *u)
{
	struct stat st;
	int fd = open_path(u->home, O_PATH | O_DIRECTORY);

	if (fd == -1 || fstat(fd, &st) == -1) {
		if (!is_missing())	/* a file, or a link to nothing */
			report_errno(u->home);
		return -1;
	}
	close(fd);
	u->uid = st.st_uid;
	u->gid = st.st_gid;
	/*
	 * A directory that others share is no home of root's: its links may
	 * lead to what they may not read.
	 */
	if (st.st_uid == 0 && ((st.st_mode & S_IWOTH) != 0 ||
	    ((st.st_mode & S_IWGRP) != 0 && st.st_gid != 0))) {
		u->uid = NOBODY;
		u->gid = st.st_gid != 0 ? st.st_gid : NOBODY;
	}
	if (!is_wanted(u))
		return -1;
	send_record(OWNER, &u->uid, sizeof u->uid, NULL, 0);
	return 0;
}

static void
read_user(size_t job)
{
	struct user u = users[job];
	const struct place *p;
	struct stat st;
	int fd;

	reading = &u;
	if ((u.orphan && find_owner(&u) == -1) || become_below_root(&u) == -1)
		return;
	fd = open_path(u.home, O_PATH | O_DIRECTORY);
	/* One that may not be searched is reported once, not each place. */
	if (fd == -1 || fstatat(fd, ".", &st, 0) == -1) {
		report_errno(u.home);
		return;
	}
	close(fd);
	find_absent();
	for (p = places; p->path != NULL; p++)
		if (is_chosen(p))
			add_place(p);
	add_histfiles();
	for (p = places; p->path != NULL; p++)
		if (is_chosen(p) && p->format != unread)
			add_backups(p);
	parse_files();
}

/* Operands */

/* The place whose name the end of a path is; null if there is none. */
static const struct place *
name_place(const char *path)
{
	const struct place *p;
	const char *tail, *s;
	size_t n;

	for (p = places; p->path != NULL; p++) {
		for (n = 0, s = p->path; (s = strchr(s, '/')) != NULL; s++)
			n++;
		for (tail = path + strlen(path); tail > path &&
		    (tail[-1] != '/' || n-- > 0); tail--)
			;
		if (p->kind != STARTUP && matches(p->path, strlen(p->path),
		    tail, strlen(tail)))
			return p;
	}
	return NULL;
}

/*
 * The descriptor that an operand names, as shells do for <(command); -1 for
 * a file.  A worker would find its own behind these names.
 */
static int
operand_fd(const char *path)
{
	uint64_t fd;

	if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0)
		return STDIN_FILENO;
	if (strncmp(path, "/dev/fd/", 8) == 0)
		path += 8;
	else if (strncmp(path, "/proc/self/fd/", 14) == 0)
		path += 14;
	else
		return -1;
	return parse_number(path, strlen(path), 10, INT_MAX, &fd) == 0 ?
	    (int)fd : -1;
}

/* Whether something can be read of an operand. */
static int
can_read(int fd, const struct stat *st)
{
	char c;

	if (!S_ISREG(st->st_mode))
		return read(fd, NULL, 0) == 0;
	return pread(fd, &c, 1, 0) != -1 || errno == ESPIPE;
}

static void
read_descriptor(int fd, const char *name)
{
	char link[32];
	struct stat st;
	struct file *f;
	int log;

	errno = EBADF;	/* if it is one of ours */
	if (fcntl(fd, F_GETFD) != 0 || fstat(fd, &st) == -1 ||
	    !can_read(fd, &st)) {
		report_errno(name);
		return;
	}
	(void)format_text(link, sizeof link, "/proc/self/fd/%d", fd);
	log = open_log(fd, link, fflag);
	f = keep_file(fd, name, &st, fflag, 1);
	f->log = log;
	f->r.limit = 0;
	f->r.sparse = 0;
	f->size = 0;	/* it may begin anywhere in its file */
	parse_files();
}

static void
read_operand(size_t job)
{
	const char *path = operands[job];
	const struct place *p = fflag == NULL ? name_place(path) : NULL;
	struct stat st;
	char **o;
	int fd, other;

	fd = operand_fd(path);
	for (o = operands; *o != NULL; o++) {
		other = operand_fd(*o);
		/* Ours are closed on exec, the caller's are not. */
		if (other > STDERR_FILENO && other != fd &&
		    fcntl(other, F_GETFD) == 0)
			close(other);
	}
	if (fd != -1) {
		read_descriptor(fd, path);
		return;
	}
	fd = open_regular(path, &st);
	if (fd != -1 && can_read(fd, &st)) {
		keep_with_log(fd, path, &st, p != NULL ?
		    choose_format(p->format) : fflag, p == NULL);
		parse_files();
	} else {
		report_unopened(path, &st);
	}
}

/* Processes */

/* The first number of a line of four ids; returns 1 if it is there. */
static int
read_id(const char *line, size_t n, uint64_t *id)
{
	const size_t key = sizeof "Uid:\t" - 1;

	return parse_number(line + key, digits(line + key, n - key), 10,
	    UINT32_MAX, id) == 0;
}

/* Counts what could not be read of a process, unless it has ended. */
static void
count_refusal(uint64_t pid, const char *what, int errnum)
{
	if (errnum != 0 && errnum != ENOENT && errnum != ESRCH)
		count_number("process", pid, what, strerror(errnum));
}

/*
 * Opens the directory of a process and sets its real ids; -1 if it has ended
 * or has no memory of its own, as kernel threads.
 */
static int
read_owner(struct user *u, int *proc)
{
	struct reader r = { .max = 4096 };
	int ids = 0, has_memory = 0;
	char path[40];
	ptrdiff_t n;
	char *line;

	(void)format_text(path, sizeof path, "/proc/%llu",
	    (unsigned long long)u->pid);
	*proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r.fd = *proc == -1 ? -1 : openat(*proc, "status",
	    O_RDONLY | O_CLOEXEC);
	if (r.fd == -1) {
		count_refusal(u->pid, "status", errno);
		return -1;
	}
	while ((n = read_line(&r, '\n', &line)) != -1)
		if (starts(line, (size_t)n, "Uid:\t"))
			ids += read_id(line, (size_t)n, &u->uid);
		else if (starts(line, (size_t)n, "Gid:\t"))
			ids += read_id(line, (size_t)n, &u->gid);
		else if (starts(line, (size_t)n, "VmSize:"))
			has_memory = 1;
	count_refusal(u->pid, "status", r.error);
	close(r.fd);
	reader_free(&r);
	return ids == 2 && has_memory ? 0 : -1;
}

/* Removed files of the process, until they are opened as its user. */
static struct removed {
	int fd;
	char *path;
} removed[BATCH];
static size_t nremoved;

/* Finds a file that a process holds after it was removed. */
static void
find_removed(const char *path, const struct place *unused, int backup)
{
	static const char mark[] = " (deleted)";
	const ssize_t len = sizeof mark - 1;
	struct removed *m = &removed[nremoved];
	char link[PATH_MAX];
	struct stat st;
	ssize_t n;

	(void)unused;
	(void)backup;
	n = readlink(path, link, sizeof link);
	if (n == -1)
		report_errno(path);
	if (n <= len || memcmp(link + n - len, mark, (size_t)len) != 0 ||
	    stat(path, &st) == -1 || !S_ISREG(st.st_mode))
		return;
	if (nremoved == BATCH - 1) {
		report_file(path, strerror(EMFILE));
		return;
	}
	m->fd = open(path, O_PATH | O_CLOEXEC);
	if (m->fd == -1) {
		report_errno(path);
		return;
	}
	m->path = copy_string(path);
	nremoved++;
}

/*
 * Opens them as their user: what he may not read is no history of his, unless
 * it is his own file.
 */
static void
open_removed(uint64_t uid)
{
	struct removed *m;
	struct stat st;
	int fd;

	for (m = removed; m < removed + nremoved; m++) {
		st.st_uid = (uid_t)-1;
		(void)fstat(m->fd, &st);
		fd = reopen(m->fd, m->path);
		close_quietly(m->fd);
		if (fd != -1 && fstat(fd, &st) == 0) {
			st.st_uid = (uid_t)uid;
			keep_file(fd, m->path, &st, &removed_format, 0);
		} else if (errno != ENXIO /* memfd_secret(2) */ &&
		    ((errno != EACCES && errno != EPERM) ||
		    st.st_uid == uid)) {
			report_errno(m->path);
		}
	}
}

/* Opens what we cannot do without of a process; -1 if it cannot be. */
static int
open_needed(uint64_t pid, int proc, const char *name)
{
	int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		count_refusal(pid, "memory", errno);
	return fd;
}

/* ms that the processes of a user have taken, for the workers forked later. */
static struct spent {
	uint64_t uid;
	int64_t ms;
} *spent;
static size_t nspent, spent_size;

static struct spent *
find_spent(uint64_t uid)
{
	struct spent *s;

	for (s = spent; s < spent + nspent; s++)
		if (s->uid == uid)
			return s;
	spent = grow(spent, &spent_size, nspent + 1, sizeof *spent);
	spent[nspent] = (struct spent){ uid, 0 };
	return &spent[nspent++];
}

/* Opens what a process holds while we may, becomes its user, and parses it. */
static void
read_memory(const struct user *u, int proc, int64_t deadline)
{
	static struct memory m;
	const struct search s = { .pattern = "*", .n = 1, .place = places,
	    .use = find_removed };
	struct stat st = { .st_size = 0 };
	char path[PATH_MAX];
	int mem;

	m.deadline = deadline;
	m.maps = open_needed(u->pid, proc, "maps");
	mem = m.maps == -1 ? -1 : open_needed(u->pid, proc, "mem");
	if (mem == -1)
		return;
	m.pagemap = openat(proc, "pagemap", O_RDONLY | O_CLOEXEC);
	(void)format_text(path, sizeof path, "%s/fd", u->home);
	search_directory(path, &s);
	if (become(u) == -1)
		return;
	open_removed(u->uid);
	(void)format_text(path, sizeof path, "%s/mem", u->home);
	keep_file(mem, path, &st, &memory_format, 0)->memory = &m;
	parse_files();
}

static void
read_process(size_t job)
{
	const struct user *u = &users[job];
	const int64_t began = now_ms(),
	    left = PROCESSES_TIME * 1000 - find_spent(u->uid)->ms;
	struct user now = *u;
	int64_t ms;
	int proc;

	reading = u;
	if (left <= 0) {
		count_number("process", u->pid, "memory", out_of_time);
		return;
	}
	/* Its user may have changed, or another process have its number. */
	if (read_owner(&now, &proc) == 0 && now.uid == u->uid)
		read_memory(u, proc, began + left);
	ms = now_ms() - began - waited;
	send_record(SPENT, &ms, sizeof ms, NULL, 0);
}

/* Taking records, in the parent */

/* The files of the job whose records are taken. */
static struct {
	const struct user *user;	/* null: an operand */
	uint64_t uid;
	int has_owner;
	/* A batch; files[current] is parsed now if parsing is set. */
	struct taken_file {
		struct opened opened;
		char *path;
		unsigned refused;	/* troubles before it was parsed */
	} files[BATCH];
	size_t nfiles, current;
	int parsing;
	int first;		/* batch: sent before anything was parsed */
	int skip;		/* the file that is parsed is a duplicate */
} taken;

static size_t nopened, nrefused;	/* files */

/* Replaces b by the n bytes at s, escaped. */
static void
set_escaped(struct buffer *b, const char *s, size_t n)
{
	b->s = grow(b->s, &b->size, 4 * n, 1);
	b->n = escape(b->s, s, n);
}

static void
set_uid(uint64_t uid)
{
	char text[24];

	taken.uid = uid;
	set_escaped(&row.uid, text, format_text(text, sizeof text, "%llu",
	    (unsigned long long)uid));
}

static void
forget_files(void)
{
	while (taken.nfiles > 0)
		free(taken.files[--taken.nfiles].path);
	taken.parsing = 0;
	taken.skip = 1;		/* until a START comes */
}

static void
begin_job(size_t job)
{
	taken.user = *operands == NULL ? &users[job] : NULL;
	taken.has_owner = 0;
	taken.first = 1;
	row.has_detail = 0;	/* of an entry that its worker did not send */
	row.cwd.n = 0;
	forget_files();
	set_escaped(&row.user, "", 0);
	if (taken.user != NULL) {
		set_escaped(&row.user, taken.user->name,
		    strlen(taken.user->name));
		set_uid(taken.user->uid);
	}
}

/* The owner of a home that no user claims; its worker sends him first. */
static void
take_owner(const char *s, size_t n)
{
	struct user u = { .name = none };

	if (taken.user == NULL || !taken.user->orphan || taken.has_owner ||
	    take_head(&s, &n, &u.uid, sizeof u.uid) == -1)
		return;
	taken.has_owner = 1;
	set_uid(u.uid);
	(void)is_wanted(&u);
}

/* A file was opened; if others are parsed already, it begins a new batch. */
static void
take_opened(const char *s, size_t n)
{
	struct opened f;
	struct taken_file *o;

	if (take_head(&s, &n, &f, sizeof f) == -1)
		return;
	if (taken.parsing) {
		forget_files();
		taken.first = 0;
	}
	if (taken.nfiles == BATCH || n >= PATH_MAX)
		return;
	o = &taken.files[taken.nfiles];
	*o = (struct taken_file){ f, strndup(s, n), 0 };
	if (o->path == NULL)
		fatal("%s", strerror(ENOMEM));
	taken.nfiles++;
	nopened++;
}

/* A file is parsed, with this format. */
static void
take_start(const char *s, size_t n)
{
	const struct taken_file *o;
	uint64_t number;

	if (take_head(&s, &n, &number, sizeof number) == -1 ||
	    number >= taken.nfiles || n > 64)
		return;
	set_escaped(&row.format, s, n);
	if (taken.parsing && taken.current == number)
		return;
	taken.parsing = 1;
	taken.current = number;
	o = &taken.files[number];
	if (taken.user == NULL)
		set_uid(o->opened.owner);
	taken.skip = taken.user != NULL && is_duplicate(&o->opened, taken.uid);
	set_escaped(&row.file, o->path, strlen(o->path));
}

static void
take_trouble(const char *s, size_t n)
{
	struct trouble t;
	char which[PATH_MAX + 40], why[128];
	const char *path;
	int started;

	if (take_head(&s, &n, &t, sizeof t) == -1 || t.file >= taken.nfiles)
		return;
	started = taken.parsing && taken.current == t.file;
	if (!started)		/* see why_refused */
		nrefused += !taken.files[t.file].refused++;
	if (started && taken.skip)
		return;
	path = taken.files[t.file].path;
	(void)format_text(why, sizeof why, "%.*s", (int)(n < 127 ? n : 127), s);
	(void)format_text(which, sizeof which, t.line > 0 ? "%s: line %llu" :
	    "%s", path, (unsigned long long)t.line);
	if (taken.user == NULL)
		warning("%s: %s", which, why);
	else
		count_warning("file", which, "", why);
}

static void
take_entry(const char *s, size_t n)
{
	struct identity id;

	if (taken.skip || take_head(&s, &n, &row.entry,
	    sizeof row.entry) == -1 ||
	    row.entry.time_length > sizeof row.entry.time)
		return;
	row.command = s;
	row.length = n;
	/* A subshell begins with what its parent had. */
	if (mflag && row.has_detail && row.detail.address != 0) {
		id = entry_identity(taken.uid, row.detail.address,
		    &row.entry, s, n);
		if (is_known(id))
			return;
		add_known(id);
	}
	print_row();
}

/*
 * A file is printed: whoever else has it may skip it.  A broken parser can
 * send OPENED of a file that it never had.  So a file that another user owns
 * must be of the first batch: that was sent before any history was parsed.
 */
static void
take_printed(const struct opened *f)
{
	if (f->ino != 0 && (taken.first || f->owner == taken.uid))
		add_known(file_identity(f, taken.uid));
}

static void
take_history(size_t job, int kind, const char *s, size_t n)
{
	int64_t ms;

	(void)job;
	switch (kind) {
	case ENTRY:
		take_entry(s, n);
		row.has_detail = 0;
		row.cwd.n = 0;
		break;
	case DETAIL:
		row.has_detail = take_head(&s, &n, &row.detail,
		    sizeof row.detail) == 0;
		set_escaped(&row.cwd, s, n);
		break;
	case OWNER:
		take_owner(s, n);
		break;
	case OPENED:
		take_opened(s, n);
		break;
	case COMPLETE:
		taken.parsing = taken.skip = 1;
		taken.current = BATCH;	/* none yet */
		break;
	case START:
		take_start(s, n);
		break;
	case TROUBLE:
		take_trouble(s, n);
		break;
	case DONE:
		if (taken.parsing && !taken.skip && taken.user != NULL)
			take_printed(&taken.files[taken.current].opened);
		break;
	case SPENT:
		if (mflag && take_head(&s, &n, &ms, sizeof ms) == 0 && ms > 0)
			find_spent(taken.uid)->ms += ms < LIFETIME * 1000 ?
			    ms : LIFETIME * 1000;
		break;
	}
}

static void
lose_job(size_t job, const char *why)
{
	const struct user *u = taken.user;

	if (u == NULL) {
		warning("%s: rows are lost: %s", operands[job], why);
	} else if (mflag) {
		count_number("process", u->pid, "rows are lost", why);
		find_spent(u->uid)->ms += LOST_TIME * 1000;
	} else if (*u->name != '\0') {
		count_warning("user", u->name, "rows are lost", why);
	} else {
		count_warning("home", u->home, "rows are lost", why);
	}
}

/* Users: what workers of the first scan list, and the parent takes */

/* Cuts the slashes that say nothing, so that homes can be compared. */
static void
clean_path(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++)
		if (*s != '/' || (s[1] != '/' && s[1] != '\0'))
			*to++ = *s;
	*to = '\0';
}

/* In a worker: sends a user. */
static void
send_user(const struct user *u)
{
	const uint64_t ids[3] = { u->uid, u->gid, u->pid };
	char text[65536 + PATH_MAX];
	size_t n;

	n = format_text(text, sizeof text, "%s%c%s", u->name, '\0', u->home);
	if (n < sizeof text)
		send_record(USER, ids, sizeof ids, text, n);
}

/* In a worker that has not entered the root: opens what -p names. */
static int
open_list(void)
{
	int fd = operand_fd(passwd);
	const char *why;

	errno = EBADF;	/* if it is one of ours */
	if (fd == -1)
		fd = open(passwd, O_RDONLY | O_CLOEXEC);
	else if (fcntl(fd, F_GETFD) != 0)
		fd = -1;
	if (fd != -1 && read(fd, NULL, 0) == 0)
		return fd;
	why = strerror(errno);
	send_record(NO_LIST, NULL, 0, why, strlen(why));
	return -1;
}

/* In a worker: the users of the passwd list, which it parses confined. */
static void
list_passwd(void)
{
	struct reader r = { .fd = -1, .max = 65536, .sparse = 1,
	    .limit = MAX_LIST };
	struct passwd_entry e;
	struct stat st;
	uint64_t number;
	ptrdiff_t n;
	char *line;

	if (passwd != NULL)
		r.fd = open_list();
	enter_root();
	if (passwd == NULL) {
		r.fd = open_regular("/etc/passwd", &st);
		if (r.fd == -1)
			report_unopened("/etc/passwd", &st);
	}
	if (r.fd == -1)
		return;
	drop_capabilities(parent_pid);
	confine_parser();
	for (number = 1; (n = read_line(&r, '\n', &line)) != -1; number++) {
		if (n == 0 || *line == '+' || *line == '-' || *line == '#')
			continue;
		if (r.cut || parse_passwd(line, (size_t)n, &e) == -1 ||
		    *e.name == '\0' || *e.home != '/') {
			count_number("line", number, "passwd", "malformed");
			continue;
		}
		clean_path(e.home);
		send_user(&(struct user){ .uid = e.uid, .gid = e.gid,
		    .name = e.name, .home = *e.home != '\0' ? e.home :
		    top_dir });
	}
	if (r.error != 0)
		warning("passwd: %s", strerror(r.error));
}

static void
send_orphan(const char *path, const struct place *unused, int backup)
{
	(void)unused;
	(void)backup;
	send_record(ORPHAN, NULL, 0, path, strlen(path));
}

/* In a worker: what is in /home, of which it looks at nothing, and /root. */
static void
list_homes(void)
{
	const struct search s = { .pattern = "*", .n = 1, .place = places,
	    .use = send_orphan };
	char path[PATH_MAX] = "/home";
	int fd;

	search_directory(path, &s);
	fd = open_path("/root", O_PATH | O_NOFOLLOW);
	if (fd != -1)
		send_orphan("/root", NULL, 0);
	else if (!is_missing())
		report_errno("/root");
}

/* What is mounted over a process hides it, and so does hidepid. */
static void
look_at_mounts(void)
{
	static const char path[] = "/proc/self/mountinfo";
	struct reader r = { .max = 4 * PATH_MAX };
	char *line, *s;
	int blanks;
	ptrdiff_t n;
	size_t left;

	r.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r.fd == -1)
		report_file(path, strerror(errno));
	while (r.fd != -1 && (n = read_line(&r, '\n', &line)) != -1) {
		s = line;
		left = (size_t)n;
		for (blanks = 0; left > 0 && blanks < 4; s++, left--)
			blanks += *s == ' ';
		if (starts(s, left, "/proc/") && digits(s + 6, left - 6) > 0)
			count_number("process", (uint64_t)parse_seconds(s + 6,
			    left - 6), "memory", "mounted over");
		if (hides_processes(line, (size_t)n))
			warning("/proc: hidepid: processes may be missing");
	}
	close_if_open(&r.fd);
	reader_free(&r);
}

/* In a worker: the processes, in the order of their numbers. */
static void
list_processes(void)
{
	struct user u;
	struct dirent *d;
	DIR *dir;
	char home[40];
	int proc;

	if (procfd == -1) {
		warning("/proc: no procfs that shows us");
		return;
	}
	look_at_mounts();
	dir = open_directory("/proc");
	if (dir == NULL)
		return;
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0) {
		u = (struct user){ .name = none, .home = home };
		if (parse_number(d->d_name, strlen(d->d_name), 10, UINT32_MAX,
		    &u.pid) == -1)
			continue;
		step();
		(void)format_text(home, sizeof home, "/proc/%llu",
		    (unsigned long long)u.pid);
		if (read_owner(&u, &proc) == 0)
			send_user(&u);
		close_if_open(&proc);
	}
	if (errno != 0)
		report_errno("/proc");
}

/* The lists, each made by a worker; OTHER: homes, or with -m processes. */
enum { PASSWD, OTHER, NLISTS };

static void
make_list(size_t job)
{
	if (job == PASSWD) {
		if (!mflag || need_names || passwd != NULL)
			list_passwd();
		return;
	}
	enter_root();
	if (mflag)
		list_processes();
	else
		list_homes();
}

/* With -m, passwd entries are for names only. */
static struct user *owners;
static size_t nowners, owners_size;

static char **homes;		/* of the passwd entries, sorted */
static size_t nhomes, homes_size;

static void
keep_user(const struct user *u)
{
	users = grow(users, &users_size, nusers + 1, sizeof *users);
	users[nusers++] = *u;
}

/* Of several names for a uid, a process gets one that -u asks for. */
static char *
find_name(uint64_t uid)
{
	char *name = none;
	size_t i;

	for (i = 0; i < nowners; i++)
		if (owners[i].uid == uid &&
		    (name == none || is_wanted(&owners[i])))
			name = owners[i].name;
	return name;
}

static void
take_user(size_t job, struct user *u)
{
	if (job == PASSWD && mflag) {
		owners = grow(owners, &owners_size, nowners + 1,
		    sizeof *owners);
		owners[nowners++] = *u;
		(void)is_wanted(u);
		return;
	}
	if (job == PASSWD) {
		homes = grow(homes, &homes_size, nhomes + 1, sizeof *homes);
		homes[nhomes++] = u->home;
	} else {
		u->name = find_name(u->uid);
	}
	if (is_wanted(u))
		keep_user(u);
	any_users = 1;
}

static void
take_list(size_t job, int kind, const char *s, size_t n)
{
	struct user u = { .name = none };
	uint64_t ids[3] = { 0, 0, 0 };
	size_t room = 0;
	char *text;

	if (kind == NO_LIST && job == PASSWD && passwd != NULL)
		fatal("%s: %.*s", passwd, (int)(n < 127 ? n : 127), s);
	if ((kind != USER && kind != ORPHAN) || (kind == USER &&
	    take_head(&s, &n, ids, sizeof ids) == -1))
		return;
	text = grow(NULL, &room, n + 2, 1);
	memcpy(text, s, n);
	text[n] = text[n + 1] = '\0';	/* a broken worker may send none */
	u.home = text;
	if (kind == ORPHAN && job == OTHER && !mflag && *text == '/') {
		u.orphan = 1;
		if (nwanted == 0 || any_number)	/* it has no name */
			keep_user(&u);
		any_users = 1;
	} else if (kind == USER) {
		u.uid = ids[0];
		u.gid = ids[1];
		u.pid = ids[2];
		u.name = text;
		u.home = text + strlen(text) + 1;
		if (*u.home == '/' && u.uid < UINT32_MAX && u.gid < UINT32_MAX)
			take_user(job, &u);
	}
}

static void
lose_list(size_t job, const char *why)
{
	warning("%s: %s", job == PASSWD ? "passwd" : mflag ? "/proc" :
	    "/home", why);
}

/* Drops the homes that are claimed by a passwd entry. */
static void
drop_claimed(void)
{
	struct user *u, *to = users;

	sort(homes, nhomes, sizeof *homes, compare_names);
	for (u = users; u < users + nusers; u++)
		if (!u->orphan || nhomes == 0 || bsearch(&u->home, homes,
		    nhomes, sizeof *homes, compare_names) == NULL)
			*to++ = *u;
	nusers = (size_t)(to - users);
}

/* What reads standard input or a pipe may wait for ever. */
static int
list_waits(size_t job)
{
	return job == PASSWD && passwd != NULL && operand_fd(passwd) != -1;
}

static int
operand_waits(size_t job)
{
	return operand_fd(operands[job]) != -1;
}

static void
list_users(void)
{
	const int fd = passwd == NULL ? -1 : operand_fd(passwd);
	const struct scan lists = { .njobs = NLISTS, .alone = 1,
	    .is_patient = list_waits, .ahead = AHEAD, .work = make_list,
	    .take = take_list, .lose = lose_list };

	run_scan(&lists);
	if (fd > STDERR_FILENO)
		close(fd);
	drop_claimed();
	if (nusers > 0 || any_users)
		return;
	if (!mflag)
		warning("no passwd list and no homes");
	(void)finish();
	_exit(2);
}

/* The second scan: of users, processes or operands. */
static void
print_histories(void)
{
	struct scan histories = { .njobs = nusers, .alone = 1,
	    .ahead = AHEAD, .lifetime = LIFETIME, .prepare = enter_root,
	    .work = mflag ? read_process : read_user, .begin = begin_job,
	    .take = take_history, .lose = lose_job };
	struct wanted *w;
	char **o;

	for (o = operands; *o != NULL; o++) {
		histories.work = read_operand;
		histories.is_patient = operand_waits;
		histories.njobs++;
		/* Two operands may name one descriptor. */
		if (operand_fd(*o) != -1)
			histories.most = 1;
	}
	run_scan(&histories);
	for (w = wanted; w < wanted + nwanted; w++)
		if (!w->seen)
			warning("%.*s: no such user", (int)w->len, w->name);
	if (*operands != NULL && nopened == nrefused)
		status = 2;	/* not one could be read */
}

/* Options */

/* Takes a list of -u apart. */
static void
choose_users(const char *list)
{
	static size_t room;
	const char *name;
	struct wanted *w;
	size_t len;

	while (next_item(&list, &name, &len)) {
		if (len == 0)
			usage_error("-u: empty name");
		wanted = grow(wanted, &room, nwanted + 1, sizeof *w);
		w = &wanted[nwanted++];
		*w = (struct wanted){ .name = name, .len = len };
		w->number = parse_number(name, len, 10, UINT32_MAX - 1,
		    &w->uid) == 0;
		any_number |= w->number;
	}
}

static const char *
format_name(size_t i)
{
	return formats[i].name;
}

/* The lower one of two descriptors, if it is above last. */
static unsigned
lower(unsigned next, unsigned last, int fd)
{
	return fd > (int)last && (unsigned)fd < next ? (unsigned)fd : next;
}

/*
 * Closes what the caller left open and no operand names: nobody but us may
 * write to it.  Linux before 5.9 cannot.
 */
static void
close_inherited(void)
{
	unsigned next, last = STDERR_FILENO;
	char **o;

	do {
		next = lower(UINT_MAX, last, rootfd);
		if (passwd != NULL)
			next = lower(next, last, operand_fd(passwd));
		for (o = operands; *o != NULL; o++)
			next = lower(next, last, operand_fd(*o));
		if (next - last > 1)
			(void)syscall(SYS_close_range, last + 1, next - 1, 0);
		last = next;
	} while (next != UINT_MAX);
}

/* What workers ask of the kernel until they confine themselves. */
static const int worker_calls[] = {
	SYS_openat, SYS_openat2, SYS_fstatfs, SYS_getdents64, SYS_readlinkat,
	SYS_pread64, SYS_setgroups32, SYS_setresgid32, SYS_setresuid32,
	SYS_prlimit64, SYS_chdir, SYS_fchdir, SYS_chroot, SYS_fstat,
	SYS_geteuid, SYS_getegid, SYS_getgroups, SYS_sysinfo /* glibc, qsort */,
#ifdef SYS_open
	SYS_open, SYS_readlink, SYS_stat, SYS_lstat,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64
	SYS_fstatat64, SYS_fstatfs64, SYS_fstat64, SYS_stat64,
#endif
#ifdef SYS_statx
	SYS_statx,
#endif
#ifdef SYS_geteuid32
	SYS_geteuid32, SYS_getegid32, SYS_getgroups32,
#endif
#ifdef SYS_lseek
	SYS_lseek,
#endif
#ifdef SYS__llseek
	SYS__llseek,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_writev,
#endif
};

/* What all workers take over from us, and no more. */
static void
confine_ourselves(void)
{
	int cap;

	parent_pid = getpid();
	copied = root != NULL && geteuid() == 0;
	close_inherited();
	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			break;
	if (confine(worker_calls, sizeof worker_calls / sizeof *worker_calls,
	    NULL, 0) == -1 && errno != ENOSYS && errno != EINVAL)
		fatal("seccomp: %s", strerror(errno));
}

static const char help[] =
"usage: shhist [-aHmq] [-f format] [-o columns] [-p passwd] [-r root]\n"
"              [-u user,...] [file ...]\n"
"       shhist -h | -V\n"
"\n"
"Prints a row for every command in every user's shell histories, or in the\n"
"files (- is standard input).  Fields are separated by TABs and escaped.\n"
"\n"
"  -a  read the histories of interactive clients, too (mysql, python, ...);\n"
"      with -m, of every program with GNU readline\n"
"  -f  the format of all files; else names and contents decide\n"
"  -H  print no header row\n"
"  -m  print what running shells hold in memory instead\n"
"  -o  print these columns, separated by commas; +LIST adds to the default\n"
"  -p  take the users from this file instead of /etc/passwd; - is standard\n"
"      input\n"
"  -q  print no warnings\n"
"  -r  look at the system below this directory\n"
"  -u  only these users, by name or number\n"
"  -h  print this, -V the version\n"
"\n"
"columns   uid time command history_file (default)\n"
"          user format line duration cwd exit_status\n"
"formats   bash zsh fish tcsh ksh mksh plain nushell powershell yash mysql\n"
"          psql python duckdb node irb prompt_toolkit less vim xonsh sqlite\n"
"escapes   \\\\ \\t \\n \\r, and \\xHH for other control characters and for\n"
"          bytes that are not UTF-8\n"
"status    0: all is there; 1: something could not be read, which standard\n"
"          error says; 2: wrong usage, or nothing could be read or written\n"
"examples  in shhist(1) and psock(7)\n";

static void
read_options(int argc, char **argv)
{
	int c;

	while ((c = next_option(argc, argv, "af:mp:u:", help,
	    "shhist " VERSION "\n")) != -1)
		switch (c) {
		case 'a':
			aflag = 1;
			break;
		case 'f':
			fflag = find_format(optarg);
			if (fflag->name == NULL)
				unknown_item("-f: format", optarg,
				    strlen(optarg), format_name);
			break;
		case 'm':
			mflag = 1;
			break;
		case 'p':
			passwd = optarg;
			if (*passwd == '\0')
				usage_error("-p: empty name");
			break;
		case 'u':
			choose_users(optarg);
			break;
		}
	/* Before Linux 5.18 there may be no name: behind it is no operand. */
	operands = argv + (optind < argc ? optind : argc);
	if (mflag && (root != NULL || fflag != NULL || *operands != NULL))
		usage_error("-m cannot be used with -f, -r or files");
	if (*operands != NULL && (aflag || passwd != NULL || nwanted > 0))
		usage_error("files cannot be used with -a, -p or -u");
	if (root == NULL)
		return;
	rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd == -1)
		fatal("%s: %s", root, strerror(errno));
}

int
main(int argc, char **argv)
{
	start("shhist");
	read_options(argc, argv);
	need_names = choose_columns(columns, NDEFAULT) != 0 || nwanted > 0;
	confine_ourselves();
	if (*operands == NULL)
		list_users();
	if (!no_header)
		print_header();
	flush_output();
	print_histories();
	return finish();
}
