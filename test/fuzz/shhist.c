/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes what shhist parses: each history format, databases, files whose
 * format only their content decides, the memory of shells, the passwd list,
 * the list of -u, and the records that the parent takes from a worker.
 *
 * An input is first taken for a file: reads of any size give the same rows
 * and warnings; a row has all its fields and drives no terminal.  Then it is
 * taken for commands: its first byte parts them, and written as the shell
 * writes them they all come back, with their times.  What a format cannot
 * carry, its writer leaves out.
 */

#include "harness.h"

_Static_assert(OUTPUT_SIZE == 128 && READ_SIZE == 24 && MAX_COMMAND == 100 &&
    SEND_SIZE == 512 && FIRST_BYTES == 48 && HELD == 8 && HELD_BYTES == 32 &&
    PAGE == 64 && NPAGES == 4 && MAX_ENTRIES == 40 &&
    MAX_TYPED == 90 && MAX_READ == 262144 && PATIENCE == 5 &&
    MAX_KEYS == 12 && MAX_PAGES == 64,
    "test/fuzz/build");

enum { LONGEST_COMMAND = 20, MOST_COMMANDS = 32, LONGEST_MAP = 128 };

static const char path[] = "/home/\033\xff/.history";
static struct bytes first, file, want, records;

static const struct scan histories = { .njobs = 1, .take = take_history };
static const struct scan lists = { .njobs = NLISTS, .take = take_list };

/* From here to print_records we are a worker, whose records are kept. */
static void
become_worker(void)
{
	in_worker = 1;
	send_fd = STDOUT_FILENO;
	nbatch = 0;
}

/* What the parent makes of the records. */
static void
print_records(const struct scan *s)
{
	struct record_prefix h;
	const char *at, *end;

	flush_records();
	records.n = 0;
	put(&records, out.s, out.n);
	out.n = 0;
	in_worker = 0;
	scan = s;
	begin_job(0);
	at = records.s;
	for (end = at + records.n; at < end; at += sizeof h + h.length) {
		memcpy(&h, at, sizeof h);
		take_record(&h, at + sizeof h);
	}
	must(at == end, "whole records");
}

/* Parses a file of this format, or of the one that its content decides. */
static void
show_file(const char *s, size_t n, const struct format *f)
{
	const struct stat st = { .st_uid = 1000,
	    .st_size = chunks != 0 ? 1 << 20 : 0 };

	begin();
	serve(path, s, n);
	become_worker();
	keep_file(FIRST_FILE, path, &st, f, 0);
	fflag = f;
	pread_files = 1;
	parse_file(&batch[0]);
	pread_files = 0;
	fflag = NULL;
	must(nheld == 0, "no entry is left behind");
	print_records(&histories);
	end();
}

/* An input as a file. */
static void
fuzz_file(const char *s, size_t n, const struct format *f)
{
	chosen_columns = "time,command,line,duration";
	(void)choose_columns(columns, NDEFAULT);
	chunks = 0;
	show_file(s, n, f);
	first.n = 0;
	put(&first, out.s, out.n);
	want.n = 0;
	put(&want, err.s, err.n);
	chunks = chance(s, n);
	show_file(s, n, f);
	must(same(&first, &out), "the same rows whatever the reads");
	must(same(&want, &err), "the same warnings whatever the reads");
	verify_rows(&first, 4);
}

/* A command as a writer has it. */
struct command {
	const char *s;
	size_t n;
	uint64_t time, duration;
	uint32_t chance;
};

/* How a shell writes its commands. */
struct writer {
	const char *format;
	const char *head;	/* of the file; "first\n" is a command */
	/* Whether the format can carry the command. */
	int (*can)(const struct command *);
	/* Writes the i-th command. */
	void (*put)(const struct command *, size_t i);
	int times;		/* 2: with durations */
	int tells;		/* its content tells the format */
};

static int
has(const struct command *c, const char *what, size_t n)
{
	return memmem(c->s, c->n, what, n) != NULL;
}

static int
ends(const struct command *c, char end)
{
	return c->s[c->n - 1] == end;
}

/* Whether a line of the command is prefix and digits. */
static int
has_stamp(const struct command *c, const char *prefix)
{
	const char *s = c->s, *end = c->s + c->n, *lf;
	size_t n, len = strlen(prefix);

	for (; s <= end; s = lf + 1) {
		lf = memchr(s, '\n', (size_t)(end - s));
		if (lf == NULL)
			lf = end;
		n = (size_t)(lf - s);
		if (n > len && memcmp(s, prefix, len) == 0) {
			for (s += len; s < lf && *s >= '0' && *s <= '9'; s++)
				;
			while (s < lf && (*s == ' ' || *s == '\t'))
				s++;
			if (s == lf)
				return 1;
		}
	}
	return 0;
}

/* Formats that know no NULs skip those at the beginning of a line. */
static int
can_text(const struct command *c)
{
	return !has(c, "", 1);
}

static int
can_line(const struct command *c)
{
	return !has(c, "\n", 1);
}

static void
put_line(const struct command *c, size_t i)
{
	(void)i;
	put(&file, c->s, c->n);
	put_text(&file, "\n");
}

/* Writes c with the bytes at of replaced by those at by. */
static void
put_replaced(const struct command *c, char of, const char *by)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->s[i] == of)
			put_text(&file, by);
		else
			put(&file, c->s + i, 1);
}

