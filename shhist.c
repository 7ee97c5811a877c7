/* SPDX-License-Identifier: ISC */

/*
 * shhist: every command in every user's shell history.
 *
 * The parent lists the users and prints; it never touches a home.  For each
 * user a child becomes that user for good, opens the history files, gives
 * up every system call that parsing does not need, and only then reads the
 * first byte.  Its rows come back through a pipe, and the parent prints
 * whole ones only, so a child that hangs or breaks costs its own user's
 * rows and nothing else.
 *
 * A format is a function that reads one file through a reader and calls
 * emit for each entry; a place is a row in the table of places.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
	COMMAND_MAX = 16 << 20,	/* longest command kept, in bytes */
	SILENCE_MAX = 10000,	/* milliseconds without a sign of a child */
	BATCH = 256,		/* files open at once */
	QUEUE_MAX = 4096,	/* mksh: entries that may yet be replaced */
	QUEUE_BYTES = 1 << 20,
};

struct bytes {
	char *s;
	size_t len, room;
};

/* A history file that is open, and what its rows say of it. */
struct file {
	char *path;		/* as seen from the root */
	const struct format *format;
	int fd;
	int sparse;
	uint32_t uid;
};

struct format {
	const char *name;
	void (*read)(struct reader *);
	/* Undoes the format's escapes in an entry; may be null. */
	size_t (*decode)(char *, size_t);
	char continuation;	/* a line that ends in it goes on */
};

struct user {
	const char *name, *home;
	uint32_t uid, gid;
	int orphan;		/* a home that nobody claims: its owner's */
};

/* Exit statuses of a child beside 0 and 1. */
enum { BROKEN = 8, MATCHED = 4 };

/* -u: names or numbers, and whether they were met. */
static struct wanted {
	char *name;
	int met;
} *wanted;
static size_t nwanted, wanted_room;

static int aflag, hflag;
static const char *root;
static int root_fd = -1;	/* -r without privilege */
static int self_fds = -1;	/* /proc/self/fd, from before the chroot */
static const struct format *forced;	/* -f */

static int wanted_orphan;	/* the last orphan was one of -u */

/* The file and the entry that are being read. */
static const struct file *current;
static const char *current_user;
static struct {
	int64_t time;
	int64_t duration;
	uint64_t line;
	int has_duration;
	const char *command;
	size_t len;
} entry;
static uint64_t lines;		/* read of the current file */
static struct bytes uid_field, file_field;

/* Files told already, of all users. */
static struct identity {
	dev_t dev;
	ino_t ino;
} *told;
static size_t ntold, told_room;

static struct file batch[BATCH];
static size_t nbatch;

/* Columns */

static void
print_uid(void)
{
	put_raw(uid_field.s, uid_field.len);
}

static void
print_time(void)
{
	put_signed(entry.time);
}

static void
print_command(void)
{
	put_field(entry.command, entry.len);
}

static void
print_history_file(void)
{
	put_raw(file_field.s, file_field.len);
}

static void
print_user(void)
{
	put_field(current_user, strlen(current_user));
}

static void
print_format(void)
{
	put_string(current->format->name);
}

static void
print_line(void)
{
	put_number(entry.line);
}

static void
print_duration(void)
{
	if (entry.has_duration)
		put_signed(entry.duration);
}

static const struct column columns[] = {
	{ "uid", print_uid, 0 },
	{ "time", print_time, 0 },
	{ "command", print_command, 0 },
	{ "history_file", print_history_file, 0 },
#define DEFAULT_COLUMNS 4
	{ "user", print_user, 0 },
	{ "format", print_format, 0 },
	{ "line", print_line, 0 },
	{ "duration", print_duration, 0 },
	{ NULL, NULL, 0 },
};

/* Entries */

static void
reserve(struct bytes *b, size_t n)
{
	if (b->room - b->len <= n)
		b->s = grow(b->s, &b->room, b->len + n, 1);
}

/* Adds to a command, as far as COMMAND_MAX allows. */
static void
add(struct bytes *b, const char *s, size_t n)
{
	if (n > COMMAND_MAX - b->len) {
		n = COMMAND_MAX - b->len;
		warning("%s: line %lu: a command longer than 16 MiB is cut",
		    current->path, (unsigned long)lines);
	}
	reserve(b, n);
	memcpy(b->s + b->len, s, n);
	b->len += n;
}

/* Prints the entry; an empty command is none. */
static void
emit(const char *s, size_t n)
{
	if (n == 0)
		return;
	entry.command = s;
	entry.len = n;
	print_row();
}

/* The next line of the file; counts it and tells where it was cut. */
static ptrdiff_t
next_line(struct reader *r, char **line)
{
	ptrdiff_t n = read_line(r, '\n', line);

	if (n != -1)
		lines++;
	if (r->cut)
		warning("%s: line %lu: a line longer than 16 MiB is cut",
		    current->path, (unsigned long)lines);
	return n;
}

/* The digits at s as a time; what does not fit 64 bits is 0. */
static int64_t
parse_time(const char *s, size_t n)
{
	uint64_t value;
	int negative = n > 0 && *s == '-';

	s += negative;
	n -= (size_t)negative;
	if (parse_number(s, n, 10, (uint64_t)INT64_MAX + (uint64_t)negative,
	    &value) == -1)
		return 0;
	return (int64_t)(negative ? -value : value);
}

static size_t
digits(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i;
}

/* Whether the line is prefix and digits alone: "#1700000000", "#+17...". */
static int
is_stamp(const char *s, size_t n, const char *prefix)
{
	size_t skip = strlen(prefix);

	return n > skip && memcmp(s, prefix, skip) == 0 &&
	    digits(s + skip, n - skip) == n - skip;
}

static int
starts_with(const char *s, size_t n, const char *prefix)
{
	size_t len = strlen(prefix);

	return n >= len && memcmp(s, prefix, len) == 0;
}

/* Line formats */

/*
 * A line an entry, or several where a line ends in the format's sign of
 * continuation, which stands for the newline.
 */
static void
read_plain(struct reader *r)
{
	const struct format *f = current->format;
	struct bytes b = { 0 };
	char *line;
	ptrdiff_t n;
	int more;

	while ((n = next_line(r, &line)) != -1) {
		if (b.len == 0)
			entry.line = lines;
		more = f->continuation != '\0' && n > 0 &&
		    line[n - 1] == f->continuation && r->ended;
		if (b.len == 0 && !more) {
			emit(line, f->decode != NULL ?
			    f->decode(line, (size_t)n) : (size_t)n);
			continue;
		}
		add(&b, line, (size_t)n - (size_t)more);
		if (more) {
			add(&b, "\n", 1);
			continue;
		}
		emit(b.s, b.len);
		b.len = 0;
	}
	if (b.len > 0)
		emit(b.s, b.len - (b.s[b.len - 1] == '\n'));
	free(b.s);
}

