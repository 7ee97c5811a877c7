/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes what psock parses of /proc: each table, stat, status, cgroup,
 * cmdline, links, mountinfo, fdinfo, net/sockstat, the files that name
 * interfaces; and the lists of -o, -p and -t, escapes and addresses.
 *
 * What is checked on every input: reads of any size give the same rows; a
 * row has all its fields and drives no terminal; it names no inode but one of
 * the input or one that is held; the entries, written as the kernel writes
 * them, give the same rows again.
 *
 * What a worker sends is taken as its parent takes it, in one process, and so
 * is what a broken one may send.
 */

#include "harness.h"
#include <arpa/inet.h>
_Static_assert(OUTPUT_SIZE == 128 && READ_SIZE == 24 &&
    LINE_MAX_BYTES == 400 && TEXT_MAX == 192, "test/fuzz/build");

_Static_assert(SEND_SIZE == 512, "test/fuzz/build");

enum {
	WIDTH = DEFAULT_COLUMNS + 5,
	FIRST_NAMED = 1000,	/* inodes of sockets, for fuzz_names */
	MOST_NAMED = 32,
};

/* What this process holds, so that rows are joined. */
static const uint64_t held_inodes[] = { 1569, 1573, 77 };
static struct bytes first, kernels;

/* The file name as psock looks for it: one directory after the other. */
static const char *
last_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash != NULL ? slash + 1 : file;
}

static void
choose(const char *list)
{
	chosen_columns = list;
	needs = choose_columns(columns, DEFAULT_COLUMNS);
}

static void
choose_all(void)
{
	choose("+type,owner,rx_queue,tx_queue,interface");
}

/* The worker that we are ourselves. */
static struct worker worker = { .in_use = 1, .fd = -1 };

/* Takes the records that were sent. */
static void
deliver(void (*take)(size_t, int, const char *, size_t))
{
	const struct scan taking = { .njobs = 1, .take = take };

	flush_records();
	scan = &taking;
	must(take_job(&worker) == 0 && worker.used == 0, "records are whole");
	scan = NULL;
}

static void
read_entries(const char *s, size_t n, size_t table)
{
	struct reading g = { .ns = 0, .dir = NONE, .netdir = DIRECTORY };
	struct holder *h;

	serve(last_name(table_file(&nettables[table])), s, n);
	for (h = holders; h < holders + count.holders; h++)
		h->has_entry = h->to_ask = h->unanswered = 0;
	count.entries = count.texts = 0;
	forget_sent();
	begin_job(0);
	(void)read_table(&nettables[table], &g);
	deliver(take_table);
}

static void
show_table(const char *s, size_t n, size_t table, int unlisted)
{
	begin();
	read_entries(s, n, table);
	scan_names(0);
	if (unlisted)
		(void)scan_sockets();
	else
		use_answers();
	report_unsure_rows();
	print_entries();
	end();
}

static void
put_hex_address(struct bytes *b, const struct entry *e,
    const unsigned char *address, uint32_t port)
{
	uint32_t word;
	size_t i;

	for (i = 0; i < (e->family == AF_INET ? 4 : 16); i += 4) {
		memcpy(&word, address + i, 4);
		put_format(b, "%08X", word);
	}
	put_format(b, ":%04X ", port);
}

static void
put_inet(struct bytes *b, const struct entry *e)
{
	put_format(b, "%4zu: ", (size_t)(e - entries) + 1);
	put_hex_address(b, e, e->local, e->local_port);
	put_hex_address(b, e, e->remote, e->remote_port);
	put_format(b, "%02X %08X:%08X 00:00000000 00000000 %5u        0 %lu "
	    "1 %016zx 0\n", e->state, e->tx_queue, e->rx_queue, e->owner,
	    e->inode, (size_t)(e - entries) + 1);	/* each has its own */
}

static void
put_unix(struct bytes *b, const struct entry *e)
{
	int listens = e->state == UNIX_LISTEN;

	put_format(b, "%016x: %08X %08X %08X %04X %02X %5lu", 0, 2, 0,
	    listens ? 0x10000 : 0, e->type,
	    listens ? 1 : e->state - STATE_UNIX, e->inode);
	if (e->text_len > 0)
		put_text(b, " ");
	put(b, text_of(e), e->text_len);
	put_text(b, "\n");
}