static void
put_decimal(const char *before, uint64_t value, const char *behind)
{
	char line[64];

	put(&file, line, (size_t)snprintf(line, sizeof line, "%s%lu%s",
	    before, value, behind));
}

/* Bash takes a comment of digits for a stamp, wherever it is. */
static int
can_bash(const struct command *c)
{
	return can_text(c) && !has(c, "\n", 1) && !ends(c, '\r') &&
	    !has_stamp(c, "#");
}

/* Empty lines and the CR of a line's end are lost. */
static int
can_stamped_bash(const struct command *c)
{
	return can_text(c) && !has(c, "\r\n", 2) && !ends(c, '\r') &&
	    !has(c, "\n\n", 2) &&
	    !ends(c, '\n') && *c->s != '\n' && !has_stamp(c, "#");
}

static void
put_stamped_bash(const struct command *c, size_t i)
{
	put_decimal("#", c->time, "\n");
	put_line(c, i);
}

/* As zsh writes a command, which is metafied in its memory. */
static void
put_metafied(struct bytes *b, const struct command *c)
{
	unsigned char byte;
	size_t i;

	for (i = 0; i < c->n; i++) {
		byte = (unsigned char)c->s[i];
		if (byte == 0 || (byte >= 0x83 && byte <= 0xa2))
			put(b, (char[]){ (char)0x83, (char)(byte ^ 0x20) }, 2);
		else
			put(b, &byte, 1);
	}
}

static int
is_all_utf8(const struct bytes *b)
{
	size_t i, len;
	uint32_t c;

	for (i = 0; i < b->n; i += len) {
		len = decode_utf8(b->s + i, b->n - i, &c);
		if (len == 0)
			return 0;
	}
	return 1;
}

/* Malformed UTF-8 may be well-formed when it is metafied. */
static int
can_zsh(const struct command *c)
{
	const struct bytes raw = { (char *)(uintptr_t)c->s, c->n, c->n };
	static struct bytes meta;
	int changed, well_formed;

	meta.n = 0;
	put_metafied(&meta, c);
	changed = meta.n != c->n;
	well_formed = is_all_utf8(&meta);
	must(!changed || !well_formed || !is_all_utf8(&raw),
	    "a character that is metafied is not one any more");
	return !changed || !well_formed;
}

static void
put_zsh(const struct command *c, size_t i)
{
	static struct bytes meta;
	int backslash = 0;

	(void)i;
	meta.n = 0;
	put_metafied(&meta, c);
	for (i = 0; i < meta.n; i++) {
		if (meta.s[i] == '\n')
			put_text(&file, "\\");
		put(&file, meta.s + i, 1);
		backslash = meta.s[i] == '\\' ||
		    (backslash && meta.s[i] == ' ');
	}
	put_text(&file, backslash ? " \n" : "\n");
}

/* Zsh itself takes "\:" at the beginning for a colon. */
static int
can_plain_zsh(const struct command *c)
{
	return can_zsh(c) && (c->n < 2 || memcmp(c->s, "\\:", 2) != 0);
}

static void
put_plain_zsh(const struct command *c, size_t i)
{
	if (*c->s == ':')
		put_text(&file, "\\");
	put_zsh(c, i);
}

static void
put_extended_zsh(const struct command *c, size_t i)
{
	put_decimal(": ", c->time, ":");
	/* What is not below the time is the end. */
	put_decimal("", c->time > 0 && c->duration >= c->time ?
	    c->time + c->duration : c->duration, ";");
	put_zsh(c, i);
}

/* Other programs write UTF-8 as it is. */
static int
can_raw_zsh(const struct command *c)
{
	const struct bytes raw = { (char *)(uintptr_t)c->s, c->n, c->n };

	return can_text(c) && is_all_utf8(&raw) && !has(c, "\n", 1) &&
	    *c->s != ':' &&
	    !has(c, "\\", 1);
}

static int
can_all(const struct command *c)
{
	(void)c;
	return 1;
}

static void
put_fish(const struct command *c, size_t n)
{
	size_t i;

	put_text(&file, "- cmd: ");
	for (i = 0; i < c->n; i++)
		if (c->s[i] == '\\')
			put_text(&file, "\\\\");
		else if (c->s[i] == '\n')
			put_text(&file, "\\n");
		else
			put(&file, c->s + i, 1);
	put_decimal("\n  when: ", c->time, "\n");
	if (n % 2 == 1)
		put_text(&file, "  paths:\n    - when: 1\n");
}

static int
can_old_fish(const struct command *c)
{
	return can_text(c) && !has(c, "\\\n", 2) && !ends(c, '\\') &&
	    !has_stamp(c, "# ");
}

static void
put_old_fish(const struct command *c, size_t i)
{
	(void)i;
	put_decimal("# ", c->time, "\n");
	put_replaced(c, '\n', "\\\n");
	put_text(&file, "\n");
}

static int
can_tcsh(const struct command *c)
{
	return can_text(c) && can_line(c) && !has_stamp(c, "#+");
}

static void
put_tcsh(const struct command *c, size_t i)
{
	put_decimal("#+", c->time, "\n");
	put_line(c, i);
}

static int
can_string(const struct command *c)
{
	return !has(c, "", 1);
}

