/* SPDX-License-Identifier: ISC */

/*
 * What psock and shhist share: escaped rows on standard output, warnings
 * and the exit status, strict numbers, lines of bounded length.
 */

#include <endian.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * One column of the output.  print writes its field of the current row
 * with the put_ functions below; needs is a bit set of the tool's own that
 * says what must have been read for it; offset is print's own, for columns
 * that differ in the member they show.
 */
struct column {
	const char *name;
	void (*print)(void);
	unsigned needs;
	size_t offset;
};

/*
 * A file read line by line.  Set fd and max (the longest line in bytes that
 * is kept whole) and zero the rest.  With sparse set, the holes of a sparse
 * file are skipped.  Where progress is set, it is told how many bytes each
 * read(2) brought.
 */
struct reader {
	int fd;
	size_t max;
	int sparse;
	void (*progress)(size_t);
	int error;	/* errno of the read that failed, else 0 */
	int cut;	/* the line last returned was longer than max */
	int ended;	/* it had its delimiter, and is not cut */
	char *buf;
	size_t start, end, size;
	int eof;
};

/* Name of the program, for messages; start sets it. */
extern const char *progname;
/* The exit status so far: 0, or 1 after a warning; 2 where a tool says so. */
extern int status;
/* -q: warnings are not printed, status is set all the same. */
extern int quiet;
/* The column that print_row prints; print may look at it. */
extern const struct column *column;

/*
 * start: call first in main.  Makes SIGPIPE fatal again, lets children leave
 * a status (SIGCHLD), keeps getopt(3) silent, and makes descriptors 0 to 2
 * safe to have: a closed one of them must not become a file that is opened
 * later.  Exits with 2 where standard output is closed.
 */
void start(const char *name);

/*
 * finish: writes what is buffered, prints the counted warnings, closes
 * standard output, and returns the exit status for main.  Exits with 2 on a
 * write error.
 */
int finish(void);

/* flush_output: writes what is buffered; exits with 2 on a write error. */
void flush_output(void);

/*
 * send_message: takes each message, a whole line that is escaped; writes it
 * to standard error unless the tool sets another way.
 */
extern void (*send_message)(const char *line, size_t n);

/* warning: sends "NAME: message" and sets status to 1. */
void warning(const char *, ...) __attribute__((format(printf, 1, 2)));

/* fatal: sends "NAME: message" and exits with 2. */
_Noreturn void fatal(const char *, ...) __attribute__((format(printf, 1, 2)));

/*
 * usage_error: tells which option getopt(3) refused, where it did, prints
 * the usage to standard error and exits with 2.
 */
_Noreturn void usage_error(const char *usage);

/*
 * count_warning: sets status to 1 and counts one more unit ("process",
 * "line") for which what failed because of why.  Each combination is
 * printed once, by finish: "NAME: 213 processes: fd: Permission denied".
 * Until then the strings are not copied; kinds past the 64th are printed at
 * once.
 */
void count_warning(const char *unit, const char *what, const char *why);

/*
 * format, format_list: snprintf(3) for %s, %.*s, %d, %u, %lu, %llu alone.
 * musl's own brings in floating point, a fifth of a binary of 64 KiB.
 */
size_t format(char *, size_t, const char *, ...)
    __attribute__((format(printf, 3, 4)));
size_t format_list(char *, size_t, const char *, va_list);

/* write_all: writes n bytes to fd.  Returns 0, or -1 with errno. */
int write_all(int fd, const char *, size_t n);

/* put_raw: n bytes to the output as they are. */
void put_raw(const char *, size_t n);
/* put_char: one byte to the output as it is. */
void put_char(char);
/* put_string: a string of the program's own to the output as it is. */
void put_string(const char *);
/* put_number, put_signed: a number in decimal. */
void put_number(uint64_t);
void put_signed(int64_t);
/*
 * put_field: n bytes from outside, escaped so that they are one field on
 * one line, can be had back byte by byte, and drive no terminal.
 */
void put_field(const char *, size_t n);

