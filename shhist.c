/* SPDX-License-Identifier: ISC */

/*
 * shhist prints one row for every command in the shell histories of every
 * user.
 *
 * Root reads here what any user wrote.  So the parent opens nothing below a
 * home; for each user it forks a child that becomes the user for good, opens
 * the user's files, gives up everything but reading them, and only then
 * parses.  Rows and messages come back through a pipe; the parent checks them
 * byte by byte and prints whole ones.  Nor does it look at /etc/passwd and
 * /home, which may be on a server that is dead: children list the users, and
 * a child that is silent for long is killed and never waited for.
 *
 * From top to bottom: columns, entries, lines of a file, the parsers, formats
 * and places, files told already, the memory of shells, the confined parser,
 * opening files, the child, processes, the parent, users, options, main.
 */

#define _GNU_SOURCE
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>
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
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

enum {
	MAX_COMMAND = 16 << 20,	/* a longer one is cut, with a warning */
	MAX_ROW = 80 << 20,	/* each byte escaped to four, and the rest */
	MAX_MEMORY = 512 << 20,	/* of a parser */
	GROWTH = 16 << 20,	/* bytes that may come while a file is read */
	SIGN_OF_LIFE = 4 << 20,	/* bytes read between two of them */
	SILENCE = 10000,	/* ms after which a child is given up */
	SLICE = 1000,		/* ms of them at once */
	MORE = 200,		/* of them for each process of a user */
	LIFETIME = 600000,	/* ms that a child may keep us busy */
	TICK = 10,		/* ms of times(2), and between tries */
	BATCH = 512,		/* files that a parser holds open at once */
	NAMES = 16384,		/* of a directory that are sorted at once */
	MAX_KNOWN = (1 << 20) - 1,	/* files that are told but once */
	HEAD = 4096,		/* bytes that decide what a file is */
	EPOCH = 9,		/* digits of a time there; "#1" is a comment */
	HELD = 4096,		/* entries of mksh that wait for a change */
	HELD_BYTES = 1 << 20,
	PIPE_BYTES = 1 << 20,
	REFUSED = 3,		/* exit status: may not become, or look */
	NDEFAULT = 4,
};

/* Bytes that grow; never more than MAX_COMMAND of a command. */
struct buffer {
	char *s;
	size_t n, size;
};

struct format {
	const char *name;
	void (*parse)(struct reader *);
	const char *header;	/* what a file begins with */
	const char *stamp;	/* what stands before the digits of a time */
	char more;		/* at its end a line goes on with the next */
	size_t (*decode)(char *, size_t);
};

struct place {
	const char *path;	/* one '*' at most, in its last component */
	const char *format;	/* null: the content tells */
	int clients;		/* only with -a */
};

/* A file that is open, to be parsed. */
struct source {
	int fd, sparse;
	uint64_t uid;
	char *path;
	const struct format *format;
	uint64_t limit;		/* bytes to read; more is no history */
};

/* Who, and where; with -m it is a process, whose home is /proc/PID. */
struct user {
	uint64_t uid, gid;
	char *name, *home;
};

/*
 * What tells one file from another; dev has whom it was told for in its upper
 * half: its owner, or UINT32_MAX for a home of others.
 */
struct identity {
	uint64_t dev, ino;
};

/* One that -u asks for. */
struct wanted {
	const char *name;
	uint64_t uid;
	int number, seen;
};

static int aflag, Hflag, mflag;
static const struct format *fflag;
static int rootfd = -1;		/* with -r, where it cannot be our root */
static int procfd = -1;		/* /proc */
static int topfd = -1;		/* in a root that is closed to the user */
static size_t top;		/* length of its path */
static size_t row_tabs;

/* The entry to print.  What is the same for a whole file is escaped once. */
static struct {
	struct buffer uid, user, file;
	char time[24], duration[24];
	size_t time_length, duration_length;
	const char *command;
	size_t length;
	uint64_t line;
	const char *format;
} entry;

static struct buffer text;	/* the command that is being put together */
static const struct format *format_now;
static const char *path_now;
static uint64_t line_number;
static size_t unheard;		/* bytes read since the last sign of life */
static int told_cut, told_malformed;

static struct identity *known;	/* a hash table of files told already */
static size_t nknown, known_size;

static const struct user *reading;	/* in its child; null: operands */
static char *denied;		/* the first place that may not be opened */
static unsigned long ndenied;
static const struct format *format_next;	/* of the files to open */
static char *names[NAMES];
static struct source sources[BATCH];
static struct identity identities[BATCH];	/* of those to be told once */
static size_t nsources, nidentities;
static int idpipe = -1;

static size_t refused;		/* children that may not */

static struct wanted *wanted;
static size_t nwanted;
static int need_names;
static int passwdfd = -1;	/* with -p */
static struct buffer users;	/* all of them, as send_user writes them */
static size_t owners_end;	/* bytes of it that -m takes names from */

/* Columns */

static void
print_uid(void)
{
	put_raw(entry.uid.s, entry.uid.n);
}

static void
print_time(void)
{
	put_raw(entry.time, entry.time_length);
}

static void
print_command(void)
{
	put_field(entry.command, entry.length);
}

static void
print_file(void)
{
	put_raw(entry.file.s, entry.file.n);
}

static void
print_user(void)
{
	put_raw(entry.user.s, entry.user.n);
}

static void
print_format(void)
{
	put_string(entry.format);
}

static void
print_line(void)
{
	put_number(entry.line);
}

static void
print_duration(void)
{
	put_raw(entry.duration, entry.duration_length);
}

static const struct column columns[] = {
	{ "uid",		print_uid,	0, 0 },
	{ "time",		print_time,	0, 0 },
	{ "command",		print_command,	0, 0 },
	{ "history_file",	print_file,	0, 0 },
	{ "user",		print_user,	1, 0 },
	{ "format",		print_format,	0, 0 },
	{ "line",		print_line,	0, 0 },
	{ "duration",		print_duration,	0, 0 },
	{ NULL,			NULL,		0, 0 },
};

/* Entries */

/* Replaces b by the n bytes at s, escaped. */
static void
set_escaped(struct buffer *b, const char *s, size_t n)
{
	b->s = grow(b->s, &b->size, 4 * n, 1);
	b->n = escape(b->s, s, n);
}

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

/* The length of the number that s begins with: digits, and a sign or none. */
static size_t
number_length(const char *s, size_t n)
{
	size_t sign = n > 0 && *s == '-';

	return sign + digits(s + sign, n - sign);
}

/*
 * Writes a number of n bytes ("-5", "0017") to dst as it is printed, "0"
 * where it has no digits or needs more than 64 bits.  Nearly all have few
 * digits, and are copied without being computed.
 */
static size_t
copy_number(char dst[24], const char *s, size_t n)
{
	size_t sign = n > 0 && *s == '-';
	uint64_t value;

	for (s += sign, n -= sign; n > 1 && *s == '0'; n--)
		s++;
	if (n == 0 || *s == '0' || n > 19 || (n == 19 &&
	    parse_number(s, n, 10, INT64_MAX + sign, &value) == -1)) {
		*dst = '0';
		return 1;
	}
	*dst = '-';
	memcpy(dst + sign, s, n);
	return sign + n;
}

static void
set_time(const char *s, size_t n)
{
	entry.time_length = copy_number(entry.time, s, n);
}

/* Prints the entry with this command; the next one has no time. */
static void
emit(const char *command, size_t n)
{
	if (n > 0) {
		entry.command = command;
		entry.length = n;
		print_row();
	}
	entry.time[0] = '0';
	entry.time_length = 1;
	entry.duration_length = 0;
	text.n = 0;
}

/*
 * In a child: sends a message among the rows, behind a NUL.  write(2) is
 * asked itself, for a flush that fails would end here again.
 */
static void
relay_message(const char *line, size_t n)
{
	flush_output();
	if (write(STDOUT_FILENO, "", 1) == -1 ||
	    write(STDOUT_FILENO, line, n) == -1)
		_exit(2);
}

/* An empty message tells the parent that we live, where rows are rare. */
static void
show_life(size_t n)
{
	unheard += n;
	if (unheard < SIGN_OF_LIFE)
		return;
	unheard = 0;
	relay_message("\n", 1);
}

static _Noreturn void
fatal_errno(const char *what)
{
	fatal("%s: %s", what, strerror(errno));
}

static char *
copy_string(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		fatal_errno("strdup");
	return copy;
}

static void
tell_errno(const char *what)
{
	warning("%s: %s", what, strerror(errno));
}

/*
 * Tells why a place could not be opened: an operand at once, those that the
 * user may not open once a home.
 */
static void
tell_unopened(const char *path)
{
	if (errno != EACCES || reading == NULL) {
		tell_errno(path);
		return;
	}
	status = 1;
	if (ndenied++ == 0)
		denied = copy_string(path);
}

static void
tell_denied(void)
{
	errno = EACCES;
	if (ndenied == 1)
		tell_errno(denied);
	else if (ndenied > 1)
		warning("%lu places: %s: %s", ndenied, reading->home,
		    strerror(errno));
}

/* What is not there, or has ended since, is no error. */
static int
is_missing(void)
{
	return errno == ENOENT || errno == ENOTDIR || errno == ESRCH;
}

static void
tell_unless_missing(const char *path)
{
	if (!is_missing())
		tell_unopened(path);
}

/* Lines of a file */

static void
tell_cut(void)
{
	if (!told_cut)
		warning("%s: line %lu: command longer than 16 MiB is cut",
		    path_now, (unsigned long)line_number);
	told_cut = 1;
}

static void
tell_malformed(void)
{
	if (!told_malformed)
		warning("%s: line %lu: malformed entry", path_now,
		    (unsigned long)line_number);
	told_malformed = 1;
}

static ptrdiff_t
next_line(struct reader *r, int delim, char **line)
{
	ptrdiff_t n = read_line(r, delim, line);

	if (n == -1)
		return -1;
	line_number++;
	if (r->cut)
		tell_cut();
	return n;
}

/* The next byte, or -1 at the end: binary formats are not lines. */
static int
next_byte(struct reader *r)
{
	if (read_ahead(r, 1) == 0)
		return -1;
	return (unsigned char)r->buf[r->start++];
}

/* Whether the file begins with these bytes; uses them up if so. */
static int
skip_magic(struct reader *r, const char *magic)
{
	size_t len = strlen(magic);

	if (read_ahead(r, len) < len ||
	    memcmp(r->buf + r->start, magic, len) != 0)
		return 0;
	r->start += len;
	return 1;
}