/* psql writes a newline as 0x01. */
static size_t
decode_psql(char *s, size_t n)
{
	char *p = s;

	while ((p = memchr(p, 1, n - (size_t)(p - s))) != NULL)
		*p = '\n';
	return n;
}

/* nushell writes a newline as "<\n>". */
static size_t
decode_nushell(char *s, size_t n)
{
	size_t i, to = 0;

	for (i = 0; i < n; i++)
		if (starts_with(s + i, n - i, "<\\n>")) {
			s[to++] = '\n';
			i += 3;
		} else {
			s[to++] = s[i];
		}
	return to;
}

/* libedit's vis(3): \ooo in octal; the header is no entry. */
static size_t
decode_mysql(char *s, size_t n)
{
	size_t i, to = 0;

	if (lines == 1 && n == 12 && memcmp(s, "_HiStOrY_V2_", 12) == 0)
		return 0;
	for (i = 0; i < n; i++)
		if (s[i] == '\\' && n - i > 3 && s[i + 1] >= '0' &&
		    s[i + 1] <= '3' && s[i + 2] >= '0' && s[i + 2] <= '7' &&
		    s[i + 3] >= '0' && s[i + 3] <= '7') {
			s[to++] = (char)((s[i + 1] - '0') * 64 +
			    (s[i + 2] - '0') * 8 + (s[i + 3] - '0'));
			i += 3;
		} else {
			s[to++] = s[i];
		}
	return to;
}

/*
 * bash: "#DIGITS" gives the time of the next entry.  If the first line is
 * one, lines without a stamp continue the entry before them, as bash reads
 * them when HISTTIMEFORMAT is set.
 */
static void
read_bash(struct reader *r)
{
	struct bytes b = { 0 };
	char *line;
	ptrdiff_t n;
	int joined = 0, stamp;
	int64_t time = 0;

	while ((n = next_line(r, &line)) != -1) {
		if (n > 0 && line[n - 1] == '\r')
			n--;
		stamp = is_stamp(line, (size_t)n, "#");
		if (stamp && lines == 1)
			joined = 1;
		if (stamp || !joined) {
			emit(b.s, b.len);
			b.len = 0;
		}
		if (stamp) {
			time = parse_time(line + 1, (size_t)n - 1);
			continue;
		}
		if (n == 0)
			continue;
		if (b.len > 0) {
			add(&b, "\n", 1);
		} else {
			entry.time = time;
			entry.line = lines;
			time = 0;
		}
		if (joined)
			add(&b, line, (size_t)n);
		else
			emit(line, (size_t)n);
	}
	emit(b.s, b.len);
	free(b.s);
}

/* tcsh: "#+EPOCH", then one line. */
static void
read_tcsh(struct reader *r)
{
	char *line;
	ptrdiff_t n;

	while ((n = next_line(r, &line)) != -1) {
		if (is_stamp(line, (size_t)n, "#+")) {
			entry.time = parse_time(line + 2, (size_t)n - 2);
			continue;
		}
		entry.line = lines;
		emit(line, (size_t)n);
		entry.time = 0;
	}
}

static int
is_utf8(const char *s, size_t n)
{
	size_t len;

	for (; n > 0; s += len, n -= len)
		if ((len = utf8_length(s, n)) == 0)
			return 0;
	return 1;
}

/*
 * zsh writes 0x00 and 0x83-0xa2 as 0x83 and the byte xor 0x20.  What is
 * well-formed UTF-8 was never written so: another program wrote it.
 */
static size_t
unmetafy(char *s, size_t n)
{
	size_t i, to = 0;

	if (memchr(s, 0x83, n) == NULL || is_utf8(s, n))
		return n;
	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] == 0x83 && i + 1 < n)
			s[to++] = (char)((unsigned char)s[++i] ^ 0x20u);
		else
			s[to++] = s[i];
	return to;
}

/* ": START:SECONDS;" of an extended entry; returns its length, or 0. */
static size_t
parse_extended(const char *s, size_t n)
{
	size_t i = 1, start, len, semicolon;

	entry.time = 0;
	entry.has_duration = 0;
	if (n == 0 || s[0] != ':')
		return 0;
	while (i < n && s[i] == ' ')
		i++;
	start = i;
	i += i < n && s[i] == '-';
	len = digits(s + i, n - i);
	i += len;
	if (len == 0 || i >= n || s[i] != ':')
		return 0;
	semicolon = i + 1;
	semicolon += semicolon < n && s[semicolon] == '-';
	semicolon += digits(s + semicolon, n - semicolon);
	if (semicolon >= n || s[semicolon] != ';')
		return 0;
	entry.time = parse_time(s + start, i - start);
	entry.duration = parse_time(s + i + 1, semicolon - i - 1);
	entry.has_duration = semicolon > i + 1;
	return semicolon + 1;
}

static void
emit_zsh(struct bytes *b)
{
	size_t n = unmetafy(b->s, b->len), at, blanks;
	char *s = b->s;

	at = parse_extended(s, n);
	/* A plain command that starts with a colon. */
	if (at == 0 && n > 1 && s[0] == '\\' && s[1] == ':')
		at = 1;
	/* A blank is added behind a backslash and any blanks at the end. */
	for (blanks = 0; blanks < n - at && s[n - 1 - blanks] == ' ';
	    blanks++)
		;
	if (blanks > 0 && n - at > blanks && s[n - 1 - blanks] == '\\')
		n--;
	emit(s + at, n - at);
	b->len = 0;
}

static void
read_zsh(struct reader *r)
{
	struct bytes b = { 0 };
	char *line;
	ptrdiff_t n;
	int going = 0, more;

	while ((n = next_line(r, &line)) != -1) {
		if (!going)
			entry.line = lines;
		more = n > 0 && line[n - 1] == '\\' && r->ended;
		add(&b, line, (size_t)n - (size_t)more);
		going = more;
		if (more)
			add(&b, "\n", 1);
		else if (b.len > 0)
			emit_zsh(&b);
	}
	if (b.len > 0)
		emit_zsh(&b);
	free(b.s);
}