/* Now and then a marker, or a word that the last one was undone. */
static void
put_ksh(const struct command *c, size_t i)
{
	put_line(c, i);
	put(&file, "\0", file.n % 2 == 1 ? 1 : 2);
	if (c->chance % 4 == 0)
		put(&file, "\x82\0\0\x01\n\0", 6);
	if (c->chance % 4 == 1)
		put(&file, "\x81\0", 2);
}

/* Some are written twice: the second one takes the place of the first. */
static void
put_mksh(const struct command *c, size_t i)
{
	if (c->chance % 2 == 0)
		put(&file, (char[]){ (char)0xff, 0, 1, (char)(i >> 8), (char)i,
		    'x', '\0' }, 7);
	put(&file, (char[]){ (char)0xff, 0, 1, (char)(i >> 8), (char)i }, 5);
	put(&file, c->s, c->n);
	put(&file, "", 1);
}

static int
can_nushell(const struct command *c)
{
	return !has(c, "<\\n>", 4);
}

static void
put_nushell(const struct command *c, size_t i)
{
	(void)i;
	put_replaced(c, '\n', "<\\n>");
	put_text(&file, "\n");
}

static int
can_powershell(const struct command *c)
{
	return can_text(c) && !has(c, "`\n", 2) && !ends(c, '`') &&
	    !has(c, "\r\n", 2) &&
	    !ends(c, '\r') && !has(c, "\xef\xbb\xbf", 3);
}

static void
put_powershell(const struct command *c, size_t i)
{
	(void)i;
	put_replaced(c, '\n', "`\n");
	put_text(&file, "\n");
}

static void
put_yash(const struct command *c, size_t i)
{
	char line[64];

	snprintf(line, sizeof line, "%zX:%lX ", i + 1, c->time);
	put_text(&file, line);
	put_line(c, i);
}

static void
put_mysql(const struct command *c, size_t n)
{
	unsigned char byte, low;
	size_t i;

	for (i = 0; i < c->n; i++) {
		byte = (unsigned char)c->s[i];
		low = byte & 0x7f;
		if (byte > ' ' && byte < 0x7f && byte != '\\') {
			put(&file, c->s + i, 1);
		} else if (n % 2 == 1 && low != ' ' && byte != '\\') {
			put_text(&file, byte == low ? "\\" : "\\M");
			put_text(&file, low < ' ' || low == 0x7f ? "^" : "-");
			if (low < ' ' || low == 0x7f)
				low ^= 0x40;
			put(&file, (char[]){ (char)low }, 1);
		} else {
			put(&file, (char[]){ '\\', (char)('0' + (byte >> 6)),
			    (char)('0' + (byte >> 3 & 7)),
			    (char)('0' + (byte & 7)) }, 4);
		}
	}
	put_text(&file, "\n");
}

static int
can_psql(const struct command *c)
{
	return !has(c, "\x01", 1);
}

static void
put_psql(const struct command *c, size_t i)
{
	(void)i;
	put_replaced(c, '\n', "\x01");
	put_text(&file, "\n");
}

static int
can_python(const struct command *c)
{
	return can_text(c) && !has(c, "\r\n", 2) && !ends(c, '\r') &&
	    !ends(c, '\n') &&
	    !has(c, "_HiStOrY_V2_", 12);
}

static void
put_python(const struct command *c, size_t i)
{
	(void)i;
	put_replaced(c, '\n', "\r\n");
	put_text(&file, "\n");
}

static int
can_irb(const struct command *c)
{
	return can_text(c) && !has(c, "\\\n", 2) && !ends(c, '\\');
}

static void
put_irb(const struct command *c, size_t i)
{
	(void)i;
	put_replaced(c, '\n', "\\\n");
	put_text(&file, "\n");
}

static int
can_node(const struct command *c)
{
	return !has(c, "\r", 1);
}

/* Its lines in reverse. */
static void
put_node(const struct command *c, size_t i)
{
	const char *end = c->s + c->n, *lf;

	(void)i;
	for (;; end = lf) {
		lf = memrchr(c->s, '\n', (size_t)(end - c->s));
		if (lf == NULL)
			break;
		put(&file, lf + 1, (size_t)(end - lf) - 1);
		put_text(&file, "\r");
	}
	put(&file, c->s, (size_t)(end - c->s));
	put_text(&file, "\n");
}

static void
put_prompt(const struct command *c, size_t i)
{
	(void)i;
	put_text(&file, "\n# oops\n+");
	put_replaced(c, '\n', "\n+");
	put_text(&file, "\n");
}

static void
put_less(const struct command *c, size_t i)
{
	put_text(&file, i % 3 == 0 ? ".search\n\"" : "\"");
	put_line(c, i);
}

/* A long command has a line of its own below its length. */
static void
put_vim(const struct command *c, size_t n)
{
	size_t i;

	put_text(&file, ":");
	if (n % 2 == 1) {
		put_decimal("\026", c->n + 2, "\n");
		put_text(&file, "<");
	}
	for (i = 0; i < c->n; i++)
		if (c->s[i] == '\n')
			put_text(&file, "\026n");
		else if (c->s[i] == '\026')
			put_text(&file, "\026\026");
		else
			put(&file, c->s + i, 1);
	put_decimal("\n|2,0,", c->time, ",,\"...\"\n");
}

/* So short that no line is cut, and times that leave room for a duration. */
static int
can_xonsh(const struct command *c)
{
	return c->n <= 5 && c->time <= INT64_MAX / 2 &&
	    memchr(" \t\r\n", c->s[c->n - 1], 4) == NULL;
}