/* Adds n bytes to the command, as far as it may grow. */
static void
add(const char *s, size_t n)
{
	if (n > MAX_COMMAND - text.n) {
		n = MAX_COMMAND - text.n;
		tell_cut();
	}
	if (text.n + n >= text.size)
		text.s = grow(text.s, &text.size, text.n + n, 1);
	if (n > 0)
		memcpy(text.s + text.n, s, n);
	text.n += n;
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

/* The line is prefix and digits and nothing else. */
static int
is_stamp(const char *s, size_t n, const char *prefix)
{
	for (; *prefix != '\0'; prefix++, s++, n--)
		if (n == 0 || *s != *prefix)
			return 0;
	return n > 0 && digits(s, n) == n;
}

/*
 * Puts a line and those it goes on with together: where more stands at the
 * end of one, it is replaced by a newline.
 */
static void
join_lines(struct reader *r, char *line, size_t n, char more)
{
	ptrdiff_t got;

	text.n = 0;
	while (r->ended && n > 0 && line[n - 1] == more) {
		add(line, n - 1);
		got = next_line(r, '\n', &line);
		if (got == -1)
			return;
		add("\n", 1);
		n = (size_t)got;
	}
	add(line, n);
}

/* Parsers */

/* A line an entry, with the stamps, joins and escapes of the format. */
static void
parse_lines(struct reader *r)
{
	const struct format *f = format_now;
	char *line;
	ptrdiff_t got;
	size_t n;

	while ((got = next_line(r, '\n', &line)) != -1) {
		n = (size_t)got;
		if (f->stamp != NULL && is_stamp(line, n, f->stamp)) {
			set_time(line + strlen(f->stamp),
			    n - strlen(f->stamp));
			continue;
		}
		entry.line = line_number;
		if (f->more != '\0') {
			join_lines(r, line, n, f->more);
			line = text.s;
			n = text.n;
		}
		if (f->decode != NULL)
			n = f->decode(line, n);
		emit(line, n);
	}
}

/*
 * Bash takes a file that begins with a stamp to have one before every entry,
 * so that lines without one belong to the entry before them.
 */
static void
parse_bash(struct reader *r)
{
	int stamped = 0;
	char *line;
	ptrdiff_t got;
	size_t n;

	while ((got = next_line(r, '\n', &line)) != -1) {
		n = (size_t)got;
		if (r->ended && n > 0 && line[n - 1] == '\r')
			n--;
		if (is_stamp(line, n, format_now->stamp)) {
			if (text.n > 0)
				emit(text.s, text.n);
			set_time(line + 1, n - 1);
			stamped |= line_number == 1;
		} else if (n > 0 && !stamped) {
			entry.line = line_number;
			emit(line, n);
		} else if (n > 0) {
			if (text.n == 0)
				entry.line = line_number;
			else
				add("\n", 1);
			add(line, n);
		}
	}
	emit(text.s, text.n);
}

/*
 * Tcsh writes a newline in a command behind a backslash, whatever is before
 * that, and a stamp before every entry: so a line that ends in a backslash
 * goes on unless a stamp follows.
 */
static void
parse_tcsh(struct reader *r)
{
	int more = 0;	/* the line before ends in a backslash */
	char *line;
	ptrdiff_t got;

	for (; (got = next_line(r, '\n', &line)) != -1;
	    more = r->ended && got > 0 && line[got - 1] == '\\') {
		if (is_stamp(line, (size_t)got, format_now->stamp)) {
			if (text.n > 0)
				emit(text.s, text.n);
			set_time(line + 2, (size_t)got - 2);
			continue;
		}
		if (more) {
			add("\n", 1);
		} else {
			if (text.n > 0)
				emit(text.s, text.n);
			entry.line = line_number;
		}
		add(line, (size_t)got);
	}
	emit(text.s, text.n);
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

/*
 * Takes ": START:SECONDS;" from the beginning of an entry; returns its
 * length, 0 where it has none.  Not fewer seconds than START are the end
 * (zsh 5.9 reads them so).
 */
static size_t
zsh_prefix(const char *s, size_t n)
{
	size_t i = 1, start, len;
	uint64_t began, ended;

	if (n == 0 || *s != ':')
		return 0;
	while (i < n && s[i] == ' ')
		i++;
	start = i;
	i += i < n && s[i] == '-';
	len = digits(s + i, n - i);
	i += len;
	if (len == 0 || i >= n || s[i] != ':')
		return 0;
	len = ++i;
	if (i < n && s[i] == '-' && i + 1 < n && is_digit(s[i + 1]))
		i++;
	i += digits(s + i, n - i);
	if (i >= n || s[i] != ';')
		return 0;
	set_time(s + start, len - 1 - start);
	if (parse_number(s + start, len - 1 - start, 10, UINT64_MAX,
	    &began) == 0 && began > 0 && parse_number(s + len, i - len, 10,
	    UINT64_MAX, &ended) == 0 && ended >= began)
		entry.duration_length = format(entry.duration,
		    sizeof entry.duration, "%llu",
		    (unsigned long long)(ended - began));
	else if (i > len)
		entry.duration_length = copy_number(entry.duration, s + len,
		    i - len);
	return i + 1;
}

static void
parse_zsh(struct reader *r)
{
	char *line;
	ptrdiff_t got;
	size_t n, skip, end;

	while ((got = next_line(r, '\n', &line)) != -1) {
		entry.line = line_number;
		join_lines(r, line, (size_t)got, '\\');
		n = unmetafy(text.s, text.n);
		skip = zsh_prefix(text.s, n);
		if (skip == 0)
			skip = starts(text.s, n, "\\:") ? 1 : 0;
		/* "\ " at the end was written with one more blank. */
		for (end = n; end > skip && text.s[end - 1] == ' '; end--)
			;
		n -= end < n && end > skip && text.s[end - 1] == '\\';
		emit(text.s + skip, n - skip);
	}
}

static size_t
decode_fish(char *s, size_t n)
{
	size_t i, used = 0;

	for (i = 0; i < n; i++) {
		if (s[i] == '\\' && i + 1 < n && s[i + 1] == '\\')
			i++;
		else if (s[i] == '\\' && i + 1 < n && s[i + 1] == 'n')
			s[++i] = '\n';
		s[used++] = s[i];
	}
	return used;
}

/* Whether fish 1.x wrote the file: stamps and lines, no YAML. */
static int
is_old_fish(struct reader *r)
{
	size_t n = read_ahead(r, HEAD);

	return is_stamp(r->buf + r->start, line_length(r->buf + r->start, n),
	    format_now->stamp);
}

static void
parse_fish(struct reader *r)
{
	static const struct format old = { .stamp = "# ", .more = '\\' };
	char *line;
	ptrdiff_t got;
	size_t n, skip;

	if (is_old_fish(r)) {
		format_now = &old;
		parse_lines(r);
		return;
	}
	while ((got = next_line(r, '\n', &line)) != -1) {
		n = (size_t)got;
		if (starts(line, n, "- cmd:")) {
			emit(text.s, text.n);
			entry.line = line_number;
			skip = n > 6 && line[6] == ' ' ? 7 : 6;
			add(line + skip, decode_fish(line + skip, n - skip));
			continue;
		}
		for (skip = 0; skip < n && line[skip] == ' '; skip++)
			;
		if (skip > 0 && starts(line + skip, n - skip, "when:")) {
			for (skip += 5; skip < n && line[skip] == ' '; skip++)
				;
			set_time(line + skip,
			    number_length(line + skip, n - skip));
		}
	}
	emit(text.s, text.n);
}

/*
 * ksh93's file, unless it is text: commands that end in a newline and one or
 * two NULs.  82 00 and four bytes more count commands, 81 00 says that the
 * entry before was undone, and we show it all the same.
 */
static void
parse_ksh(struct reader *r)
{
	uint64_t ordinal = 0;
	char *line;
	ptrdiff_t got;
	int i;

	if (!skip_magic(r, "\x81")) {
		parse_lines(r);
		return;
	}
	(void)next_byte(r);	/* the version */
	while ((got = next_line(r, '\0', &line)) != -1) {
		if (got == 1 && r->ended && (unsigned char)*line == 0x81)
			continue;
		if (got == 1 && r->ended && (unsigned char)*line == 0x82) {
			for (i = 0; i < 4; i++)
				(void)next_byte(r);
			continue;
		}
		got -= got > 0 && line[got - 1] == '\n';
		if (got > 0) {
			entry.line = ++ordinal;
			emit(line, (size_t)got);
		}
	}
}

/*
 * mksh changes an entry by writing its number again.  So the last entries
 * wait, in their order; a change that comes when its entry has been printed
 * is an entry of its own.
 */
static struct {
	uint32_t number;
	uint64_t line;
	const char *s;
	size_t n;
} held[HELD + 1];
static size_t nheld;

/* Copies what is held to the end of text, which has room for it. */
static void
keep(size_t i)
{
	memcpy(text.s + text.n, held[i].s, held[i].n);
	held[i].s = text.s + text.n;
	text.n += held[i].n;
}

/*
 * Prints the first n of those held, and more until the others are short, but
 * not the last one, which may be long.  These go to a new text with room.
 */
static void
release(size_t n)
{
	char *old = text.s;
	size_t i, left = 0;

	for (i = 0; i < nheld; i++)
		left += held[i].n;
	for (i = 0; i < n || (left > HELD_BYTES / 2 && i + 1 < nheld); i++) {
		entry.line = held[i].line;
		entry.command = held[i].s;
		entry.length = held[i].n;
		print_row();
		left -= held[i].n;
	}
	text = (struct buffer){ NULL, 0, 0 };
	text.s = grow(NULL, &text.size, left + HELD_BYTES, 1);
	nheld -= i;
	for (n = 0; n < nheld; n++) {
		held[n] = held[n + i];
		keep(n);
	}
	free(old);
}

static void
hold(uint32_t number, uint64_t line, const char *command, size_t n)
{
	static uint32_t highest;
	size_t i = 0;

	if (nheld == 0)
		highest = 0;
	if (number <= highest)
		for (i = nheld; i > 0 && held[i - 1].number != number; i--)
			;
	else
		highest = number;
	if (i == 0) {
		i = ++nheld;
		held[i - 1].line = line;
	}
	held[i - 1].number = number;
	held[i - 1].s = command;
	held[i - 1].n = n;
	if (nheld > HELD || text.n + n > HELD_BYTES)
		release(nheld > HELD ? HELD / 2 : 0);
	else
		keep(i - 1);
}

static void
parse_mksh(struct reader *r)
{
	uint64_t ordinal = 0;
	uint32_t number;
	ptrdiff_t got;
	char *line;
	int c, i;

	if (!skip_magic(r, format_now->header)) {
		parse_lines(r);
		return;
	}
	release(0);
	while ((c = next_byte(r)) != -1) {
		if (c != 0xff) {
			tell_malformed();
			continue;
		}
		number = 0;
		for (i = 0; i < 4; i++)
			number = number << 8 | (uint32_t)(next_byte(r) & 0xff);
		got = next_line(r, '\0', &line);
		if (got > 0)
			hold(number, ++ordinal, line, (size_t)got);
		/* What is left of it would be taken for entries. */
		while (r->cut)
			r->cut = next_byte(r) > 0;
	}
	release(nheld);
}

/*
 * HEXNUMBER:HEXTIME command, or without a time.  "c" and "d" take entries
 * back, which we show all the same; "p" tells of a shell.
 */
static void
parse_yash(struct reader *r)
{
	uint64_t number, when;
	size_t n, colon, blank;
	ptrdiff_t got;
	char *line, *p;

	while ((got = next_line(r, '\n', &line)) != -1) {
		n = (size_t)got;
		if (n == 0 || memchr("cdp#", *line, 4) != NULL)
			continue;
		p = memchr(line, ' ', n);
		blank = p == NULL ? n : (size_t)(p - line);
		p = memchr(line, ':', blank);
		colon = p == NULL ? blank : (size_t)(p - line);
		if (parse_number(line, colon, 16, UINT64_MAX, &number) == -1) {
			tell_malformed();
			continue;
		}
		if (colon == blank || parse_number(line + colon + 1,
		    blank - colon - 1, 16, INT64_MAX, &when) == -1)
			when = 0;
		entry.line = line_number;
		entry.time_length = format(entry.time, sizeof entry.time,
		    "%llu", (unsigned long long)when);
		emit(line + blank + 1, blank < n ? n - blank - 1 : 0);
	}
}

static size_t
decode_psql(char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] == '\001')
			s[i] = '\n';
	return n;
}

/* nushell writes a newline as "<\n>". */
static size_t
decode_nushell(char *s, size_t n)
{
	size_t i, used = 0;

	for (i = 0; i < n; i++)
		if (starts(s + i, n - i, "<\\n>")) {
			s[used++] = '\n';
			i += 3;
		} else
			s[used++] = s[i];
	return used;
}

static int
is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
	    s[2] >= '0' && s[2] <= '7';
}