/* fish: "\\" and "\n" from left to right; any other "\x" stays. */
static size_t
decode_fish(char *s, size_t n)
{
	size_t i, to = 0;

	for (i = 0; i < n; i++)
		if (s[i] == '\\' && i + 1 < n &&
		    (s[i + 1] == '\\' || s[i + 1] == 'n'))
			s[to++] = s[++i] == 'n' ? '\n' : '\\';
		else
			s[to++] = s[i];
	return to;
}

/* fish 1.x: "# EPOCH", then the command, going on behind a backslash. */
static void
read_fish1(struct reader *r, char *line, ptrdiff_t n)
{
	struct bytes b = { 0 };
	int more;

	do {
		if (b.len == 0 && starts_with(line, (size_t)n, "# ") &&
		    digits(line + 2, (size_t)n - 2) == (size_t)n - 2) {
			entry.time = parse_time(line + 2, (size_t)n - 2);
			continue;
		}
		if (b.len == 0)
			entry.line = lines;
		more = n > 0 && line[n - 1] == '\\' && r->ended;
		add(&b, line, (size_t)n - (size_t)more);
		if (more) {
			add(&b, "\n", 1);
			continue;
		}
		emit(b.s, b.len);
		entry.time = 0;
		b.len = 0;
	} while ((n = next_line(r, &line)) != -1);
	emit(b.s, b.len);
	free(b.s);
}

/* fish 2 on: "- cmd: TEXT", then indented "when: EPOCH" and the like. */
static void
read_fish(struct reader *r)
{
	struct bytes b = { 0 };
	char *line;
	ptrdiff_t n;
	size_t i;

	n = next_line(r, &line);
	if (n != -1 && starts_with(line, (size_t)n, "# ")) {
		read_fish1(r, line, n);
		return;
	}
	for (; n != -1; n = next_line(r, &line)) {
		if (starts_with(line, (size_t)n, "- cmd:")) {
			emit(b.s, decode_fish(b.s, b.len));
			b.len = 0;
			entry.time = 0;
			entry.line = lines;
			i = 6 + (n > 6 && line[6] == ' ');
			add(&b, line + i, (size_t)n - i);
			continue;
		}
		for (i = 0; i < (size_t)n && line[i] == ' '; i++)
			;
		if (i > 0 && starts_with(line + i, (size_t)n - i, "when:")) {
			for (i += 5; i < (size_t)n && line[i] == ' '; i++)
				;
			entry.time = parse_time(line + i, (size_t)n - i);
		}
	}
	emit(b.s, decode_fish(b.s, b.len));
	free(b.s);
}

/* yash: "HEXNUMBER:HEXTIME command"; "p" lines are process numbers. */
static void
read_yash(struct reader *r)
{
	uint64_t number, time;
	char *line, *colon, *blank;
	ptrdiff_t n;

	while ((n = next_line(r, &line)) != -1) {
		if (n == 0 || *line == '#' || *line == 'p')
			continue;
		colon = memchr(line, ':', (size_t)n);
		blank = memchr(line, ' ', (size_t)n);
		if (blank == NULL || colon == NULL || colon > blank ||
		    parse_number(line, (size_t)(colon - line), 16,
		    UINT64_MAX, &number) == -1)
			continue;
		if (parse_number(colon + 1, (size_t)(blank - colon) - 1, 16,
		    INT64_MAX, &time) == -1)
			time = 0;
		entry.time = (int64_t)time;
		entry.line = lines;
		emit(blank + 1, (size_t)(line + n - blank) - 1);
	}
}

/* less: lines that start with a quote below .shell and .search. */
static void
read_less(struct reader *r)
{
	char *line;
	ptrdiff_t n;
	int told_here = 0;

	while ((n = next_line(r, &line)) != -1) {
		if (n > 0 && *line == '.')
			told_here = starts_with(line, (size_t)n, ".shell") ||
			    starts_with(line, (size_t)n, ".search");
		entry.line = lines;
		if (told_here && n > 0 && *line == '"')
			emit(line + 1, (size_t)n - 1);
	}
}

/* viminfo: ":command", then "|2,0,EPOCH,,"..."" gives its time. */
static void
read_vim(struct reader *r)
{
	struct bytes b = { 0 };
	char *line;
	ptrdiff_t n;

	while ((n = next_line(r, &line)) != -1) {
		if (starts_with(line, (size_t)n, "|2,0,"))
			entry.time = parse_time(line + 5,
			    digits(line + 5, (size_t)n - 5));
		if (n > 0 && *line == '|')
			continue;
		emit(b.s, b.len);
		b.len = 0;
		entry.time = 0;
		entry.line = lines;
		if (n > 1 && *line == ':')
			add(&b, line + 1, (size_t)n - 1);
	}
	emit(b.s, b.len);
	free(b.s);
}

/* Binary formats */

/*
 * ksh93: 0x81 and the version, then entries that end in NUL, the first NUL
 * evening the length.  "82 00 n n n 00" is a marker, "81 00" undoes the
 * entry before it, which stays in the file and is told.
 */
static void
emit_ksh(const char *s, size_t n)
{
	if (n > 0 && s[n - 1] == '\n')
		n--;
	if (n > 0)
		entry.line++;
	emit(s, n);
}

static void
read_ksh(struct reader *r)
{
	char *s;
	ptrdiff_t n;
	size_t skip = 0, take;
	int first = 1;

	while ((n = read_line(r, '\0', &s)) != -1) {
		/* Behind "82 00" come three bytes of any value and a NUL. */
		if (skip > 0) {
			take = (size_t)n < skip ? (size_t)n : skip;
			s += take;
			n -= (ptrdiff_t)take;
			skip -= take;
			/* A NUL among them ended this piece. */
			if (skip > 0) {
				skip--;
				continue;
			}
			if (n == 0)
				continue;
		}
		if (first) {
			first = 0;
			s += n > 1 ? 2 : 1;
			n -= n > 1 ? 2 : 1;
			if (n == -1)
				continue;
		}
		if (n == 1 && (unsigned char)*s == 0x81)
			continue;
		if (n == 1 && (unsigned char)*s == 0x82) {
			skip = 3;
			continue;
		}
		emit_ksh(s, (size_t)n);
	}
}

/* mksh: entries that a later one with the same number may yet replace. */
struct queued {
	uint32_t number;
	uint64_t line;
	struct bytes text;
};

static struct queued queue[QUEUE_MAX];
static size_t queue_first, queue_count, queue_bytes;

static void
emit_queued(void)
{
	struct queued *q = &queue[queue_first];

	entry.line = q->line;
	emit(q->text.s, q->text.len);
	queue_bytes -= q->text.len;
	free(q->text.s);
	queue_first = (queue_first + 1) % QUEUE_MAX;
	queue_count--;
}

