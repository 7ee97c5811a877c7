#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Files that the shells wrote, or read back, with the rows they are.

# shellcheck disable=SC2030,SC2031,SC2154,SC2086 # the helper sets them

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
}

# check FORMAT COUNT: each case of the format, with -f and as its name and
# content tell.  A case is a file beside its note and its rows.
check() {
	local dir files count=0

	for dir in "$samples/$1"/*; do
		mapfile -t files < <(find "$dir" -type f ! -name note ! -name rows)
		[ "${#files[@]}" -eq 1 ]
		diff "$dir/rows" <("$shhist" -H -o time,command -f "$1" "${files[0]}")
		diff "$dir/rows" <("$shhist" -H -o time,command "${files[0]}")
		count=$((count + 1))
	done
	[ "$count" -eq "$2" ]
}

# format FORMAT TEXT ROWS...: the text, as for printf, in that format.
format() {
	local name=$1 text=$2

	shift 2
	# shellcheck disable=SC2059 # the text is a format
	printf "$text" >"$BATS_TEST_TMPDIR/file"
	same "$("$shhist" -H -f "$name" -o time,command \
		"$BATS_TEST_TMPDIR/file")" "$(printf '%s\n' "$@")"
}

@test "bash: the samples" {
	check bash 21
}

@test "zsh: the samples" {
	check zsh 20
}

@test "fish: the samples" {
	check fish 10
}

@test "tcsh: the samples" {
	check tcsh 5
}

@test "ksh: the samples" {
	check ksh 5
}

@test "mksh: the samples" {
	check mksh 3
}

@test "plain lines: the samples" {
	check plain 6
}

@test "psql: the samples" {
	check psql 1
}

@test "the samples are of these formats and no other" {
	same "$(cd "$samples" && printf '%s\n' *)" \
		"$(printf '%s\n' bash fish ksh mksh plain psql tcsh zsh)"
}

@test "bash: only digits make a stamp" {
	format bash '#1\na\n#2x\n#3\n' $'1\ta\\n#2x'
}

@test "zsh: blanks behind a last backslash, and a colon" {
	format zsh 'echo \\  \n\\:colon\n' $'0\techo \\\\ ' $'0\t:colon'
}

@test "zsh: what metafied bytes stand for" {
	format zsh 'a\203\240\n\303\203\n' $'0\ta\\x80' $'0\t\303\203'
}

@test "zsh: a second number that is not below the start is the end" {
	printf '%s\n' ': 1000000000:1000000005;cmd' ': 1700000000:5;b' \
		': 0:7;zero' ': 100:99;less' ': 5:5;five' \
		>"$BATS_TEST_TMPDIR/file"
	same "$("$shhist" -H -f zsh -o time,duration,command \
		"$BATS_TEST_TMPDIR/file")" "$(printf '%s\t%s\t%s\n' \
		1000000000 5 cmd 1700000000 5 b 0 7 zero 100 99 less 5 0 five)"
}

@test "tcsh: a backslash goes on where no stamp follows" {
	format tcsh '#+7\n: "a\\\\\n\\\nb"\n#+8\n: a\\\\\n#+9\nc\nd\n' \
		$'7\t: "a\\\\\\\\\\n\\\\\\nb"' $'8\t: a\\\\\\\\' $'9\tc' $'0\td'
}

@test "mksh: a number that comes again replaces its entry" {
	format mksh '\253\315\377\0\0\0\1one\0\377\0\0\0\2two\0\377\0\0\0\1new\0' \
		$'0\tnew' $'0\ttwo'
	format mksh '\253\315\377\0\0\0\1one\0\377\0\0\0\1new\0' $'0\tnew'
}

@test "mksh and ksh: a part of the magic bytes is a line" {
	format mksh '\253' $'0\t\\xab'
	format mksh '\253x\nls\n' $'0\t\\xabx' $'0\tls'
	# The second byte comes in a write of its own.
	same "$({ printf '\253'; printf '\315\377\0\0\0\1ls\0'; } |
		"$shhist" -H -f mksh -o command -)" ls
}

@test "mksh: 10,000 entries, more than wait" {
	python3 - >"$BATS_TEST_TMPDIR/.mksh_history" <<'END'
import sys
out = sys.stdout.buffer
out.write(b'\xab\xcd')
for i in range(1, 10001):
    out.write(b'\xff' + i.to_bytes(4, 'big') + b'echo %d\0' % i)
END
	same "$("$shhist" -H -o command "$BATS_TEST_TMPDIR/.mksh_history")" \
		"$(seq -f 'echo %.0f' 10000)"
}

@test "mksh: changes of entries that wait and that were printed" {
	python3 - "$BATS_TEST_TMPDIR/.mksh_history" <<'END'
import random, sys
random.seed(1)
last = {}
with open(sys.argv[1], 'wb') as out:
    out.write(b'\xab\xcd')
    def write(number, size):
        last[number] = b'%d.%d ' % (number, out.tell()) + b'x' * size
        out.write(b'\xff' + number.to_bytes(4, 'big') + last[number] + b'\0')
    # A change of the last one after more bytes than wait; a long change of
    # the first of two.
    for number, size in (1, 2 << 20), (1, 5), (2, 5), (3, 5), (2, 2 << 20):
        write(number, size)
    for i in range(4, 9000):
        write(random.choice((i, random.randrange(4, i + 1))),
              random.choice((3, 3, 3, 3, 300, 30000)))
with open(sys.argv[1] + '.want', 'wb') as out:
    for command in sorted(last.values()):
        out.write(command + b'\n')
END
	"$shhist" -H -o command "$BATS_TEST_TMPDIR/.mksh_history" |
		LC_ALL=C sort >"$BATS_TEST_TMPDIR/got"
	# One entry each, though they are long.
	same "$(grep -c '^[123]\.' "$BATS_TEST_TMPDIR/got")" 3
	# What was changed after it had been printed stands there as well.
	same "$(LC_ALL=C comm -13 "$BATS_TEST_TMPDIR/got" \
		"$BATS_TEST_TMPDIR/.mksh_history.want" | cut -c 1-60)" ''
}

@test "mksh: a long change stays in the place of its entry" {
	python3 - "$BATS_TEST_TMPDIR/.mksh_history" <<'END'
import random, sys
random.seed(2)
def write(out, entries):
    for i, (number, size) in enumerate(entries):
        command = b'%d.%d ' % (number, i) + b'x' * size
        out.write(b'\xff' + number.to_bytes(4, 'big') + command + b'\0')
for i in range(6):
    with open(sys.argv[1] + str(i), 'wb') as out:
        out.write(b'\xab\xcd')
        if i == 0:
            write(out, ((1, 5), (2, 600 << 10), (3, 5), (2, 600 << 10)))
        else:
            write(out, ((random.choice((n, random.randrange(n + 1))),
                         random.choice((5, 5, 5, 300 << 10, 1 << 20)))
                        for n in range(100)))
END
	same "$("$shhist" -H -f mksh -o command \
		"$BATS_TEST_TMPDIR/.mksh_history0" | cut -d ' ' -f 1)" \
		$'1.0\n2.3\n3.2'
	for i in {0..5}; do
		"$shhist" -H -f mksh -o line \
			"$BATS_TEST_TMPDIR/.mksh_history$i" \
			>"$BATS_TEST_TMPDIR/lines"
		sort -cnu "$BATS_TEST_TMPDIR/lines"
	done
}

@test "nushell: newlines" {
	format nushell 'a<\\n>b\nc\n' $'0\ta\\nb' $'0\tc'
}

@test "powershell: a backtick goes on" {
	format powershell 'a `\nb\nc\n' $'0\ta \\nb' $'0\tc'
}

@test "yash: times in hexadecimal" {
	format yash '#$# yash history v0 r0\n1:6553f100 ls -l\np123\n2:6553f101 id\n' \
		$'1700000000\tls -l' $'1700000001\tid'
	format yash '#$# yash history v0 r0\n1:1ffffffff ls\n' $'8589934591\tls'
}

@test "yash: entries without a time, and some taken back" {
	local text='1 ls\n2:5 id\nc\n3:6 who\np12\np-12\nd1\nx:5 y\n4 a:b c\n'

	format yash "$text" $'0\tls' $'5\tid' $'6\twho' $'0\ta:b c'
	run -1 --separate-stderr "$shhist" -f yash "$BATS_TEST_TMPDIR/file"
	same "$stderr" "shhist: $BATS_TEST_TMPDIR/file: line 8: malformed entry"
}

@test "mysql: octal below the header" {
	format mysql '_HiStOrY_V2_\nselect\\0401;\\134\n' $'0\tselect 1;\\\\'
	format mysql 'select\\0401\n' $'0\tselect\\\\0401'
}

@test "psql: octal below the header of libedit" {
	local header='_HiStOrY_V2_\n'

	format psql "$header"'select\\040\047a\\040b\\134c\047\\012;\n\\134q\n' \
		$'0\tselect \'a b\\\\c\'\\n;' $'0\t\\\\q'
	format psql "$header"'a\\001b\n' $'0\ta\\nb'
}

# What the REPL of Python 3.13 wrote, and had when it had read that.
@test "python: several lines, and the header of libedit" {
	format python 'x = 1\nfor i in 1, 2:\r\n    i\r\n    \ndef f():\r
    return 1\r\n\r\n\r\n\na = 1\r\n\r\nb = 2\r\n\r\n\nexit()\n' \
		$'0\tx = 1' $'0\tfor i in 1, 2:\\n    i\\n    ' \
		$'0\tdef f():\\n    return 1' $'0\ta = 1\\n\\nb = 2' \
		$'0\texit()'
	format python 'a\rb\\0401\n\r\n\nc\r' $'0\ta\\rb\\\\0401' $'0\tc\\r'
	format python '_HiStOrY_V2_\nx\\040=\\0401\n' $'0\tx = 1'
	mkdir "$BATS_TEST_TMPDIR/x"
	printf 'a\r\nb\n' >"$BATS_TEST_TMPDIR/x/.python_history"
	same "$("$shhist" -H -o format,command \
		"$BATS_TEST_TMPDIR/x/.python_history")" $'python\ta\\nb'
}

@test "duckdb: several lines" {
	mkdir "$BATS_TEST_TMPDIR/x"
	printf '.help\nselect 1,\r\n  2;\nselect 3;\n' \
		>"$BATS_TEST_TMPDIR/x/.duckdb_history"
	same "$("$shhist" -H -o format,command \
		"$BATS_TEST_TMPDIR/x/.duckdb_history")" \
		"$(printf 'duckdb\t%s\n' .help 'select 1,\n  2;' 'select 3;')"
}

@test "irb: a backslash goes on" {
	format irb 'a\\\nb\n' $'0\ta\\nb'
}

@test "less: commands and searches, no marks" {
	format less '.less-history-file:\n.search\n"x\n.shell\n"ls\n.mark\nm a\n' \
		$'0\tx' $'0\tls'
}

@test "vim: commands with their times" {
	format vim '# This viminfo file\n:wq\n|2,0,1700000000,,"wq"\n:q\n?/x\n' \
		$'1700000000\twq' $'0\tq'
}

# detects FORMAT TEXT: that is found for the text, as for printf, by itself.
detects() {
	local name

	for name in .history .sh_history other; do
		# shellcheck disable=SC2059 # the text is a format
		printf -- "$2" >"$BATS_TEST_TMPDIR/$name"
		same "$("$shhist" -H -o format "$BATS_TEST_TMPDIR/$name" |
			uniq)" "$1"
	done
}

@test "content: each format that its first lines tell" {
	detects bash '#1700000000\nls\n'
	detects bash '\n\n#1700000000\r\nls\r\n'
	detects bash 'ls\nid\n#1700000000\nls\n'
	detects zsh ': 1700000000:0;ls\n'
	detects zsh 'ls\n: 1700000000:0;ls\n'
	detects zsh ": 1700000000:0;$(printf '%05000d' 0)\n"
	detects fish '- cmd: ls\n'
	detects fish '- cmd: ls\r\n  when: 5\r\n'
	detects fish '\n- cmd: ls\n'
	detects fish '# 1700000000\nls\n'
	detects tcsh '#+1700000000\nls\n'
	detects tcsh 'ls\n#+1700000000\nls\n'
	detects ksh '\201\001ls\n\0'
	detects mksh '\253\315\377\0\0\0\1ls\0'
	detects yash '#$# yash history v0 r0\n1:5 ls\n'
	detects mysql '_HiStOrY_V2_\nselect\\0401;\n'
	detects less '.less-history-file:\n.shell\n"ls\n'
	detects vim '# This viminfo file\n:wq\n'
}

@test "names: as places tell it, in any directory" {
	local pair path

	cd "$BATS_TEST_TMPDIR"
	mkdir -p x/.local/share/fish x/.config/nushell .config/nushell
	for pair in .zsh_history:zsh x/.bash_history:bash x_history:plain \
	    x/.local/share/fish/a_history:fish x/a_history:plain \
	    x/.config/nushell/history.txt:nushell x/history.txt:plain \
	    .config/nushell/history.txt:nushell x/.ash_history:plain; do
		path=${pair%:*}
		printf '# 5\nls\n' >"$path"
		for path in "$path" "./$path" "$PWD/$path"; do
			same "$("$shhist" -H -o format "$path" | uniq)" \
				"${pair#*:}"
		done
	done
}

@test "content: lines that people type tell nothing" {
	detects plain '#1\nls\n'
	detects plain '# 123\nls\n'
	detects plain 'ls\n# 1700000000\n'
	detects plain '#+1 x\nls\n'
	detects plain ': 1:2;x\nls\n'
	detects plain 'ls\n- cmd: x\n'
	detects plain 'ls\n_HiStOrY_V2_\n'
	detects plain 'ls\n\253\315\n'
	detects plain '\201\100ls\n'
	detects plain '# a comment\n\nls\n'
	detects plain "$(printf '%05000d' 0)\n#1700000000\nls\n"
	detects plain "$(seq 2000 | paste -sd '#' | sed 's/#/\\n/g')\n: 1700000000:2;x\n"
}

@test "content: a line that is cut after 4096 bytes is no stamp" {
	detects plain "$(printf '%04083d' 0)\n#20240101123 ticket\nfoo\r\n"
}

@test "every format: random bytes give rows of the right width, or none" {
	local f

	for f in bash zsh fish tcsh ksh mksh plain nushell powershell yash \
	    mysql psql python irb less vim; do
		head -c 300000 /dev/urandom |
			"$shhist" -qf "$f" -o +user,format,line,duration - |
			awk -F '\t' 'NF != 8 { exit 1 }'
	done
}

@test "chunks: 10,000 lines of random lengths come out exact, three ways" {
	python3 - "$BATS_TEST_TMPDIR" <<'END'
import random, sys
random.seed(5)
lines = ['c' * random.randint(1, 600) for _ in range(10000)]
open(sys.argv[1] + '/want', 'w').write('\n'.join(lines) + '\n')
open(sys.argv[1] + '/file', 'w').write(
    ''.join('#%d\n%s\n' % (1700000000 + i, l) for i, l in enumerate(lines)))
END
	for f in "$BATS_TEST_TMPDIR/file" -; do
		"$shhist" -H -o command "$f" <"$BATS_TEST_TMPDIR/file" \
			>"$BATS_TEST_TMPDIR/got"
		cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/got"
	done
	dd bs=7 status=none if="$BATS_TEST_TMPDIR/file" |
		"$shhist" -H -o command - >"$BATS_TEST_TMPDIR/got"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/got"
}

@test "a command of 20 MB is cut at 16 MiB and reported" {
	head -c 20000000 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/big"
	echo >>"$BATS_TEST_TMPDIR/big"
	echo after >>"$BATS_TEST_TMPDIR/big"
	run -1 --separate-stderr "$shhist" -H -f plain -o line \
		"$BATS_TEST_TMPDIR/big"
	same "$output" $'1\n2'
	[[ $stderr == *'longer than 16 MiB is cut'* ]]
}

@test "mksh: the rest of a command that is cut is no entry" {
	local length T=$BATS_TEST_TMPDIR

	for length in 0 1 7 200000; do
		{
			printf '\253\315\377\0\0\0\1'
			head -c 16777216 /dev/zero | tr '\0' x
			head -c "$length" /dev/zero | tr '\0' '\377'
			printf '\0\377\0\0\0\2two\0\377\0\0\0\3three\0'
		} >"$T/file"
		status=0
		"$shhist" -H -f mksh -o line,command "$T/file" >"$T/rows" \
			2>"$T/errors" || status=$?
		[ "$status" -eq "$((length > 0))" ]
		same "$(cut -b 1-9 "$T/rows")" \
			$'1\txxxxxxx\n2\ttwo\n3\tthree'
		# With its newline.
		[ "$(head -n 1 "$T/rows" | wc -c)" -eq 16777219 ]
		[ "$length" -eq 0 ] || same "$(cat "$T/errors")" "shhist: $T/file: line 1:$(
			) command longer than 16 MiB is cut"
	done
}

@test "a backslash where a command is cut does not go on with the next" {
	# Its newline is read together with the byte that is too much.
	{
		head -c 16777215 /dev/zero | tr '\0' x
		printf '\\yyy\nsecond\n'
	} >"$BATS_TEST_TMPDIR/file"
	for format in zsh tcsh; do
		run -1 --separate-stderr "$shhist" -H -f "$format" -o line \
			"$BATS_TEST_TMPDIR/file"
		same "$output" $'1\n2'
	done
}