static size_t
decode_mysql(char *s, size_t n)
{
	size_t i, used = 0;

	for (i = 0; i < n; i++)
		if (s[i] == '\\' && n - i > 3 && is_octal(s + i + 1)) {
			s[used++] = (char)((s[i + 1] - '0') << 6 |
			    (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
			i += 3;
		} else
			s[used++] = s[i];
	return used;
}

/* libedit's lines, escaped below its header; without that, as bare has it. */
static void
parse_edit(struct reader *r, const struct format *bare)
{
	if (!skip_magic(r, format_now->header))
		format_now = bare;
	parse_lines(r);
}

static void
parse_mysql(struct reader *r)
{
	static const struct format bare = { .name = "mysql" };

	parse_edit(r, &bare);
}

static size_t
decode_psql_edit(char *s, size_t n)
{
	return decode_psql(s, decode_mysql(s, n));
}

static void
parse_psql(struct reader *r)
{
	static const struct format bare = { .decode = decode_psql };

	parse_edit(r, &bare);
}

static size_t
/* cppcheck-suppress constParameter ; as decode has it */
cut_newlines(char *s, size_t n)
{
	while (n > 0 && s[n - 1] == '\n')
		n--;
	return n;
}

/*
 * Without libedit Python has newlines behind a CR, since 3.13, and cuts those
 * at the end.
 */
static void
parse_python(struct reader *r)
{
	static const struct format bare = {
		.more = '\r', .decode = cut_newlines
	};

	parse_edit(r, &bare);
}

static void
parse_less(struct reader *r)
{
	int commands = 0;
	ptrdiff_t n;
	char *line;

	while ((n = next_line(r, '\n', &line)) != -1) {
		if (n > 0 && *line == '.')
			commands = starts(line, (size_t)n, ".search") ||
			    starts(line, (size_t)n, ".shell");
		else if (n > 0 && *line == '"' && commands) {
			entry.line = line_number;
			emit(line + 1, (size_t)n - 1);
		}
	}
}

/* Vim writes a newline as ^V n and ^V itself twice. */
static size_t
decode_vim(char *s, size_t n)
{
	size_t i, used = 0;

	for (i = 0; i < n; i++) {
		if (s[i] == '\026' && i + 1 < n && s[i + 1] == 'n')
			s[++i] = '\n';
		else if (s[i] == '\026' && i + 1 < n && s[i + 1] == '\026')
			i++;
		s[used++] = s[i];
	}
	return used;
}

static void
parse_vim(struct reader *r)
{
	ptrdiff_t got;
	size_t n;
	char *line;
	int apart = 0;	/* a long command is on a line of its own */

	while ((got = next_line(r, '\n', &line)) != -1) {
		n = (size_t)got;
		if (n > 0 && *line == ':') {
			emit(text.s, text.n);
			entry.line = line_number;
			apart = is_stamp(line + 1, n - 1, "\026");
			if (!apart)
				add(line + 1, decode_vim(line + 1, n - 1));
		} else if (apart && n > 0 && *line == '<') {
			add(line + 1, decode_vim(line + 1, n - 1));
			apart = 0;
		} else if (text.n > 0 && starts(line, n, "|2,0,")) {
			set_time(line + 5, number_length(line + 5, n - 5));
			emit(text.s, text.n);
		}
	}
	emit(text.s, text.n);
}

/* Formats and places */

static const struct format formats[] = {
	{ "bash",	parse_bash,	NULL,		"#",	'\0',	NULL },
	{ "zsh",	parse_zsh,	NULL,		NULL,	'\0',	NULL },
	{ "fish",	parse_fish,	"- cmd:",	"# ",	'\0',	NULL },
	{ "tcsh",	parse_tcsh,	NULL,		"#+",	'\0',	NULL },
	{ "ksh",	parse_ksh,	NULL,		NULL,	'\0',	NULL },
	{ "mksh",	parse_mksh,	"\xab\xcd",	NULL,	'\0',	NULL },
	{ "plain",	parse_lines,	NULL,		NULL,	'\0',	NULL },
	{ "nushell",	parse_lines,	NULL,		NULL,	'\0',
	    decode_nushell },
	{ "powershell",	parse_lines,	NULL,		NULL,	'`',	NULL },
	{ "yash",	parse_yash,	"#$# yash history",
	    NULL,	'\0',	NULL },
	{ "mysql",	parse_mysql,	"_HiStOrY_V2_",	NULL,	'\0',
	    decode_mysql },
	{ "psql",	parse_psql,	"_HiStOrY_V2_",	NULL,	'\0',
	    decode_psql_edit },
	{ "python",	parse_python,	"_HiStOrY_V2_",	NULL,	'\0',
	    decode_mysql },
	{ "irb",	parse_lines,	NULL,		NULL,	'\\',	NULL },
	{ "less",	parse_less,	".less-history-file",
	    NULL,	'\0',	NULL },
	{ "vim",	parse_vim,	"# This viminfo file",
	    NULL,	'\0',	NULL },
	{ NULL,		NULL,		NULL,		NULL,	'\0',	NULL },
};

/* Databases and the like: where one is, the answer is not whole. */
static const char unread[] = "unread";

static const struct place places[] = {
	{ ".bash_history",			"bash",		0 },
	{ ".bash_sessions/*.history",		"bash",		0 },
	{ ".zsh_history",			"zsh",		0 },
	{ ".zhistory",				"zsh",		0 },
	{ ".histfile",				"zsh",		0 },
	{ ".zsh_sessions/*.history",		"zsh",		0 },
	{ ".history",				NULL,		0 },
	{ ".sh_history",			NULL,		0 },
	{ ".ash_history",			"plain",	0 },
	{ ".hush_history",			"plain",	0 },
	{ ".mksh_history",			"mksh",		0 },
	{ ".yash_history",			"yash",		0 },
	{ ".local/share/fish/*_history",	"fish",		0 },
	{ ".config/fish/*_history",		"fish",		0 },
	{ ".config/nushell/history.txt",	"nushell",	0 },
	{ ".local/share/powershell/PSReadLine/*_history.txt",
						"powershell",	0 },
	{ ".config/nushell/history.sqlite3",	unread,		0 },
	{ ".local/share/atuin/history.db",	unread,		0 },
	{ ".local/share/xonsh/history_json",	unread,		0 },
	{ ".local/state/elvish/db.bolt",	unread,		0 },
	{ ".python_history",			"python",	1 },
	{ ".mysql_history",			"mysql",	1 },
	{ ".mariadb_history",			"mysql",	1 },
	{ ".psql_history",			"psql",		1 },
	{ ".sqlite_history",			"plain",	1 },
	{ ".rediscli_history",			"plain",	1 },
	{ ".gdb_history",			"plain",	1 },
	{ ".Rhistory",				"plain",	1 },
	{ ".node_repl_history",			"plain",	1 },
	{ ".irb_history",			"irb",		1 },
	{ ".lesshst",				"less",		1 },
	{ ".viminfo",				"vim",		1 },
	{ NULL,					NULL,		0 },
};

static const struct format *
find_format(const char *name)
{
	const struct format *f;

	for (f = formats; f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

/*
 * What the form of a line tells of its file; null for nothing.  Formats are
 * tried in the order of their table.  One with a header has it, or the stamp,
 * on the first line alone.
 */
static const struct format *
line_format(const char *s, size_t n, int first)
{
	const struct format *f;

	n -= n > 0 && s[n - 1] == '\r';
	for (f = formats; f->name != NULL; f++) {
		if (f->header != NULL && !first)
			continue;
		if (f->header != NULL && starts(s, n, f->header))
			return f;
		if (f->stamp != NULL && n >= strlen(f->stamp) + EPOCH &&
		    is_stamp(s, n, f->stamp))
			return f;
	}
	if (zsh_prefix(s, n) > 0 && entry.time_length >= EPOCH)
		return find_format("zsh");
	return NULL;
}

/* The format that the beginning of a file tells, "plain" where it does not. */
static const struct format *
content_format(struct reader *r)
{
	const struct format *f = NULL;
	int first = 1, cut;
	size_t n, len;
	char *s;

	n = read_ahead(r, HEAD);
	cut = n == HEAD;
	s = r->buf + r->start;
	if (n > 1 && (unsigned char)s[0] == 0x81 && (unsigned char)s[1] < 2)
		return find_format("ksh");
	for (; n > 0 && f == NULL; s += len, n -= len) {
		len = line_length(s, n);
		if (len > 0 && (first || len < n || !cut))
			f = line_format(s, len, first);
		first &= len == 0;
		len += len < n;
	}
	return f == NULL ? find_format("plain") : f;
}

static struct reader file_now;	/* its buffer serves one after the other */
static uint64_t may_come;	/* bytes of it */

/* A file that never ends ends here. */
static void
count_bytes(size_t n)
{
	show_life(n);
	if (n > may_come) {
		file_now.eof = 1;
		file_now.error = EFBIG;
	}
	may_come -= n;
}

static void
parse_source(const struct source *s)
{
	struct reader *r = &file_now;
	char uid[24];

	*r = (struct reader){ .fd = s->fd, .max = MAX_COMMAND,
	    .sparse = s->sparse, .progress = count_bytes, .buf = r->buf,
	    .size = r->size };
	may_come = s->limit;
	format_now = s->format;
	path_now = s->path;
	if (format_now == NULL)
		format_now = content_format(r);
	line_number = 0;
	told_cut = told_malformed = 0;
	set_escaped(&entry.uid, uid,
	    format(uid, sizeof uid, "%lu", (unsigned long)s->uid));
	set_escaped(&entry.file, s->path, strlen(s->path));
	entry.format = format_now->name;
	emit("", 0);
	format_now->parse(r);
	errno = r->error;
	if (errno != 0)
		tell_errno(s->path);
}

/* Files told already */

/*
 * Tells the parent which files have their reader now.  Not among the rows:
 * a parser that is broken must not hide the files of others.
 */
static void
send_identities(void)
{
	const size_t n = nidentities * sizeof *identities;

	errno = EIO;	/* if it comes back short */
	if (n > 0 && write(idpipe, identities, n) != (ssize_t)n)
		fatal_errno("pipe");
	nidentities = 0;
}

/* The kernel's own numbers of devices have 32 bits. */
static struct identity
file_identity(uint64_t uid, uint64_t dev, uint64_t ino)
{
	return (struct identity){ uid << 32 | (uint32_t)dev, ino };
}

/*
 * Where a file is among those told, or has its place.  A server of files may
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

	if (factor == 0) {
		memcpy(&factor, (void *)getauxval(AT_RANDOM), sizeof factor);
		factor |= 1;
	}
	key = (id.ino + id.dev * golden) * factor;
	/* Numbers in a row would stand at equal distances, some in runs. */
	key = (key ^ key >> 32) * golden;
	i = (size_t)(key >> __builtin_clzll(known_size - 1));
	for (;; i++) {
		k = &known[i & (known_size - 1)];
		if (k->ino == 0 || (k->ino == id.ino && k->dev == id.dev))
			return k;
	}
}

/*
 * Adds a file to those told; returns 1 where it is one already.  Whoever has
 * more files than we remember has those told again that others share.
 */
static int
already_told(struct identity id)
{
	struct identity *old = known, *k;
	size_t i, old_size = known_size;

	if (2 * nknown >= known_size) {
		known_size = known_size == 0 ? 64 : 2 * known_size;
		known = calloc(known_size, sizeof *known);
		if (known == NULL)
			fatal_errno("calloc");
		for (i = 0; i < old_size; i++)
			if (old[i].ino != 0)
				*find_known(old[i]) = old[i];
		free(old);
	}
	k = find_known(id);
	if (k->ino != 0)
		return 1;
	if (nknown < MAX_KNOWN) {
		*k = id;
		nknown++;
	}
	return 0;
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

struct mapping {
	uint64_t start, end;
	int data;		/* static data of an object in memory */
};

/* A form in which histories are held. */
struct shape {
	/* Whether there seems to be a history at p. */
	int (*fits)(uint64_t p);
	/* Sets entries to those at p, and end_of_list to what identifies it. */
	size_t (*read_list)(uint64_t p);
	/* Makes entry and text those at p; -1 where there is no entry. */
	int (*read_entry)(uint64_t p);
};

/* A history that was found. */
struct list {
	const struct shape *shape;
	uint64_t start, end;
};

/* Of the process that is read. */
static int memfd = -1, mapsfd = -1, pagemapfd = -1;
static size_t wordsize;		/* of its pointers */
static uint64_t bytes_read, may_read;
static int told_limit;

static struct mapping *mappings;	/* private and writable, sorted */
static size_t nmappings, mappings_size;

static char pages[NPAGES][PAGE];
static uint64_t page_address[NPAGES];

static uint64_t *entries;	/* the list that was read last */
static size_t nentries, entries_size;
static uint64_t start_of_list, end_of_list;
static uint64_t newest;		/* number of the last one typed, in zsh */

static void
tell_limit(const char *what)
{
	if (!told_limit)
		warning("%s: more than %s", path_now, what);
	told_limit = 1;
}

/* Whether there are data of the process at an address. */
static int
is_mapped(uint64_t address)
{
	size_t low = 0, high = nmappings, middle;

	if (high == 0 || address < mappings->start)
		return 0;	/* nearly all, at once */
	while (low < high) {
		middle = low + (high - low) / 2;
		if (address < mappings[middle].start)
			high = middle;
		else if (address >= mappings[middle].end)
			low = middle + 1;
		else
			return 1;
	}
	return 0;
}

/* The pages of which is_used knows. */
static uint64_t first_flag, nflags;

/*
 * Whether the process has the page at an address in use.  Any other holds
 * nothing that it made, and to read it would bring it into being.
 */
static int
is_used(uint64_t address)
{
	static uint64_t flags[512];
	uint64_t page = address / (uint64_t)getpagesize();
	ssize_t got;

	if (page - first_flag >= nflags) {
		got = pread(pagemapfd, flags, sizeof flags,
		    (off_t)(page * sizeof *flags));
		if (got < (ssize_t)sizeof *flags)
			return 1;	/* a kernel without pagemap */
		first_flag = page;
		nflags = (uint64_t)got / sizeof *flags;
	}
	return flags[page - first_flag] >> 62 != 0;	/* present, swapped */
}

/* The byte at an address and those that follow in its page, or null. */
static const char *
page_at(uint64_t address)
{
	uint64_t start = address - address % PAGE;
	size_t i = start / PAGE % NPAGES;

	if (start == 0)
		return NULL;
	if (page_address[i] != start) {
		if (!is_mapped(start) || !is_used(start))
			return NULL;
		page_address[i] = 0;
		if (bytes_read >= may_read) {
			tell_limit("1 GiB to be read");
			return NULL;
		}
		bytes_read += PAGE;
		if (pread(memfd, pages[i], PAGE, (off_t)start) != PAGE)
			return NULL;
		page_address[i] = start;
	}
	return pages[i] + address % PAGE;
}

/* From now on memory is as it is now. */
static void
forget_pages(void)
{
	memset(page_address, 0, sizeof page_address);
	nflags = 0;
}

static void
forget_page(uint64_t address)
{
	page_address[address / PAGE % NPAGES] = 0;
}

static int
peek(void *dst, uint64_t address, size_t n)
{
	char *to = dst;
	const char *from;
	size_t part;

	for (; n > 0; n -= part) {
		from = page_at(address);
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

/* The word of the process at an address, 0 where there is none. */
static uint64_t
word_at(uint64_t address)
{
	uint32_t narrow;
	uint64_t wide;

	if (wordsize == sizeof narrow)
		return peek(&narrow, address, wordsize) == 0 ? narrow : 0;
	return peek(&wide, address, wordsize) == 0 ? wide : 0;
}

static int
is_pointer(uint64_t p)
{
	return p % wordsize == 0 && is_mapped(p);
}

/* Puts the string at an address into text; -1 where it has no end. */
static int
read_string(uint64_t address)
{
	const char *s;
	size_t n, len;

	text.n = 0;
	do {
		s = page_at(address);
		if (s == NULL)
			return -1;
		n = PAGE - address % PAGE;
		len = strnlen(s, n);
		if (len > MAX_TYPED - text.n) {
			len = MAX_TYPED - text.n;
			if (!told_cut)
				warning("%s: entry %lu: command longer than "
				    "1 MiB is cut", path_now,
				    (unsigned long)entry.line);
			told_cut = 1;
		}
		add(s, len);
		address += len;
	} while (len == n);
	bytes_read += text.n;
	return 0;
}

/* Whether the n bytes at an address are still what we took them for. */
static int
is_unchanged(uint64_t address, size_t n)
{
	char before[128], now[128];

	return peek(before, address, n) == 0 &&
	    pread(memfd, now, n, (off_t)address) == (ssize_t)n &&
	    memcmp(before, now, n) == 0;
}

/* Reads the beginning of a stamp; returns the number of its digits. */
static size_t
read_stamp(uint64_t address, char stamp[STAMP])
{
	const char *s;
	size_t i;

	memset(stamp, 0, STAMP);
	for (i = 0; i < STAMP - 1; i++) {
		s = page_at(address + i);
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
 * last be younger than the page that we kept.
 */
static int
fits_readline(uint64_t p)
{
	char stamp[STAMP];
	uint64_t e;
	size_t i, n;

	for (i = 0; i < ENOUGH; i++, p += wordsize) {
		e = word_at(p);
		if (!is_pointer(e))
			return 0;
		n = read_stamp(word_at(e + wordsize), stamp);
		if (n >= 9 && n <= 11 && stamp[1 + n] == '\0' &&
		    is_mapped(word_at(e)))
			return 1;
	}
	return 0;
}

static void
add_entry(uint64_t e)
{
	entries = grow(entries, &entries_size, nentries + 1, sizeof *entries);
	entries[nentries++] = e;
}

static size_t
read_array(uint64_t p)
{
	const uint64_t begin = p;
	uint64_t e;

	for (nentries = 0; (e = word_at(p)) != 0; p += wordsize) {
		if (!is_pointer(e))
			return 0;
		if (nentries == MAX_ENTRIES) {
			tell_limit("a million entries");
			break;
		}
		add_entry(e);
	}
	start_of_list = begin;
	end_of_list = p;
	return nentries;
}

/*
 * Whether the array begins behind an entry by now.  That is one of the first:
 * little was typed since the array was read.
 */
static int
is_dropped(uint64_t e)
{
	size_t i, n = nentries;
	uint64_t first;

	if (n > ENOUGH)
		n = ENOUGH;
	for (i = 0; i < n && entries[i] != e; i++)
		;
	if (i == n)
		return 0;
	forget_page(start_of_list);
	first = word_at(start_of_list);
	if (first == e)
		return 0;
	while (++i < n && entries[i] != first)
		;
	return i < n;
}

static int
read_readline(uint64_t p)
{
	char stamp[STAMP];
	size_t n;

	n = read_stamp(word_at(p + wordsize), stamp);
	if (n == 0 || read_string(word_at(p)) == -1 ||
	    !is_unchanged(p, 2 * wordsize) || is_dropped(p))
		return -1;
	set_time(stamp + 1, n);
	entry.format = *stamp == '\0' ? "readline" : "bash";
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
zsh_field(uint64_t e, unsigned field)
{
	uint64_t number = 0;

	if (field != NUMBER)
		return word_at(e + field * wordsize);
	(void)peek(&number, e + field * wordsize, sizeof number);
	return number;
}

/* The line that is being typed is in the ring, without time and words. */
static int
is_typed(uint64_t e)
{
	return is_mapped(zsh_field(e, NAME)) && zsh_field(e, NUMBER) > 0 &&
	    ((uint32_t)zsh_field(e, NWORDS) > 0 || zsh_field(e, STARTED) > 0);
}

static void
forget_event(uint64_t e)
{
	forget_page(e);
	forget_page(e + NUMBER * wordsize);
}

/* A comment has no words, but a time. */
static int
fits_zsh(uint64_t p)
{
	uint64_t up = zsh_field(p, UP), started = zsh_field(p, STARTED);
	uint16_t bounds[2];

	if (!is_pointer(up) || !is_pointer(zsh_field(p, DOWN)) ||
	    zsh_field(p, NUMBER) - 1 > UINT32_MAX ||
	    !is_mapped(zsh_field(p, NAME)) ||
	    (started != 0 && !is_today(started)))
		return 0;
	forget_event(p);	/* what links them is young */
	up = zsh_field(p, UP);
	forget_event(up);
	if (zsh_field(up, DOWN) != p || !is_typed(up))
		return 0;
	if ((uint32_t)zsh_field(up, NWORDS) == 0)
		return is_today(zsh_field(up, STARTED));
	return peek(bounds, zsh_field(up, WORDS), sizeof bounds) == 0 &&
	    bounds[0] < bounds[1];
}

/* Numbers grow along the ring, so that no way along it is endless. */
static size_t
read_ring(uint64_t p)
{
	uint64_t up, next = 0;
	size_t n;

	for (n = 0; n < MAX_ENTRIES; n++) {
		up = zsh_field(p, UP);
		if (zsh_field(up, NUMBER) >= zsh_field(p, NUMBER))
			break;
		p = up;
	}
	end_of_list = p;
	for (nentries = 0; nentries < MAX_ENTRIES; p = next) {
		add_entry(p);
		next = zsh_field(p, DOWN);
		if (!is_pointer(next) || zsh_field(next, UP) != p)
			return 0;
		if (is_typed(p))
			newest = zsh_field(p, NUMBER);
		if (zsh_field(next, NUMBER) <= zsh_field(p, NUMBER))
			return next == end_of_list ? nentries : 0;
	}
	tell_limit("a million entries");
	return nentries;
}

static int
read_zsh(uint64_t e)
{
	uint64_t started = zsh_field(e, STARTED), ended = zsh_field(e, ENDED);

	if (!is_typed(e) || zsh_field(e, NUMBER) > newest ||
	    read_string(zsh_field(e, NAME)) == -1 ||
	    !is_unchanged(e, (NUMBER + 1) * wordsize))
		return -1;
	text.n = unmetafy(text.s, text.n);
	entry.time_length = format(entry.time, sizeof entry.time, "%llu",
	    (unsigned long long)started);
	if (ended >= started)
		entry.duration_length = format(entry.duration,
		    sizeof entry.duration, "%llu",
		    (unsigned long long)(ended - started));
	entry.format = "zsh";
	return 0;
}

static const struct shape shapes[] = {
	{ fits_readline, read_array, read_readline },
	{ fits_zsh, read_ring, read_zsh },
	{ NULL, NULL, NULL },
};

/* Reads a list until two reads of it agree. */
static size_t
settle_list(const struct shape *s, uint64_t p)
{
	/* No small one: entries stand at equal distances. */
	const uint64_t multiplier = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t sum, last = 0;
	size_t i, n, tries;

	for (tries = 0; tries < PATIENCE; tries++) {
		forget_pages();
		n = s->read_list(p);
		sum = n;
		for (i = 0; i < n; i++)
			sum = (sum + entries[i]) * multiplier;
		if (tries > 0 && sum == last)
			return n;
		last = sum;
	}
	warning("%s: changes too fast", path_now);
	return n;
}

/*
 * What tells something from all else of the same user's processes: a parser
 * that is broken may hide his rows, but not those of others.
 */
static struct identity
own_identity(uint64_t hash, const char *s, size_t n)
{
	const uint64_t prime = 0x100000001b3u;	/* FNV-1a */

	/* First, so that no byte makes up for what two addresses differ in. */
	hash *= prime;
	while (n-- > 0)
		hash = (hash ^ (unsigned char)*s++) * prime;
	return (struct identity){ reading->uid, hash | 1 };
}

/*
 * Whether an entry is one that the shell had before it forked this one: at
 * the same address, of the same time.
 */
static int
is_copy(uint64_t e)
{
	struct identity id = own_identity(e, entry.time, entry.time_length);

	id = own_identity(id.ino, text.s, text.n);
	if (already_told(id))
		return 1;
	if (nidentities == BATCH)
		send_identities();
	identities[nidentities++] = id;
	return 0;
}

/* Tries twice: zsh changes its entries when they are repeated. */
static int
read_entry(const struct shape *s, uint64_t e)
{
	if (s->read_entry(e) == 0)
		return 0;
	forget_pages();
	return s->read_entry(e);
}

static void
print_list(const struct list *l)
{
	size_t i, n;

	n = settle_list(l->shape, l->start);
	for (i = 0; i < n; i++) {
		entry.line = i + 1;
		if (read_entry(l->shape, entries[i]) == 0 &&
		    !is_copy(entries[i]))
			emit(text.s, text.n);
	}
}

/*
 * Adds a list to those found.  Where two end at the same place, one is the
 * array as it was before the shell dropped its first entries.
 */
static void
add_list(struct list *lists, const struct shape *s, uint64_t p)
{
	struct list *l;

	if (settle_list(s, p) == 0)
		return;
	for (l = lists; l->shape != NULL; l++)
		if (l->shape == s && l->end == end_of_list) {
			if (p > l->start)
				l->start = p;
			return;
		}
	if (l == lists + MAX_LISTS)
		tell_limit("16 histories");
	else
		*l = (struct list){ s, p, end_of_list };
}

static void
try_pointer(struct list *lists, uint64_t p)
{
	const struct shape *s;

	if (!is_pointer(p))
		return;
	for (s = shapes; s->fits != NULL; s++)
		if (s->fits(p))
			add_list(lists, s, p);
}

static void
search_mapping(struct list *lists, const struct mapping *m)
{
	uint64_t words[PAGE / sizeof(uint64_t)], address;
	uint32_t narrow[PAGE / sizeof(uint32_t)];
	size_t i;

	for (address = m->start; address < m->end; address += PAGE) {
		if (peek(words, address, PAGE) == -1)
			continue;
		memcpy(narrow, words, PAGE);
		for (i = 0; i < PAGE / wordsize; i++)
			try_pointer(lists, wordsize == sizeof *narrow ?
			    narrow[i] : words[i]);
	}
}

/*
 * Takes a line of maps.  The static data that no file has is adjacent to
 * those that one has, or to code (of programs that unpack themselves).
 */
static void
parse_mapping(const char *line, size_t n)
{
	static uint64_t last;
	static int object;
	const char *dash, *blank;
	struct mapping m;

	dash = memchr(line, '-', n);
	blank = memchr(line, ' ', n);
	if (dash == NULL || blank == NULL || blank < dash ||
	    (size_t)(blank - line) + 5 > n ||
	    parse_number(line, (size_t)(dash - line), 16, UINT64_MAX,
	    &m.start) == -1 ||
	    parse_number(dash + 1, (size_t)(blank - dash) - 1, 16, UINT64_MAX,
	    &m.end) == -1)
		return;
	if (m.end > UINT32_MAX)
		wordsize = sizeof(uint64_t);
	object = memchr(blank, '/', n - (size_t)(blank - line)) != NULL ||
	    blank[3] == 'x' || (object && m.start == last);
	last = blank[1] == '-' ? 0 : m.end;
	m.data = object;
	if (memcmp(blank + 1, "rw", 2) == 0 && blank[4] == 'p') {
		mappings = grow(mappings, &mappings_size, nmappings + 1,
		    sizeof m);
		mappings[nmappings++] = m;
	}
}

static void
parse_memory(struct reader *r)
{
	struct list lists[MAX_LISTS + 1] = { { NULL, 0, 0 } };
	struct reader lines = { .fd = mapsfd, .max = 2 * PATH_MAX };
	const struct list *l;
	ptrdiff_t n;
	size_t i;
	char *line;

	memfd = r->fd;
	wordsize = sizeof(uint32_t);
	while ((n = read_line(&lines, '\n', &line)) != -1)
		parse_mapping(line, (size_t)n);
	r->error = lines.error;
	reader_free(&lines);
	may_read = MAX_READ / 2;
	for (i = 0; i < nmappings; i++)
		if (mappings[i].data)
			search_mapping(lists, &mappings[i]);
	may_read = MAX_READ;	/* so that no search hides what it found */
	for (l = lists; l->shape != NULL; l++)
		print_list(l);
	send_identities();
}

/* ksh93 and mksh hold the file of their history open. */
static void
parse_removed(struct reader *r)
{
	format_now = content_format(r);
	if (format_now->parse != parse_ksh && format_now->parse != parse_mksh)
		return;
	entry.format = format_now->name;
	format_now->parse(r);
}

static const struct format memory = {
	.name = "memory", .parse = parse_memory
}, removed_file = {
	.name = "removed", .parse = parse_removed
};

/* The confined parser */

/*
 * No way back: no capability, no privilege by execve, no core, nobody but
 * root may look into the process, and it ends with its parent.
 */
static void
drop_capabilities(void)
{
	struct rlimit zero = { 0, 0 };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)prlimit(0, RLIMIT_CORE, &zero, NULL);
	if (keep_capabilities(0) == -1)
		fatal_errno("capset");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* All that a parser may ask of the kernel besides: its files, its rows. */
static const int allowed[] = {
	SYS_pread64, SYS_write,
#ifdef SYS_lseek	/* over holes */
	SYS_lseek,
#endif
#ifdef SYS__llseek
	SYS__llseek,
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
 * Before the first byte is parsed: only to read what is open, to write rows,
 * and to have as much memory as a few commands need.  A kernel without
 * seccomp does without.
 */
static void
confine_parser(void)
{
#ifndef __SANITIZE_ADDRESS__
	const struct rlimit enough = { MAX_MEMORY, MAX_MEMORY };

	(void)prlimit(0, RLIMIT_AS, &enough, NULL);
#endif
	drop_capabilities();
	close_if_open(&procfd);
	if (!mflag)
		close_if_open(&idpipe);
	close_if_open(&rootfd);
	close_if_open(&topfd);
	if (confine(allowed, sizeof allowed / sizeof *allowed, NULL, 0) == -1 &&
	    errno != ENOSYS && errno != EINVAL)
		fatal_errno("seccomp");
}

static _Noreturn void
parse_sources(void)
{
	size_t i;

	send_identities();
	(void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	confine_parser();
	for (i = 0; i < nsources; i++)
		parse_source(&sources[i]);
	_exit(finish());
}

/*
 * More files than fit: a confined parser for those that are open, so that
 * we ourselves stay able to open the next.  The parent's patience holds for
 * both of us.
 */
static void
parse_batch(void)
{
	pid_t pid, ended;
	int result;

	send_identities();
	flush_output();
	pid = _Fork();
	if (pid == -1)
		fatal_errno("fork");
	if (pid == 0) {
		status = 0;
		parse_sources();
	}
	while ((ended = waitpid(pid, &result, 0)) == -1 && errno == EINTR)
		;
	if (ended != pid || !WIFEXITED(result) || WEXITSTATUS(result) > 1)
		_exit(2);
	status |= WEXITSTATUS(result);
	while (nsources > 0) {
		close(sources[--nsources].fd);
		free(sources[nsources].path);
	}
}

/* Opening files */

static const char *
file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "a FIFO";
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFSOCK:
		return "a socket";
	}
	return "the kernel's own";
}

/*
 * Opens path below ROOT, links and ".." included; without openat2 (Linux
 * before 5.6) it fails with ENOSYS rather than to leave ROOT.
 */
static int
open_below(const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags, .resolve = RESOLVE_IN_ROOT
	};

	return (int)syscall(SYS_openat2, rootfd, path, &how, sizeof how);
}

static int
open_path(const char *path, int flags)
{
	flags |= O_CLOEXEC;
	if (rootfd != -1)
		return open_below(path, flags);
	if (topfd != -1)
		return openat(topfd, path[top] == '\0' ? "." :
		    path + top + 1, flags);
	return open(path, flags);
}

/*
 * Opens the file behind the O_PATH descriptor fd for reading.  A lease makes
 * that fail at once where it would block: all holders together have a second.
 */
static int
reopen(int fd, const char *path)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME;
	static int tries;
	int new;
	char name[32];

	(void)format(name, sizeof name, "self/fd/%d", fd);
	for (;;) {
		new = procfd != -1 ? openat(procfd, name, flags) :
		    open_path(path, flags);
		if (new != -1)
			return new;
		if (errno == EPERM && (flags & O_NOATIME) != 0)
			flags &= ~O_NOATIME;
		else if (errno == EAGAIN && tries++ < 1000 / TICK)
			(void)poll(NULL, 0, TICK);
		else
			return -1;
	}
}

/*
 * Opens a regular file and looks at it before that: opening a FIFO tells its
 * writer of us, and some of procfs, which an operand may name, never end.
 * Returns -1 where it is not to be read.
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
warn_unopened(const char *path, const struct stat *st)
{
	/* A file server may answer anything, that, too. */
	if (errno == EMEDIUMTYPE && !S_ISREG(st->st_mode))
		warning("%s: is %s, not a regular file", path,
		    file_type(st->st_mode));
	else
		tell_unopened(path);
}

static void
keep_source(int fd, const char *path, uint64_t uid, const struct stat *st)
{
	struct source *s = &sources[nsources++];

	s->fd = fd;
	s->format = format_next;
	s->sparse = st->st_blocks < st->st_size / 512;
	s->uid = uid;
	s->path = copy_string(path);
	s->limit = (uint64_t)st->st_size + GROWTH;
}

/*
 * Whether something can be read of an operand: where nothing can be of all,
 * our exit status is another.  Behind the first that can be, none is worth
 * that rows have to wait for a server.
 */
static int
can_read(int fd, const struct stat *st)
{
	char c;

	if (nsources > 0 || !S_ISREG(st->st_mode))
		return read(fd, NULL, 0) == 0;
	return pread(fd, &c, 1, 0) != -1 || errno == ESPIPE;
}

/*
 * Whether a file was told by its owner, or from a home that is ours, too; if
 * not, it is now.  Who links another's file into a home of his own may have
 * it parsed as what it is not, or stop his reader: the owner tells it again.
 */
static int
is_told(const struct stat *st)
{
	struct identity id = file_identity(st->st_uid, st->st_dev, st->st_ino);

	if (already_told(id))
		return 1;
	if (st->st_uid != reading->uid) {
		id = own_identity(st->st_ino, reading->home,
		    strlen(reading->home));
		id.dev = file_identity(UINT32_MAX, st->st_dev, 0).dev;
		if (already_told(id))
			return 1;
	}
	identities[nidentities++] = id;
	return 0;
}

/* Opens a file to be parsed; an operand must be there. */
static void
add_source(const char *path)
{
	struct stat st;
	int fd;

	if (nsources == BATCH)
		parse_batch();
	show_life(SIGN_OF_LIFE / 64);
	fd = open_regular(path, &st);
	if (fd == -1 && errno == EMFILE && nsources > 0) {
		parse_batch();
		fd = open_regular(path, &st);
	}
	if (fd != -1 && reading == NULL && !can_read(fd, &st)) {
		close_quietly(fd);
		fd = -1;
	}
	if (fd == -1) {
		if (reading == NULL || !is_missing())
			warn_unopened(path, &st);
		return;
	}
	if (reading != NULL && is_told(&st)) {
		close(fd);
		return;
	}
	keep_source(fd, path, reading != NULL ? reading->uid : st.st_uid, &st);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The name has the form of the pattern, which has one '*' at most. */
static int
matches(const char *pattern, const char *name)
{
	const char *star = strchr(pattern, '*');
	size_t head, tail, n = strlen(name);

	if (star == NULL)
		return strcmp(pattern, name) == 0;
	head = (size_t)(star - pattern);
	tail = strlen(star + 1);
	return n >= head + tail && memcmp(name, pattern, head) == 0 &&
	    memcmp(name + n - tail, star + 1, tail) == 0 &&
	    strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Opens a path, where no descriptor is left by parsing what is open. */
static int
open_or_parse(const char *path, int flags)
{
	int fd = open_path(path, flags);

	if (fd == -1 && errno == EMFILE && nsources > 0) {
		parse_batch();
		fd = open_path(path, flags);
	}
	return fd;
}

/* Opens a directory; null with a warning where it is there but cannot be. */
static DIR *
open_directory(const char *path)
{
	DIR *dir = NULL;
	int fd;

	fd = open_or_parse(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	if (fd != -1)
		dir = fdopendir(fd);
	if (dir == NULL)
		tell_unless_missing(path);
	return dir;
}

/*
 * Sets names to the next ones of a directory that match, sorted.  Of more
 * than NAMES only so many at once: users make as many files as they like.
 * Returns 0 at the end, which is an error where errno is set.
 */
static size_t
next_names(DIR *dir, const char *pattern)
{
	struct dirent *d;
	size_t n = 0;

	for (errno = 0; n < NAMES && (d = readdir(dir)) != NULL; errno = 0) {
		show_life(sizeof *d);
		if (!matches(pattern, d->d_name))
			continue;
		names[n++] = copy_string(d->d_name);
	}
	if (n > 0)
		qsort(names, n, sizeof *names, compare_names);
	return n;
}

/* Calls use for PATH/NAME of each name that matches the pattern. */
static void
for_each_match(char path[PATH_MAX], const char *pattern,
    void (*use)(const char *))
{
	size_t i, n, used = strlen(path);
	DIR *dir;

	dir = open_directory(path);
	if (dir == NULL)
		return;
	while ((n = next_names(dir, pattern)) > 0)
		for (i = 0; i < n; i++) {
			errno = ENAMETOOLONG;
			if (format(path + used, PATH_MAX - used, "/%s",
			    names[i]) < PATH_MAX - used)
				use(path);
			else
				tell_errno(path);
			free(names[i]);
		}
	path[used] = '\0';
	if (errno != 0)
		tell_errno(path);
	closedir(dir);
}

static void
tell_unread(const char *path)
{
	int fd = open_or_parse(path, O_PATH);

	if (fd != -1) {
		close(fd);
		warning("%s: is a history of a format that is not read", path);
	} else if (reading == NULL || !is_missing())
		tell_unopened(path);
}

static void
add_place(const struct place *p)
{
	char path[PATH_MAX];
	char *slash;

	format_next = fflag;
	if (fflag == NULL && p->format != NULL)
		format_next = find_format(p->format);
	if (format(path, sizeof path, "%s/%s", strcmp(reading->home, "/") == 0 ?
	    "" : reading->home, p->path) >= sizeof path) {
		errno = ENAMETOOLONG;
		tell_errno(path);
	} else if (p->format == unread) {
		tell_unread(path);
	} else if (strchr(p->path, '*') == NULL) {
		add_source(path);
	} else {
		slash = strrchr(path, '/');
		*slash = '\0';
		for_each_match(path, strrchr(p->path, '/') + 1, add_source);
	}
}

/* The child */

/*
 * Becomes the user for good; whoever is not root stays what he is.  We have
 * no threads, for which libc's own calls bring 3 KB along.
 */
static void
become(const struct user *u)
{
	gid_t gid = (gid_t)u->gid;
	uid_t uid = (uid_t)u->uid;

	if (geteuid() == 0 && (syscall(SYS_setgroups32, 1, &gid) == -1 ||
	    syscall(SYS_setresgid32, gid, gid, gid) == -1 ||
	    syscall(SYS_setresuid32, uid, uid, uid) == -1)) {
		if (mflag)
			_exit(REFUSED);
		/* In a way that no parser has: it exits as it likes. */
		identities[nidentities++] = (struct identity){ 0, 0 };
		send_identities();
		_exit(1);
	}
	drop_capabilities();
}

/*
 * Whoever collects evidence makes a directory that he alone may search, and
 * below it is what all could.  So the user need not pass the root, but only
 * what is in it.
 */
static void
become_below_root(const struct user *u)
{
	char path[PATH_MAX];
	int fd;

	top = 1 + strcspn(u->home + 1, "/");
	(void)format(path, sizeof path, "%.*s", (int)top, u->home);
	fd = open_path(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	become(u);
	if (chdir("/") == -1)
		topfd = fd;
	else
		close_if_open(&fd);
}

static _Noreturn void
read_user(const struct user *u)
{
	const struct place *p;
	struct stat st;
	int fd;

	(void)setpgid(0, 0);
	become_below_root(u);
	reading = u;
	set_escaped(&entry.user, u->name, strlen(u->name));
	fd = open_path(u->home, O_PATH | O_DIRECTORY);
	/* One that may not be searched is told once, not for each place. */
	if (fd == -1 || fstatat(fd, ".", &st, 0) == -1) {
		if (!is_missing())
			tell_errno(u->home);
		_exit(status);
	}
	close(fd);
	for (p = places; p->path != NULL; p++)
		if (aflag || !p->clients)
			add_place(p);
	tell_denied();
	parse_sources();
}

/* The end of path that has as many slashes as the other. */
static const char *
same_depth(const char *path, const char *other)
{
	const char *tail = path + strlen(path);
	size_t n = 0;

	for (; (other = strchr(other, '/')) != NULL; other++)
		n++;
	while (tail > path && (tail[-1] != '/' || n-- > 0))
		tail--;
	return tail;
}

/* The name of the format that the name of a file tells; null for none. */
static const char *
name_format(const char *path)
{
	const struct place *p;

	for (p = places; p->path != NULL; p++)
		if (p->format != NULL &&
		    matches(p->path, same_depth(path, p->path)))
			return p->format;
	return NULL;
}

static void
add_operand(const char *path)
{
	const char *name = fflag == NULL ? name_format(path) : NULL;

	format_next = name != NULL ? find_format(name) : fflag;
	if (name == unread)
		tell_unread(path);
	else
		add_source(path);
}

/*
 * The descriptor that an operand names, as shells do for <(command); -1 for
 * a file.  The child would find its own behind these names.
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

static void
add_descriptor(int fd, const char *name)
{
	struct stat st;

	errno = EBADF;	/* ours are closed on exec, the caller's are not */
	if (fcntl(fd, F_GETFD) != 0 || fstat(fd, &st) == -1 ||
	    !can_read(fd, &st)) {
		tell_errno(name);
		return;
	}
	if (nsources == BATCH)
		parse_batch();
	sources[nsources++] = (struct source){ fd, 0, st.st_uid,
	    copy_string(name), fflag, UINT64_MAX };
}

static _Noreturn void
read_operands(char **files)
{
	int fd, any = 0;

	set_escaped(&entry.user, "", 0);
	for (; *files != NULL; any |= nsources > 0, files++) {
		fd = operand_fd(*files);
		if (fd != -1)
			add_descriptor(fd, *files);
		else
			add_operand(*files);
	}
	/* Any identity tells the parent, in a way that no parser has. */
	if (any)
		identities[nidentities++] = (struct identity){ 0, 1 };
	parse_sources();
}

/* Processes */

/* The first number of a line of four ids; returns 1 where it is there. */
static int
read_id(const char *line, size_t n, uint64_t *id)
{
	const size_t key = sizeof "Uid:\t" - 1;

	return parse_number(line + key, digits(line + key, n - key), 10,
	    UINT32_MAX, id) == 0;
}

/* Counts what could not be read of a process, unless it is gone. */
static void
count_refusal(const char *what, int errnum)
{
	if (errnum != 0 && errnum != ENOENT && errnum != ESRCH)
		count_warning("process", what, strerror(errnum));
}

/*
 * Opens the directory of a process and sets its real ids; -1 where it is
 * gone or has no memory of its own, as kernel threads.
 */
static int
read_owner(const char *path, int *proc, struct user *u)
{
	struct reader r = { .max = 4096 };
	int ids = 0, has_memory = 0;
	ptrdiff_t n;
	char *line;

	*proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r.fd = *proc == -1 ? -1 : openat(*proc, "status",
	    O_RDONLY | O_CLOEXEC);
	if (r.fd == -1) {
		count_refusal("status", errno);
		return -1;
	}
	while ((n = read_line(&r, '\n', &line)) != -1)
		if (starts(line, (size_t)n, "Uid:\t"))
			ids += read_id(line, (size_t)n, &u->uid);
		else if (starts(line, (size_t)n, "Gid:\t"))
			ids += read_id(line, (size_t)n, &u->gid);
		else if (starts(line, (size_t)n, "VmSize:"))
			has_memory = 1;
	count_refusal("status", r.error);
	close(r.fd);
	reader_free(&r);
	return ids == 2 && has_memory ? 0 : -1;
}

/* Whether a descriptor is of a file that was removed, not told before. */
static int
is_removed(const char *path, struct stat *st)
{
	static const char mark[] = " (deleted)";
	const ssize_t len = sizeof mark - 1;
	char link[PATH_MAX];
	ssize_t n;

	n = readlink(path, link, sizeof link);
	if (n == -1)
		tell_unless_missing(path);
	return n > len && memcmp(link + n - len, mark, (size_t)len) == 0 &&
	    stat(path, st) == 0 && S_ISREG(st->st_mode) &&
	    !already_told(own_identity(st->st_dev,
	    (const char *)&st->st_ino, sizeof st->st_ino));
}

/* Finds a file that a process holds after it was removed. */
static void
find_removed(const char *path)
{
	struct stat st;
	int fd;

	show_life(SIGN_OF_LIFE / 64);
	if (!is_removed(path, &st))
		return;
	if (nsources == BATCH - 1) {
		warning("%s: %s", path, strerror(EMFILE));
		return;
	}
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd != -1)
		keep_source(fd, path, reading->uid, &st);
	else
		tell_unless_missing(path);
}

/* Opens them as their user: what he may not read is no history of his. */
static void
open_removed(void)
{
	struct source *s, *to = sources;
	struct stat st;
	int fd;

	for (s = sources; s < sources + nsources; s++) {
		fd = reopen(s->fd, s->path);
		close_quietly(s->fd);
		if (fd == -1 || fstat(fd, &st) == -1) {
			if (errno != EACCES && errno != EPERM)
				tell_unless_missing(s->path);
			continue;
		}
		identities[nidentities++] = own_identity(st.st_dev,
		    (const char *)&st.st_ino, sizeof st.st_ino);
		s->fd = fd;
		*to++ = *s;
	}
	nsources = (size_t)(to - sources);
}

/* Opens what we cannot do without of a process, or ends. */
static int
open_needed(int proc, const char *name, const char *home)
{
	int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);

	if (fd != -1)
		return fd;
	if (errno == EACCES || errno == EPERM)
		_exit(REFUSED);
	if (!is_missing())
		warning("%s/%s: %s", home, name, strerror(errno));
	_exit(status);
}

/* Reads what a process holds; it is opened while we have the right to. */
static _Noreturn void
read_process(const struct user *u)
{
	struct stat st = { .st_size = 0 };
	struct user owner;
	char path[PATH_MAX];
	int proc, mem;

	(void)setpgid(0, 0);
	reading = u;
	if (read_owner(u->home, &proc, &owner) == -1 || owner.uid != u->uid)
		_exit(finish());	/* it has ended */
	mapsfd = open_needed(proc, "maps", u->home);
	mem = open_needed(proc, "mem", u->home);
	pagemapfd = openat(proc, "pagemap", O_RDONLY | O_CLOEXEC);
	format_next = &removed_file;
	(void)format(path, sizeof path, "%s/fd", u->home);
	for_each_match(path, "*", find_removed);
	tell_denied();
	become(u);
	open_removed();
	format_next = &memory;
	(void)format(path, sizeof path, "%s/mem", u->home);
	keep_source(mem, path, u->uid, &st);
	set_escaped(&entry.user, u->name, strlen(u->name));
	parse_sources();
}

/* The parent */

/* A child that reads, and what the parent knows of it. */
static struct {
	pid_t pid;
	int process;		/* it reads one of this user's */
	uint64_t uid;
	int left;		/* ms of patience; negative: for ever */
	clock_t busy;		/* we with it; add time_worked() */
	int rows, ids;		/* the pipes' reading ends, -1 when closed */
	void (*take)(const char *, size_t);	/* its whole rows */
	size_t width;		/* TABs in each of them */
	struct buffer row;	/* what is not a whole row yet */
	size_t from, line;	/* of row: what take has not, a line begins */
	size_t used, tabs;	/* of row, checked so far; in that line */
} child;

/*
 * Length of the one character at s that a row may hold as it is, 0 for
 * anything else: the child may be in an attacker's hands.
 */
static size_t
row_character(const char *s, size_t n)
{
	char copy[16];
	size_t len;

	if ((unsigned char)*s < 0x80)
		return *s >= 0x20 && *s != 0x7f;
	len = utf8_length(s, n);
	return len > 0 && escape(copy, s, len) == len ? len : 0;
}

/* At the end of a line: a message, or a row that is whole now. */
static int
end_line(size_t at)
{
	const char *s = child.row.s;
	int message = s[child.line] == '\0';

	if (child.tabs != (message ? 0 : child.width))
		return -1;
	if (message) {
		child.take(s + child.from, child.line - child.from);
		if (at - child.line > 1)
			send_message(s + child.line + 1, at - child.line);
		child.from = at + 1;
	}
	child.line = at + 1;
	child.tabs = 0;
	return 1;
}

/*
 * Looks at the character at; returns its length, 0 where the rest of it is
 * to come, -1 where no line can hold it.
 */
static int
look_at(size_t at)
{
	const char *s = child.row.s + at;
	size_t left = child.row.n - at, len;

	switch (*s) {
	case '\t':
		child.tabs++;
		return 1;
	case '\n':
		return end_line(at);
	case '\0':
		return at == child.line ? 1 : -1;
	}
	len = row_character(s, left);
	if (len == 0 && (left >= 4 || (unsigned char)*s < 0x80))
		return -1;
	return (int)len;
}

/* Looks at all that has come since; -1 where no line can hold it. */
static int
check_rows(void)
{
	const struct buffer *b = &child.row;
	size_t i, at;
	uint64_t marks;
	int len;

	for (i = child.used; i < b->n; i += 8) {
		marks = b->n - i < 8 ? HIGHS >> 8 * (8 - (b->n - i)) :
		    mark_unplain(load_word(b->s + i));
		for (; marks != 0; marks &= marks - 1) {
			at = i + first_marked(marks);
			if (at < child.used)	/* inside a character */
				continue;
			len = look_at(at);
			if (len < 1)
				return len;
			child.used = at + (size_t)len;
		}
	}
	child.used = b->n;
	return 0;
}

/*
 * Takes the lines that are whole and keeps what is left; -1 where the child
 * sent what no line can hold.  One that begins with a NUL is a message, an
 * empty message just a sign of life.
 */
static int
forward_rows(void)
{
	struct buffer *b = &child.row;
	int wrong;

	child.from = child.line = 0;
	wrong = check_rows();
	child.take(b->s + child.from, child.line - child.from);
	b->n -= child.line;
	child.used -= child.line;
	memmove(b->s, b->s + child.line, b->n);
	return wrong;
}

/* Takes what the child has to say; -1 where it says what it may not. */
static int
receive_rows(void)
{
	struct buffer *b = &child.row;
	ssize_t n;

	if (b->n + 1 >= b->size) {
		if (b->n >= MAX_ROW)
			return -1;
		b->s = grow(b->s, &b->size,
		    b->n < PIPE_BYTES / 4 ? PIPE_BYTES / 4 : 2 * b->n, 1);
	}
	n = read(child.rows, b->s + b->n, b->size - b->n);
	if (n > 0) {
		b->n += (size_t)n;
		return forward_rows();
	}
	if (n == -1 && errno == EINTR)
		return 0;
	if (n == -1)
		fatal_errno("pipe");
	close_if_open(&child.rows);
	return b->n > 0 ? -1 : 0;
}

static void
receive_identities(void)
{
	struct identity ids[256];
	ssize_t n;
	size_t i;

	errno = EIO;	/* if one is not whole */
	n = read(child.ids, ids, sizeof ids);
	if (n == -1 && errno == EINTR)
		return;
	if (n % (ssize_t)sizeof *ids != 0)	/* -1 too */
		fatal_errno("pipe");
	for (i = 0; i < (size_t)n / sizeof *ids; i++) {
		if (ids[i].dev == 0 && ids[i].ino == 0) {
			refused++;
			continue;
		}
		/* Nobody else's, whatever the child says. */
		if (child.process)
			ids[i].dev = child.uid;
		else if (ids[i].dev >> 32 != UINT32_MAX)
			ids[i] = file_identity(child.uid, ids[i].dev,
			    ids[i].ino);
		(void)already_told(ids[i]);
	}
	if (n == 0)
		close_if_open(&child.ids);
}

static const char silent[] = "silent for 10 seconds";

/*
 * The patience that is left with a user, who may have any number of
 * processes: once one was silent, the others must be quick.
 */
static int *
patience_with(uint64_t uid)
{
	static struct patience {
		uint64_t uid;
		int left;
	} *all;
	static size_t n, room;
	size_t i;

	for (i = 0; i < n && all[i].uid != uid; i++)
		;
	if (i == n) {
		all = grow(all, &room, n, sizeof *all);
		all[n++] = (struct patience){ uid, SILENCE };
	}
	return &all[i].left;
}

/* We wait for a SLICE at most: what is more is a stop of ours. */
static void
lose_patience(clock_t before)
{
	clock_t waited = times(NULL) - before;

	if (waited > SLICE / TICK)
		waited = SLICE / TICK;
	child.busy += waited;
	if (child.left > 0) {
		child.left -= (int)waited * TICK;
		if (child.left < 0)
			child.left = 0;
	}
}

/* Our own time; who reads our rows may take any. */
static clock_t
time_worked(void)
{
	struct tms t;

	(void)times(&t);
	return t.tms_utime + t.tms_stime;
}

/* Reads from the child until it closes; null, or what is wrong with it. */
static const char *
listen_to_child(void)
{
	struct pollfd fds[2];
	clock_t before;
	int n;

	while (child.rows != -1 || child.ids != -1) {
		fds[0] = (struct pollfd){ child.rows, POLLIN, 0 };
		fds[1] = (struct pollfd){ child.ids, POLLIN, 0 };
		before = times(NULL);
		n = poll(fds, 2, child.left > 0 && child.left < SLICE ?
		    child.left : SLICE);
		lose_patience(before);
		/* The memory of a process may never end. */
		if (n > 0 && !child.process && child.left >= 0)
			child.left = SILENCE;
		if (child.left == 0)
			return silent;
		if (child.left > 0 &&
		    child.busy + time_worked() > LIFETIME / TICK)
			return "not done in 10 minutes";
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			fatal_errno("poll");
		if (fds[1].revents != 0)
			receive_identities();
		if (fds[0].revents != 0 && receive_rows() == -1)
			return "died";
	}
	return NULL;
}

/* Waits for the child's end, but not for ever; null, or what was wrong. */
static const char *
reap_child(void)
{
	const int ms = child.left < 0 ? SILENCE : child.left;
	const struct timespec patience = { ms / 1000, ms % 1000 * 1000000 };
	const clock_t before = times(NULL);
	sigset_t set;
	int result;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while ((pid = waitpid(child.pid, &result, WNOHANG)) == 0)
		if (sigtimedwait(&set, NULL, &patience) == -1 &&
		    errno == EAGAIN) {
			child.left = 0;
			return silent;
		}
	lose_patience(before);
	child.pid = -1;
	if (pid != -1 && child.process && WIFEXITED(result) &&
	    WEXITSTATUS(result) == REFUSED) {
		refused++;
		return NULL;
	}
	if (pid == -1 || !WIFEXITED(result) || WEXITSTATUS(result) > 1)
		return "died";
	status |= WEXITSTATUS(result);
	return NULL;
}

/*
 * In the child: its rows are all that it can write to.  Standard input and
 * error may be the terminal, which a parser that is broken must not reach.
 */
static void
settle_child(int rows, int ids, int input)
{
	int fd;

	status = 0;
	send_message = relay_message;
	for (fd = input ? STDOUT_FILENO : 0; fd <= STDERR_FILENO; fd++)
		if (dup2(rows, fd) == -1)
			fatal_errno("dup2");
	close(rows);
	close(child.rows);
	close(child.ids);
	idpipe = ids;
}

/*
 * Forks a child whose rows take is to have; returns 1 in it.  Only with
 * input does it keep standard input.  We have no threads, for which fork(3)
 * brings 2 KB of locks along.
 */
static int
fork_child(void (*take)(const char *, size_t), size_t width, int input)
{
	int rows[2], ids[2];

	flush_output();
	if (pipe2(rows, O_CLOEXEC) == -1 || pipe2(ids, O_CLOEXEC) == -1)
		fatal_errno("pipe");
	child.rows = rows[0];
	child.ids = ids[0];
	child.take = take;
	child.width = width;
	child.used = child.tabs = child.row.n = 0;
	child.busy = -time_worked();
	child.pid = _Fork();
	if (child.pid == -1)
		fatal_errno("fork");
	if (child.pid == 0) {
		settle_child(rows[1], ids[1], input);
		return 1;
	}
	close(rows[1]);
	close(ids[1]);
	return 0;
}

/*
 * Takes what the child sends, to its end or that of our patience; what reads
 * standard input or a pipe may be silent for ever.
 */
static void
finish_child(const char *who, const char *kind, int wait)
{
	const char *wrong;
	int patience = SILENCE, kept, *left = &kept;

	if (child.process) {
		left = patience_with(child.uid);
		patience = *left = *left < SILENCE - MORE ? *left + MORE :
		    SILENCE;
	}
	child.left = wait ? -1 : patience;
	wrong = listen_to_child();
	if (wrong == NULL)
		wrong = reap_child();
	*left = child.left;
	if (wrong == silent && patience < SILENCE)
		count_warning("process", "memory", "silent");
	else if (wrong != NULL)
		warning("%s: %s reader %s: rows are lost", who, kind, wrong);
	if (wrong != NULL && child.pid != -1) {
		(void)kill(-child.pid, SIGKILL);
		(void)kill(child.pid, SIGKILL);
	}
	close_if_open(&child.rows);
	close_if_open(&child.ids);
}

static void
print_user_history(const struct user *u)
{
	child.process = mflag;
	child.uid = u->uid;
	if (fork_child(put_raw, row_tabs, 0)) {
		if (mflag)
			read_process(u);
		read_user(u);
	}
	finish_child(*u->name != '\0' && !mflag ? u->name : u->home,
	    "history", 0);
}

static void
print_operands(char **files)
{
	int fd, input = 0, wait = 0;
	char **f;

	for (f = files; *f != NULL; f++) {
		fd = operand_fd(*f);
		input |= fd == STDIN_FILENO;
		wait |= fd != -1;
	}
	if (fork_child(put_raw, row_tabs, input))
		read_operands(files);
	finish_child("operands", "history", wait);
	if (nknown == 0)
		status = 2;	/* not one could be opened */
}

/* Users */

/* Whether -u asks for this user; notes that there is one. */
static int
match_wanted(const struct user *u)
{
	struct wanted *w;
	int yes = nwanted == 0;

	for (w = wanted; w < wanted + nwanted; w++)
		if (strcmp(w->name, u->name) == 0 ||
		    (w->number && w->uid == u->uid))
			yes = w->seen = 1;
	return yes;
}

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

/*
 * Splits name:password:uid:gid:gecos:home:shell in place; -1 where it is
 * anything else.  getpwent(3) would make uid 0 of "+" or of 4294967296.
 */
static int
parse_passwd(struct user *u, char *line, size_t n)
{
	char *field[7], *end = line + n;
	size_t i;

	for (i = 0; i < 7; i++) {
		field[i] = line;
		line = memchr(line, ':', (size_t)(end - line));
		if (line == NULL) {
			line = end + 1;
			if (i < 6)
				return -1;
		} else
			*line++ = '\0';
	}
	if (*field[0] == '\0' || *field[5] != '/' ||
	    memchr(field[0], '\0', (size_t)(field[1] - field[0] - 1)) ||
	    memchr(field[5], '\0', (size_t)(field[6] - field[5] - 1)) ||
	    parse_number(field[2], (size_t)(field[3] - field[2] - 1), 10,
	    UINT32_MAX - 1, &u->uid) == -1 ||
	    parse_number(field[3], (size_t)(field[4] - field[3] - 1), 10,
	    UINT32_MAX - 1, &u->gid) == -1)
		return -1;
	u->name = field[0];
	u->home = field[5];
	return 0;
}

/* In a child: a row for the parent. */
static void
send_user(const struct user *u, const char *home)
{
	put_number(u->uid);
	put_char('\t');
	put_number(u->gid);
	put_char('\t');
	put_field(u->name, strlen(u->name));
	put_char('\t');
	put_field(home, strlen(home));
	put_char('\n');
}

/* In a child: the users of the passwd list, which it parses confined. */
static _Noreturn void
list_passwd(void)
{
	struct reader r = { .fd = passwdfd, .max = 65536,
	    .progress = show_life };
	struct user u;
	struct stat st;
	ptrdiff_t n;
	char *line;

	if (r.fd == -1)
		r.fd = open_regular("/etc/passwd", &st);
	if (r.fd == -1) {
		warn_unopened("/etc/passwd", &st);
		_exit(status);
	}
	confine_parser();
	while ((n = read_line(&r, '\n', &line)) != -1) {
		if (n == 0 || *line == '+' || *line == '-' || *line == '#')
			continue;
		if (r.cut || parse_passwd(&u, line, (size_t)n) == -1) {
			count_warning("line", "passwd", "malformed");
			continue;
		}
		clean_path(u.home);
		if (*u.home == '\0')
			u.home = strcpy(u.home, "/");
		send_user(&u, u.home);
	}
	errno = r.error;
	if (errno != 0)
		tell_errno("passwd");
	_exit(finish());
}

/* Undoes escape, in place. */
static void
unescape(char *s)
{
	uint64_t byte;
	size_t n;
	char *to;

	for (to = s; *s != '\0'; s++, to++) {
		*to = *s;
		if (*s != '\\' || s[1] == '\0')
			continue;
		s++;
		n = strnlen(s + 1, 2);
		if (*s == 'x' && parse_number(s + 1, n, 16, 255, &byte) == 0) {
			*to = (char)byte;
			s += n;
		} else
			*to = *s == 't' ? '\t' : *s == 'n' ? '\n' :
			    *s == 'r' ? '\r' : *s;
	}
	*to = '\0';
}

/* Takes the next user apart, in place; returns 0 behind the last. */
static int
next_user(size_t *at, struct user *u)
{
	char *field[4];
	size_t i;

	do {
		if (*at == users.n)
			return 0;
		for (i = 0; i < 4; i++) {
			field[i] = users.s + *at;
			*at += strcspn(field[i], "\t\n");
			users.s[(*at)++] = '\0';
			unescape(field[i]);
		}
		u->name = field[2];
		u->home = field[3];
	} while (parse_number(field[0], strlen(field[0]), 10, UINT32_MAX - 1,
	    &u->uid) == -1 || parse_number(field[1], strlen(field[1]), 10,
	    UINT32_MAX - 1, &u->gid) == -1);
	return 1;
}

static void
keep_users(const char *s, size_t n)
{
	users.s = grow(users.s, &users.size, users.n + n, 1);
	memcpy(users.s + users.n, s, n);
	users.n += n;
}

static char none[] = "";	/* the name of who has no passwd entry */
static char **claimed;		/* homes of the passwd entries, sorted */
static size_t nclaimed;

/* Sends what no passwd entry claims, but looks at nothing in /home. */
static void
send_orphan(const char *home)
{
	const struct user u = { .name = none };

	show_life(SIGN_OF_LIFE / 64);
	if (nclaimed == 0 || bsearch(&home, claimed, nclaimed,
	    sizeof *claimed, compare_names) == NULL)
		send_user(&u, home);
}

/* In a child: a home with its owner, where it is a directory. */
static _Noreturn void
send_home(const char *home)
{
	struct user u = { .name = none };
	struct stat st;
	int fd;

	fd = open_path(home, O_PATH | O_NOFOLLOW);
	if (fd == -1 || fstat(fd, &st) == -1) {
		tell_unless_missing(home);
	} else if (S_ISDIR(st.st_mode)) {
		u.uid = st.st_uid;
		u.gid = st.st_gid;
		send_user(&u, home);
	}
	_exit(finish());
}

/*
 * Replaces the homes that are listed behind from by those that a child of
 * its own could look at: each may be on a server that is dead.
 */
static void
look_at_homes(size_t from)
{
	const size_t end = users.n;
	size_t at = from;
	struct user u;
	char *home;

	while (at < end && next_user(&at, &u)) {
		home = copy_string(u.home);	/* users move as they grow */
		if (fork_child(keep_users, 3, 0))
			send_home(home);
		finish_child(home, "history", 0);
		free(home);
	}
	users.n -= end - from;
	memmove(users.s + from, users.s + end, users.n - from);
}

/* In a child: homes without a user. */
static _Noreturn void
list_orphans(void)
{
	char path[PATH_MAX] = "/home";
	size_t room = 0, at = 0;
	struct user u;

	while (next_user(&at, &u)) {
		claimed = grow(claimed, &room, nclaimed, sizeof *claimed);
		claimed[nclaimed++] = u.home;
	}
	if (nclaimed > 0)
		qsort(claimed, nclaimed, sizeof *claimed, compare_names);
	for_each_match(path, "*", send_orphan);
	send_orphan("/root");
	_exit(finish());
}

/* Sends a process as if it were a user whose home is /proc/PID. */
static void
send_process(const char *pid, const struct user *owners, size_t n)
{
	const struct user *o;
	struct user u = { .name = none };
	char path[64];
	int proc;

	show_life(SIGN_OF_LIFE / 64);
	(void)format(path, sizeof path, "/proc/%s", pid);
	if (read_owner(path, &proc, &u) == 0) {
		/* Of several names for a uid, one that -u asks for. */
		for (o = owners; o < owners + n; o++)
			if (o->uid == u.uid &&
			    (u.name == none || match_wanted(o)))
				u.name = o->name;
		send_user(&u, path);
	}
	close_if_open(&proc);
}

static int
in_group(uint64_t gid)
{
	gid_t groups[1024];
	int n = getgroups(sizeof groups / sizeof *groups, groups);

	while (n > 0)
		if (groups[--n] == gid)
			return 1;
	return getegid() == gid;
}

/*
 * Looks at a line of mountinfo: what is mounted over a process hides it, and
 * so does hidepid, but not from a group, which is named before it.
 */
static void
look_at_mount(const char *line, size_t n)
{
	uint64_t gid = 0;
	size_t blanks;

	for (blanks = 0; n > 0 && blanks < 4; line++, n--)
		blanks += *line == ' ';
	if (starts(line, n, "/proc/") && digits(line + 6, n - 6) > 0)
		count_warning("process", "memory", "mounted over");
	if (!starts(line, n, "/proc ") || geteuid() == 0)
		return;
	for (; n > 0; line++, n--)
		if (starts(line, n, "gid="))
			(void)parse_number(line + 4, digits(line + 4, n - 4),
			    10, UINT32_MAX, &gid);
		else if (starts(line, n, "hidepid=") && (!in_group(gid) ||
		    starts(line, n, "hidepid=p")))	/* "ptraceable" */
			warning("/proc: hidepid: processes may be missing");
}

static void
look_at_mounts(void)
{
	struct reader r = { .max = 4 * PATH_MAX };
	ptrdiff_t n;
	char *line;

	r.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (r.fd == -1)
		tell_errno("/proc/self/mountinfo");
	while (r.fd != -1 && (n = read_line(&r, '\n', &line)) != -1)
		look_at_mount(line, (size_t)n);
	close_if_open(&r.fd);
	reader_free(&r);
}

/* In a child: the processes, in the order of their numbers. */
static _Noreturn void
list_processes(void)
{
	struct user *owners = NULL;
	size_t room = 0, at = 0, n;
	struct dirent *d;
	DIR *dir;

	for (n = 0; owners = grow(owners, &room, n, sizeof *owners),
	    next_user(&at, &owners[n]); n++)
		;
	look_at_mounts();
	dir = open_directory("/proc");
	if (dir == NULL)
		fatal("/proc: %s", strerror(ENOENT));
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0)
		if (is_digit(*d->d_name))
			send_process(d->d_name, owners, n);
	if (errno != 0)
		tell_errno("/proc");
	_exit(finish());
}

static void
list_users(void)
{
	int input = passwdfd == STDIN_FILENO;
	size_t named;

	if (!mflag || need_names) {
		if (fork_child(keep_users, 3, input))
			list_passwd();
		finish_child("passwd", "list", input);
	}
	if (!input)
		close_if_open(&passwdfd);
	named = users.n;
	if (mflag)
		owners_end = named;
	if (fork_child(keep_users, 3, 0)) {
		if (mflag)
			list_processes();
		list_orphans();
	}
	finish_child(mflag ? "/proc" : "/home", "list", 0);
	if (!mflag)
		look_at_homes(named);
	if (users.n == 0)
		fatal("no passwd list and no homes");
}

static void
print_users(void)
{
	struct wanted *w;
	struct user u;
	size_t at = 0;

	/* With -m the passwd list is for names, and processes are read. */
	while (next_user(&at, &u))
		if (match_wanted(&u) && at > owners_end)
			print_user_history(&u);
	for (; refused > 0; refused--)
		if (mflag)
			count_warning("process", "memory", strerror(EACCES));
		else
			count_warning("home", "change of user",
			    strerror(EPERM));
	for (w = wanted; w < wanted + nwanted; w++)
		if (!w->seen)
			warning("%s: no such user", w->name);
}

/* Options */

/* Takes the list of -u apart. */
static void
choose_users(char *list)
{
	size_t room = 0, len;
	struct wanted *w;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (len == 0)
			fatal("-u: empty name");
		wanted = grow(wanted, &room, nwanted, sizeof *w);
		w = &wanted[nwanted++];
		*w = (struct wanted){ list, 0, 0, 0 };
		w->number = parse_number(list, len, 10, UINT32_MAX - 1,
		    &w->uid) == 0;
		if (list[len] == '\0')
			return;
		list[len] = '\0';
	}
}

static void
choose_format(const char *name)
{
	const struct format *f;
	char list[256] = "";
	size_t used = 0;

	fflag = find_format(name);
	if (fflag != NULL)
		return;
	for (f = formats; f->name != NULL && used < sizeof list; f++)
		used += format(list + used, sizeof list - used, " %s",
		    f->name);
	fatal("-f: unknown format '%s'; the formats are:%s", name, list);
}

static const char usage[] =
    "usage: shhist [-aHmq] [-f format] [-o columns] [-p passwd] [-r root]\n"
    "              [-u user,...] [file ...]\n"
    "       shhist -h | -V\n";

/* Opens what an option names; "-" is standard input. */
static int
open_named(const char *path, int flags)
{
	int fd = STDIN_FILENO;

	if (*path == '\0')
		fatal("%s: empty name", flags == O_RDONLY ? "-p" : "-r");
	if (strcmp(path, "-") != 0 || flags != O_RDONLY)
		fd = open(path, flags | O_CLOEXEC);
	if (fd == -1 || (flags == O_RDONLY && read(fd, NULL, 0) == -1))
		fatal_errno(path);
	return fd;
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
close_inherited(char **files)
{
	const int ours[] = { rootfd, procfd, passwdfd };
	unsigned next, last = STDERR_FILENO;
	size_t i;
	char **f;

	do {
		next = UINT_MAX;
		for (i = 0; i < sizeof ours / sizeof *ours; i++)
			next = lower(next, last, ours[i]);
		for (f = files; *f != NULL; f++)
			next = lower(next, last, operand_fd(*f));
		if (next - last > 1)
			(void)syscall(SYS_close_range, last + 1, next - 1, 0);
		last = next;
	} while (next != UINT_MAX);
}

/* What all children take over from us. */
static void
prepare(char **files)
{
	struct statfs fs;
	struct stat st;
	sigset_t set;
	int cap;

	procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fstatfs(procfd, &fs) == -1 || fs.f_type != PROC_SUPER_MAGIC ||
	    fstatat(procfd, "self/fd", &st, 0) == -1)
		close_if_open(&procfd);
	if (mflag && procfd == -1)
		fatal("/proc: no procfs that shows us");
	close_inherited(files);
	/* Only root can; others resolve each path below rootfd. */
	if (rootfd != -1 && fchdir(rootfd) == 0 && chroot(".") == 0)
		close_if_open(&rootfd);
	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			break;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void
check_options(int files)
{
	if (mflag && (rootfd != -1 || fflag != NULL || files))
		fatal("-m goes with no -f, -r or file");
	if (files && (aflag || passwdfd != -1 || nwanted > 0))
		fatal("a file goes with no -a, -p or -u");
}

static void
show_histories(char **files)
{
	prepare(files);
	if (*files == NULL)
		list_users();
	if (!Hflag)
		print_header();
	if (*files == NULL)
		print_users();
	else
		print_operands(files);
}

int
main(int argc, char **argv)
{
	const char *oflag = NULL;
	int c;

	start("shhist");
	while ((c = getopt(argc, argv, "aHmqf:o:p:r:u:hV")) != -1)
		switch (c) {
		case 'a':
			aflag = 1;
			break;
		case 'H':
			Hflag = 1;
			break;
		case 'm':
			mflag = 1;
			break;
		case 'q':
			quiet = 1;
			break;
		case 'f':
			choose_format(optarg);
			break;
		case 'o':
			oflag = optarg;
			break;
		case 'p':
			passwdfd = open_named(optarg, O_RDONLY);
			break;
		case 'r':
			rootfd = open_named(optarg, O_PATH | O_DIRECTORY);
			break;
		case 'u':
			choose_users(optarg);
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
	/* Before Linux 5.18 there may be no name: behind it is no operand. */
	argv += optind < argc ? optind : argc;
	check_options(*argv != NULL);
	need_names = choose_columns(columns, NDEFAULT, oflag) != 0 ||
	    nwanted > 0;
	row_tabs = count_columns() - 1;
	show_histories(argv);
	return finish();
}