static void
put_xonsh(const struct command *c, size_t i)
{
	size_t n;

	put_text(&file, i > 0 ? ", {\"inp\": \"" : "{\"inp\": \"");
	for (i = 0; i < c->n; i++) {
		n = utf8_length(c->s + i, c->n - i);
		if (n == 0)
			put_format(&file, "\\udc%02x", (unsigned char)c->s[i]);
		else if (c->s[i] == '\n')
			put_text(&file, "\\n");
		else {
			if (c->s[i] == '"' || c->s[i] == '\\')
				put_text(&file, "\\");
			put(&file, c->s + i, n);
			i += n - 1;
		}
	}
	put_decimal("\\n\", \"ts\": [", c->time, ".7, ");
	put_decimal("", c->time + c->duration, ".5]\n}\n");
}

static const struct writer writers[] = {
	{ "bash", "", can_bash, put_line, 0, 0 },
	{ "bash", "", can_stamped_bash, put_stamped_bash, 1, 1 },
	{ "bash", "first\n", can_bash, put_stamped_bash, 1, 0 },
	{ "zsh", "", can_raw_zsh, put_line, 0, 0 },
	{ "zsh", "", can_plain_zsh, put_plain_zsh, 0, 0 },
	{ "zsh", "", can_zsh, put_extended_zsh, 2, 1 },
	{ "fish", "", can_all, put_fish, 1, 1 },
	{ "fish", "", can_old_fish, put_old_fish, 1, 1 },
	{ "tcsh", "", can_tcsh, put_tcsh, 1, 1 },
	{ "ksh", "\x81\x01", can_string, put_ksh, 0, 1 },
	{ "ksh", "first\n", can_line, put_line, 0, 0 },
	{ "mksh", "\xab\xcd", can_string, put_mksh, 0, 1 },
	{ "mksh", "first\n", can_line, put_line, 0, 0 },
	{ "plain", "", can_line, put_line, 0, 0 },
	{ "nushell", "", can_nushell, put_nushell, 0, 0 },
	{ "powershell", "", can_powershell, put_powershell, 0, 0 },
	{ "yash", "#$# yash history v0 r0\n", can_line, put_yash, 1, 1 },
	{ "mysql", "_HiStOrY_V2_\n", can_all, put_mysql, 0, 1 },
	{ "mysql", "first\n", can_line, put_line, 0, 0 },
	{ "psql", "first\n", can_psql, put_psql, 0, 0 },
	{ "psql", "_HiStOrY_V2_\n", can_psql, put_mysql, 0, 0 },
	{ "python", "", can_python, put_python, 0, 0 },
	{ "python", "_HiStOrY_V2_\n", can_all, put_mysql, 0, 0 },
	{ "duckdb", "", can_python, put_python, 0, 0 },
	{ "node", "", can_node, put_node, 0, 0 },
	{ "irb", "", can_irb, put_irb, 0, 0 },
	{ "prompt_toolkit", "", can_all, put_prompt, 0, 0 },
	{ "less", ".less-history-file:\n", can_line, put_less, 0, 1 },
	{ "vim", "# This viminfo file was generated by Vim 9.0.\n", can_all,
	    put_vim, 1, 1 },
	{ "xonsh", "{\"locs\": [1],\n", can_xonsh, put_xonsh, 2, 1 },
};

enum { NWRITERS = sizeof writers / sizeof *writers };

/* The row that a command has to give. */
static void
put_row(const struct command *c, int times)
{
	put_format(&want, "%lu\t", times > 0 ? c->time : 0);
	put_escaped(&want, c->s, c->n);
	put_text(&want, "\t");
	if (times == 2)
		put_format(&want, "%lu", c->duration);
	put_text(&want, "\n");
}

/* The commands of an input, which its first byte parts. */
static size_t
split_commands(const char *s, size_t n, struct command *c)
{
	const char *end = s + n, *next;
	size_t i;

	for (i = 0; n > 0 && s < end && i < MOST_COMMANDS; s = next) {
		next = memchr(s + 1, *(end - n), (size_t)(end - s - 1));
		if (next == NULL)
			next = end;
		c->s = s + 1;
		c->n = (size_t)(next - s) - 1;
		if (c->n > LONGEST_COMMAND)
			c->n = LONGEST_COMMAND;
		c->chance = (uint32_t)(c->n + i) * 2654435761u;
		c->time = (UINT64_C(0x7fffffffffffffff) ^
		    ((uint64_t)c->chance << 31)) >> c->chance % 63;
		c->duration = c->chance;
		if (c->n > 0) {
			c++;
			i++;
		}
	}
	return i;
}

/* Writes a file with the commands of an input. */
static void
write_commands(const char *s, size_t n, const struct writer *w)
{
	struct command commands[MOST_COMMANDS], *c;
	const size_t count = split_commands(s, n, commands);
	size_t i = 0;

	file.n = want.n = 0;
	put_text(&file, w->head);
	if (strcmp(w->head, "first\n") == 0)
		put_row(&(struct command){ .s = "first", .n = 5 }, w->times);
	for (c = commands; c < commands + count; c++) {
		/* libedit's header makes any file its own. */
		if (!w->can(c) || has(c, "_HiStOrY_V2_", 12))
			continue;
		if (i == 0)	/* a time of today tells the format */
			c->time = 1700000000;
		w->put(c, i++);
		put_row(c, w->times);
	}
	/* The last line may be without its newline. */
	if (n % 2 == 1 && i > 0 && file.s[file.n - 1] == '\n' &&
	    file.s[file.n - 2] != '\n')
		file.n--;
}

