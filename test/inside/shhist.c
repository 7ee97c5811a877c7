/* SPDX-License-Identifier: ISC */

/*
 * shhist's own source, but a main that tells it of many files whose numbers
 * differ in few bits.  Fails where they crowd in its table, or one is lost.
 */

#define main shhist_main
#include "../../shhist.c"
#undef main

enum { MANY = 15000, LONGEST_RUN = 500 };

/* The most of known that are in use one behind the other. */
static size_t
longest_run(void)
{
	size_t i, run = 0, longest = 0;

	for (i = 0; i < known_size; i++) {
		run = known[i].ino != 0 ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

/* The i-th file, whose number or device is shifted by so many bits. */
static struct identity
numbered(uint64_t i, int shift, int by_device)
{
	struct identity id = { i << shift, 1 };

	if (!by_device)
		id = (struct identity){ 1, i << shift };
	return id;
}

static int
crowd(int shift, int by_device)
{
	uint64_t i;
	int bad = 0;

	free(known);
	known = NULL;
	known_size = nknown = 0;
	for (i = 1; i <= MANY; i++)
		bad |= already_told(numbered(i, shift, by_device)) != 0;
	for (i = 1; i <= MANY; i++)
		bad |= already_told(numbered(i, shift, by_device)) != 1;
	return bad || longest_run() > LONGEST_RUN;
}

int
main(void)
{
	int shift, bad = 0;

	for (shift = 0; shift <= 48; shift += 8) {
		bad |= crowd(shift, 0);
		if (shift <= 32)
			bad |= crowd(shift, 1);
	}
	return bad;
}
