#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# shhist: the formats by files of real shells, and whose files are read.

bats_require_minimum_version 1.5.0

setup() {
	SHHIST=${SHHIST:-$BATS_TEST_DIRNAME/../shhist}
	R=$BATS_TEST_TMPDIR/root
	mkdir -p "$R/etc" "$R/home" "$R/root"
	: >"$R/etc/passwd"
}

# user NAME UID HOME: a line of passwd, and the home.
user() {
	echo "$1:x:$2:$2:$1:$3:/bin/sh" >>"$R/etc/passwd"
	mkdir -p "$R$3"
}

as_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# case_rows OPTIONS...: each sample with these options gives its rows.
case_rows() {
	local dir file count=0
	for dir in "$BATS_TEST_DIRNAME"/samples/history/"$format"/*/; do
		file=$(find "$dir" -type f ! -name note ! -name rows)
		run -0 --separate-stderr "$SHHIST" -H -o time,command \
			"$@" "$file"
		diff <(printf '%s\n' "$output" | sed '/^$/d') "$dir/rows"
		count=$((count + 1))
	done
	[ "$count" -gt 0 ]
}


@test "every sample gives its rows with -f" {
	for format in bash zsh fish tcsh ksh mksh plain psql; do
		case_rows -f "$format"
	done
}

@test "every sample gives its rows by name or content" {
	for format in bash zsh fish tcsh ksh mksh plain psql; do
		case_rows
	done
}

@test "users by passwd, orphans by owner, -u by name and number" {
	as_root
	user al 1001 /home/al
	user bo 1002 /home/bo
	mkdir "$R/home/orphan"
	printf 'a\n' >"$R/home/al/.bash_history"
	printf ': 5:7;b\\\nc\n' >"$R/home/bo/.zsh_history"
	printf 'o\n' >"$R/home/orphan/.sh_history"
	chown -R 1001 "$R/home/al"
	chown -R 1002 "$R/home/bo"
	chown -R 77 "$R/home/orphan"
	chmod 755 "$R" "$BATS_TEST_TMPDIR"
	run -0 "$SHHIST" -r "$R" -o +user,format,line,duration -H
	[ "${lines[0]}" = $'1001\t0\ta\t/home/al/.bash_history\tal\tbash\t1\t' ]
	[ "${lines[1]}" = $'1002\t5\tb\\nc\t/home/bo/.zsh_history\tbo\tzsh\t1\t7' ]
	[ "${lines[2]}" = $'77\t0\to\t/home/orphan/.sh_history\t\tplain\t1\t' ]
	run -0 "$SHHIST" -r "$R" -H -u 77,al -o uid
	[ "$output" = $'1001\n77' ]
	run -1 "$SHHIST" -r "$R" -H -u nope -o uid
	[ "$output" = "shhist: nope: no such user" ]
}

@test "malformed passwd lines are counted and cost no neighbour" {
	user me "$(id -u)" /home/me
	printf '+\n-x:x:1:1::/:\nbig:x:4294967296:0::/b:\nrel:x:1:1::b:/\n' \
		>>"$R/etc/passwd"
	echo x >"$R/home/me/.bash_history"
	run -1 --separate-stderr "$SHHIST" -r "$R" -H -o command
	[ "$output" = x ]
	[ "$stderr" = "shhist: 2 lines: passwd: malformed" ]
}

@test "a file that two users share is told once, for the first" {
	user me "$(id -u)" /home/me
	echo "too:x:$(id -u):0::/home/me:/" >>"$R/etc/passwd"
	echo x >"$R/home/me/.bash_history"
	run -0 "$SHHIST" -r "$R" -H -o user
	[ "$output" = me ]
}

@test "bash and zsh sessions, and ash" {
	user me "$(id -u)" /home/me
	mkdir "$R/home/me/.bash_sessions" "$R/home/me/.zsh_sessions"
	echo b2 >"$R/home/me/.bash_sessions/2.history"
	echo b1 >"$R/home/me/.bash_sessions/1.history"
	echo no >"$R/home/me/.bash_sessions/1.session"
	echo z >"$R/home/me/.zsh_sessions/1.history"
	echo a >"$R/home/me/.ash_history"
	run -0 "$SHHIST" -r "$R" -H -o command,format
	[ "$output" = $'b1\tbash\nb2\tbash\nz\tzsh\na\tplain' ]
}

@test "a link to what the user cannot read gives nothing of it" {
	as_root
	user al 1001 /home/al
	echo secret >"$R/etc/shadow"
	chmod 600 "$R/etc/shadow"
	ln -s /etc/shadow "$R/home/al/.bash_history"
	echo mine >"$R/home/al/.zsh_history"
	chmod 755 "$R" "$BATS_TEST_TMPDIR"
	run -1 --separate-stderr "$SHHIST" -r "$R" -H -o command
	[ "$output" = mine ]
	[ "$stderr" = "shhist: /home/al/.bash_history: Permission denied" ]
}

@test "links in another root stay in it" {
	user me "$(id -u)" /home/me
	echo outside >"$BATS_TEST_TMPDIR/outside"
	ln -s "$BATS_TEST_TMPDIR/outside" "$R/home/me/.bash_history"
	ln -s ../../../../../../etc/passwd "$R/home/me/.zsh_history"
	run -0 "$SHHIST" -r "$R" -H -o history_file
	[ "$output" = /home/me/.zsh_history ]
}

@test "what is no regular file is named and not opened" {
	user me "$(id -u)" /home/me
	mkfifo "$R/home/me/.bash_history"
	mkdir "$R/home/me/.zsh_history"
	echo x >"$R/home/me/.sh_history"
	# A writer that is woken would end.
	timeout 20 bash -c "echo woken >'$R/home/me/.bash_history'" &
	writer=$!
	run -1 --separate-stderr "$SHHIST" -r "$R" -H -o command
	[ "$output" = x ]
	[ "${stderr_lines[0]}" = "shhist: /home/me/.bash_history: is a FIFO, not a regular file" ]
	[ "${stderr_lines[1]}" = "shhist: /home/me/.zsh_history: is a directory, not a regular file" ]
	kill -0 "$writer"
	kill "$writer"
}

@test "a sparse file of a terabyte is only its data" {
	user me "$(id -u)" /home/me
	echo first >"$R/home/me/.bash_history"
	truncate -s 1T "$R/home/me/.bash_history" || skip "no sparse files"
	echo last >>"$R/home/me/.bash_history"
	run "$SHHIST" -r "$R" -H -o command
	[ "${lines[0]}" = first ]
	[[ ${lines[1]} == *last ]]
}

@test "the access time stays" {
	user me "$(id -u)" /home/me
	echo x >"$R/home/me/.bash_history"
	touch -a -d @1000 "$R/home/me/.bash_history"
	run -0 "$SHHIST" -r "$R" -H -o command
	[ "$(stat -c %X "$R/home/me/.bash_history")" = 1000 ]
}

@test "lines of random lengths come out as they went in" {
	awk 'BEGIN { srand(4); for (i = 0; i < 20000; i++) {
		n = int(rand() * 200) + 1; s = ""
		for (; n > 0; n--) s = s sprintf("%c", 48 + int(rand() * 40))
		print s } }' >"$BATS_TEST_TMPDIR/.bash_history"
	run -0 --separate-stderr "$SHHIST" -H -o command \
		"$BATS_TEST_TMPDIR/.bash_history"
	printf '%s\n' "$output" |
		sed 's/\\\\/\\/g' | cmp - "$BATS_TEST_TMPDIR/.bash_history"
}

@test "a command of more than 16 MiB is cut, with a warning" {
	head -c 17000000 /dev/zero | tr '\0' a >"$BATS_TEST_TMPDIR/.bash_history"
	"$SHHIST" -H -o command "$BATS_TEST_TMPDIR/.bash_history" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" && false
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/out")" = 16777217 ]
	grep -q 'longer than 16 MiB' "$BATS_TEST_TMPDIR/err"
}

@test "standard input, and a list of users from it" {
	run -0 "$SHHIST" -H -f bash -o time,command - <<<$'#12\nls'
	[ "$output" = $'12\tls' ]
	user me 0 /nonexistent
	mkdir -p "$R/home/other"
	echo x >"$R/home/other/.bash_history"
	run -0 "$SHHIST" -H -r "$R" -p - -o user,command \
		<<<"other:x:$(id -u):0::/home/other:/bin/sh"
	[ "${lines[0]}" = $'other\tx' ]
}

@test "a missing operand and a missing system" {
	run -1 "$SHHIST" -H "$BATS_TEST_TMPDIR/none"
	[ "$output" = "shhist: $BATS_TEST_TMPDIR/none: No such file or directory" ]
	run -2 "$SHHIST" -H -r "$BATS_TEST_TMPDIR/none"
}

@test "-a adds the interactive clients" {
	user me "$(id -u)" /home/me
	echo py >"$R/home/me/.python_history"
	printf '_HiStOrY_V2_\nselect\\0401;\n' >"$R/home/me/.mysql_history"
	printf '.less-history-file:\n.search\n"foo\n' >"$R/home/me/.lesshst"
	printf ':wq\n|2,0,99,,"wq"\n' >"$R/home/me/.viminfo"
	run -0 "$SHHIST" -r "$R" -H
	[ "$output" = "" ]
	run -0 "$SHHIST" -a -r "$R" -H -o time,command
	[ "$output" = $'0\tpy\n0\tselect 1;\n0\tfoo\n99\twq' ]
}

@test "what bash and zsh write is what they were given" {
	command -v python3 >/dev/null || skip "no python3 for a terminal"
	type='import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
os.write(fd, sys.stdin.buffer.read())
try:
    while os.read(fd, 4096): pass
except OSError: pass
os.waitpid(pid, 0)'
	typed=$'echo one\necho \'a  b\'\necho t"w\\\\o"\nexit\n'
	for shell in bash zsh; do
		command -v "$shell" >/dev/null || skip "no $shell"
		mkdir "$BATS_TEST_TMPDIR/$shell"
		printf 'HISTSIZE=99\nSAVEHIST=99\nHISTFILE=~/.zsh_history\n' \
			>"$BATS_TEST_TMPDIR/$shell/.zshrc"
		HOME=$BATS_TEST_TMPDIR/$shell HISTFILE='' TERM=dumb \
			env -u HISTFILE timeout 20 python3 -c "$type" \
			"$shell" -i <<<"$typed"
		run -0 "$SHHIST" -H -o command \
			"$BATS_TEST_TMPDIR/$shell/.${shell}_history"
		[ "${lines[0]}" = "echo one" ]
		[ "${lines[1]}" = "echo 'a  b'" ]
		[ "${lines[2]}" = 'echo t"w\\\\o"' ]
	done
}
