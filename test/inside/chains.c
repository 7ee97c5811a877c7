/* SPDX-License-Identifier: ISC */

/*
 * psock's own source, but a main that tells it of many sockets that look
 * alike.  Says where they crowd in its table, or one is lost.
 */

#define main psock_main
#include "../../psock.c"
#undef main

#include <stdio.h>

enum { MANY = 20000, LONGEST_CHAIN = 150 };

/* Rows of the unix table that name an inode are looked for in row_buckets. */
static size_t
longest_chain(int rows)
{
	size_t i, n, longest = 0;
	uint32_t at;

	for (i = 0; i <= (rows ? entry_mask / 4 : entry_mask); i++) {
		at = rows ? row_buckets[i] : entry_buckets[i];
		for (n = 0; at != 0; n++)
			at = rows ? entries[at - 1].next_row :
			    entries[at - 1].next;
		if (n > longest)
			longest = n;
	}
	return longest;
}

/* Connections that wait at one listener. */
static void
waiting(struct entry *e, uint32_t i)
{
	(void)i;
	e->family = AF_UNIX;
	set_text(e, "@name", 5);
}

/* At one in each of many namespaces, all of the same name. */
static void
namespace(struct entry *e, uint32_t i)
{
	waiting(e, i);
	e->netns = i;
}

/* Names, addresses and numbers that a known hash would put together. */
static void
colliding_name(struct entry *e, uint32_t i)
{
	char name[2 * 16];
	int bit;

	for (bit = 0; bit < 16; bit++)	/* 'A' * 31 + 'b' is 'B' * 31 + 'C' */
		memcpy(name + 2 * bit, (i >> bit & 1) != 0 ? "Ab" : "BC", 2);
	waiting(e, i);
	set_text(e, name, sizeof name);
}

/* Names that are alike up to a newline. */
static void
lines(struct entry *e, uint32_t i)
{
	char name[32];

	waiting(e, i);
	format(name, sizeof name, "@name\n%u", i);
	set_text(e, name, strlen(name));
}

/* Rows that are forged of one inode. */
static void
one_inode(struct entry *e, uint32_t i)
{
	lines(e, i);
	e->inode = 1;
}

static void
colliding_address(struct entry *e, uint32_t i)
{
	uint64_t local = i, remote = UINT32_MAX - 31 * i;

	e->family = AF_INET;
	memcpy(e->local, &local, sizeof local);
	memcpy(e->remote, &remote, sizeof remote);
}

static void
colliding_inode(struct entry *e, uint32_t i)
{
	uint64_t inverse = 1;
	int step;

	for (step = 0; step < 6; step++)	/* by Newton */
		inverse *= 2 - 0x9e3779b97f4a7c15 * inverse;
	e->inode = (i + 1) * inverse;
}

static const struct crowd {
	const char *name;
	void (*make)(struct entry *, uint32_t);
	int rows;
} crowds[] = {
	{ "waiting", waiting, 0 },
	{ "namespace", namespace, 0 },
	{ "lines", lines, 0 },
	{ "one inode", one_inode, 1 },
	{ "colliding name", colliding_name, 0 },
	{ "colliding address", colliding_address, 0 },
	{ "colliding inode", colliding_inode, 0 },
	{ NULL, NULL, 0 },
};

/* Rows of one chain that say the same, with an inode and without. */
static int
mixes_up(void)
{
	struct entry zero = { .family = AF_UNIX, .state = 1 };
	struct entry one = { .family = AF_UNIX, .state = 1, .inode = 7 };

	nentries = 0;
	index_entries(0);
	while (entry_bucket(&zero) != entry_bucket(&one))
		multiplier += 2;
	add_entry(&zero);
	add_entry(&one);
	return nentries != 2 || find_row(&zero) != &entries[0] ||
	    find_row(&one) != &entries[1];
}

int
main(void)
{
	const struct crowd *c;
	struct entry e;
	uint32_t i;
	size_t told;
	int bad = 0;

	choose_multiplier();
	for (c = crowds; c->name != NULL; c++) {
		nentries = 0;
		index_entries(0);
		for (i = 0; i < MANY; i++) {
			e = (struct entry){ 0 };
			c->make(&e, i);
			add_entry(&e);
		}
		for (told = i = 0; i < nentries; i++)
			told += entries[i].told;
		if (told == MANY && longest_chain(c->rows) <= LONGEST_CHAIN)
			continue;
		printf("%s: %zu told, %zu in a chain\n", c->name, told,
		    longest_chain(c->rows));
		bad = 1;
	}
	if (mixes_up()) {
		puts("rows with an inode and without are mixed up");
		bad = 1;
	}
	(void)psock_main;
	return bad;
}
