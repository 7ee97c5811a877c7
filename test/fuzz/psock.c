/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes what psock parses of /proc.  The first byte of the input chooses
 * the table, or stat, status, cgroup, mountinfo, a link, the columns; the
 * rest is the file.  Whatever it holds, the rows that come of it must have
 * their columns and no byte that drives a terminal.
 */

#define main psock_main
#include "../../psock.c"
#undef main

#include "rows.h"

static void
fuzz_table(size_t table, size_t width)
{
	const struct nettable *t = &nettables[table];
	const struct entry blank = { .family = t->family,
	    .protocol = t->protocol, .type = t->type,
	    .table = (uint8_t)table };
	struct reader r = { .fd = memory, .max = LINE_MAX_BYTES };
	struct tally tally = { 0 };
	int place[MAX_WANTED];
	ptrdiff_t len;
	char *line;

	nentries = texts_used = 0;
	index_entries(64);
	len = read_line(&r, '\n', &line);
	if (len != -1 && parse_header(t, line, (size_t)len, place) == 0) {
		if (t->family == AF_UNIX)
			read_unix(&r, t, &blank, &tally);
		else
			read_rows(&r, AT_FDCWD, t, &blank, place, &tally);
	}
	reader_free(&r);
	print_entries();
	check_output(width);
}

static void
fuzz_text(int kind, const char *s, size_t n)
{
	struct details d = { 0 };
	struct text t = { malloc(n + 1), n };
	char *list;
	uint64_t inode;

	memcpy(t.s, s, n);
	t.s[n] = '\0';
	switch (kind) {
	case 0:
		parse_stat(&d, &t);
		break;
	case 1:
		parse_status(&d, &t);
		break;
	case 2:
		d.cgroup = parse_cgroup(&t);
		break;
	case 3:
		(void)look_at_mount(t.s, n);
		while (nns_links > 0)
			free(ns_links[--nns_links].path);
		break;
	case 4:
		(void)parse_link(t.s, (ssize_t)n, "socket:[", &inode);
		break;
	default:
		list = malloc(4 * n + 1);
		put_raw(list, escape(list, t.s, n));
		put_char('\n');
		check_output(1);
		put_field(t.s, n);
		put_char('\n');
		check_output(1);
		free(list);
	}
	free(d.comm.s);
	free(d.cgroup.s);
	free(t.s);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	progname = "psock";
	quiet = hflag = 1;
	open_memory();
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)add_netns(1, 0, 0, NONE);
	index_holders();
	if (proc == -1)
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char list[] = "+type,owner,rx_queue,tx_queue";
	size_t kind;

	if (size == 0)
		return 0;
	needs = choose_columns(columns, DEFAULT_COLUMNS, list);
	kind = data[0] % (NTABLES + 6);
	if (kind >= NTABLES) {
		fuzz_text((int)(kind - NTABLES), (const char *)data + 1,
		    size - 1);
		return 0;
	}
	fill_memory(data + 1, size - 1);
	fuzz_table(kind, DEFAULT_COLUMNS + 4);
	return 0;
}
