/* SPDX-License-Identifier: ISC */

/*
 * What the harnesses of both tools share; common.c and the tool's source are
 * part of the same file.  No input costs a system call: what the tool opens
 * and reads is served from memory, what it writes is kept and looked at.
 *
 * Built with libFuzzer, TARGET in the environment names what is fuzzed, and
 * TARGET=list prints the names.  Built without, as tests do,
 *
 *	harness TARGET COUNT [FILE ...]
 *
 * runs the files, then COUNT inputs made of them by chance, always the same.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t fuzz_read(int, void *, size_t);
static ssize_t fuzz_write(int, const void *, size_t);
static ssize_t fuzz_pread(int, void *, size_t, off_t);
static off_t fuzz_lseek(int, off_t, int);
static int fuzz_openat(int, const char *, int);
static int fuzz_fstatat(int, const char *, struct stat *, int);
static ssize_t fuzz_readlinkat(int, const char *, char *, size_t);
static int fuzz_close(int);
static _Noreturn void fuzz_exit(int);

#define read(fd, buf, n) fuzz_read(fd, buf, n)
#define write(fd, buf, n) fuzz_write(fd, buf, n)
#define pread(fd, buf, n, offset) fuzz_pread(fd, buf, n, offset)
#define lseek(fd, offset, whence) fuzz_lseek(fd, offset, whence)
#define openat(dir, name, flags) fuzz_openat(dir, name, flags)
#define fstatat(dir, name, st, flags) fuzz_fstatat(dir, name, st, flags)
#define readlinkat(dir, name, buf, n) fuzz_readlinkat(dir, name, buf, n)
#define close(fd) fuzz_close(fd)
#define _exit(code) fuzz_exit(code)

#include "small/common.c"
#define main tool_main
#include TOOL
#undef main

/* What follows is the harness: only the tool is watched. */
#ifdef LIBFUZZER
#pragma clang attribute push(__attribute__((no_sanitize("address", \
    "undefined", "coverage"))), apply_to = function)
#endif

/* Bytes that grow. */
struct bytes {
	char *s;
	size_t n, size;
};

/* What is fuzzed; fuzz is called with the number that stands here. */
struct target {
	const char *name;
	void (*fuzz)(const char *, size_t, int);
	int number;
};

enum { DIRECTORY = 1000, FIRST_FILE, MAX_FILES = 4 };

static struct {
	const char *name;
	const char *s;
	size_t n, at;
	uint64_t address;	/* of memory; 0: a file */
} files[MAX_FILES];
static size_t nfiles;
static uint32_t chunks;		/* 0: reads are whole; else what is random */
static int changes;		/* what is behind an address changes */
static int pread_files;		/* pread(2) is for files, not for memory */
static unsigned long preads;
static const char *later;	/* what files[1] is after so many reads */
static uint32_t reads_until;
static struct bytes out, err;	/* standard output and error */
static int may_exit;		/* fatal is an answer, not a failure */
static jmp_buf exited;

static const struct target *target;
static const char *input;	/* for the message of a failure */
static size_t input_length;

static void
tell_input(void)
{
	size_t i;

	fprintf(stderr, "%s: the input, as for printf: '", target->name);
	for (i = 0; i < input_length; i++)
		fprintf(stderr, "\\%03o", (unsigned char)input[i]);
	fprintf(stderr, "'\n");
}

static void
must(int yes, const char *what)
{
	if (yes)
		return;
	fprintf(stderr, "not so: %s\n", what);
	fprintf(stderr, "output:\n%.*serrors:\n%.*s", (int)out.n, out.s,
	    (int)err.n, err.s);
	abort();
}

static void
put(struct bytes *b, const void *s, size_t n)
{
	if (b->n + n >= b->size)
		b->s = grow(b->s, &b->size, b->n + n, 1);
	if (n > 0)
		memcpy(b->s + b->n, s, n);
	b->n += n;
}

static void
put_text(struct bytes *b, const char *s)
{
	put(b, s, strlen(s));
}

static void
put_format(struct bytes *b, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	put(b, line, (size_t)n);
}

static int
same(const struct bytes *a, const struct bytes *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->s, b->s, a->n) == 0);
}

