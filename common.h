/* SPDX-License-Identifier: ISC */

/*
 * What psock and shhist share: options, escaped rows on standard output,
 * warnings and the exit status, strict numbers, lines of bounded length, and
 * the workers that look at what may be hostile or hang.
 */

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * One column of the output.  print writes its field of the current row
 * with the put_ functions below; needs is a bit set of the tool's own that
 * says what must have been read for it; offset is an argument of print, mostly
 * the offset of the member that it shows.
 */
struct column {
	const char *name;
	void (*print)(void);
	unsigned needs;
	size_t offset;
};

/*
 * A file read line by line.  Set fd and max (the longest line in bytes that
 * is kept whole) and zero the rest.  With sparse set, a hole of a sparse file
 * is skipped, and read as one NUL if data follows.  If limit is set, reading
 * fails with EFBIG when count, the bytes read so far, is above it: another
 * process may write without end.
 */
struct reader {
	int fd;
	size_t max;
	int sparse;
	uint64_t limit, count;
	int error;	/* errno of the read that failed, else 0 */
	int cut;	/* the line last returned was longer than max */
	int ended;	/* it had its delimiter, and is not cut */
	/* Not returned yet are the bytes from buf + start up to buf + end. */
	char *buf;
	size_t start, end, size;
	int eof;
};

/* Name of the program, for messages; start sets it. */
extern const char *progname;
/* The exit status so far: 0, or 1 after a warning; 2 if a tool says so. */
extern int status;
/* The options that both tools have; next_option sets them. */
extern int no_header;			/* -H */
extern int quiet;			/* -q: status is set all the same */
extern const char *chosen_columns;	/* -o, or null */
extern const char *root;		/* -r, or null */
/* The column that print_row prints; print may look at it. */
extern const struct column *column;

/*
 * start: call first in main.  Makes SIGPIPE fatal again, lets children leave
 * a status (SIGCHLD), keeps getopt(3) silent, and makes descriptors 0 to 2
 * safe to have: a closed one of them must not become a file that is opened
 * later.  Exits with 2 if standard output is closed.
 */
void start(const char *name);

/*
 * next_option: getopt(3) for the options of both tools, which it handles,
 * and those in own, of which it returns the next; -1 behind the last.  -h
 * prints help and -V the version, to standard output, and exit with 0.  What
 * is no option, or lacks its argument, is a usage error.
 */
int next_option(int argc, char **argv, const char *own, const char *help,
    const char *version);

/*
 * usage_error: prints "NAME: message (see NAME -h)" and exits with 2.
 */
_Noreturn void usage_error(const char *, ...)
    __attribute__((format(printf, 1, 2)));

/*
 * next_item: takes the next item off *list, whose items have commas between
 * them.  Returns 1 and sets *item and *len, which may be 0; 0 behind the last.
 */
int next_item(const char **list, const char **item, size_t *len);

/*
 * unknown_item: a usage error for an item of a list that is not one of the
 * names, which name(0), name(1), ... return, up to a null.  "KIND: 'ITEM' is
 * none of: a b c".
 */
_Noreturn void unknown_item(const char *kind, const char *item, size_t len,
    const char *(*name)(size_t));

/*
 * finish: writes what is buffered, prints the counted warnings, closes
 * standard output, and returns the exit status for main.  Exits with 2 on a
 * write error.
 */
int finish(void);

/* flush_output: writes what is buffered; exits with 2 on a write error. */
void flush_output(void);

/* warning: prints "NAME: message" and sets status to 1. */
void warning(const char *, ...) __attribute__((format(printf, 1, 2)));

/* note: prints "NAME: message", for what takes nothing from the output. */
void note(const char *, ...) __attribute__((format(printf, 1, 2)));

/* fatal: prints "NAME: message" and exits with 2. */
_Noreturn void fatal(const char *, ...) __attribute__((format(printf, 1, 2)));