static void
queue_entry(uint32_t number, const char *s, size_t n)
{
	struct queued *q = NULL;
	size_t i;

	for (i = 0; i < queue_count && q == NULL; i++)
		if (queue[(queue_first + i) % QUEUE_MAX].number == number)
			q = &queue[(queue_first + i) % QUEUE_MAX];
	if (q == NULL) {
		while (queue_count == QUEUE_MAX ||
		    (queue_count > 0 && queue_bytes + n > QUEUE_BYTES))
			emit_queued();
		q = &queue[(queue_first + queue_count++) % QUEUE_MAX];
		*q = (struct queued){ .number = number, .line = lines };
	}
	queue_bytes -= q->text.len;
	q->text.len = 0;
	add(&q->text, s, n);
	queue_bytes += n;
}

/*
 * mksh, oksh: "ab cd", then ff, a 32-bit big-endian number, the command and
 * a NUL.  The number may hold NULs itself: the pieces are put together.
 */
static void
read_mksh(struct reader *r)
{
	struct bytes b = { 0 };
	unsigned char *u;
	char *s;
	ptrdiff_t n;
	int first = 1, ended;

	while ((n = read_line(r, '\0', &s)) != -1) {
		ended = r->ended;
		add(&b, s, (size_t)n);
		if (first && b.len >= 2) {
			first = 0;
			memmove(b.s, b.s + 2, b.len -= 2);
		}
		if (b.len < 5 && ended) {
			add(&b, "", 1);
			continue;
		}
		u = (unsigned char *)b.s;
		lines++;
		if (b.len >= 5 && u[0] == 0xff)
			queue_entry((uint32_t)u[1] << 24 | (uint32_t)u[2] << 16
			    | (uint32_t)u[3] << 8 | u[4], b.s + 5, b.len - 5);
		b.len = 0;
	}
	while (queue_count > 0)
		emit_queued();
	free(b.s);
}

static const struct format formats[] = {
	{ "plain", read_plain, NULL, '\0' },
	{ "bash", read_bash, NULL, '\0' },
	{ "zsh", read_zsh, NULL, '\0' },
	{ "fish", read_fish, NULL, '\0' },
	{ "tcsh", read_tcsh, NULL, '\0' },
	{ "ksh", read_ksh, NULL, '\0' },
	{ "mksh", read_mksh, NULL, '\0' },
	{ "nushell", read_plain, decode_nushell, '\0' },
	{ "powershell", read_plain, NULL, '`' },
	{ "yash", read_yash, NULL, '\0' },
	{ "mysql", read_plain, decode_mysql, '\0' },
	{ "psql", read_plain, decode_psql, '\0' },
	{ "irb", read_plain, NULL, '\\' },
	{ "less", read_less, NULL, '\0' },
	{ "vim", read_vim, NULL, '\0' },
};
enum { NFORMATS = sizeof formats / sizeof *formats };