/* A writer of the format; those that it has take turns. */
static const struct writer *
choose_writer(const char *name, size_t turn)
{
	const struct writer *w = writers;

	for (;; w = w + 1 < writers + NWRITERS ? w + 1 : writers)
		if (strcmp(w->format, name) == 0 && turn-- == 0)
			return w;
}

/* An input as commands. */
static void
fuzz_commands(const char *s, size_t n, const char *name)
{
	const struct writer *w = choose_writer(name, n % 6);

	write_commands(s, n, w);
	chosen_columns = "time,command,duration";
	(void)choose_columns(columns, NDEFAULT);
	show_file(file.s, file.n, find_format(name));
	must(same(&want, &out), "the commands come back");
	if (!w->tells || want.n == 0)
		return;
	show_file(file.s, file.n, NULL);
	must(row.format.n == strlen(name) && memcmp(row.format.s, name,
	    row.format.n) == 0, "the content decides the format");
	must(same(&want, &out), "the same commands without -f");
}

static void
fuzz_format(const char *s, size_t n, int number)
{
	fuzz_file(s, n, &formats[number]);
	fuzz_commands(s, n, formats[number].name);
}

static void
fuzz_detect(const char *s, size_t n, int unused)
{
	(void)unused;
	fuzz_file(s, n, NULL);
}

/*
 * A process whose static data are the first page of an image and whose heap
 * is the rest.  Its addresses tell that its words are of 64 bits.
 */
static const uint64_t bases[] = { 0, UINT64_C(0x550000000000) };
static const size_t words[] = { 4, 8 };
enum { DATA = 0x1000, HEAP = 0x4000 };

static void
show_memory(const struct bytes *image, int wide)
{
	static struct memory process;
	static struct bytes maps;
	const struct stat st = { .st_uid = 1000 };
	const uint64_t data = bases[wide] + DATA, heap = bases[wide] + HEAP;

	begin();
	maps.n = 0;
	put_format(&maps, "%lx-%lx rw-p 00000000 08:01 7  /bin/sh\n", data,
	    data + PAGE);
	put_format(&maps, "%lx-%lx rw-p 00000000 00:00 0  [heap]\n", heap,
	    heap + image->n - PAGE);
	serve("data", image->s, PAGE);
	files[0].address = data;
	serve("heap", image->s + PAGE, image->n - PAGE);
	files[1].address = heap;
	serve("maps", maps.s, maps.n);
	free(process.mappings);
	free(process.entries);
	process = (struct memory){ .maps = FIRST_FILE + 2, .pagemap = -1,
	    .deadline = INT64_MAX };
	free(known);	/* no other process had the same */
	known = NULL;
	known_size = nknown = 0;
	mflag = 1;
	become_worker();
	keep_file(FIRST_FILE, "/proc/7/mem", &st, &memory_format, 0);
	batch[0].memory = &process;
	parse_file(&batch[0]);
	print_records(&histories);
	mflag = 0;
	end();
}

/* Makes the image whole pages. */
static void
pad(struct bytes *image)
{
	while (image->n % PAGE != 0)
		put(image, "", 1);
}

/* What is printed as a command of readline's is in memory as it stands. */
static void
verify_commands(const struct bytes *image)
{
	static struct bytes command;
	const char *s = out.s, *lf;

	for (; s < out.s + out.n; s = lf + 1) {
		lf = memchr(s, '\n', (size_t)(out.s + out.n - s));
		if (*s == 'z')
			continue;
		s = strchr(s, '\t') + 1;
		command.n = 0;
		put_unescaped(&command, s, (size_t)(lf - s));
		must(memmem(image->s, image->n, command.s, command.n) != NULL,
		    "a command that is in memory");
	}
}

/* The address behind what the image holds so far, for a word. */
static uint64_t
align(struct bytes *image, int wide)
{
	while (image->n % words[wide] != 0)
		put(image, "", 1);
	return bases[wide] + HEAP + image->n - PAGE;
}

static void
put_word(struct bytes *image, uint64_t value, int wide)
{
	uint32_t narrow = (uint32_t)value;

	if (wide)
		put(image, &value, sizeof value);
	else
		put(image, &narrow, sizeof narrow);
}

/* As readline holds them: strings, then entries, then the array. */
static uint64_t
put_readline(struct bytes *image, const struct command *c, size_t n, int wide)
{
	uint64_t lines[MOST_COMMANDS], stamps[MOST_COMMANDS], at;
	size_t i;

	for (i = 0; i < n; i++) {
		lines[i] = align(image, wide);
		put(image, c[i].s, c[i].n);
		put(image, "", 1);
		stamps[i] = align(image, wide);
		put_format(image, "#%lu", c[i].time);
		put(image, "", 1);
	}
	at = align(image, wide);
	for (i = 0; i < n; i++) {
		put_word(image, lines[i], wide);
		put_word(image, stamps[i], wide);
	}
	for (i = 0; i < n; i++)
		put_word(image, at + 2 * i * words[wide], wide);
	put_word(image, 0, wide);
	return at + 2 * n * words[wide];
}