static uint32_t
rnd(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* What is random for an input: never 0, the same for the same input. */
static uint32_t
chance(const char *s, size_t n)
{
	uint32_t h = 2166136261u;

	while (n-- > 0)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h | 1;
}

/* What the tool finds under this name; the first one is FIRST_FILE. */
static void
serve(const char *name, const char *s, size_t n)
{
	files[nfiles].name = name;
	files[nfiles].s = n > 0 ? s : "";
	files[nfiles].n = n;
	files[nfiles].address = 0;
	files[nfiles++].at = 0;
}

static ssize_t
fuzz_read(int fd, void *buf, size_t n)
{
	size_t i = (size_t)(fd - FIRST_FILE), part;

	must(i < nfiles && n > 0, "a descriptor and a size to read");
	part = files[i].n - files[i].at;
	if (part > n)
		part = n;
	if (chunks != 0 && part > 0)
		part = 1 + rnd(&chunks) % (part < 20 ? part : 20);
	memcpy(buf, files[i].s + files[i].at, part);
	files[i].at += part;
	return (ssize_t)part;
}

/* Reads the memory of a process, which is what files with an address are. */
static ssize_t
fuzz_pread(int fd, void *buf, size_t n, off_t offset)
{
	uint64_t from = (uint64_t)offset;
	size_t i = (size_t)(fd - FIRST_FILE);

	preads++;
	if (pread_files) {
		must(i < nfiles, "a descriptor to read");
		if (from >= files[i].n)
			return 0;
		if (n > files[i].n - from)
			n = files[i].n - from;
		memcpy(buf, files[i].s + from, n);
		return (ssize_t)n;
	}
	if (reads_until > 0 && --reads_until == 0)
		files[1].s = later;
	for (i = 0; fd >= FIRST_FILE && i < nfiles; i++)
		if (files[i].address != 0 && from >= files[i].address &&
		    from - files[i].address <= files[i].n &&
		    files[i].n - (from - files[i].address) >= n)
			break;
	if (fd < FIRST_FILE || i == nfiles) {
		errno = EIO;
		return -1;
	}
	memcpy(buf, files[i].s + (from - files[i].address), n);
	if (changes && rnd(&chunks) % 8 == 0)
		((char *)buf)[rnd(&chunks) % n] = (char)rnd(&chunks);
	return (ssize_t)n;
}

static ssize_t
fuzz_write(int fd, const void *s, size_t n)
{
	must(fd == 1 || fd == 2 || fd == DIRECTORY, "what may be written to");
	if (fd != DIRECTORY)
		put(fd == 1 ? &out : &err, s, n);
	return (ssize_t)n;
}

/* A file that is data throughout, with holes of no length by chance. */
static off_t
fuzz_lseek(int fd, off_t offset, int whence)
{
	size_t i = (size_t)(fd - FIRST_FILE), at = files[i].at;

	must(i < nfiles, "a descriptor to seek");
	if (whence == SEEK_CUR || whence == SEEK_SET) {
		at = (whence == SEEK_CUR ? at : 0) + (size_t)offset;
		must(at <= files[i].n, "an offset in the file");
		files[i].at = at;
		return (off_t)at;
	}
	if (whence == SEEK_END || (size_t)offset >= files[i].n) {
		files[i].at = files[i].n;
		errno = ENXIO;
		return whence == SEEK_END ? (off_t)files[i].n : -1;
	}
	if (whence == SEEK_HOLE)
		offset += 1 + (off_t)(rnd(&chunks) %
		    (files[i].n - (size_t)offset));
	files[i].at = (size_t)offset;
	return offset;
}

static int
find_file(const char *name)
{
	size_t i;

	for (i = 0; i < nfiles; i++)
		if (strcmp(files[i].name, name) == 0)
			return FIRST_FILE + (int)i;
	errno = ENOENT;
	return -1;
}

static int
fuzz_openat(int dir, const char *name, int flags)
{
	int fd = (flags & O_DIRECTORY) != 0 ? DIRECTORY : find_file(name);

	must(dir == DIRECTORY, "a directory to open a file in");
	if (fd >= FIRST_FILE)
		files[fd - FIRST_FILE].at = 0;
	return fd;
}

static int
fuzz_fstatat(int dir, const char *name, struct stat *st, int flags)
{
	(void)dir;
	(void)name;
	(void)flags;
	*st = (struct stat){ .st_mode = S_IFREG };
	return 0;
}

static ssize_t
fuzz_readlinkat(int dir, const char *name, char *buf, size_t n)
{
	int fd = find_file(name);

	(void)dir;
	if (fd == -1)
		return -1;
	if (n > files[fd - FIRST_FILE].n)
		n = files[fd - FIRST_FILE].n;
	memcpy(buf, files[fd - FIRST_FILE].s, n);
	return (ssize_t)n;
}

static int
fuzz_close(int fd)
{
	must(fd >= DIRECTORY, "a descriptor to close");
	return 0;
}

static _Noreturn void
fuzz_exit(int code)
{
	must(may_exit && code == 2, "no reason to exit");
	longjmp(exited, 1);
}

/*
 * The escapes once more, written from the design, with nothing of common.c:
 * the length of the character at s and its value, or 0.
 */
static size_t
decode_utf8(const char *str, size_t n, uint32_t *value)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)str;
	uint32_t c = *s;
	size_t len = 0, i;

	while (len < 8 && (c & 0x80u >> len) != 0)
		len++;
	len += len == 0;
	if ((len == 1 && c >= 0x80) || len > 4 || len > n)
		return 0;
	c &= 0xffu >> (len == 1 ? 0 : len);
	for (i = 1; i < len; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	*value = c;
	return len;
}

