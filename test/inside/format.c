/* SPDX-License-Identifier: ISC */

/* format_text writes what snprintf(3) does, into room of any size. */

#include "../../common.c"
#include <stdio.h>

#define SAME(...) do { \
	char ours[64], libc[64]; \
	size_t length = format_text(ours, size, __VA_ARGS__); \
	int m = snprintf(libc, size, __VA_ARGS__); \
	if ((int)length != m || (size > 0 && strcmp(ours, libc) != 0)) \
		return 1; \
} while (0)

int
main(void)
{
	static const long long numbers[] = { 0, 1, -1, 42, -100, INT32_MIN,
	    UINT32_MAX, INT64_MIN, INT64_MAX };
	size_t size, i;
	long long n;

	for (size = 0; size < 64; size++)
		for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
			n = numbers[i];
			SAME("x%lldy%lluz", n, (unsigned long long)n);
			SAME("%ld|%lu", (long)n, (unsigned long)n);
			SAME("%d %u", (int)n, (unsigned)n);
			SAME("a%.*sb%s%c", (int)i, "hello", "wor", 'x');
			SAME("%s%c%s", "", '\0', "-");
		}
	return 0;
}