/* As zsh holds them: strings, then the ring, whose last entry is known. */
static uint64_t
put_ring(struct bytes *image, const struct command *c, size_t n, int wide)
{
	const uint16_t bounds[2] = { 0, 1 };
	const size_t size = 10 * words[wide] + 8;
	uint64_t lines[MOST_COMMANDS], at;
	size_t i;

	for (i = 0; i < n; i++) {
		lines[i] = align(image, wide);
		put_metafied(image, &c[i]);
		put(image, "", 1);
	}
	at = align(image, wide);
	for (i = 0; i < n; i++) {
		put_word(image, 0, wide);
		put_word(image, lines[i], wide);
		put_word(image, 0, wide);
		put_word(image, at + (i + n - 1) % n * size, wide);
		put_word(image, at + (i + 1) % n * size, wide);
		put_word(image, 0, wide);
		put_word(image, c[i].time, wide);
		put_word(image, c[i].time + c[i].duration, wide);
		put_word(image, at + n * size, wide);
		put_word(image, 1, wide);
		put(image, &(uint64_t){ i + 1 }, 8);
	}
	put(image, bounds, sizeof bounds);
	return at + (n - 1) * size;
}

/*
 * The last command is typed once more: in the memory of the oldest, as a
 * shell has it whose history is full.
 */
static void
type_again(struct bytes *image, uint64_t start, size_t n, int wide, int zsh)
{
	const size_t w = words[wide], size = zsh ? 10 * w + 8 : 2 * w;
	char *at = image->s + (start - bases[wide] - HEAP + PAGE), *oldest;
	uint64_t number = n + 1;

	oldest = at - (zsh ? n - 1 : n) * size;
	if (zsh) {
		memcpy(oldest + w, oldest + (n - 1) * size + w, w);
		memcpy(oldest + 6 * w, oldest + (n - 1) * size + 6 * w, 4 * w);
		memcpy(oldest + 10 * w, &number, sizeof number);
		return;
	}
	memcpy(oldest, oldest + (n - 1) * size, size);
	memmove(at, at + w, (n - 1) * w);
	start -= n * size;
	memcpy(at + (n - 1) * w, &start, w);
}

/* Whether the output is what is wanted from here to there. */
static int
is_piece(size_t from, size_t to)
{
	return out.n == to - from &&
	    memcmp(out.s, want.s + from, to - from) == 0;
}

/* Of n commands the first may be missing, the last be there twice. */
static void
verify_typed(const struct bytes *image, uint64_t start, size_t n, int wide,
    int zsh)
{
	static struct bytes typed;
	size_t first, last, end;

	typed.n = 0;
	put(&typed, image->s, image->n);
	type_again(&typed, start, n, wide, zsh);
	later = typed.s + PAGE;
	show_memory(image, wide);
	reads_until = 0;
	first = (size_t)((char *)memchr(want.s, '\n', want.n) + 1 - want.s);
	end = want.n;
	for (last = end - 1; want.s[last - 1] != '\n'; last--)
		;
	typed.n = 0;
	put(&typed, want.s + last, end - last);
	put(&want, typed.s, typed.n);
	must(is_piece(0, end) || is_piece(first, end) ||
	    is_piece(0, want.n) || is_piece(first, want.n),
	    "commands in their order while one is typed");
}

/* The commands of an input, as a shell holds them, come back. */
static void
verify_held(const char *s, size_t n, int wide, int zsh)
{
	static struct bytes image;
	struct command c[MOST_COMMANDS];
	const size_t count = split_commands(s, n, c);
	size_t i, kept = 0;
	uint64_t start;

	want.n = image.n = 0;
	put(&image, "", 1);
	pad(&image);
	for (i = 0; i < count; i++) {
		c[i].time = 1700000000 + c[i].chance % 1000000;
		c[i].duration = c[i].chance % 1000;
		if (zsh ? can_zsh(&c[i]) : can_string(&c[i])) {
			c[kept++] = c[i];
			put_row(&c[i], zsh ? 2 : 1);
		}
	}
	if (kept == 0)
		return;
	start = zsh ? put_ring(&image, c, kept, wide) :
	    put_readline(&image, c, kept, wide);
	memcpy(image.s + words[wide], &start, words[wide]);
	pad(&image);
	chosen_columns = "time,command,duration";
	(void)choose_columns(columns, NDEFAULT);
	show_memory(&image, wide);
	must(same(&want, &out), "the commands in memory come back");
	if (kept > 1) {
		reads_until = chance(s, n) % 64;
		verify_typed(&image, start, kept, wide, zsh);
	}
}

/* An input as the memory of a process; it may change meanwhile. */
static void
fuzz_memory(const char *s, size_t n, int unused)
{
	static struct bytes image;
	const int wide = n > 0 && (s[0] & 1) != 0;

	(void)unused;
	aflag = n > 0 && (s[0] & 2) != 0;
	image.n = 0;
	put(&image, s + (n > 0), n - (n > 0));
	put(&image, "", 1);
	pad(&image);
	chosen_columns = "format,command";
	(void)choose_columns(columns, NDEFAULT);
	show_memory(&image, wide);
	verify_rows(&out, 2);
	verify_commands(&image);
	chunks = chance(s, n);
	changes = 1;
	show_memory(&image, wide);
	verify_rows(&out, 2);
	changes = 0;
	verify_held(s, n, wide, n % 2);
}