static void
put_packet(struct bytes *b, const struct entry *e)
{
	put_format(b, "%016x 3      %-4d %04x   %-5.*s 1 %-6u %-6u %-6lu\n",
	    0, e->type, e->protocol, e->text_len > 0 ? e->text_len : 1,
	    e->text_len > 0 ? text_of(e) : "0", e->rx_queue, e->owner,
	    e->inode);
}

static void
put_netlink(struct bytes *b, const struct entry *e)
{
	put_format(b, "%016x %-3d %-10u %08x %-8u %-8d %-5d %-8d %-8d %-8lu\n",
	    0, e->protocol, 0, 0, e->rx_queue, 0, 0, 2, 0, e->inode);
}

static void
put_address(struct bytes *b, const struct entry *e,
    const unsigned char *address)
{
	size_t i;

	if (e->family == AF_INET)
		put_format(b, "*%d.%d.%d.%d ", address[0], address[1],
		    address[2], address[3]);
	for (i = 0; e->family == AF_INET6 && i < 16; i += 2)
		put_format(b, "%s%02x%02x%s", i == 0 ? "*" : ":", address[i],
		    address[i + 1], i == 14 ? " " : "");
}

static void
put_endpoint(struct bytes *b, const struct entry *e)
{
	put_format(b, "%8x %8x %-3d %-3d %-4d %-5u %5u %5lu ", 0, 0,
	    e->type == SOCK_STREAM ? 2 : 0, e->state == SCTP_LISTEN ? 10 :
	    e->state == SCTP_ESTABLISHED ? 1 : 0, 1, e->local_port, e->owner,
	    e->inode);
	put_address(b, e, e->local);
	put_text(b, "\n");
}

static void
put_association(struct bytes *b, const struct entry *e)
{
	put_format(b, "%8x %8x %-3d %-3d %-2d %-4d %4d %8d %8d %7u %5lu "
	    "%-5u %5u ", 0, 0, e->type == SOCK_STREAM ? 2 : 0, 1,
	    e->state - STATE_SCTP, 0, 3, 0, 0, e->owner, e->inode,
	    e->local_port, e->remote_port);
	put_address(b, e, e->local);
	put_text(b, "<-> ");
	put_address(b, e, e->remote);
	put_format(b, "\t%8u %5d %5d\n", 30000, 10, 10);
}

/* How the kernel writes a table of each layout. */
static const struct {
	const struct layout *layout;
	const char *header;
	void (*put)(struct bytes *, const struct entry *);
} writers[] = {
	{ &inet, "  sl  local_address rem_address   st tx_queue "
	    "rx_queue tr tm->when retrnsmt   uid  timeout inode ref\n",
	    put_inet },
	{ &unix_sockets, "Num       RefCount Protocol Flags    Type St "
	    "Inode Path\n", put_unix },
	{ &packet, "sk               RefCnt Type Proto  Iface R "
	    "Rmem   User   Inode\n", put_packet },
	{ &netlink, "sk               Eth Pid        Groups   Rmem"
	    "     Wmem     Dump  Locks    Drops    Inode\n", put_netlink },
	{ &endpoints, " ENDPT     SOCK   STY SST HBKT LPORT   UID "
	    "INODE LADDRS\n", put_endpoint },
	{ &associations, " ASSOC     SOCK   STY SST ST HBKT "
	    "ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> "
	    "RADDRS HBINT INS OUTS\n", put_association },
};

/* Writes what was read as the kernel would. */
static void
write_table(const struct nettable *t)
{
	const struct entry *e;
	size_t i = 0;

	while (writers[i].layout != t->layout)
		i++;
	kernels.n = 0;
	put_text(&kernels, writers[i].header);
	for (e = entries; e < entries + count.entries; e++)
		if (e->table < NTABLES)
			writers[i].put(&kernels, e);
}

/* The third field of each row is in the input, or held, or 0. */
static void
verify_inodes(const char *s, size_t n)
{
	const char *row_at = out.s, *lf, *p;
	size_t i, len;

	for (; row_at < out.s + out.n; row_at = lf + 1) {
		lf = memchr(row_at, '\n', (size_t)(out.s + out.n - row_at));
		p = strchr(strchr(row_at, '\t') + 1, '\t') + 1;
		len = strcspn(p, "\t");
		for (i = 0; i < 3; i++)
			if (strtoull(p, NULL, 10) == held_inodes[i])
				break;
		must(i < 3 || *p == '0' || memmem(s, n, p, len) != NULL,
		    "an inode that the input names");
	}
}

