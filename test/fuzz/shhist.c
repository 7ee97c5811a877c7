/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the parsers of histories.  The first byte of the input chooses the
 * format, or that its content shall decide; the rest is the file.
 */

#define main shhist_main
#include "../../shhist.c"
#undef main

#include "rows.h"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	progname = "shhist";
	quiet = 1;
	open_memory();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[] = "/root/.history", list[] = "+user,format,line";
	const size_t nformats = sizeof formats / sizeof *formats - 1;
	struct source s = { .fd = memory, .path = path };
	size_t kind;

	if (size == 0)
		return 0;
	(void)choose_columns(columns, NDEFAULT, list);
	kind = data[0] % (nformats + 1);
	s.format = kind < nformats ? &formats[kind] : NULL;
	fill_memory(data + 1, size - 1);
	unheard = 0;	/* or a sign of life, a NUL, comes one day */
	parse_source(&s);
	check_output(NDEFAULT + 3);
	return 0;
}
