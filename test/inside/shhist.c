/* SPDX-License-Identifier: ISC */

/*
 * shhist's own source, but a main that shows it many files whose numbers
 * differ in few bits.  Fails if they crowd in its table, or one is lost.
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

/* The i-th file, of whose numbers one is shifted by so many bits. */
static struct identity
numbered(uint64_t i, int shift, int which)
{
	struct identity id = { 1, 1, 1 };

	*(which == 0 ? &id.ino : which == 1 ? &id.dev : &id.holder) =
	    i << shift;
	return id;
}

static int
crowd(int shift, int which)
{
	uint64_t i;
	int bad = 0;

	free(known);
	known = NULL;
	known_size = nknown = 0;
	for (i = 1; i <= MANY; i++) {
		bad |= is_known(numbered(i, shift, which)) != 0;
		add_known(numbered(i, shift, which));
	}
	for (i = 1; i <= MANY; i++)
		bad |= is_known(numbered(i, shift, which)) != 1;
	return bad || longest_run() > LONGEST_RUN;
}

int
main(void)
{
	int shift, bad = 0;

	for (shift = 0; shift <= 48; shift += 8) {
		bad |= crowd(shift, 0);
		bad |= crowd(shift, 1);
		bad |= crowd(shift, 2);
	}
	return bad;
}