/* A table that is cut has the first rows of the whole one, no other. */
static void
verify_cut(const char *s, size_t n, int table)
{
	show_table(s, n, (size_t)table, 0);
	first.n = 0;
	put(&first, out.s, out.n);
	show_table(s, chance(s, n) % (n + 1), (size_t)table, 0);
	must(out.n <= first.n && memcmp(out.s, first.s, out.n) == 0,
	    "the first rows");
}

/* Whether a socket has two rows, one of them unsure, which may be one later. */
static int
has_twice(void)
{
	const struct entry *e, *other;

	for (e = entries; e < entries + count.entries; e++)
		for (other = entries; e->inode != 0 && other < e; other++)
			if (other->inode == e->inode)
				return 1;
	return 0;
}

static void
fuzz_table(const char *s, size_t n, int table)
{
	int comes_back;

	chunks = 0;
	show_table(s, n, (size_t)table, 1);
	verify_rows(&out, WIDTH);
	verify_inodes(s, n);
	first.n = 0;
	put(&first, out.s, out.n);
	chunks = chance(s, n);
	show_table(s, n, (size_t)table, 1);
	must(same(&first, &out), "the same rows whatever the reads");
	comes_back = nettables[table].family != AF_UNIX || !has_twice();
	write_table(&nettables[table]);
	show_table(kernels.s, kernels.n, (size_t)table, 1);
	must(!comes_back || same(&first, &out),
	    "the same rows as the kernel writes them");
	if (chance(s, n) % 4 == 1 && nettables[table].family != AF_UNIX)
		verify_cut(s, n, table);
}

/* A socket for fuzz_names: its name as the kernel's table has it. */
static struct {
	char s[UNIX_NAME_MAX];
	size_t n;
} names[MOST_NAMED];

/*
 * Makes a name of a part of the input: a byte 1 stands for a newline and
 * what looks like the row of another of the sockets.
 */
static void
make_name(size_t i, const char *s, size_t n)
{
	char row_text[64];
	size_t at, len;

	names[i].n = 0;
	for (at = 0; at < n; at++) {
		row_text[0] = s[at] != '\0' ? s[at] : '@';
		len = 1;
		if (s[at] == 1)
			len = (size_t)snprintf(row_text, sizeof row_text,
			    "\n%08x: 00000002 00000000 00010000 0001 01 %5zu",
			    0, FIRST_NAMED + (i * 7 + at) % MOST_NAMED);
		if (names[i].n + len > UNIX_NAME_MAX)
			break;
		memcpy(names[i].s + names[i].n, row_text, len);
		names[i].n += len;
	}
}

/* What the sockets that are asked would answer. */
static void
answer_names(void)
{
	struct answer a = { .e = { .family = AF_UNIX, .netns = NOWHERE,
	    .table = UNLISTED, .type = SOCK_STREAM, .state = UNIX_LISTEN },
	    .asked = 1 };
	struct holder *h;
	size_t i;

	asks_kernel = 0;	/* not by workers */
	ask_marked();
	asks_kernel = 1;
	for (h = holders; h < holders + count.holders; h++) {
		if (!h->to_ask || h->inode < FIRST_NAMED)
			continue;
		i = h->inode - FIRST_NAMED;
		a.e.inode = h->inode;
		a.holder = (uint32_t)(h - holders);
		send_record(FOUND_SOCKET, &a, sizeof a, names[i].s,
		    names[i].n);
	}
	deliver(take_answer);
}

/*
 * An input as the names of unix sockets, parted by its first byte: whatever
 * is in them, the rows are those of the sockets and no other.
 */