/*
 * count_warning: sets status to 1 and counts a failure.  unit says of what
 * ("process", "file"), which of them, what was tried ("" if that is clear),
 * and why it failed.  All with the same unit, what and why are one message,
 * printed by finish: "NAME: process 4711: fd: Permission denied", or if there
 * are more "NAME: 213 processes (first: 4711): fd: Permission denied".  The
 * strings are copied.  What is new after 256 messages counts as the last one.
 */
void count_warning(const char *unit, const char *which, const char *what,
    const char *why);
/* count_number: the same for a unit that has a number. */
void count_number(const char *unit, uint64_t which, const char *what,
    const char *why);

/*
 * format_text: snprintf(3) for the conversions that both tools use: %s, %.*s,
 * %c, and %d and %u, for a long long with ll before.  musl's own brings 11 KB
 * along, most of it for floating point.  Messages know no others either.
 */
size_t format_text(char *dst, size_t size, const char *, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * decimal: writes value to the end of digits, a NUL behind it; returns where
 * it begins.  There is room for a sign before it.
 */
enum { DECIMAL_SIZE = 22 };
char *decimal(char digits[DECIMAL_SIZE], uint64_t value);

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
 * To mark a byte is to set its high bit.  Each byte that is sought is marked,
 * and none before the first of them; others behind that may be marked, too.
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

/* copy_bytes: memcpy(3) for few bytes, for which that of musl is slow. */
static inline void
copy_bytes(void *to, const void *from, size_t n)
{
	const char *s = from;
	char *dst = to;
	size_t i;

	for (i = 0; n - i >= 8; i += 8)
		memcpy(dst + i, s + i, 8);
	if (n >= 8)
		memcpy(dst + n - 8, s + n - 8, 8);
	else
		for (; i < n; i++)
			dst[i] = s[i];
}

/* first_marked: the index, from 0, of the first byte that is marked. */
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
 * choose_columns: selects the columns to print, by chosen_columns.  all ends
 * with a null name; the first ndefault are printed by default.  An unknown or
 * empty name is a usage error.  Returns all the needs of the chosen, or'ed.
 */
unsigned choose_columns(const struct column *all, size_t ndefault);
/* print_header, print_row: one row of the chosen columns. */
void print_header(void);
void print_row(void);

/*
 * parse_number: the n bytes at s, all of them digits of base (8, 10 or 16;
 * of either case), as a number of at most max.  Returns 0 and sets *value, or
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

/*
 * sort: qsort(3) of n elements; with none, the array may be null.  What is in
 * order, as most of ours are, costs one comparison each.
 */
void sort(void *array, size_t n, size_t size,
    int (*compare)(const void *, const void *));

/*
 * random_odd: an odd number that nobody outside can know, for hashes of what
 * others choose.
 */
uint64_t random_odd(void);

/* A user, as a line of a passwd list has it; the strings end in a NUL. */
struct passwd_entry {
	char *name, *home;
	uint64_t uid, gid;
};

/*
 * parse_passwd: takes apart a line of n bytes, behind which is room for a
 * NUL, in place.  Returns -1 if it is no entry: fewer than 7 fields, a uid or
 * gid that is no decimal number up to 2^32-2, a NUL.
 */
int parse_passwd(char *line, size_t n, struct passwd_entry *);

/* find_text: the first place of text in the n bytes at s, or null. */
const char *find_text(const char *s, size_t n, const char *text);

/*
 * hides_processes: whether a line of mountinfo, n bytes, is that of a /proc
 * that hides the processes of other users from us: hidepid, if we are neither
 * root nor in its gid.
 */
int hides_processes(const char *line, size_t n);

/*
 * A system call that is allowed if (argument & mask) == value.  If required is
 * set, that alone does not allow it: a later condition must, and a call that
 * does not meet this one kills the process.
 */
struct condition {
	int call, argument;
	uint32_t mask, value;
	int required;
};

/*
 * keep_capabilities: gives up all but those in the mask, of those that it
 * has, for good: no_new_privs is set.  Nor is the process dumpable from now
 * on.  Returns 0, or -1 with errno where the kernel refuses.
 */
int keep_capabilities(uint32_t mask);

/* has_capability: whether this process has one of the first 32 of them. */
int has_capability(int capability);

/*
 * confine: from now on the process can make only the n system calls listed
 * (numbers of this architecture), those that meet one of m conditions, and
 * what both tools need: to read, close, exit, write to standard output, and
 * get memory that is neither a file nor executable; any other kills it.  Before
 * the first fork also what a parent needs for its workers, which can make no
 * others.  Returns 0, or -1 with errno if the kernel has no seccomp or the
 * filter does not know the architecture.
 */
int confine(const int *calls, size_t n, const struct condition *, size_t m);

/*
 * Workers.  Whatever touches somebody else's things may block for ever, and
 * text found there may break a parser.  So the parent forks workers for that:
 * each confines itself, does one job after the other, and sends records
 * through a pipe.  The parent, in run_scan, takes the records in the order of
 * the jobs, whichever worker is faster, and makes no system call that another
 * process, a file system or a lock can delay.
 *
 * Once a second the parent looks at each worker's count of steps; step() adds
 * one, and so does each record sent.  A second with fewer than 50 is one
 * without progress.  A worker that has had 10 of these, in its whole life, is
 * killed and its job is lost; the parent does not wait for it to die.  The
 * next three workers have 3 seconds, all others 1; after a minute of such
 * seconds in all scans the jobs that are left are lost.  A worker whose pipe
 * is full waits for the parent, and is not watched meanwhile.
 *
 * The standard output and error of a worker are its pipe, and so is standard
 * input unless its job is patient.
 */
struct scan {
	size_t njobs;
	/*
	 * Each job has a worker of its own, which may become another user.  If
	 * none can be forked, such a job is lost; else the parent does the
	 * jobs, unwatched.
	 */
	int alone;
	/*
	 * Of jobs that are alone: whether a job may wait for ever, for it reads
	 * standard input or another descriptor of the caller.  Null: none.
	 */
	int (*is_patient)(size_t job);
	/* Seconds a worker may live, but those it waits for us; 0: no limit. */
	unsigned lifetime;
	/* Workers at once; 0: as many as there are processors. */
	size_t most;
	/*
	 * Bytes kept of a job before its turn; after them its worker waits, if
	 * it is alone.  One that goes on to other jobs never waits.
	 */
	size_t ahead;
	/* Called in each worker before its first job; may be null. */
	void (*prepare)(void);
	/* Called in a worker: does a job. */
	void (*work)(size_t job);
	/* Called in the parent for each job, before take and lose, or null. */
	void (*begin)(size_t job);
	/* Called in the parent: takes a record, n bytes at s, a kind >= 0. */
	void (*take)(size_t job, int kind, const char *s, size_t n);
	/*
	 * Called in the parent: a job is lost, for its worker was killed,
	 * crashed or called fatal; what was taken is not all.
	 */
	void (*lose)(size_t job, const char *why);
};

/* 1 in a worker, 0 in its parent. */
extern int in_worker;
/* The count of steps; in a worker its parent watches it. */
extern volatile uint32_t *steps;

/* step: in a worker, says that there is progress. */
static inline void
step(void)
{
	++*steps;
}

/*
 * run_scan: does all jobs, those that are lost included.  Call it in the
 * parent alone.  warning, note, count_warning and fatal in a worker reach the
 * parent, which prints; fatal loses the job.
 */
void run_scan(const struct scan *);

/*
 * send_record: in a worker, sends a record of a kind >= 0: a head of nhead
 * bytes, at most 500, which is a struct or a number that take_head takes off
 * again, then ntext bytes of text; at most 32 MiB in all.
 */
void send_record(int kind, const void *head, size_t nhead, const void *text,
    size_t ntext);

/*
 * flush_records: in a worker, sends what send_record has buffered, which else
 * waits for more or for the end of the job.  Call it before a fork, or the
 * child sends it again.
 */
void flush_records(void);

/*
 * take_head: takes a head of size bytes off a record of *n bytes at *s.
 * Returns 0, or -1 if it has fewer.
 */
int take_head(const char **s, size_t *n, void *head, size_t size);
