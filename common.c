/* SPDX-License-Identifier: ISC */

/*
 * What psock and shhist share.  Every byte that reaches standard output or
 * standard error from either tool passes through this file.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

enum {
	OUTPUT_SIZE = 262144,
	READ_SIZE = 65536,
	MESSAGE_SIZE = 1024,	/* a longer message is cut, marked "..." */
	MAX_KINDS = 64,
	MAX_COLUMNS = 64,
};

const char *progname;
int status;
int quiet;
const struct column *column;

/* Behind OUTPUT_SIZE is room for the TABs of a row, so none need look. */
static char output[OUTPUT_SIZE + MAX_COLUMNS];
static size_t output_used;

static const struct column *chosen[MAX_COLUMNS];
static size_t nchosen;

/* A kind of counted warning; the strings outlive the program's work. */
static struct kind {
	const char *unit, *what, *why;
	unsigned long count;
} kinds[MAX_KINDS];
static size_t nkinds;

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

int
write_all(int fd, const char *s, size_t n)
{
	ssize_t done;

	while (n > 0) {
		done = write(fd, s, n);
		if (done < 0 && errno == EINTR)
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

/* memcpy(3) for few bytes, where that of musl takes long to begin. */
static void
copy(char *dst, const char *s, size_t n)
{
	size_t i;

	for (i = 0; n - i >= 8; i += 8)
		memcpy(dst + i, s + i, 8);
	if (n >= 8)
		memcpy(dst + n - 8, s + n - 8, 8);
	else
		for (; i < n; i++)
			dst[i] = s[i];
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
	copy(output + output_used, s, n);
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

/* Writes value in decimal to the end of digits[20]; returns its length. */
static size_t
decimal(char *digits, uint64_t value)
{
	size_t i = 20;

	do
		digits[--i] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	return 20 - i;
}

void
put_number(uint64_t value)
{
	char digits[20];
	size_t n = decimal(digits, value);

	put_raw(digits + sizeof digits - n, n);
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

/* Appends n bytes to the string in dst, as far as its size allows. */
static size_t
append(char *dst, size_t size, size_t used, const char *s, size_t n)
{
	size_t room = used < size ? size - used : 0;

	if (n > 0 && room > 1)
		memcpy(dst + used, s, n < room ? n : room - 1);
	return used + n;
}

static size_t
append_number(char *dst, size_t size, size_t used, uint64_t value)
{
	char digits[20];
	size_t n = decimal(digits, value);

	return append(dst, size, used, digits + sizeof digits - n, n);
}

size_t
format_list(char *dst, size_t size, const char *fmt, va_list ap)
{
	unsigned long long number;
	size_t used = 0, len;
	const char *s;
	int limit, d;

	for (; *fmt != '\0'; fmt++) {
		len = (size_t)(strchrnul(fmt, '%') - fmt);
		if (len > 0) {
			used = append(dst, size, used, fmt, len);
			fmt += len - 1;
			continue;
		}
		limit = -1;
		if (fmt[1] == '.') {	/* "%.*s" */
			limit = va_arg(ap, int);
			fmt += 2;
		}
		switch (*++fmt) {
		case 's':
			s = va_arg(ap, const char *);
			len = limit < 0 ? strlen(s) : strnlen(s, (size_t)limit);
			used = append(dst, size, used, s, len);
			break;
		case 'd':
			d = va_arg(ap, int);
			if (d < 0)
				used = append(dst, size, used, "-", 1);
			used = append_number(dst, size, used,
			    d < 0 ? -(uint64_t)d : (uint64_t)d);
			break;
		case 'u':
			used = append_number(dst, size, used,
			    va_arg(ap, unsigned));
			break;
		case 'l':	/* "%lu", "%llu" */
			fmt++;
			number = *fmt == 'u' ? va_arg(ap, unsigned long) :
			    va_arg(ap, unsigned long long);
			fmt += *fmt == 'l';
			used = append_number(dst, size, used, number);
			break;
		}
	}
	if (size > 0)
		dst[used < size ? used : size - 1] = '\0';
	return used;
}

size_t
format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format_list(dst, size, fmt, ap);
	va_end(ap);
	return n;
}

static void
write_message(const char *line, size_t n)
{
	/* Where standard error is gone, the exit status still tells. */
	(void)write_all(STDERR_FILENO, line, n);
}

void (*send_message)(const char *, size_t) = write_message;

static void
print_message(const char *fmt, va_list ap)
{
	char text[MESSAGE_SIZE], line[4 * MESSAGE_SIZE + 64];
	size_t used, n;

	n = format_list(text, sizeof text, fmt, ap);
	if (n >= sizeof text) {
		n = sizeof text - 1;
		memcpy(text + n - 3, "...", 3);
	}
	used = format(line, 64, "%.*s: ", 60, progname);
	used += escape(line + used, text, n);
	line[used++] = '\n';
	send_message(line, used);
}

void
warning(const char *fmt, ...)
{
	va_list ap;

	status = 1;
	if (quiet)
		return;
	va_start(ap, fmt);
	print_message(fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_message(fmt, ap);
	va_end(ap);
	_exit(2);
}

void
usage_error(const char *usage)
{
	char option = (char)optopt;

	if (option != '\0')
		warning("-%.*s: unknown, or without its argument", 1, &option);
	(void)write_all(STDERR_FILENO, usage, strlen(usage));
	_exit(2);
}

void
count_warning(const char *unit, const char *what, const char *why)
{
	struct kind *k;

	status = 1;
	for (k = kinds; k < kinds + nkinds; k++)
		if (strcmp(k->what, what) == 0 && strcmp(k->why, why) == 0 &&
		    strcmp(k->unit, unit) == 0) {
			k->count++;
			return;
		}
	if (nkinds == MAX_KINDS) {
		warning("%s: %s: %s", unit, what, why);
		return;
	}
	*k = (struct kind){ unit, what, why, 1 };
	nkinds++;
}

static void
print_counts(void)
{
	const struct kind *k;
	const char *plural;

	for (k = kinds; k < kinds + nkinds; k++) {
		plural = "s";
		if (k->unit[strlen(k->unit) - 1] == 's')
			plural = "es";
		if (k->count == 1)
			plural = "";
		warning("%lu %s%s: %s: %s", k->count, k->unit, plural,
		    k->what, k->why);
	}
	nkinds = 0;
}

void
start(const char *name)
{
	int fd, hole;

	progname = name;
	/* getopt(3) would write what it was given as it is. */
	opterr = optopt = 0;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);	/* ignored, children leave no status */
	/* To itself: whether it is open.  In musl, fcntl(2) is larger. */
	if (dup2(STDOUT_FILENO, STDOUT_FILENO) == -1)
		fatal("standard output: %s", strerror(errno));
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd += 2)
		while (dup2(fd, fd) == -1) {
			/* "/" is there even in a chroot without /dev. */
			hole = openat(AT_FDCWD, "/", O_PATH | O_CLOEXEC);
			if (hole == -1)
				fatal("/: %s", strerror(errno));
		}
}

int
finish(void)
{
	flush_output();
	print_counts();
	if (close(STDOUT_FILENO) == -1 && errno != EINTR)
		fatal("standard output: %s", strerror(errno));
	return status;
}

static _Noreturn void
unknown_column(const struct column *all, const char *name, size_t len)
{
	char names[MESSAGE_SIZE / 2];
	size_t used = 0;

	for (; all->name != NULL && used < sizeof names; all++)
		used += format(names + used, sizeof names - used, " %s",
		    all->name);
	fatal("unknown column '%.*s'; the columns are:%s", (int)len, name,
	    names);
}

static void
choose_column(const struct column *all, const char *name, size_t len)
{
	const struct column *c;

	for (c = all; c->name != NULL; c++)
		if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
			break;
	if (c->name == NULL)
		unknown_column(all, name, len < 64 ? len : 64);
	if (nchosen == MAX_COLUMNS)
		fatal("more than %d columns", MAX_COLUMNS);
	chosen[nchosen++] = c;
}

unsigned
choose_columns(const struct column *all, size_t ndefault, const char *list)
{
	unsigned needs = 0;
	size_t i, len;

	nchosen = 0;
	if (list == NULL || *list == '+')
		for (i = 0; i < ndefault; i++)
			chosen[nchosen++] = &all[i];
	if (list != NULL) {
		list += *list == '+';
		for (;; list += len + 1) {
			len = (size_t)(strchrnul(list, ',') - list);
			choose_column(all, list, len);
			if (list[len] == '\0')
				break;
		}
	}
	for (i = 0; i < nchosen; i++)
		needs |= chosen[i]->needs;
	return needs;
}

size_t
count_columns(void)
{
	return nchosen;
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

int
parse_number(const char *s, size_t n, int base, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	unsigned digit;
	size_t i;

	if (n == 0)
		return -1;
	for (i = 0; i < n; i++) {
		digit = (unsigned char)s[i] - (unsigned)'0';
		if (digit > 9) {
			digit = ((unsigned char)s[i] | 0x20u) - (unsigned)'a';
			if (base != 16 || digit > 5)
				return -1;
			digit += 10;
		}
		if (__builtin_mul_overflow(v, (unsigned)base, &v) ||
		    __builtin_add_overflow(v, digit, &v) || v > max)
			return -1;
	}
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
 * Moves fd past a hole of its file; returns how much to read at once, up to
 * the next hole, or 0 where fd is left where it may not be.  What cannot tell
 * its holes is read with them.
 */
static size_t
data_ahead(int fd)
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
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole != -1 && lseek(fd, data, SEEK_SET) == -1)
		return 0;
	if (hole > data && hole - data < READ_SIZE)
		return (size_t)(hole - data);
	return READ_SIZE;
}

/* Reads more behind end.  Returns 0 at the end of the file or on errors. */
static int
fill(struct reader *r)
{
	size_t want;
	ssize_t n;

	if (r->eof)
		return 0;
	if (r->start > 0) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->end + READ_SIZE > r->size)
		r->buf = grow(r->buf, &r->size, r->end + READ_SIZE, 1);
	want = r->sparse ? data_ahead(r->fd) : READ_SIZE;
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
	if (r->progress != NULL)
		r->progress((size_t)n);
	return 1;
}

/* Drops what is left of a line that was too long. */
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

/* read_line for what is not whole in the buffer, too long or behind that. */
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

/* Where the lower half of an argument is. */
static uint32_t
argument_at(int i)
{
	return (uint32_t)(offsetof(struct seccomp_data, args) + 8u *
	    (unsigned)i + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
}

/* What either tool asks for: to read what is open, and memory. */
static const int usual_calls[] = {
	SYS_read, SYS_close, SYS_exit_group, SYS_brk, SYS_munmap, SYS_mremap,
	SYS_madvise,
#ifdef SYS_getrandom	/* glibc's first malloc */
	SYS_getrandom,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_futex, SYS_sigaltstack, SYS_getpid, SYS_gettid, SYS_sched_yield,
	SYS_rt_sigprocmask,
#endif
};

/* Memory, but none that can be run. */
static const struct condition usual_conditions[] = {
	{ SYS_mprotect, 2, PROT_EXEC, 0 },	/* musl, where brk fails */
#if defined(SYS_mmap2)		/* i386, arm */
	{ SYS_mmap2, 2, PROT_EXEC, 0 },
#elif defined(__s390x__)	/* by a pointer to its arguments */
	{ SYS_mmap, 0, 0, 0 },
#else
	{ SYS_mmap, 2, PROT_EXEC, 0 },
#endif
};

enum {
	USUAL_CALLS = sizeof usual_calls / sizeof *usual_calls,
	USUAL_CONDITIONS = sizeof usual_conditions / sizeof *usual_conditions,
	MAX_JUMP = UINT8_MAX,
};

static struct sock_filter *
put_statement(struct sock_filter *p, int code, size_t k)
{
	*p++ = (struct sock_filter)BPF_STMT((uint16_t)code, (uint32_t)k);
	return p;
}

/* Where the value is k, on at yes, else behind so many more. */
static struct sock_filter *
put_jump(struct sock_filter *p, uint32_t k, const struct sock_filter *yes,
    uint8_t no)
{
	*p = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k,
	    (uint8_t)(yes - p - 1), no);
	return p + 1;
}

static struct sock_filter *
put_calls(struct sock_filter *p, const int *calls, size_t n,
    const struct sock_filter *allow)
{
	while (n-- > 0)
		p = put_jump(p, (uint32_t)*calls++, allow, 0);
	return p;
}

static struct sock_filter *
put_conditions(struct sock_filter *p, const struct condition *c, size_t n,
    const struct sock_filter *allow)
{
	for (; n-- > 0; c++) {
		p = put_statement(p, BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr));
		p = put_jump(p, (uint32_t)c->call, p + 1, 3);
		p = put_statement(p, BPF_LD | BPF_W | BPF_ABS,
		    argument_at(c->argument));
		p = put_statement(p, BPF_ALU | BPF_AND | BPF_K, c->mask);
		p = put_jump(p, c->value, allow, 0);
	}
	return p;
}

int
confine(const int *calls, size_t n, const struct condition *c, size_t m)
{
	struct sock_filter code[MAX_JUMP], *p = code, *allow;
	struct sock_fprog program;

	allow = code + USUAL_CALLS + n + 5 * (USUAL_CONDITIONS + m) + 5;
	if (architecture == 0 || allow - code >= MAX_JUMP) {
		errno = ENOSYS;
		return -1;
	}
	p = put_statement(p, BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, arch));
	p = put_jump(p, architecture, p + 2, 0);
	p = put_statement(p, BPF_RET | BPF_K, SECCOMP_RET_KILL);
	p = put_statement(p, BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, nr));
	p = put_calls(p, usual_calls, USUAL_CALLS, allow);
	p = put_calls(p, calls, n, allow);
	p = put_conditions(p, usual_conditions, USUAL_CONDITIONS, allow);
	p = put_conditions(p, c, m, allow);
	p = put_statement(p, BPF_RET | BPF_K, SECCOMP_RET_KILL);
	p = put_statement(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)(p - code);
	program.filter = code;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
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