/* Any list of mappings. */
static void
fuzz_maps(const char *s, size_t n, int unused)
{
	struct reader r = { .fd = FIRST_FILE, .max = LONGEST_MAP };
	struct memory process = { .f = NULL };
	ptrdiff_t len;
	char *line;
	size_t i;

	(void)unused;
	begin();
	serve("maps", s, n);
	chunks = chance(s, n);
	while ((len = read_line(&r, '\n', &line)) != -1)
		parse_mapping(&process, line, (size_t)len);
	reader_free(&r);
	for (i = 0; i < process.nmappings; i++)
		(void)is_mapped(&process, process.mappings[i].start);
	free(process.mappings);
	end();
}

static void
put_checksum(unsigned char *s, const uint32_t sum[2])
{
	size_t i;

	for (i = 0; i < 8; i++)
		s[i] = (unsigned char)(sum[i / 4] >> (24 - i % 4 * 8));
}

/* Makes the checksums of a log hold, which by chance they never would. */
static void
mend_log(unsigned char *s, size_t n)
{
	const unsigned char other[8] = { 0 };
	const int big = n > 3 && (s[3] & 1) != 0;
	size_t page = n < 32 ? 0 : (size_t)big_endian(s + 8, 4);
	uint32_t sum[2] = { 0, 0 };

	if (n < 32 || page % 8 != 0)
		return;
	(void)add_checksum(sum, s, 24, big, other);
	put_checksum(s + 24, sum);
	for (s += 32, n -= 32; n >= 24 + page; s += 24 + page, n -= 24 + page) {
		(void)add_checksum(sum, s, 8, big, other);
		(void)add_checksum(sum, s + 24, page, big, other);
		put_checksum(s + 16, sum);
	}
}

static int
compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The row ids, which the lines of the output begin with, are different. */
static void
verify_ids(const struct bytes *b)
{
	int64_t ids[4096];
	size_t n = 0, i;
	char *s = b->s, *end;

	for (; s < b->s + b->n && n < 4096; s = end + 1) {
		ids[n++] = strtoll(s, NULL, 10);
		end = memchr(s, '\n', (size_t)(b->s + b->n - s));
	}
	qsort(ids, n, sizeof *ids, compare_ids);
	for (i = 1; i < n; i++)
		must(ids[i - 1] != ids[i], "each row at most once");
}

static void
show_database(const char *s, size_t n, const char *log, size_t log_length)
{
	const struct stat st = { .st_uid = 1000 };

	begin();
	serve(path, s, n);
	serve("log", log, log_length);
	chunks = preads = 0;
	become_worker();
	fflag = find_format("sqlite");
	keep_file(FIRST_FILE, path, &st, fflag, 0);
	if (log_length > 0)
		batch[0].log = FIRST_FILE + 1;
	pread_files = 1;
	parse_file(&batch[0]);
	pread_files = 0;
	fflag = NULL;
	print_records(&histories);
	end();
}

/*
 * A database and its log: two bytes are the length of the log at the end of
 * the input; the highest bit asks for checksums that hold.
 */
static void
fuzz_sqlite(const char *s, size_t n, int unused)
{
	static char database[1 << 16], log[1 << 16];
	size_t length;

	(void)unused;
	if (n < 2 || n > sizeof log)
		return;
	length = (size_t)((s[0] & 0x7f) << 8 | (s[1] & 0xff));
	if (length > n - 2)
		length = n - 2;
	memcpy(database, s + 2, n - 2 - length);
	memcpy(log, s + n - length, length);
	if ((s[0] & 0x80) != 0)
		mend_log((unsigned char *)log, length);
	chosen_columns = "line,time,duration,exit_status,cwd,command,format";
	(void)choose_columns(columns, NDEFAULT);
	show_database(database, n - 2 - length, log, length);
	must(preads < 100000, "not many reads");
	verify_rows(&out, 7);
	verify_ids(&out);
}

/*
 * Takes an input for records: for each a kind, a length, and so many bytes.
 * Reuses what stands there for the numbers in their heads.
 */
static void
send_any(const char *s, size_t n)
{
	size_t len;

	for (; n > 2; s += 2 + len, n -= 2 + len) {
		len = (unsigned char)s[1] % 48;
		if (len > n - 2)
			len = n - 2;
		send_record((unsigned char)s[0] % 16 - 5, NULL, 0, s + 2, len);
	}
}

/* Whatever a worker says, the parent prints nothing but whole rows. */
static void
fuzz_records(const char *s, size_t n, int unused)
{
	const struct stat st = { .st_uid = 1000, .st_ino = 1 };

	(void)unused;
	chosen_columns = NULL;
	(void)choose_columns(columns, NDEFAULT);
	chunks = 0;
	begin();
	become_worker();
	if (n % 2 == 0) {
		keep_file(FIRST_FILE, path, &st, NULL, 0);
		send_start(&batch[0], "plain");
	}
	send_any(s, n);
	print_records(&histories);
	end();
	verify_rows(&out, 4);
}

static void
forget_users(void)
{
	nusers = nhomes = 0;
}