/* A format by its name, or null. */
static const struct format *
find_format(const char *name)
{
	size_t i;

	for (i = 0; i < NFORMATS; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

/*
 * Where histories are: the directory below the home, and the name in it; of
 * a name that begins with "*" only the end counts.  No format: the content
 * decides.
 */
static const struct place {
	const char *dir, *name, *format;
	int all;		/* with -a only */
} places[] = {
	{ ".", ".bash_history", "bash", 0 },
	{ ".bash_sessions", "*.history", "bash", 0 },
	{ ".", ".zsh_history", "zsh", 0 },
	{ ".", ".zhistory", "zsh", 0 },
	{ ".", ".histfile", "zsh", 0 },
	{ ".zsh_sessions", "*.history", "zsh", 0 },
	{ ".", ".history", NULL, 0 },
	{ ".", ".sh_history", NULL, 0 },
	{ ".", ".ash_history", "plain", 0 },
	{ ".", ".hush_history", "plain", 0 },
	{ ".", ".mksh_history", NULL, 0 },
	{ ".local/share/fish", "*_history", "fish", 0 },
	{ ".config/nushell", "history.txt", "nushell", 0 },
	{ ".local/share/powershell/PSReadLine", "*_history.txt",
	    "powershell", 0 },
	{ ".", ".python_history", "plain", 1 },
	{ ".", ".mysql_history", "mysql", 1 },
	{ ".", ".mariadb_history", "mysql", 1 },
	{ ".", ".psql_history", "psql", 1 },
	{ ".", ".sqlite_history", "plain", 1 },
	{ ".", ".rediscli_history", "plain", 1 },
	{ ".", ".gdb_history", "plain", 1 },
	{ ".", ".Rhistory", "plain", 1 },
	{ ".", ".node_repl_history", "plain", 1 },
	{ ".", ".irb_history", "irb", 1 },
	{ ".", ".lesshst", "less", 1 },
	{ ".", ".viminfo", "vim", 1 },
};
enum { NPLACES = sizeof places / sizeof *places };

static int
matches(const char *name, const char *pattern)
{
	size_t len = strlen(name), want;

	if (*pattern != '*')
		return strcmp(name, pattern) == 0;
	want = strlen(++pattern);
	return len > want && *name != '.' && strcmp(name + len - want, pattern) == 0;
}

/* The format that one line tells, or null. */
static const struct format *
line_format(const char *s, size_t n)
{
	static const struct {
		const char *start, *format;
	} starts[] = {
		{ "\x81", "ksh" }, { "\xab\xcd", "mksh" },
		{ "- cmd:", "fish" }, { "_HiStOrY_V2_", "mysql" },
		{ "#$# yash history", "yash" },
		{ ".less-history-file:", "less" },
		{ "# This viminfo file", "vim" },
	};
	size_t i;

	for (i = 0; i < sizeof starts / sizeof *starts; i++)
		if (starts_with(s, n, starts[i].start))
			return find_format(starts[i].format);
	if (is_stamp(s, n, "#+"))
		return find_format("tcsh");
	if (is_stamp(s, n, "# "))
		return find_format("fish");
	if (is_stamp(s, n, "#"))
		return find_format("bash");
	return parse_extended(s, n) > 0 ? find_format("zsh") : NULL;
}

/* The format of a file by its first lines, which are not used up. */
static const struct format *
detect_format(struct reader *r)
{
	const struct format *f = NULL;
	const char *s, *end, *nl;
	char *line;
	ptrdiff_t n;
	int i;

	n = read_line(r, '\n', &line);
	if (n == -1 || r->cut)
		return &formats[0];
	r->start -= (size_t)n + (size_t)r->ended;
	s = r->buf + r->start;
	end = r->buf + r->end;
	for (i = 0; i < 16 && s < end && f == NULL; i++, s = nl + 1) {
		nl = memchr(s, '\n', (size_t)(end - s));
		if (nl == NULL)
			nl = end;
		f = line_format(s, (size_t)(nl - s));
		/* Magic numbers and headers stand in the first line. */
		if (i > 0 && f != NULL && f != find_format("tcsh") &&
		    f != find_format("bash") && f != find_format("zsh") &&
		    f != find_format("fish"))
			f = NULL;
	}
	return f != NULL ? f : &formats[0];
}

/* The child */

static void
set_field(struct bytes *b, const char *s, size_t n)
{
	b->len = 0;
	reserve(b, 4 * n);
	b->len = escape(b->s, s, n);
}

/* Reads one open file and prints its rows. */
static void
read_file(struct file *f)
{
	struct reader r = { .fd = f->fd, .max = COMMAND_MAX,
	    .sparse = f->sparse };
	char number[12];

	current = f;
	set_field(&file_field, f->path, strlen(f->path));
	set_field(&uid_field, number, format(number, sizeof number, "%u",
	    f->uid));
	memset(&entry, 0, sizeof entry);
	lines = 0;
	if (f->format == NULL)
		f->format = detect_format(&r);
	else if (f->format == find_format("ksh") ||
	    f->format == find_format("mksh"))
		/* Without their magic they are text. */
		f->format = detect_format(&r) == f->format ? f->format :
		    &formats[0];
	entry.time = 0;
	entry.has_duration = 0;
	f->format->read(&r);
	if (r.error != 0)
		warning("%s: %s", f->path, strerror(r.error));
	reader_free(&r);
	close(f->fd);
}

/*
 * From here on the child reads what is open, writes its rows, gets memory
 * and exits, nothing else.
 */
static void
confine_parser(void)
{
	static const int calls[] = {
		SYS_read, SYS_write, SYS_lseek, SYS_close, SYS_brk, SYS_mmap,
		SYS_munmap, SYS_mremap, SYS_madvise, SYS_exit,
		SYS_exit_group, SYS_rt_sigreturn, SYS_futex,
		/* What the libraries of a sanitizer's build need. */
		SYS_sigaltstack, SYS_getpid, SYS_gettid, SYS_rt_sigprocmask,
		SYS_sched_yield,
#ifdef SYS__llseek	/* 32-bit machines */
		SYS__llseek, SYS_mmap2,
#endif
	};

	/* A kernel without seccomp leaves the rest of the protection. */
	(void)confine(calls, sizeof calls / sizeof *calls);
}

static _Noreturn void
parse_batch(void)
{
	size_t i;

	confine_parser();
	for (i = 0; i < nbatch; i++)
		read_file(&batch[i]);
	flush_output();
	_exit(status);
}

/* Reads what is open in a process of its own, to make room for more. */
static void
flush_batch(void)
{
	pid_t pid;
	int how;
	size_t i;

	flush_output();
	pid = fork();
	if (pid == -1)
		fatal("fork: %s", strerror(errno));
	if (pid == 0)
		parse_batch();
	while (waitpid(pid, &how, 0) == -1 && errno == EINTR)
		;
	if (!WIFEXITED(how) || WEXITSTATUS(how) > 1)
		_exit(BROKEN);
	status |= WEXITSTATUS(how);
	for (i = 0; i < nbatch; i++) {
		close(batch[i].fd);
		free(batch[i].path);
	}
	nbatch = 0;
}

static int
is_told(const struct stat *st)
{
	size_t i;

	for (i = 0; i < ntold; i++)
		if (told[i].dev == st->st_dev && told[i].ino == st->st_ino)
			return 1;
	return 0;
}

static void
add_told(dev_t dev, ino_t ino)
{
	told = grow(told, &told_room, ntold, sizeof *told);
	told[ntold++] = (struct identity){ dev, ino };
}

static const char *
kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	case S_IFSOCK:
		return "a socket";
	}
	return "no regular file";
}

/* Opens a path below dir, never leaving the root that is looked at. */
static int
open_in(int dir, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags |
	    O_CLOEXEC), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	if (root_fd == -1)
		return openat(dir, path, flags | O_CLOEXEC);
	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
}

/*
 * Opens for reading what an O_PATH descriptor names: by its link in /proc,
 * so that it cannot be exchanged.  Without /proc, by its name again.
 */
static int
reopen(int dir, const char *path, int fd, const struct stat *was)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;
	char name[12];
	int new, tries;

	format(name, sizeof name, "%d", fd);
	for (tries = 0; tries < 50; tries++) {
		if (self_fds != -1) {
			new = openat(self_fds, name, flags | O_NOATIME);
			if (new == -1 && errno == EPERM)
				new = openat(self_fds, name, flags);
		} else {
			new = open_in(dir, path, flags);
		}
		if (new != -1 || errno != EAGAIN)
			break;
		/* A lease: its holder has been asked to give it up. */
		poll(NULL, 0, 20);
	}
	if (new != -1 && (fstat(new, &st) == -1 || st.st_dev != was->st_dev ||
	    st.st_ino != was->st_ino)) {
		close(new);
		errno = ESTALE;
		return -1;
	}
	return new;
}

/* Puts a file on the batch.  path is as seen from the root. */
static void
add_file(int dir, const char *name, const char *path,
    const struct format *f, uint32_t uid, int by_owner)
{
	const char *at = root_fd == -1 ? name : path;
	struct stat st;
	int fd, new;

	fd = open_in(dir, at, O_PATH);
	if (fd == -1 && (errno == EMFILE || errno == ENFILE) && nbatch > 0) {
		flush_batch();
		fd = open_in(dir, at, O_PATH);
	}
	if (fd == -1) {
		if (errno != ENOENT && errno != ENOTDIR)
			warning("%s: %s", path, strerror(errno));
		else if (by_owner)
			warning("%s: %s", path, strerror(errno));
		return;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		warning("%s: %s", path, kind_of(st.st_mode));
	} else if (!is_told(&st)) {
		if (nbatch == BATCH)
			flush_batch();
		new = reopen(dir, at, fd, &st);
		if (new == -1 && errno == EMFILE && nbatch > 0) {
			flush_batch();
			new = reopen(dir, at, fd, &st);
		}
		if (new == -1) {
			warning("%s: %s", path, strerror(errno));
		} else {
			add_told(st.st_dev, st.st_ino);
			batch[nbatch] = (struct file){ strdup(path), f, new,
			    st.st_blocks < st.st_size / 512,
			    by_owner ? st.st_uid : uid };
			if (batch[nbatch].path == NULL)
				fatal("%s", strerror(ENOMEM));
			nbatch++;
		}
	}
	close(fd);
}