static void
fuzz_names(const char *s, size_t n, int table)
{
	const char *input_end = s + n, *next;
	char number[24];
	size_t i;

	kernels.n = first.n = 0;
	put_text(&kernels, "Num RefCount Protocol Flags Type St Inode Path\n");
	for (i = 0; n > 0 && s < input_end && i < MOST_NAMED; s = next, i++) {
		next = memchr(s + 1, *(input_end - n),
		    (size_t)(input_end - s - 1));
		if (next == NULL)
			next = input_end;
		make_name(i, s + 1, (size_t)(next - s) - 1);
		put_format(&kernels, "%016x: %08X %08X %08X %04X %02X %5zu%s",
		    0, 2, 0, 0x10000, 1, 1, FIRST_NAMED + i,
		    names[i].n > 0 ? " " : "");
		put(&kernels, names[i].s, names[i].n);
		put_text(&kernels, "\n");
		snprintf(number, sizeof number, "%zu\t", FIRST_NAMED + i);
		put_text(&first, number);
		put_escaped(&first, names[i].s, names[i].n);
		put_text(&first, "\n");
	}
	begin();
	chunks = chance(input_end - n, n);
	choose("socket,path");
	read_entries(kernels.s, kernels.n, (size_t)table);
	asks_kernel = 1;
	(void)mark_names(0);
	answer_names();
	settle_rows(0);
	use_answers();
	asks_kernel = 0;
	print_entries();
	end();
	must(same(&first, &out), "the names come back");
}

/* Whatever is in its file, a process has one row. */
static void
show_details(const char *file, const char *s, size_t n, unsigned need)
{
	struct task t = { .pid = 7, .tid = 7 };
	struct text *d;
	size_t i;

	begin();
	serve(file, s, n);
	choose("comm,exe,cwd,cmdline,uid,ppid,start_time,cgroup");
	needs = need;
	found.pid = 7;
	found.nfds = found.nlinks = found.leader_end = found.rings.count = 0;
	add_fd(99, 3);
	begin_job(0);
	send_task(&t, 0, DIRECTORY, DIRECTORY);
	deliver(take_process);
	must(count.tasks == count_before.tasks + 1 &&
	    count.holders == count_before.holders + 1,
	    "a task and its descriptor");
	shown_entry = &(struct entry){ 0 };
	shown_task = &tasks[count_before.tasks];
	shown_holder = &holders[count_before.holders];
	print_row();
	end();
	d = tasks[count_before.tasks].details;
	for (i = 0; d != NULL && i < NDETAILS; i++) {
		must(d[i].len <= TEXT_MAX, "a text that is bounded");
		free((void *)(uintptr_t)d[i].s);
	}
	free(d);
	count.tasks = count_before.tasks;
	count.holders = count_before.holders;
}

static void
both_reads(const char *file, const char *s, size_t n, unsigned need)
{
	chunks = 0;
	show_details(file, s, n, need);
	verify_rows(&out, 8);
	first.n = 0;
	put(&first, out.s, out.n);
	chunks = chance(s, n);
	show_details(file, s, n, need);
	must(same(&first, &out), "the same row whatever the reads");
}

/* The row is these fields, the text escaped. */
static void
must_show(const char *before, const char *s, size_t n, const char *behind)
{
	first.n = 0;
	put_text(&first, before);
	put_escaped(&first, s, n);
	put_text(&first, behind);
	must(same(&first, &out), "what the kernel was given comes back");
}

/* Any name comes back, whatever is in it. */
static void
fuzz_stat(const char *s, size_t n, int unused)
{
	(void)unused;
	both_reads("stat", s, n, 1 << PPID | 1 << START_TIME | 1 << COMM);
	if (n > 64)
		n = 64;
	kernels.n = 0;
	put_text(&kernels, "42 (");
	put(&kernels, s, n);
	put_text(&kernels, ") S 7 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 "
	    "500 2379776 0\n");
	show_details("stat", kernels.s, kernels.n,
	    1 << PPID | 1 << START_TIME | 1 << COMM);
	must_show("", s, n, "\t\t\t\t\t7\t1005\t\n");
}

static void
fuzz_status(const char *s, size_t n, int unused)
{
	uint32_t uid = (uint32_t)n * 2654435761u;
	char behind[64];
	size_t i;

	(void)unused;
	both_reads("status", s, n, 1 << UID);
	/* The kernel escapes a newline in the name. */
	kernels.n = 0;
	put_text(&kernels, "Name:\t");
	for (i = 0; i < n && i < 64; i++)
		if (s[i] == '\n')
			put_text(&kernels, "\\n");
		else
			put(&kernels, s + i, 1);
	put_format(&kernels, "\nState:\tS (sleeping)\nUid:\t%u\t1\t2\t3\n",
	    uid);
	show_details("status", kernels.s, kernels.n, 1 << UID);
	snprintf(behind, sizeof behind, "\t\t\t\t%u\t\t\t\n", uid);
	must_show("", "", 0, behind);
}