/* Whatever a worker says the users are. */
static void
fuzz_userlist(const char *s, size_t n, int unused)
{
	size_t i;

	(void)unused;
	begin();
	forget_users();
	become_worker();
	send_any(s, n);
	print_records(&lists);
	drop_claimed();
	for (i = 0; i < nusers; i++)
		must(*users[i].home == '/' && users[i].uid < UINT32_MAX &&
		    users[i].gid < UINT32_MAX &&
		    strlen(users[i].name) < n + 1, "a user that can be one");
	end();
}

/* A line that is taken has a uid that is a number below 2^32 - 1. */
static void
verify_line(const char *s, size_t n, const struct passwd_entry *u)
{
	const char *uid;
	size_t len;

	uid = memchr(s, ':', n);
	uid = (const char *)memchr(uid + 1, ':', n) + 1;
	len = strspn(uid, "0123456789");
	must(len > 0 && uid[len] == ':' && u->uid < UINT32_MAX &&
	    strtoull(uid, NULL, 10) == u->uid, "a uid that is a number");
	must(u->gid < UINT32_MAX, "a gid");
}

/* A user whom a worker sends comes back. */
static void
verify_sent(const struct passwd_entry *e)
{
	const struct user u = { .uid = e->uid, .gid = e->gid,
	    .name = e->name, .home = e->home };

	begin();
	forget_users();
	become_worker();
	send_user(&u);
	print_records(&lists);
	must(nusers == 1 && users[0].uid == e->uid && users[0].gid == e->gid &&
	    strcmp(users[0].name, e->name) == 0 &&
	    strcmp(users[0].home, e->home) == 0, "the user comes back");
	end();
}

static void
verify_home(const char *s)
{
	size_t n = strlen(s);

	must(n == 0 || (*s == '/' && s[n - 1] != '/' &&
	    strstr(s, "//") == NULL), "a path without needless slashes");
}

/* An input as lines of the passwd list. */
static void
fuzz_passwd(const char *s, size_t n, int unused)
{
	static struct bytes line;
	const char *end = s + n, *next;
	struct passwd_entry u;

	(void)unused;
	chunks = chance(s, n);
	nwanted = 0;
	for (; s < end; s = next < end ? next + 1 : end) {
		next = memchr(s, '\n', (size_t)(end - s));
		if (next == NULL)
			next = end;
		line.n = 0;
		put(&line, s, (size_t)(next - s));
		put(&line, "", 1);
		if (parse_passwd(line.s, (size_t)(next - s), &u) == -1)
			continue;
		verify_line(s, (size_t)(next - s), &u);
		if (*u.name == '\0' || *u.home != '/')
			continue;
		verify_sent(&u);
		clean_path(u.home);
		verify_home(u.home);
	}
}

/* Names that are not empty. */
static void
fuzz_users(const char *s, size_t n, int unused)
{
	size_t i;
	int fine;

	(void)unused;
	begin();
	first.n = 0;
	put(&first, s, strnlen(s, n));
	put(&first, "", 1);
	fine = *first.s != '\0' && *first.s != ',' &&
	    strstr(first.s, ",,") == NULL && first.s[first.n - 2] != ',';
	nwanted = 0;
	must(survives(choose_users, first.s) == fine, "a list of users");
	for (i = 0; fine && i < nwanted; i++)
		must(wanted[i].len > 0 && wanted[i].uid < UINT32_MAX,
		    "a name or a number");
	end();
}

/* The first of them are shhist's formats, in their order. */
static const struct target targets[] = {
	{ "bash", fuzz_format, 0 },
	{ "zsh", fuzz_format, 1 },
	{ "fish", fuzz_format, 2 },
	{ "tcsh", fuzz_format, 3 },
	{ "ksh", fuzz_format, 4 },
	{ "mksh", fuzz_format, 5 },
	{ "plain", fuzz_format, 6 },
	{ "nushell", fuzz_format, 7 },
	{ "powershell", fuzz_format, 8 },
	{ "yash", fuzz_format, 9 },
	{ "mysql", fuzz_format, 10 },
	{ "psql", fuzz_format, 11 },
	{ "python", fuzz_format, 12 },
	{ "duckdb", fuzz_format, 13 },
	{ "node", fuzz_format, 14 },
	{ "irb", fuzz_format, 15 },
	{ "prompt_toolkit", fuzz_format, 16 },
	{ "less", fuzz_format, 17 },
	{ "vim", fuzz_format, 18 },
	{ "xonsh", fuzz_format, 19 },
	{ "sqlite", fuzz_sqlite, 0 },
	{ "detect", fuzz_detect, 0 },
	{ "memory", fuzz_memory, 0 },
	{ "maps", fuzz_maps, 0 },
	{ "records", fuzz_records, 0 },
	{ "passwd", fuzz_passwd, 0 },
	{ "userlist", fuzz_userlist, 0 },
	{ "users", fuzz_users, 0 },
	{ NULL, NULL, 0 },
};

static void
set_up(void)
{
	static char *no_operand[] = { NULL };
	static struct user someone = { .uid = 1000, .name = none,
	    .home = top_dir };
	const struct target *t;

	reading = &someone;
	users = grow(NULL, &users_size, 1, sizeof *users);
	users[0] = someone;
	operands = no_operand;
	progname = "shhist";
	for (t = targets; t->fuzz == fuzz_format; t++)
		must(strcmp(t->name, formats[t->number].name) == 0,
		    "each format has its target");
	must(strcmp(formats[t - targets].name, "sqlite") == 0 &&
	    formats[t - targets + 1].name == NULL, "all formats have one");
}

#include "driver.h"