static int
compare_names(const void *a, const void *b)
{
	char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* The names in a directory that a pattern (null: any) matches, sorted. */
static char **
list_names(int dir, const char *pattern, size_t *count)
{
	size_t room = 0;
	char **names = NULL;
	struct dirent *d;
	DIR *list;

	*count = 0;
	list = fdopendir(dir);
	if (list == NULL) {
		close(dir);
		return NULL;
	}
	while ((d = readdir(list)) != NULL) {
		if (pattern != NULL && !matches(d->d_name, pattern))
			continue;
		names = grow(names, &room, *count, sizeof *names);
		names[*count] = strdup(d->d_name);
		if (names[(*count)++] == NULL)
			fatal("%s", strerror(ENOMEM));
	}
	closedir(list);
	if (*count > 0)
		qsort(names, *count, sizeof *names, compare_names);
	return names;
}

/* "home/dir/name", without the "." and double slashes. */
static char *
join_path(const char *home, const char *dir, const char *name)
{
	size_t size = strlen(home) + strlen(dir) + strlen(name) + 3;
	char *path = malloc(size);
	const char *slash = home[strlen(home) - 1] == '/' ? "" : "/";

	if (path == NULL)
		fatal("%s", strerror(ENOMEM));
	if (strcmp(dir, ".") == 0)
		format(path, size, "%s%s%s", home, slash, name);
	else
		format(path, size, "%s%s%s/%s", home, slash, dir, name);
	return path;
}

/* Opens what a place names in a home. */
static void
add_place(int home, const struct user *u, const struct place *p)
{
	const struct format *f = p->format == NULL ? NULL :
	    find_format(p->format);
	char *path, **names;
	size_t i, count;
	int dir = home;

	if (*p->name != '*') {
		path = join_path(u->home, p->dir, p->name);
		if (strcmp(p->dir, ".") == 0) {
			add_file(home, p->name, path, f, u->uid, 0);
		} else {
			char *below = join_path(".", p->dir, p->name);

			add_file(home, below, path, f, u->uid, 0);
			free(below);
		}
		free(path);
		return;
	}
	path = join_path(u->home, p->dir, "");
	dir = open_in(home, root_fd == -1 ? p->dir : path,
	    O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	if (dir == -1 && errno != ENOENT && errno != ENOTDIR)
		warning("%s: %s", path, strerror(errno));
	free(path);
	if (dir == -1)
		return;
	names = list_names(fcntl(dir, F_DUPFD_CLOEXEC, 3), p->name, &count);
	for (i = 0; i < count; i++) {
		path = join_path(u->home, p->dir, names[i]);
		add_file(dir, names[i], path, f, u->uid, 0);
		free(path);
		free(names[i]);
	}
	free(names);
	close(dir);
}

/* Gives up what a child does not need, and its user's identity for good. */
static void
become(const struct user *u, int change)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2];
	const struct rlimit no_core = { 0, 0 };
	gid_t gid = u->gid;

	setrlimit(RLIMIT_CORE, &no_core);
	if (change && (setgroups(1, &gid) == -1 ||
	    setresgid(gid, gid, gid) == -1 ||
	    setresuid(u->uid, u->uid, u->uid) == -1))
		fatal("%s: cannot become the user: %s", u->name,
		    strerror(errno));
	memset(none, 0, sizeof none);
	if (change && syscall(SYS_capset, &head, none) == -1)
		fatal("capset: %s", strerror(errno));
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Enters the root of -r, for good where that is allowed. */
static void
enter_root(void)
{
	self_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root == NULL)
		return;
	if (geteuid() == 0 && chroot(root) == 0 && chdir("/") == 0)
		return;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd == -1)
		fatal("%s: %s", root, strerror(errno));
}

/* Tells the parent which files are open, and nothing later. */
static void
report_told(int to, size_t before)
{
	size_t n = (ntold - before) * sizeof *told;

	if (n > 0 && write(to, told + before, n) == -1)
		warning("pipe: %s", strerror(errno));
	close(to);
}

/* The format that a file's name tells, or null. */
static const struct format *
name_format(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t i;

	name = name == NULL ? path : name + 1;
	for (i = 0; i < NPLACES; i++)
		if (matches(name, places[i].name))
			return places[i].format == NULL ? NULL :
			    find_format(places[i].format);
	return NULL;
}

static void
add_operands(char **operands)
{
	struct stat st;

	for (; *operands != NULL; operands++) {
		if (strcmp(*operands, "-") != 0) {
			add_file(AT_FDCWD, *operands, *operands,
			    forced != NULL ? forced : name_format(*operands),
			    0, 1);
			continue;
		}
		if (fstat(STDIN_FILENO, &st) == -1)
			st.st_uid = getuid();
		if (nbatch == BATCH)
			flush_batch();
		batch[nbatch++] = (struct file){ strdup("-"), forced,
		    STDIN_FILENO, 0, st.st_uid };
	}
}

/* Whether -u lets a user through. */
static int
is_wanted(const char *name, uint32_t uid)
{
	char number[12];
	size_t i;
	int found = nwanted == 0;

	format(number, sizeof number, "%u", uid);
	for (i = 0; i < nwanted; i++)
		if ((*name != '\0' && strcmp(wanted[i].name, name) == 0) ||
		    strcmp(wanted[i].name, number) == 0) {
			wanted[i].met = 1;
			found = 1;
		}
	return found;
}

/*
 * Finds out whose an unclaimed home is.  It is not followed where it is a
 * link: that leads to somebody else's, who is told already.
 */
