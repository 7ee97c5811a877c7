#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What psock and shhist share: escaped rows, -H -o -q -h -V, usage errors,
# write errors and warnings.  Both look at a tree that holds a table of unix
# sockets and a history of one command each.

# shellcheck disable=SC2034 # ${!tool} uses psock and shhist

tools='psock shhist'

# The bytes of each case, as for printf(1), and the field that they are.
cases() {
	cat <<'END'
plain !~	plain !~
\\	\\\\
a\tb	a\\tb
a\rb	a\\rb
\001\037	\\x01\\x1f
\033[31mred\007	\\x1b[31mred\\x07
\177	\\x7f
end\\	end\\\\
\\n is not a newline	\\\\n is not a newline
\303\251 \342\202\254 \360\237\230\200	\303\251 \342\202\254 \360\237\230\200
\302\200 \302\237	\\xc2\\x80 \\xc2\\x9f
\302\240	\302\240
\302\2331m	\\xc2\\x9b1m
\200\277	\\x80\\xbf
\300\257 \301\277	\\xc0\\xaf \\xc1\\xbf
\340\200\257 \340\237\277	\\xe0\\x80\\xaf \\xe0\\x9f\\xbf
\340\240\200	\340\240\200
\355\237\277	\355\237\277
\355\240\200 \355\277\277	\\xed\\xa0\\x80 \\xed\\xbf\\xbf
\356\200\200	\356\200\200
\360\217\277\277	\\xf0\\x8f\\xbf\\xbf
\360\220\200\200	\360\220\200\200
\364\217\277\277	\364\217\277\277
\364\220\200\200	\\xf4\\x90\\x80\\x80
\365\200\200\200	\\xf5\\x80\\x80\\x80
\376\377	\\xfe\\xff
\342\202x	\\xe2\\x82x
\360\237\230	\\xf0\\x9f\\x98
\303	\\xc3
\303\303\251	\\xc3\303\251
12345678\303\251\033	12345678\303\251\\x1b
1234567\\12345678\033	1234567\\\\12345678\\x1b
the twelfth \177 and more of it	the twelfth \\x7f and more of it
the twelfth \\ and more of it	the twelfth \\\\ and more of it
the twelfth \001 and more of it	the twelfth \\x01 and more of it
\330\233 \330\235	\330\233 \330\235
\330\234	\\xd8\\x9c
\342\200\215 \342\200\220	\342\200\215 \342\200\220
\342\200\216\342\200\217	\\xe2\\x80\\x8e\\xe2\\x80\\x8f
\342\200\247 \342\200\257	\342\200\247 \342\200\257
\342\200\250\342\200\251	\\xe2\\x80\\xa8\\xe2\\x80\\xa9
\342\200\252\342\200\253\342\200\254	\\xe2\\x80\\xaa\\xe2\\x80\\xab\\xe2\\x80\\xac
\342\200\255\342\200\256	\\xe2\\x80\\xad\\xe2\\x80\\xae
\342\201\245 \342\201\252	\342\201\245 \342\201\252
\342\201\246\342\201\247	\\xe2\\x81\\xa6\\xe2\\x81\\xa7
\342\201\250\342\201\251	\\xe2\\x81\\xa8\\xe2\\x81\\xa9
END
}

# unix_table NAME...: the table with a socket of each name.
unix_table() {
	local i=100 name
	echo 'Num       RefCount Protocol Flags    Type St Inode Path'
	for name; do
		printf '0000000000000000: 00000002 00000000 00000000 0002 01 '
		printf '%5d %s\n' "$((i++))" "$name"
	done
}

# tree NAME...: sockets of these names, which process 42 holds; a history of
# these commands.
tree() {
	local i
	unix_table "$@" >"$host/proc/42/net/unix"
	for ((i = 0; i < $#; i++)); do
		[ -L "$host/proc/42/fd/$i" ] ||
			ln -s "socket:[$((100 + i))]" "$host/proc/42/fd/$i"
	done
	printf '%s\n' "$@" >"$host/root/.sh_history"
}

setup() {
	repo=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	psock=${PSOCK:-$repo/psock}
	shhist=${SHHIST:-$repo/shhist}
	host=$BATS_TEST_TMPDIR/host
	mkdir -p "$host/proc/42/fd" "$host/proc/42/ns" "$host/proc/42/net" \
		"$host/root" "$host/etc"
	ln -s 'net:[4026531840]' "$host/proc/42/ns/net"
	echo "root:x:$(id -u):$(id -g):root:/root:/bin/sh" \
		>"$host/etc/passwd"
	echo 'btime 1000' >"$host/proc/stat"
	tree one two
	cd "$BATS_TEST_TMPDIR" || return
	export LC_ALL=C
}

# on TOOL [argument...]: the tool, looking at the tree.
on() {
	local tool=${!1}
	shift
	"$tool" -r "$host" "$@"
}

# The column of each tool that holds an attacker's text.
text_of() {
	[ "$1" = psock ] && echo path || echo command
}

# status_of COMMAND...: its exit status in $status, its output in files.
status_of() {
	status=0
	"$@" >out 2>err </dev/null || status=$?
}

@test "fields: every kind of byte is escaped, or not, as the design says" {
	local -a names=()
	while IFS=$'\t' read -r bytes field; do
		names+=("/$(printf '%bx' "$bytes")")
		printf '/%bx\n' "$field"
	done < <(cases) >expected
	[ "${#names[@]}" -ge 40 ]
	tree "${names[@]}"
	for tool in $tools; do
		on "$tool" -H -o "$(text_of "$tool")" >out
		diff expected out
	done
}

@test "fields: printf %b gives every byte back" {
	local i all=/
	for i in {1..9} {11..255}; do
		all+=$(printf '\\x%02x' "$i")
	done
	all=$(printf '%b' "$all")
	# The name of a unix socket has at most 108 bytes.
	for part in "${all:0:100}" "${all:100:100}" "${all:200}"; do
		tree "/$part"
		for tool in $tools; do
			field=$(on "$tool" -H -o "$(text_of "$tool")")
			[ "$(printf %b "$field")" = "/$part" ]
			[[ $field != *[[:cntrl:]]* ]]
		done
	done
}

@test "fields: a newline in a unix name is \\n, and the row is one line" {
	tree $'/a\nb'
	[ "$(on psock -H -o path)" = '/a\nb' ]
}

@test "fields: long ones are whole, in whole characters" {
	local -a pieces
	mapfile -t pieces < <(yes piece | head -n 300)
	# Longer than any buffer, of 2, 3 and 4 bytes, ahead of 0 to 7 bytes.
	for char in $'\303\251' $'\342\202\254' $'\360\237\230\200'; do
		printf "$char%.0s" {1..500} >piece
		for pad in '' a ab abc abcdefg; do
			printf '%s' "$pad" >root
			cat "${pieces[@]}" >>root
			cp root "$host/root/.sh_history"
			on shhist -H -o command >out
			echo >>root
			cmp root out
		done
	done
}

@test "fields: empty ones around the end of the output buffer" {
	local list=duration
	for _ in {1..60}; do list+=,duration; done
	yes x | head -n 20000 >"$host/root/.sh_history"
	on shhist -H -o "$list" >out
	awk 'BEGIN { row = sprintf("%60s", ""); gsub(" ", "\t", row)
		for (i = 0; i < 20000; i++) print row }' | diff - out
}

@test "-H: no header row" {
	for tool in $tools; do
		on "$tool" >with
		on "$tool" -H >without
		[ "$(wc -l <with)" -eq 3 ]
		tail -n +2 with | cmp - without
	done
}

@test "-o: these columns, in this order, as often as named" {
	on psock -o socket,pid,socket >out
	printf '%s\t%s\t%s\n' socket pid socket 100 42 100 101 42 101 |
		diff - out
	on shhist -o command,uid,command >out
	printf '%s\t%s\t%s\n' command uid command one "$(id -u)" one \
		two "$(id -u)" two | diff - out
}

@test "-o +LIST: after the default columns" {
	for tool in $tools; do
		column=$(text_of "$tool")
		on "$tool" >default
		on "$tool" -o "$column" >texts
		on "$tool" -o "+$column,$column" >out
		paste default texts texts | diff - out
	done
}

@test "-o: each of the valid columns that an error lists is one" {
	for tool in $tools; do
		status_of on "$tool" -o nonsense
		[ "$status" -eq 2 ]
		[ ! -s out ]
		grep -q "^$tool: .*nonsense" err
		sed 's/.*: //; s/ (see .*//' err | tr ' ' '\n' >valid
		[ "$(wc -l <valid)" -ge 8 ]
		while read -r name; do
			on "$tool" -o "$name" >out
			[ "$(head -n 1 out)" = "$name" ]
		done <valid
		on "$tool" >out
		head -n 1 out | tr '\t' '\n' >default
		head -n "$(wc -l <default)" valid | diff default -
	done
}

@test "-o: unknown, empty and half names are usage errors" {
	for tool in $tools; do
		column=$(text_of "$tool")
		for list in '' + ',' "$column"',' ','"$column" \
			"$column,,$column" " $column" \
			"${column%?}" "${column}s" "${column^}" \
			"+$column,+$column"; do
			status_of on "$tool" -o "$list"
			[ "$status" -eq 2 ]
			[ ! -s out ]
			grep -q "$column" err
		done
	done
}

@test "-q: no warnings, the same status and rows" {
	for arguments in 'psock -p 42,4242' 'shhist -u root,nobody-here'; do
		read -ra words <<<"$arguments"
		status_of on "${words[@]}"
		[ "$status" -eq 1 ]
		[ "$(grep -c "^${words[0]}: " err)" -eq 1 ]
		mv out rows
		status_of on "${words[@]}" -q
		[ "$status" -eq 1 ]
		[ ! -s err ]
		cmp rows out
	done
}

# synopsis TOOL: that of its manual, on a line.
synopsis() {
	awk -v tool="$1" '/^\.Sh/ { on = $2 == "SYNOPSIS"; next }
		!on { next }
		{ gsub(/ , Ns Ar /, ",") }
		/^\.Nm/ { print tool }
		/^\.Op Fl [^ ]+$/ { print "[-" $3 "]" }
		/^\.Op Fl . Ar/ { print "[-" $3, $5 "]" }
		/^\.Op Ar$/ { print "[file ...]" }
		/^\.Fl h/ { print "-h | -V" }' \
		"$BATS_TEST_DIRNAME/../man/$1.1" | xargs
}

@test "-h, --help: the usage on standard output, exit 0" {
	for tool in $tools; do
		status_of "${!tool}" -h
		[ "$status" -eq 0 ]
		[ ! -s err ]
		mv out usage
		# As the manual has it.
		[ "$(sed 's/^usage: //; /^$/q' usage | xargs)" = \
			"$(synopsis "$tool")" ]
		# Every option has its line, and every column is named.
		for option in $(sed '/^$/q' usage | grep -o '\[-[a-zA-Z]*' |
			grep -o '[a-zA-Z]') h V; do
			grep -q "^  .*-${option}[ ,]" usage
		done
		status_of "${!tool}" -o nonsense
		for name in $(sed 's/.*: //; s/ (see .*//' err); do
			grep -qw -- "$name" usage
		done
		status_of "${!tool}" --help
		[ "$status" -eq 0 ]
		cmp usage out
	done
}

@test "-V, --version: name and version on standard output, exit 0" {
	for tool in $tools; do
		status_of "${!tool}" --version
		[ "$status" -eq 0 ]
		mv out version
		status_of "${!tool}" -V
		[ "$status" -eq 0 ]
		[ ! -s err ]
		cmp version out
		[ "$(wc -l <out)" -eq 1 ]
		grep -Eqx "$tool [0-9]+(\.[0-9]+)+( \([0-9a-f]{7,}(-dirty)?\))?" out
	done
}

@test "options: joined, and ended by --" {
	for tool in $tools; do
		column=$(text_of "$tool")
		[ "$(on "$tool" "-Hqo$column" -- | paste -s -)" = \
			$'one\ttwo' ]
	done
	status_of on psock -- -H
	[ "$status" -eq 2 ]
}

@test "usage errors: exit 2, one line that says what is wrong" {
	local n=0
	while IFS=: read -r arguments message; do
		read -ra words <<<"$arguments"
		status_of "${!words[0]}" "${words[@]:1}"
		echo "$arguments: $(cat err)"
		[ "$status" -eq 2 ]
		[ ! -s out ]
		[ "$(wc -l <err)" -eq 1 ]
		[[ $(cat err) == "${words[0]}: $message"*" (see ${words[0]} -h)" ]]
		n=$((n + 1))
	done <<'END'
psock -Z:-Z: no such option
psock --nonsense:--: no such option
psock -o:-o: its argument is missing
psock -p:-p: its argument is missing
psock -r:-r: its argument is missing
psock -t:-t: its argument is missing
psock operand:operand: psock takes no arguments but options
psock -p x:-p: 'x' is no process number
psock -p 1,:-p: '' is no process number
psock -p -2:-p: '-2' is no process number
psock -t nonsense:-t: table: 'nonsense' is none of: tcp tcp6
psock -o nonsense:-o: column: 'nonsense' is none of: pid fd
shhist -Z:-Z: no such option
shhist -o:-o: its argument is missing
shhist -u:-u: its argument is missing
shhist -r:-r: its argument is missing
END
	[ "$n" -eq 16 ]
}

# A variable that is not set, as a rule.
@test "usage errors: a name that is empty is reported with its option" {
	for arguments in 'psock -r' 'shhist -r' 'shhist -p' 'shhist -u'; do
		read -ra words <<<"$arguments"
		status_of "${!words[0]}" "${words[1]}" ''
		[ "$status" -eq 2 ]
		[ "$(cat err)" = "${words[0]}: ${words[1]}: empty name (see ${words[0]} -h)" ]
	done
}

@test "a root that is not there: exit 2 and no rows" {
	for tool in $tools; do
		status_of "${!tool}" -r "$host/not-there"
		[ "$status" -eq 2 ]
		[ "$(wc -l <out)" -le 1 ]
		grep -q "^$tool: " err
	done
}

@test "a full disk: exit 2 and the reason" {
	for tool in $tools; do
		for option in -q -h -V; do
			status=0
			on "$tool" "$option" >/dev/full 2>err || status=$?
			[ "$status" -eq 2 ]
			grep -q "^$tool: .*No space left on device" err
		done
	done
}

@test "a closed standard output: exit 2 and the reason" {
	for tool in $tools; do
		status=0
		on "$tool" >&- 2>err || status=$?
		[ "$status" -eq 2 ]
		grep -q "^$tool: .*Bad file descriptor" err
	done
}

@test "a closed standard input or error: no matter" {
	for tool in $tools; do
		on "$tool" >rows
		on "$tool" <&- | cmp - rows
		on "$tool" 2>&- | cmp - rows
		on "$tool" <&- 2>&- | cmp - rows
	done
	status=0
	on psock -p 4242 2>&- >out || status=$?
	[ "$status" -eq 1 ]
	[ "$(wc -l <out)" -eq 1 ]
}

@test "a reader that goes away: killed by SIGPIPE, quietly" {
	local -a names
	# Rows of three times what a pipe holds.
	mapfile -t names < <(seq -f "/%0100.0f" 1500)
	tree "${names[@]}"
	# Even where whoever starts it ignores the signal.
	trap '' PIPE
	for tool in $tools; do
		{
			on "$tool" 2>err && echo 0 >how || echo $? >how
		} | head -n 1 >out
		[ "$(wc -l <out)" -eq 1 ]
		[ ! -s err ]
		[ "$(cat how)" -eq 141 ]
	done
}

@test "warnings: what they name is escaped" {
	evil=$'a\033[31m\n\302\233\342\200\256\377b'
	shown='a\\x1b\[31m\\n\\xc2\\x9b\\xe2\\x80\\xae\\xffb'
	for arguments in -r -o; do
		for tool in $tools; do
			status_of "${!tool}" "$arguments" "$evil"
			[ "$status" -eq 2 ]
			grep -q "$shown" err
		done
	done
	status_of on psock -p "$evil"
	grep -q "$shown" err
	status_of on psock -t "$evil"
	grep -q "$shown" err
	status_of on shhist -u "$evil"
	[ "$status" -ge 1 ]
	grep -q "$shown" err
}

@test "a pipe that somebody has made not to block" {
	command -v python3 >/dev/null || skip 'no python3'
	for i in {1001..4000}; do
		ln -s "socket:[$i]" "$host/proc/42/fd/$i"
	done
	"$psock" -r "$host" >rows
	[ "$(wc -c <rows)" -gt 66000 ]
	python3 -c '
import os, select, subprocess, sys
read, write = os.pipe()
os.set_blocking(write, False)
child = subprocess.Popen(sys.argv[1:], stdout=write)
# It is full when one more byte has no room.
while select.select([], [write], [], 0)[1] and child.poll() is None:
    pass
os.close(write)
sys.stdout.buffer.write(open(read, "rb").read())
sys.exit(child.wait())
' "$psock" -r "$host" >piped
	cmp piped rows
}

@test "messages and names are put together as snprintf(3) does" {
	cc -std=gnu11 -w -o "$BATS_TEST_TMPDIR/format" \
		"$BATS_TEST_DIRNAME/inside/format.c"
	"$BATS_TEST_TMPDIR/format"
}