/* The kernel lets no newline into the name of a group. */
static void
fuzz_cgroup(const char *s, size_t n, int unused)
{
	(void)unused;
	both_reads("cgroup", s, n, 1 << CGROUP);
	if (n > 128 || memchr(s, '\n', n) != NULL)
		return;
	kernels.n = 0;
	put_text(&kernels, "12:pids:/a\n1:name=x:/b\n0::/");
	put(&kernels, s, n);
	put_text(&kernels, "\n");
	show_details("cgroup", kernels.s, kernels.n, 1 << CGROUP);
	must_show("\t\t\t\t\t\t\t/", s, n, "\n");
}

static void
fuzz_cmdline(const char *s, size_t n, int unused)
{
	size_t i;

	(void)unused;
	both_reads("cmdline", s, n, 1 << CMDLINE);
	if (n > 128)
		return;
	kernels.n = 0;
	put(&kernels, s, n);
	put(&kernels, "", 1);
	show_details("cmdline", kernels.s, kernels.n, 1 << CMDLINE);
	for (i = 0; i < n; i++)
		if (kernels.s[i] == '\0')
			kernels.s[i] = ' ';
	must_show("\t\t\t", kernels.s, n, "\t\t\t\t\n");
}

static void
fuzz_links(const char *s, size_t n, int unused)
{
	(void)unused;
	both_reads("exe", s, n, 1 << EXE);
	show_details("cwd", s, n, 1 << CWD);
	must_show("\t\t", s, n < TEXT_MAX ? n : TEXT_MAX, "\t\t\t\t\t\n");
}

static void
fuzz_link(const char *s, size_t n, int unused)
{
	static const char *const prefixes[] = { "socket:[", "net:[" };
	uint64_t inode, again = 0;
	char link[64];
	size_t i;

	(void)unused;
	for (i = 0; i < 2; i++) {
		if (parse_link(s, (ssize_t)n, prefixes[i], &inode) == -1)
			continue;
		n = (size_t)snprintf(link, sizeof link, "%s%lu]", prefixes[i],
		    inode);
		must(parse_link(link, (ssize_t)n, prefixes[i], &again) == 0 &&
		    inode == again, "a link that comes back");
	}
}

/* As the kernel writes a path: blank, TAB, LF, backslash and # in octal. */
static void
put_mangled(struct bytes *b, const char *s)
{
	for (; *s != '\0'; s++)
		if (strchr(" \t\n\\#", *s) != NULL)
			put_format(b, "\\%03o", *s);
		else
			put(b, s, 1);
}

static void
drop_links(void)
{
	while (count.ns_links > 0)
		free((void *)(uintptr_t)
		    ns_links[--count.ns_links].path);
}

static void
fuzz_mountinfo(const char *s, size_t n, int unused)
{
	struct reader r = { .fd = FIRST_FILE, .max = LINE_MAX_BYTES };
	struct ns_link was;
	ptrdiff_t len;
	char *line;

	(void)unused;
	begin();
	serve("mountinfo", s, n);
	chunks = chance(s, n);
	while ((len = read_line(&r, '\n', &line)) != -1)
		(void)look_at_mount(line, (size_t)len);
	reader_free(&r);
	deliver(take_list);
	end();
	if (count.ns_links > 0 && ns_links[0].path[0] != '\0') {
		was = ns_links[0];
		ns_links[0].path = NULL;
		kernels.n = 0;
		put_format(&kernels, "1 2 0:4 net:[%lu] ", was.inode);
		put_mangled(&kernels, was.path);
		put_text(&kernels, " rw shared:3 - nsfs nsfs rw");
		drop_links();
		(void)look_at_mount(kernels.s, kernels.n);
		deliver(take_list);
		must(count.ns_links == 1 && ns_links[0].inode == was.inode &&
		    strcmp(ns_links[0].path, was.path) == 0,
		    "the path of a mount comes back");
		free((void *)(uintptr_t)was.path);
	}
	drop_links();
}