static void
claim_orphan(struct user *u)
{
	struct stat st;
	int fd;

	fd = open_in(AT_FDCWD, u->home, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	if (fd == -1 || fstat(fd, &st) == -1) {
		if (fd == -1 && errno != ENOENT && errno != ENOTDIR &&
		    errno != ELOOP)
			warning("%s: %s", u->home, strerror(errno));
		_exit(status);
	}
	close(fd);
	u->uid = st.st_uid;
	u->gid = st.st_gid;
	if (!is_wanted("", u->uid))
		_exit(0);
}

static void
add_home(const struct user *u)
{
	size_t i;
	int home;

	home = open_in(AT_FDCWD, u->home, O_PATH | O_DIRECTORY);
	if (home == -1) {
		if (errno != ENOENT && errno != ENOTDIR)
			warning("%s: %s", u->home, strerror(errno));
		return;
	}
	for (i = 0; i < NPLACES; i++)
		if (aflag || !places[i].all)
			add_place(home, u, &places[i]);
	close(home);
}

/* What a child does for a user, or (u null) for the operands. */
static _Noreturn void
child(const struct user *user, char **operands, int told_pipe)
{
	struct user u = { "", "/", 0, 0, 0 };
	size_t before = ntold;

	if (user == NULL) {
		self_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY |
		    O_CLOEXEC);
		current_user = "";
		add_operands(operands);
		become(&u, 0);
	} else {
		u = *user;
		current_user = u.name;
		enter_root();
		if (u.orphan)
			claim_orphan(&u);
		become(&u, geteuid() == 0);
		add_home(&u);
	}
	report_told(told_pipe, before);
	if (user != NULL && user->orphan)
		status |= MATCHED;
	parse_batch();
}

/* The parent */

/* The milliseconds of a clock that nobody sets. */
static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * Prints the whole rows at the start of b and keeps the rest.  Returns -1
 * where a child that its input broke wrote what no row can hold.
 */
static int
forward_rows(struct bytes *b)
{
	char *last = memrchr(b->s, '\n', b->len);
	size_t n;

	if (last == NULL)
		return b->len > (size_t)5 * COMMAND_MAX ? -1 : 0;
	n = (size_t)(last - b->s) + 1;
	if (!is_safe(b->s, n))
		return -1;
	put_raw(b->s, n);
	memmove(b->s, b->s + n, b->len -= n);
	return 0;
}

/* Reads what has come through a pipe; 0 at its end. */
static ssize_t
receive(int fd, struct bytes *b)
{
	ssize_t n;

	reserve(b, 256 << 10);
	do
		n = read(fd, b->s + b->len, b->room - b->len);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		b->len += (size_t)n;
	return n;
}

/*
 * Takes a child's rows until it closes the pipe.  Returns null, or why its
 * rows are lost.
 */
static const char *
take_rows(int rows, int told_pipe)
{
	static struct bytes b;
	struct bytes t = { 0 };
	struct pollfd p[2] = { { rows, POLLIN, 0 }, { told_pipe, POLLIN, 0 } };
	const char *why = NULL;
	int ready;

	b.len = 0;
	while (p[0].fd != -1 && why == NULL) {
		ready = poll(p, 2, SILENCE_MAX);
		if (ready == -1 && errno == EINTR)
			continue;
		if (ready <= 0) {
			why = "no sign of life for 10 seconds";
			break;
		}
		if (p[1].revents != 0 && receive(told_pipe, &t) <= 0)
			p[1].fd = -1;
		if (p[0].revents != 0) {
			if (receive(rows, &b) <= 0)
				p[0].fd = -1;
			else if (forward_rows(&b) == -1)
				why = "wrote what is no row";
		}
	}
	if (why == NULL && p[1].fd != -1)
		while (receive(told_pipe, &t) > 0)
			;
	if (t.len >= sizeof *told) {
		size_t i;
		struct identity id;

		for (i = 0; i + sizeof id <= t.len; i += sizeof id) {
			memcpy(&id, t.s + i, sizeof id);
			add_told(id.dev, id.ino);
		}
	}
	free(t.s);
	return why;
}

/* Waits for a child that has closed its pipe, never for ever. */
static const char *
reap(pid_t pid, int *how)
{
	struct pollfd p = { -1, POLLIN, 0 };
	int64_t end = now() + SILENCE_MAX;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	while (waitpid(pid, how, WNOHANG) != pid) {
		if (now() >= end)
			break;
		(void)poll(&p, 1, p.fd == -1 ? 1 : SILENCE_MAX);
	}
	if (p.fd != -1)
		close(p.fd);
	return now() >= end ? "no sign of life for 10 seconds" : NULL;
}

static void
run_child(const struct user *u, char **operands)
{
	int rows[2], told_pipe[2], how = 0;
	const char *why;
	pid_t pid;

	flush_output();
	if (pipe2(rows, O_CLOEXEC) == -1 || pipe2(told_pipe, O_CLOEXEC) == -1)
		fatal("pipe: %s", strerror(errno));
	(void)fcntl(rows[0], F_SETPIPE_SZ, 256 << 10);
	pid = fork();
	if (pid == -1)
		fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		/* Not the operands' child: it may read the terminal. */
		if (u != NULL)
			setpgid(0, 0);
		if (dup2(rows[1], STDOUT_FILENO) == -1)
			fatal("dup2: %s", strerror(errno));
		close(rows[0]);
		close(rows[1]);
		close(told_pipe[0]);
		child(u, operands, told_pipe[1]);
	}
	close(rows[1]);
	close(told_pipe[1]);
	why = take_rows(rows[0], told_pipe[0]);
	close(rows[0]);
	close(told_pipe[0]);
	if (why == NULL)
		why = reap(pid, &how);
	if (why != NULL) {
		if (u != NULL)
			kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		(void)waitpid(pid, &how, WNOHANG);
	} else if (!WIFEXITED(how) || (WEXITSTATUS(how) & ~MATCHED) > 1) {
		why = WIFSIGNALED(how) ? strsignal(WTERMSIG(how)) : "failed";
	} else {
		status |= WEXITSTATUS(how) & 1;
		if ((WEXITSTATUS(how) & MATCHED) != 0)
			wanted_orphan = 1;
	}
	if (why != NULL)
		warning("%s: rows are lost: %s",
		    u == NULL ? "operands" : u->home, why);
}

/* Users */

/*
 * Parses "name:password:uid:gid:gecos:home:shell" in place.  Returns -1
 * where it is malformed: fewer fields, a uid that is no number of at most
 * 4294967294, a home that is not absolute, "+" and "-" of NIS.
 */
static int
parse_passwd(char *s, size_t n, struct user *u)
{
	char *field[7];
	uint64_t uid, gid;
	size_t i, count = 0;

	field[count++] = s;
	for (i = 0; i < n; i++)
		if (s[i] == ':' && count < 7) {
			s[i] = '\0';
			field[count++] = s + i + 1;
		} else if (s[i] == '\0') {
			return -1;
		}
	if (count < 7 || *field[0] == '\0' || *field[0] == '+' ||
	    *field[0] == '-' || *field[5] != '/' ||
	    parse_number(field[2], strlen(field[2]), 10, UINT32_MAX - 1,
	    &uid) == -1 || parse_number(field[3], strlen(field[3]), 10,
	    UINT32_MAX - 1, &gid) == -1)
		return -1;
	*u = (struct user){ field[0], field[5], (uint32_t)uid, (uint32_t)gid,
	    0 };
	return 0;
}

