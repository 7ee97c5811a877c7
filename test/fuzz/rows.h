/* SPDX-License-Identifier: ISC */

/*
 * What the harnesses share, included behind the tool's source: the input as
 * a file in memory, and a look at the rows that came of it.
 */

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerInitialize(int *, char ***);

static int memory;	/* the input */

static void
open_memory(void)
{
	memory = memfd_create("input", MFD_CLOEXEC);
	if (memory == -1 ||
	    dup2(memfd_create("output", 0), STDOUT_FILENO) == -1)
		abort();
}

static void
fill_memory(const uint8_t *data, size_t size)
{
	if (ftruncate(memory, 0) == -1 ||
	    pwrite(memory, data, size, 0) != (ssize_t)size ||
	    lseek(memory, 0, SEEK_SET) == -1)
		abort();
}

/* Standard output is a file in memory: looks at it and empties it. */
static void
check_output(size_t width)
{
	static char output[65536];
	size_t tabs = 0;
	ssize_t n, i;
	off_t at = 0;

	flush_output();
	for (; (n = pread(1, output, sizeof output, at)) > 0; at += n)
		for (i = 0; i < n; i++) {
			if (output[i] == '\t') {
				tabs++;
			} else if (output[i] == '\n') {
				if (tabs + 1 != width)
					abort();
				tabs = 0;
			} else if ((unsigned char)output[i] < ' ' ||
			    output[i] == 0x7f) {
				abort();
			}
		}
	if (tabs != 0 || ftruncate(1, 0) == -1 || lseek(1, 0, SEEK_SET) == -1)
		abort();
}