static void
fuzz_sockstat(const char *s, size_t n, int unused)
{
	int64_t used = NONE, used_again = NONE;
	unsigned idle, again, t;

	(void)unused;
	begin();
	serve("sockstat", s, n);
	serve("sockstat6", s, n);
	chunks = 0;
	idle = idle_tables(DIRECTORY, &used);
	chunks = chance(s, n);
	again = idle_tables(DIRECTORY, &used_again);
	must(again == idle && used_again == used,
	    "the same whatever the reads");
	must(used >= NONE && used <= INT32_MAX, "a count of sockets");
	kernels.n = 0;
	if (used != NONE)
		put_format(&kernels, "sockets: used %ld\n", (long)used);
	for (t = 0; t < NTABLES; t++)
		if (nettables[t].sockstat != NULL)
			put_format(&kernels, "%s inuse %d orphan 0 tw 0\n",
			    nettables[t].sockstat, (idle >> t & 1) == 0);
	nfiles = 0;
	serve("sockstat", kernels.s, kernels.n);
	serve("sockstat6", kernels.s, kernels.n);
	used_again = NONE;
	again = idle_tables(DIRECTORY, &used_again);
	must(again == idle && used_again == used,
	    "the idle tables and the count come back");
	must((idle & 1) == 0 || (idle & 2) != 0, "tcp is not idle alone");
	end();
}

static void
fuzz_interface(const char *s, size_t n, int unused)
{
	static const char *const names[] = { "igmp", "dev_mcast",
	    "if_inet6" };
	char name[64], again[64], number[16];
	uint32_t index = n > 0 ? (unsigned char)s[0] % 16u : 0;
	size_t i, len;

	(void)unused;
	snprintf(number, sizeof number, "%u", index);
	for (i = 0; i < 3; i++) {
		begin();
		serve(names[i], s, n);
		chunks = 0;
		len = read_interface(DIRECTORY, index, name, sizeof name);
		chunks = chance(s, n);
		must(read_interface(DIRECTORY, index, again, sizeof again) ==
		    len && memcmp(name, again, len) == 0,
		    "the same whatever the reads");
		must(len > 0 && len <= sizeof name &&
		    (memmem(s, n, name, len) != NULL || (len ==
		    strlen(number) && memcmp(name, number, len) == 0)),
		    "a name of the input, or the number");
		end();
	}
}

/* s as a string of a command line. */
static const char *
argument(const char *s, size_t n)
{
	static struct bytes arg;

	arg.n = 0;
	put(&arg, s, strnlen(s, n));
	put(&arg, "", 1);
	return arg.s;
}

static int
is_name(const char *s, size_t n)
{
	const struct column *c;

	for (c = columns; c->name != NULL; c++)
		if (strlen(c->name) == n && memcmp(c->name, s, n) == 0)
			return 1;
	return 0;
}

static void
call_columns(const char *list)
{
	choose(list);
}

static void
fuzz_columns(const char *s, size_t n, int unused)
{
	const char *list = argument(s, n), *p = list + (*list == '+');
	int known = 1;
	size_t len, count = *list == '+' ? DEFAULT_COLUMNS : 0;

	(void)unused;
	begin();
	first.n = 0;
	for (len = 0; *list == '+' && len < DEFAULT_COLUMNS; len++) {
		put_text(&first, columns[len].name);
		put_text(&first, "\t");
	}
	for (;; p += len + 1) {
		len = strcspn(p, ",");
		known &= is_name(p, len);
		count++;
		put(&first, p, len);
		if (p[len] == '\0')
			break;
		put_text(&first, "\t");
	}
	put_text(&first, "\n");
	must(survives(call_columns, list) == (known && count <= MAX_COLUMNS),
	    "a list of columns");
	if (err.n == 0) {
		print_header();
		flush_output();
		must(same(&first, &out), "the header is the list");
	}
	end();
}

/* A list of numbers up to 2^31-1 and of "-1". */
static void
fuzz_pids(const char *s, size_t n, int unused)
{
	const char *list = argument(s, n), *p = list;
	int fine = 1;
	size_t len, i;

	(void)unused;
	begin();
	for (;; p += len + 1) {
		len = strcspn(p, ",");
		fine &= (len == 2 && memcmp(p, "-1", 2) == 0) ||
		    (len > 0 && strspn(p, "0123456789") == len &&
		    strtoull(p, NULL, 10) <= INT_MAX);
		if (p[len] == '\0')
			break;
	}
	pids.count = 0;
	must(survives(parse_pids, list) == fine, "a list of processes");
	for (i = 1; fine && i < pids.count; i++)
		must(pids.n[i - 1] < pids.n[i], "pids that ascend");
	pids.count = 0;
	want_ownerless = 1;
	end();
}