static int
is_dangerous(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c ||
	    c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069);
}

static void
put_escaped(struct bytes *b, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char byte;
	uint32_t c;
	size_t len;

	for (; n > 0; s += len, n -= len) {
		byte = (unsigned char)*s;
		len = decode_utf8(s, n, &c);
		if (len > 0 && !is_dangerous(c) && c != '\\') {
			put(b, s, len);
			continue;
		}
		len = 1;
		if (byte == '\\' || byte == '\t' || byte == '\n' ||
		    byte == '\r')
			put(b, byte == '\\' ? "\\\\" : byte == '\t' ? "\\t" :
			    byte == '\n' ? "\\n" : "\\r", 2);
		else
			put(b, (char[]){ '\\', 'x', hex[byte >> 4],
			    hex[byte & 15] }, 4);
	}
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *p = strchr(digits, c);

	must(c != '\0' && p != NULL, "two hex digits behind \\x");
	return (int)(p - digits);
}

/* Undoes the escapes of a field. */
static void
put_unescaped(struct bytes *b, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] != '\\') {
			put(b, s + i, 1);
			continue;
		}
		must(++i < n && strchr("\\tnrx", s[i]) != NULL, "an escape");
		if (s[i] != 'x') {
			put(b, s[i] == 't' ? "\t" : s[i] == 'n' ? "\n" :
			    s[i] == 'r' ? "\r" : "\\", 1);
			continue;
		}
		must(n - i > 2, "two bytes behind \\x");
		put(b, (char[]){ (char)(hex_digit(s[i + 1]) << 4 |
		    hex_digit(s[i + 2])) }, 1);
		i += 2;
	}
}

/* A field is what its bytes are written as, and nothing else. */
static void
verify_field(const char *s, size_t n)
{
	static struct bytes raw, again;
	const struct bytes field = { (char *)(uintptr_t)s, n, n };
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] == 0x7f || s[i] == '\\')
			break;
	if (i == n)
		return;
	raw.n = again.n = 0;
	put_unescaped(&raw, s, n);
	put_escaped(&again, raw.s, raw.n);
	must(same(&field, &again), "a field that is escaped as it should be");
}

/* Lines of this many fields each, without a byte that drives a terminal. */
static void
verify_lines(const struct bytes *b, size_t width)
{
	size_t fields = 1, i, len;
	uint32_t c = '\n';

	for (i = 0; i < b->n; i += len) {
		len = decode_utf8(b->s + i, b->n - i, &c);
		must(len > 0, "well-formed UTF-8");
		if (c == '\n') {
			must(fields == width, "a row with all its fields");
			fields = 1;
		} else if (c == '\t')
			fields++;
		else
			must(!is_dangerous(c), "a harmless character");
	}
	must(c == '\n', "a row that ends in a newline");
}

static void
verify_rows(const struct bytes *b, size_t width)
{
	const char *s = b->s, *end = s + b->n, *tab;

	verify_lines(b, width);
	for (; s < end; s = tab + 1) {
		tab = s;
		while (*tab != '\t' && *tab != '\n')
			tab++;
		verify_field(s, (size_t)(tab - s));
	}
}

/* Before each run of the tool. */
static void
begin(void)
{
	put(&out, "", 0);	/* neither is ever null */
	put(&err, "", 0);
	out.n = err.n = nfiles = 0;
	status = 0;
}

static void
end(void)
{
	flush_output();
	print_counts();
	verify_lines(&err, 1);
}

/* Calls what may end in fatal; returns 0 where it did. */
static int
survives(void (*call)(const char *), const char *s)
{
	int survived = 0;

	may_exit = 1;
	if (setjmp(exited) == 0) {
		call(s);
		survived = 1;
	}
	may_exit = 0;
	must(survived == (err.n == 0), "exit and message come together");
	return survived;
}
