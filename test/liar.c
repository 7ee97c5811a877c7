/* SPDX-License-Identifier: ISC */

/*
 * Holds in memory what looks like histories and is not, beside one that is:
 * "echo honest".  Prints a line when all of it is there, and waits.
 * usage: liar large|traps|many|long|much|slow|changing
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MANY = 1100000, LONG = 2 << 20 };

struct entry {			/* of readline */
	char *line, *stamp;
	void *data;
};

struct event {			/* of zsh */
	void *next;
	char *name;
	long flags;
	struct event *up, *down;
	char *zle;
	long started, ended;
	short *words;
	long nwords, number;
};

/* What is searched: static data, most of which was never touched. */
void *roots[4096];
char large[64 << 20];
void *untouched = large + sizeof large / 2;

static struct entry *
entry(char *line, char *stamp)
{
	struct entry *e = malloc(sizeof *e);

	*e = (struct entry){ line, stamp, NULL };
	return e;
}

static struct entry **
list(size_t n, struct entry *e)
{
	struct entry **l = calloc(n + 1, sizeof *l);

	while (n > 0)
		l[--n] = e;
	return l;
}

static struct event *
event(char *name, long number)
{
	static short words[2] = { 0, 4 };
	short *w = memcpy(malloc(sizeof words), words, sizeof words);
	struct event *e = calloc(1, sizeof *e);

	*e = (struct event){ .name = strdup(name), .started = 1700000000,
	    .words = w, .nwords = 1, .number = number };
	e->up = e->down = e;
	return e;
}

static void
link_events(struct event *up, struct event *down)
{
	up->down = down;
	down->up = up;
}

/* Two pages, the second of which cannot be read; the end of the first. */
static char *
brink(size_t n)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(p + 4096, 4096, PROT_NONE);
	return p + 4096 - n;
}

static void
set_traps(void)
{
	char *stamp = strdup("#1700000000"), *line = strdup("echo false");
	struct event *a = event("echo rho", 1), *b = event("echo rho", 2),
	    *c = event("echo rho", 3);
	void **p, *shared;

	/* Commands and stamps that are nowhere, or go over the brink. */
	roots[1] = list(3, entry((char *)16, stamp));
	roots[2] = list(3, entry(line, (char *)16));
	roots[3] = list(3, entry(memset(brink(8), 'x', 8), stamp));
	roots[4] = list(3, entry(line, memcpy(brink(11), stamp, 11)));
	roots[5] = list(3, entry(line, strdup("#170000000x")));
	roots[6] = list(3, entry(line, strdup("#1700000000 x")));
	roots[7] = list(3, entry(line, strdup("#")));
	roots[8] = list(3, entry("echo constant", stamp));
	/* An array that no null ends: at the brink, or at what it is not. */
	p = (void **)brink(3 * sizeof *p);
	p[0] = p[1] = p[2] = entry((char *)16, stamp);
	roots[9] = p;
	p = (void **)list(3, entry(line, stamp));
	p[3] = (void *)7;
	roots[10] = p;
	/* Entries of themselves, arrays of arrays. */
	p = malloc(sizeof *p);
	*p = p;
	roots[11] = p;
	/* A ring that leads back to its middle, one without a way back. */
	link_events(a, b);
	link_events(b, c);
	c->down = b;
	a->up = c;
	roots[12] = a;
	roots[13] = b;
	roots[14] = c;
	a = event("echo torn", 1);
	b = event("echo torn", 2);
	link_events(a, b);
	b->down = (struct event *)8;
	a->up = b;
	roots[15] = b;
	/* Words in memory that is shared: a read may do harm. */
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	a = event("echo shared", 1);
	a->words = memcpy(shared, a->words, 2 * sizeof *a->words);
	roots[17] = a;
	/* Numbers that do not grow. */
	a = event("echo equal", 5);
	b = event("echo equal", 5);
	link_events(a, b);
	link_events(b, a);
	roots[16] = a;
}

static void *
change(void *root)
{
	struct entry *good = ((struct entry **)root)[0];
	struct entry *bad = entry((char *)16, (char *)24);
	struct entry *volatile *l = root;
	size_t i;

	for (i = 0;; i++) {
		l[i % 64] = i % 3 ? good : bad;
		l[(i + 7) % 64] = good;
		l[64 - i % 2] = NULL;
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	char *stamp = strdup("#1700000001"), *text = malloc(LONG + 1);
	struct entry **much = list(4000, NULL);
	pthread_t thread;
	size_t i;

	memset(text, 'x', LONG);
	text[LONG] = '\0';
	roots[0] = list(1, entry(strdup("echo honest"), stamp));
	if (strcmp(mode, "traps") == 0)
		set_traps();
	else if (strcmp(mode, "many") == 0)
		roots[1] = list(MANY, entry(strdup("echo many"), stamp));
	else if (strcmp(mode, "long") == 0)
		roots[1] = list(1, entry(text, stamp));
	for (i = 0; strcmp(mode, "much") == 0 && i < 4000; i++) {
		much[i] = entry(text, stamp);
		roots[1] = much;
	}
	for (i = 1; strcmp(mode, "slow") == 0 && i < 4096; i++) {
		if (i == 1)
			much = list(MANY / 2, entry(strdup("echo"), stamp));
		roots[i] = much + i;
	}
	if (strcmp(mode, "changing") == 0) {
		roots[1] = list(65, entry(strdup("echo changing"), stamp));
		pthread_create(&thread, NULL, change, roots[1]);
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