static void
fuzz_tables(const char *s, size_t n, int unused)
{
	const char *list = argument(s, n);

	(void)unused;
	begin();
	table_mask = 0;
	must(!survives(parse_tables, list) || table_mask != 0,
	    "a list of tables");
	some_tables = 0;
	table_mask = (1u << NTABLES) - 1;
	end();
}

/* The whole escaped, and in the parts that a small buffer makes. */
static void
fuzz_escape(const char *s, size_t n, int unused)
{
	const struct bytes raw = { (char *)(uintptr_t)s, n, n };
	static struct bytes escaped, want;

	(void)unused;
	begin();
	want.n = escaped.n = 0;
	put_escaped(&want, s, n);
	escaped.s = grow(escaped.s, &escaped.size, 4 * n, 1);
	escaped.n = escape(escaped.s, s, n);
	must(same(&want, &escaped), "escape writes what the design says");
	put_field(s, n);
	flush_output();
	must(same(&want, &out), "put_field writes the same");
	want.n = 0;
	put_unescaped(&want, out.s, out.n);
	must(same(&want, &raw), "every byte can be had back");
	end();
}

/* Any address can be had back. */
static void
fuzz_address(const char *s, size_t n, int unused)
{
	struct entry e = { .family = AF_INET6 };
	unsigned char again[16];

	(void)unused;
	begin();
	memcpy(e.local, s, n < 16 ? n : 16);
	shown_entry = &e;
	choose("local_address");
	print_row();
	flush_output();
	out.n--;
	must(inet_pton(AF_INET6, argument(out.s, out.n), again) == 1 &&
	    memcmp(again, e.local, 16) == 0, "the address comes back");
}

/* What a ring has registered is held without a descriptor. */
static void
fuzz_fdinfo(const char *s, size_t n, int unused)
{
	size_t nfound, i;
	char number[24];
	int shown;

	(void)unused;
	begin();
	serve("3", s, n);
	chunks = 0;
	found.nfds = 0;
	shown = read_registered(DIRECTORY, "fdinfo/3");
	nfound = found.nfds;
	for (i = 0; i < nfound; i++) {
		snprintf(number, sizeof number, "%lu", found.fds[i].inode);
		must(memmem(s, n, number, strlen(number)) != NULL &&
		    found.fds[i].fd == NONE, "an inode that the input names");
	}
	chunks = chance(s, n);
	must(read_registered(DIRECTORY, "fdinfo/3") == shown &&
	    found.nfds == 2 * nfound, "the same whatever the reads");
	for (i = 0; i < nfound; i++)
		must(found.fds[i].inode == found.fds[nfound + i].inode,
		    "the same sockets");
	end();
}

static void
add_holder(uint64_t inode, int fd)
{
	holders = grow(holders, &room.holders, count.holders, sizeof *holders);
	holders[count.holders++] = (struct holder){ .inode = inode, .fd = fd };
}

static void
add_held(void)
{
	int i;

	for (i = 0; i < (int)(sizeof held_inodes / sizeof *held_inodes); i++)
		add_holder(held_inodes[i], i);
}

/* Takes n bytes as a broken worker may send them: over those of a record. */
static void
take_broken(unsigned char kind, size_t at, const char *s, size_t n)
{
	struct entry e = { .inode = 1569, .netns = 0, .family = AF_UNIX,
	    .table = UNIX, .type = SOCK_STREAM };
	struct answer a = { .e = e, .asked = 1 };
	struct task t = { .pid = 43, .tid = 43 };
	struct found_fd fds[2] = { { .inode = 78, .fd = 3 },
	    { .inode = 79, .fd = NONE } };
	unsigned char record[sizeof t + sizeof fds + sizeof a];
	const struct { const void *s; size_t n; } parts[] = {
		{ &e, sizeof e }, { &a, sizeof a }, { &t, sizeof t },
		{ fds, sizeof fds },
	};
	size_t size;

	a.e.netns = NOWHERE;
	kind %= 4;
	size = parts[kind].n;
	memcpy(record, parts[kind].s, size);
	at %= size;
	memcpy(record + at, s, n < size - at ? n : size - at);
	if (kind == 2)	/* with descriptors, which need no other bytes */
		memcpy(record + size, fds, sizeof fds);
	size += kind == 2 ? sizeof fds : 0;
	send_record(kind == 0 ? FOUND_ROW : kind == 1 ? FOUND_SOCKET :
	    kind == 2 ? FOUND_TASK : FOUND_HOLDERS, record, size, s, n);
	deliver(kind == 0 ? take_table : kind == 1 ? take_answer :
	    take_process);
}

