/* SPDX-License-Identifier: ISC */

/*
 * The end of a harness: runs one of its targets, under libFuzzer or, without
 * it, on inputs that are made by chance.
 */

static const struct target *
find_target(const char *name)
{
	const struct target *t;

	for (t = targets; t->name != NULL; t++)
		if (name != NULL && strcmp(t->name, name) == 0)
			return t;
	for (t = targets; t->name != NULL; t++)
		puts(t->name);
	exit(name == NULL || strcmp(name, "list") != 0);
}

static void
one_input(const char *s, size_t n)
{
	input = n > 0 ? s : "";
	input_length = n;
	target->fuzz(input, n, target->number);
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerInitialize(int *, char ***);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	target = find_target(getenv("TARGET"));
	set_up();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	one_input((const char *)data, size);
	return 0;
}

#else

enum { LONGEST = 8192, USUAL = 400, MOST_SEEDS = 256 };

static struct bytes seeds[MOST_SEEDS];
static size_t nseeds;
static size_t longest = USUAL;	/* a database is longer than other files */

static void
read_seed(const char *file)
{
	char buf[LONGEST];
	FILE *f = fopen(file, "rb");

	if (f == NULL || nseeds == MOST_SEEDS) {
		perror(file);
		exit(1);
	}
	put(&seeds[nseeds++], buf, fread(buf, 1, longest, f));
	fclose(f);
}

/* Changes s, of at most longest bytes, at one place; returns its length. */
static size_t
mutate(char *s, size_t n, uint32_t *state)
{
	static const char likely[] = "\n\n\\ :;#-+\"'`0159aF\t\r\0\x01\x81"
	    "\x82\x83\xa2\xab\xcd\xff\xc2\x85\xe2\x80\xae<>|=@,";
	const struct bytes *other = &seeds[rnd(state) % nseeds];
	size_t at = rnd(state) % (n + 1), len = rnd(state) % 24, from;

	switch (rnd(state) % 6) {
	case 0:		/* bytes go */
		if (len > n - at)
			len = n - at;
		memmove(s + at, s + at + len, n - at - len);
		return n - len;
	case 1:		/* another input's bytes come in between */
		if (len > other->n || len > longest - n)
			return n;
		from = rnd(state) % (other->n - len + 1);
		memmove(s + at + len, s + at, n - at);
		memcpy(s + at, other->s + from, len);
		return n + len;
	case 2:		/* one byte comes in between */
		if (n == longest)
			return n;
		memmove(s + at + 1, s + at, n - at);
		n++;
		break;
	case 3:		/* any byte */
		if (at < n)
			s[at] = (char)rnd(state);
		return n;
	}
	if (at < n)
		s[at] = likely[rnd(state) % (sizeof likely - 1)];
	return n;
}

static void
random_input(uint32_t *state)
{
	static char buf[LONGEST];
	const struct bytes *seed = &seeds[rnd(state) % nseeds];
	unsigned changes;
	size_t n, i;
	char *exact;

	n = rnd(state) % 64;
	if (rnd(state) % 16 != 0) {
		n = seed->n;
		memcpy(buf, seed->s, n);
	} else
		for (i = 0; i < n; i++)
			buf[i] = (char)rnd(state);
	for (changes = 1 + rnd(state) % 6; changes > 0; changes--)
		n = mutate(buf, n, state);
	/* So that a sanitizer sees what is read behind it. */
	exact = malloc(n + 1);
	memcpy(exact, buf, n);
	one_input(exact, n);
	free(exact);
}

static void
failed(int number)
{
	tell_input();
	signal(number, SIG_DFL);
	raise(number);
}

int
main(int argc, char **argv)
{
	uint32_t state = 2463534242u;
	long count;
	size_t i;
	int arg;

	target = find_target(argc < 3 ? "list" : argv[1]);
	set_up();
	if (strcmp(target->name, "sqlite") == 0)
		longest = LONGEST;
	signal(SIGABRT, failed);
	signal(SIGSEGV, failed);
	put(&seeds[nseeds++], "", 0);
	for (arg = 3; arg < argc; arg++)
		read_seed(argv[arg]);
	for (i = 0; i < nseeds; i++)
		one_input(seeds[i].s, seeds[i].n);
	for (count = atol(argv[2]); count > 0; count--)
		random_input(&state);
	return 0;
}

#endif
#ifdef LIBFUZZER
#pragma clang attribute pop
#endif