static char **claimed;
static size_t nclaimed, claimed_room;

static void
claim_home(const char *home)
{
	size_t len = strlen(home);

	while (len > 1 && home[len - 1] == '/')
		len--;
	claimed = grow(claimed, &claimed_room, nclaimed, sizeof *claimed);
	claimed[nclaimed] = strndup(home, len);
	if (claimed[nclaimed++] == NULL)
		fatal("%s", strerror(ENOMEM));
}

/* Opens a path below the root for the parent, a link to outside never. */
static int
open_system(const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags |
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
	    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int dir, fd, saved;

	if (root == NULL)
		return open(path, (int)how.flags);
	dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1)
		return -1;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
	if (fd == -1 && errno == ENOSYS)	/* before Linux 5.6 */
		fd = openat(dir, path + 1, (int)how.flags | O_NOFOLLOW);
	saved = errno;
	close(dir);
	errno = saved;
	return fd;
}

/* Runs every user of a passwd list.  Returns -1 where it cannot be read. */
static int
run_passwd(int fd, const char *name)
{
	struct reader r = { .fd = fd, .max = 65536 };
	struct user u;
	char *line, copy[65537];
	ptrdiff_t n;

	while ((n = read_line(&r, '\n', &line)) != -1) {
		if (n == 0 || *line == '#')
			continue;
		memcpy(copy, line, (size_t)n);
		copy[n] = '\0';
		if (r.cut || parse_passwd(copy, (size_t)n, &u) == -1) {
			count_warning("line", name, "malformed");
			continue;
		}
		claim_home(u.home);
		if (is_wanted(u.name, u.uid))
			run_child(&u, NULL);
	}
	if (r.error != 0)
		warning("%s: %s", name, strerror(r.error));
	n = r.error;
	reader_free(&r);
	return n != 0 ? -1 : 0;
}

/* Runs a home for its owner, unless a user claims it. */
static void
run_orphan(const char *home)
{
	struct user u = { "", home, 0, 0, 1 };
	size_t i;

	if (nclaimed > 0 && bsearch(&home, claimed, nclaimed,
	    sizeof *claimed, compare_names) != NULL)
		return;
	wanted_orphan = 0;
	run_child(&u, NULL);
	for (i = 0; i < nwanted && wanted_orphan; i++)
		if (digits(wanted[i].name, strlen(wanted[i].name)) > 0)
			wanted[i].met = 1;
}

/* The homes below /home, and /root, that are nobody's. */
static int
run_orphans(void)
{
	char **names, *home;
	size_t i, count;
	int dir;

	if (nclaimed > 0)
		qsort(claimed, nclaimed, sizeof *claimed, compare_names);
	dir = open_system("/home", O_DIRECTORY);
	if (dir != -1) {
		names = list_names(dir, NULL, &count);
		for (i = 0; i < count; i++) {
			if (strcmp(names[i], ".") != 0 &&
			    strcmp(names[i], "..") != 0 &&
			    strcmp(names[i], "lost+found") != 0) {
				home = join_path("/home", ".", names[i]);
				run_orphan(home);
				free(home);
			}
			free(names[i]);
		}
		free(names);
	} else if (errno != ENOENT && errno != ENOTDIR) {
		warning("/home: %s", strerror(errno));
	}
	i = (size_t)open_system("/root", O_PATH | O_DIRECTORY);
	if ((int)i != -1) {
		close((int)i);
		run_orphan("/root");
	}
	return dir != -1 || (int)i != -1;
}

static void
run_users(const char *passwd)
{
	struct stat st;
	int fd, lost;
	size_t i;

	if (passwd == NULL)
		fd = open_system("/etc/passwd", 0);
	else if (strcmp(passwd, "-") == 0)
		fd = STDIN_FILENO;
	else
		fd = open(passwd, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd == -1 && passwd != NULL)
		fatal("%s: %s", passwd, strerror(errno));
	if (fd != -1 && passwd == NULL && (fstat(fd, &st) == -1 ||
	    !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
		errno = EINVAL;
	}
	if (fd == -1)
		warning("%s/etc/passwd: %s", root != NULL ? root : "",
		    strerror(errno));
	lost = fd == -1 || run_passwd(fd, passwd != NULL ? passwd :
	    "passwd") == -1;
	if (!run_orphans() && lost)
		fatal("no users and no homes");
	for (i = 0; i < nwanted; i++)
		if (!wanted[i].met)
			warning("no such user: %s", wanted[i].name);
}

static void
parse_users(char *list)
{
	char *name;

	while ((name = strsep(&list, ",")) != NULL) {
		if (*name == '\0')
			fatal("-u: an empty name");
		wanted = grow(wanted, &wanted_room, nwanted, sizeof *wanted);
		wanted[nwanted++] = (struct wanted){ name, 0 };
	}
}

static void
parse_format(const char *name)
{
	char names[256] = "";
	size_t i, used = 0;

	forced = find_format(name);
	if (forced != NULL)
		return;
	for (i = 0; i < NFORMATS; i++)
		used += format(names + used, sizeof names - used, " %s",
		    formats[i].name);
	fatal("-f: unknown format '%s'; the formats are:%s", name, names);
}

static const char usage[] =
    "usage: shhist [-aHq] [-f format] [-o columns] [-p passwd] [-r root]\n"
    "              [-u user,...] [file ...]\n"
    "       shhist -h | -V\n";

int
main(int argc, char *argv[])
{
	const char *list = NULL, *passwd = NULL;
	int c;

	start("shhist");
	while ((c = getopt(argc, argv, "aHqf:o:p:r:u:hV")) != -1)
		switch (c) {
		case 'a':
			aflag = 1;
			break;
		case 'H':
			hflag = 1;
			break;
		case 'q':
			quiet = 1;
			break;
		case 'f':
			parse_format(optarg);
			break;
		case 'o':
			list = optarg;
			break;
		case 'p':
			passwd = optarg;
			break;
		case 'r':
			root = optarg;
			break;
		case 'u':
			parse_users(optarg);
			break;
		case 'h':
			put_string(usage);
			return finish();
		case 'V':
			put_string("shhist " VERSION "\n");
			return finish();
		default:
			usage_error(usage);
		}
	choose_columns(columns, DEFAULT_COLUMNS, list);
	if (!hflag)
		print_header();
	if (optind < argc)
		run_child(NULL, argv + optind);
	else
		run_users(passwd);
	return finish();
}