/*
 * An input as what a broken worker sends: the parent neither crashes nor
 * prints what is no row.
 */
static void
fuzz_sent(const char *s, size_t n, int unused)
{
	const struct sizes was = count;
	struct holder *h;
	size_t len;

	(void)unused;
	begin();
	choose_all();
	count.entries = count.texts = count.answers = 0;
	for (h = holders; h < holders + count.holders; h++) {
		h->has_entry = h->unanswered = 0;
		h->to_ask = 1;
	}
	ask_marked();
	forget_sent();
	begin_job(0);
	for (; n > 2; s += 2 + len, n -= 2 + len) {
		len = (unsigned char)s[0] / 4 < n - 2 ?
		    (unsigned char)s[0] / 4 : n - 2;
		take_broken((unsigned char)s[0], (unsigned char)s[1], s + 2,
		    len);
	}
	index_holders();
	settle_rows(0);
	use_answers();
	report_unsure_rows();
	print_entries();
	drop_unanswered();
	while (count.tasks > was.tasks)
		free(tasks[--count.tasks].details);
	count = was;
	count.entries = count.texts = count.answers = count.holders = 0;
	add_held();
	index_holders();
	end();
}

/* The first of them are psock's tables, in their order. */
static const struct target targets[] = {
	{ "tcp", fuzz_table, 0 },
	{ "tcp6", fuzz_table, 1 },
	{ "udp", fuzz_table, 2 },
	{ "udp6", fuzz_table, 3 },
	{ "udplite", fuzz_table, 4 },
	{ "udplite6", fuzz_table, 5 },
	{ "raw", fuzz_table, 6 },
	{ "raw6", fuzz_table, 7 },
	{ "icmp", fuzz_table, 8 },
	{ "icmp6", fuzz_table, 9 },
	{ "unix", fuzz_table, 10 },
	{ "packet", fuzz_table, 11 },
	{ "netlink", fuzz_table, 12 },
	{ "eps", fuzz_table, 13 },
	{ "assocs", fuzz_table, 14 },
	{ "names", fuzz_names, 10 },
	{ "stat", fuzz_stat, 0 },
	{ "status", fuzz_status, 0 },
	{ "cgroup", fuzz_cgroup, 0 },
	{ "cmdline", fuzz_cmdline, 0 },
	{ "links", fuzz_links, 0 },
	{ "link", fuzz_link, 0 },
	{ "mountinfo", fuzz_mountinfo, 0 },
	{ "sockstat", fuzz_sockstat, 0 },
	{ "interface", fuzz_interface, 0 },
	{ "columns", fuzz_columns, 0 },
	{ "pids", fuzz_pids, 0 },
	{ "tables", fuzz_tables, 0 },
	{ "escape", fuzz_escape, 0 },
	{ "address", fuzz_address, 0 },
	{ "fdinfo", fuzz_fdinfo, 0 },
	{ "sent", fuzz_sent, 0 },
	{ NULL, NULL, 0 },
};

static void
set_up(void)
{
	static const char stat[] = "btime 1000\n";
	int i;

	progname = "psock";
	no_header = 1;
	root = "/";
	proc = DIRECTORY;
	ourselves = &worker;
	multiplier = UINT64_C(0x9e3779b97f4a7c15);
	table_mask = (1u << NTABLES) - 1;
	choose_all();
	begin();
	serve("stat", stat, sizeof stat - 1);
	host.boot_time = read_boot_time();
	must(host.boot_time == 1000, "the time of boot");
	tasks = grow(tasks, &room.tasks, count.tasks, sizeof *tasks);
	tasks[count.tasks++] = (struct task){ .pid = 42, .tid = 42 };
	add_held();
	add_number(&processes, 42);
	for (i = 0; i < MOST_NAMED && target->fuzz == fuzz_names; i++)
		add_holder(FIRST_NAMED + (uint64_t)i, 100 + i);
	(void)add_netns((struct netns){ .inode = 4026531840 });
	add_table_job(0, 1);
	index_holders();
	entries = grow(entries, &room.entries, 0, sizeof *entries);
	answers = grow(answers, &room.answers, 0, sizeof *answers);
}

#include "driver.h"