/*
 * escape: writes n bytes as put_field does to dst, which has room for 4 * n
 * bytes.  Returns the number of bytes written.
 */
size_t escape(char *dst, const char *src, size_t n);

/*
 * Eight bytes at once, as a number whose lowest byte is the first of them.
 * Where some are sought, the high bit of each of these is set and all others
 * are not, up to the first; what is above it may be marked too.
 */
#define ONES (UINT64_MAX / 0xff)
#define HIGHS (ONES * 0x80)

static inline uint64_t
load_word(const char *s)
{
	uint64_t w;

	memcpy(&w, s, sizeof w);
	return le64toh(w);
}

/* first_marked: the number of the first byte that is marked. */
static inline size_t
first_marked(uint64_t marks)
{
	return (size_t)__builtin_ctzll(marks) / 8;
}

/* mark_unplain: marks all but printable ASCII, and the backslash. */
static inline uint64_t
mark_unplain(uint64_t w)
{
	return (w | (w - ONES * 0x20) | (w + ONES) |
	    ((w ^ ONES * '\\') - ONES)) & HIGHS;
}

/*
 * utf8_length: length in bytes (1 to 4) of the well-formed UTF-8 character
 * that the n bytes at s begin with; 0 where there is none.
 */
size_t utf8_length(const char *s, size_t n);

/*
 * choose_columns: selects the columns to print.  all ends with a null
 * name; the first ndefault are printed by default.  list is the argument of
 * -o ("a,b" or "+a,b") or null; an unknown or empty name in it exits with 2
 * and the list of valid names.  Returns all the needs of the chosen, or'ed.
 */
unsigned choose_columns(const struct column *all, size_t ndefault,
    const char *list);
/* count_columns: how many were chosen. */
size_t count_columns(void);
/* print_header, print_row: one row of the chosen columns. */
void print_header(void);
void print_row(void);

/*
 * parse_number: the n bytes at s, all of them digits of base (10 or 16; of
 * either case), as a number of at most max.  Returns 0 and sets *value, or
 * -1 where they are anything else: empty, signed, too large.
 */
int parse_number(const char *s, size_t n, int base, uint64_t max,
    uint64_t *value);

/*
 * read_line: the next line up to delim (which is not part of it), or the
 * rest of the file.  Sets *line to it, valid until the next call, and
 * returns its length; -1 at the end of the file or on an error, which is in
 * error.  Of a line longer than max the first max bytes are returned, cut
 * is set, and the rest is skipped.  EINTR is not an error.
 */
ptrdiff_t read_line(struct reader *, int delim, char **line);
/*
 * read_ahead: makes the next n bytes available at buf + start without using
 * them up.  Returns how many there are, fewer only at the end of the file.
 */
size_t read_ahead(struct reader *, size_t n);
/*
 * reader_free: frees the memory and forgets the rest, fd as well, which it
 * leaves open: close that before.
 */
void reader_free(struct reader *);

/* close_quietly: closes fd and leaves errno as it is. */
void close_quietly(int fd);

/*
 * grow: makes room for one more element in an array of *room elements of
 * size bytes of which count are used, by doubling.  Returns the array,
 * moved; exits with 2 where memory or size_t is at its end.
 */
void *grow(void *array, size_t *room, size_t count, size_t size);

/* A system call that is allowed where (argument & mask) == value. */
struct condition {
	int call, argument;
	uint32_t mask, value;
};

/*
 * keep_capabilities: gives up all but those in the mask, of those that it
 * has, for good: no_new_privs is set.  Nor is the process dumpable from now
 * on.  Returns 0, or -1 with errno where the kernel refuses.
 */
int keep_capabilities(uint32_t mask);

/*
 * confine: from now on the process can make only the n system calls listed
 * (numbers of this architecture), those that meet one of m conditions, and
 * what both tools need: read, close and exit, and memory, none of which can
 * be run; any other kills it.  Returns 0, or -1 with errno where the kernel
 * has no seccomp or the architecture is not one that the filter knows.
 */
int confine(const int *calls, size_t n, const struct condition *, size_t m);
