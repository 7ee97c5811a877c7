/* SPDX-License-Identifier: ISC */

/*
 * malloc: linked with psock or shhist, a malloc(3) that asks test/fault.c
 * before each call whether there is memory.  Nothing is given back.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Alignas(16) char arena[256 << 20];
static size_t used;

void *
malloc(size_t n)
{
	char *p;

	/* Any kernel says EINVAL to that; only fault says ENOMEM. */
	if (syscall(SYS_madvise, NULL, 0, -1) == -1 && errno == ENOMEM)
		return NULL;
	n = (n + 31) & ~(size_t)15;
	if (n > sizeof arena - used)
		return NULL;
	p = arena + used;
	used += n;
	memcpy(p, &n, sizeof n);
	return p + 16;
}

void *
calloc(size_t count, size_t n)
{
	return malloc(count * n);	/* the arena is all zero */
}

void
free(void *p)
{
	(void)p;
}

void *
realloc(void *old, size_t n)
{
	size_t room;
	void *p = malloc(n);

	if (p == NULL || old == NULL)
		return p;
	memcpy(&room, (char *)old - 16, sizeof room);
	room -= 16;
	return memcpy(p, old, room < n ? room : n);
}
