#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Whose files, which files, and what a hostile home may try.

# shellcheck disable=SC2030,SC2031,SC2154,SC2086 # the helper sets them

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	make_tree
	denied='Permission denied; for copies that lost their owners see -p'
}

@test "users: passwd entries in their order, with the default columns" {
	echo one >"$ann/.bash_history"
	echo two >"$bob/.ash_history"
	echo three >"$tree/root/.sh_history"
	rows
	[ "$status" -eq 0 ]
	same "$output" $'0\t0\tthree\t/root/.sh_history
4001\t0\tone\t/home/ann/.bash_history
4002\t0\ttwo\t/home/bob/.ash_history'
}

@test "columns: user, format, line, duration" {
	printf ': 17:4;ls\n: 18:;id\n' >"$ann/.zsh_history"
	printf '#1\n\na\nb\n' >"$ann/.bash_history"
	rows -o user,format,line,duration,time,command
	same "$output" $'ann\tbash\t3\t\t1\ta\\nb
ann\tzsh\t1\t4\t17\tls\nann\tzsh\t2\t\t18\tid'
}

@test "columns: a row that is skipped leaves its duration to no other" {
	need_root
	printf ': 17:4;ls\n' >"$ann/.zsh_history"
	rows
	ln "$ann/.zsh_history" "$bob"
	echo one >"$bob/.ash_history"
	chown 4002 "$bob/.ash_history"
	run -0 "$shhist" -H -r "$tree" -u ann,bob -o command,duration
	same "$output" $'ls\t4\none\t'
}

@test "places: every default one, and with -a the clients" {
	local f all='.bash_history .bash_sessions/x.history .zsh_history
		.zhistory .histfile .zsh_sessions/x.history .history
		.sh_history .ash_history .hush_history .mksh_history
		.yash_history .local/share/fish/fish_history
		.config/fish/fish_history .config/nushell/history.txt
		.local/share/powershell/PSReadLine/ConsoleHost_history.txt'
	local clients='.python_history .mysql_history .mariadb_history
		.psql_history .sqlite_history .rediscli_history .gdb_history
		.Rhistory .node_repl_history .irb_history'

	for f in $all $clients; do
		mkdir -p "$(dirname "$ann/$f")"
		echo "command" >"$ann/$f"
	done
	for f in .local/share .config; do
		echo '- cmd: fish' >"$ann/$f/fish/fish_history"
	done
	echo '1:5 yash' >"$ann/.yash_history"
	printf '.less-history-file:\n.shell\n"x\n' >"$ann/.lesshst"
	echo ':wq' >"$ann/.viminfo"
	rows -o history_file
	same "$output" "$(printf '/home/ann/%s\n' $all)"
	rows -a -o history_file
	same "$output" "$(printf '/home/ann/%s\n' $all $clients .lesshst \
		.viminfo)"
}

@test "places: histories that are not read are reported" {
	local f

	echo one >"$ann/.bash_history"
	f=$ann/.local/state/elvish/db.bolt
	mkdir -p "$(dirname "$f")"
	echo x >"$f"
	rows -o command
	same "$output" one
	[ "$status" -eq 1 ]
	same "$warnings" 'shhist: file /home/ann/.local/state/elvish/db.bolt: is'\
' a history of a format that is not read'
	# As operands, too, unless -f says what they are.
	run -2 --separate-stderr "$shhist" -H "$f" "${f/elvish/none}" \
		"$(dirname "$f")/none/../db.bolt"
	same "$output" ''
	same "$stderr" "$(printf 'shhist: %s\n' \
		"$f: is a history of a format that is not read" \
		"${f/elvish/none}: No such file or directory" \
		"$(dirname "$f")/none/../db.bolt: No such file or directory")"
	run -0 --separate-stderr "$shhist" -H -f plain -o command "$f"
	same "$output" x
}

@test "places: in a home that may not be listed, all are tried" {
	need_root
	mkdir -p "$ann/.config/fish"
	echo '- cmd: fish' >"$ann/.config/fish/fish_history"
	echo one >"$ann/.bash_history"
	echo old >"$ann/.bash_history.1"
	echo "HISTFILE=\$HOME/moved" >"$ann/.bashrc"
	echo two >"$ann/moved"
	rows -o command
	same "$output" "$(printf '%s\n' one fish two old)"
	[ "$warnings" = '' ]
	own
	chmod 111 "$ann"
	rows -o command
	same "$output" "$(printf '%s\n' one fish two)"
	same "$warnings" 'shhist: file /home/ann, as uid 4001: Permission denied; '\
'for copies that lost their owners see -p'
}

@test "backups: of files that are not there any more" {
	mkdir -p "$ann/.config/zsh"
	echo ash >"$ann/.ash_history~"
	rows -o command
	same "$output" ash
	echo mksh >"$ann/.mksh_history.old"
	echo zsh >"$ann/.config/zsh/.zsh_history.1"
	rows -o command
	same "$(sort <<<"$output")" $'ash\nmksh\nzsh'
}

@test "orphans: homes that no entry claims, with their owner's uid" {
	need_root
	mkdir "$tree/home/gone"
	echo gone >"$tree/home/gone/.bash_history"
	chown -R 4010 "$tree/home/gone"
	rows
	same "$output" $'4010\t0\tgone\t/home/gone/.bash_history'
	rows -u 4010 -o command
	same "$output" gone
	mkdir "$tree/data"
	mv "$tree/home/gone" "$tree/data"
	ln -s ../data/gone "$tree/home/link"
	ln -s /none "$tree/home/nothing"
	ln -s ann "$tree/home/other"
	echo one >"$ann/.bash_history"
	own
	rows
	same "$output" $'4001\t0\tone\t/home/ann/.bash_history
4010\t0\tgone\t/home/link/.bash_history'
	[ "$status$warnings" = 0 ]
	# One that leads nowhere concerns only who asks for all, or for a uid.
	ln -s loop "$tree/home/loop"
	for user in root root,4001; do
		rows -u "$user" -o command
		echo "$user: $status $warnings"
	done >"$tree/said"
	[[ $(<"$tree/said") == $'root: 0 \nroot,4001: 1 shhist: file /home/loop'* ]]
}

@test "orphans: what others leave in a directory of root's is nobody's" {
	need_root
	mkdir "$tree/home/pub"
	echo key >"$tree/root.key"
	chmod 600 "$tree/root.key"
	ln -s ../../root.key "$tree/home/pub/.zsh_history"
	echo pub >"$tree/home/pub/.bash_history"
	chmod 755 "$tree/home/pub"
	rows
	same "$output" $'0\t0\tpub\t/home/pub/.bash_history
0\t0\tkey\t/home/pub/.zsh_history'
	chmod 1777 "$tree/home/pub"
	rows
	same "$output" $'65534\t0\tpub\t/home/pub/.bash_history'
	[[ $status$warnings == "1shhist: file /home/pub/.zsh_history, as uid 65534: Permission denied"* ]]
	chgrp 4010 "$tree/home/pub"
	chmod 770 "$tree/home/pub"
	rows -u 65534 -o command
	same "$output" pub
	rm "$tree/home/pub/.zsh_history"
	rows -u 65534
	same "$status$warnings" 0
	rows -u 0 -o command
	same "$output" ''
}

@test "orphans: names that are hidden or odd" {
	local name

	need_root
	rm "$tree/etc/passwd"
	for name in .hidden $'a\nb' $'a\tb' 'a\nb' $'\xff'; do
		mkdir "$tree/home/$name"
		echo "command" >"$tree/home/$name/.bash_history"
	done
	rows -p /dev/null -o history_file
	same "$output" '/home/.hidden/.bash_history
/home/a\tb/.bash_history
/home/a\nb/.bash_history
/home/a\\nb/.bash_history
/home/\xff/.bash_history'
	[ "$status" -eq 0 ]
}

@test "whoever starts it may ignore SIGCHLD" {
	echo one >"$ann/.bash_history"
	own
	run -0 python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$shhist" -H -r "$tree" -o command
	same "$output" one
}

@test "a home that several users share is printed once, for the first" {
	echo 'toor:x:0:0::/root:/bin/sh' >>"$tree/etc/passwd"
	echo one >"$tree/root/.bash_history"
	ln -s .bash_history "$tree/root/.zsh_history"
	rows -o user,command
	same "$output" $'root\tone'
	[ "$status" -eq 0 ]
}

@test "-u: names and numbers; one that is not there" {
	echo one >"$ann/.bash_history"
	echo two >"$bob/.bash_history"
	rows -u 4002 -o user
	same "$output" bob
	[ "$status" -eq 0 ]
	rows -u ann,nobody -o user
	same "$output" ann
	[ "$status" -eq 1 ]
	same "$warnings" 'shhist: nobody: no such user'
}

@test "-p: another list, from a file and from standard input" {
	echo one >"$ann/.bash_history"
	echo 'eve:x:4001:4001::/home/ann:' >"$BATS_TEST_TMPDIR/list"
	rows -p "$BATS_TEST_TMPDIR/list" -o user
	same "$output" eve
	rows -p - -o user <"$BATS_TEST_TMPDIR/list"
	same "$output" eve
	rows -p "$BATS_TEST_TMPDIR/missing"
	[ "$status" -eq 2 ]
	rows -p "$BATS_TEST_TMPDIR"
	[ "$status" -eq 2 ]
	same "$warnings" "shhist: $BATS_TEST_TMPDIR: Is a directory"
}

@test "passwd: traps give no user, are counted, and cost no neighbour" {
	local line

	echo one >"$ann/.bash_history"
	for line in '+' '+::::::' '-x' '#c' ''; do
		echo "$line"
	done >"$tree/etc/passwd"
	for line in 'a:x:4294967296:0::/home/ann:' 'b:x:-1:0::/home/ann:' \
	    'c:x:4294967295:0::/home/ann:' 'd:x: 1:0::/home/ann:' \
	    'e:x:1:0::home/ann:' 'f:x:1:0::/home/ann' ':x:1:0::/home/ann:'; do
		echo "$line"
	done >>"$tree/etc/passwd"
	printf 'nul:x:40\0001:4001::/home/ann:/bin/sh\n' >>"$tree/etc/passwd"
	printf 'ann:x:4001:4001::/home//ann/:/bin/sh' >>"$tree/etc/passwd"
	rows -o uid,user,history_file
	same "$output" $'4001\tann\t/home/ann/.bash_history'
	same "$warnings" 'shhist: 8 lines (first: 6): passwd: malformed'
	[ "$status" -eq 1 ]
}

@test "no passwd: a warning; and no homes either: exit 2" {
	echo one >"$ann/.bash_history"
	rm "$tree/etc/passwd"
	rows -o command
	same "$output" one
	[ "$status" -eq 1 ]
	rm -r "${tree:?}/home" "$tree/root"
	run -2 "$shhist" -r "$tree"
}

@test "missing homes and files are silent" {
	rm -r "$ann" "$tree/home/bob"
	mkdir -p "$bob"
	rm -r "${tree:?}/home"
	status=0
	output=$("$shhist" -r "$tree" -H 2>&1) || status=$?
	same "$output" ''
	[ "$status" -eq 0 ]
}

@test "what is no regular file is named, and its neighbours are read" {
	mkfifo "$ann/.bash_history"
	mkdir "$ann/.zsh_history"
	echo one >"$ann/.sh_history"
	rows -o command
	same "$output" one
	[ "$status" -eq 1 ]
	[[ $warnings == *"/home/ann/.bash_history: is a FIFO, "* ]]
	[[ $warnings == *"/home/ann/.zsh_history: is a directory, "* ]]
}

@test "a link to /dev/null is a device" {
	ln -s /dev/null "$BATS_TEST_TMPDIR/null"
	run -2 "$shhist" -H "$BATS_TEST_TMPDIR/null"
	[[ $output == *'is a character device, '* ]]
}

@test "a FIFO's writer never learns of us" {
	local writer

	mkfifo "$ann/.bash_history"
	(exec 3>"$ann/.bash_history" && echo woken >"$BATS_TEST_TMPDIR/woken") \
		3>&- &
	writer=$!
	rows
	[ ! -e "$BATS_TEST_TMPDIR/woken" ]
	kill -0 "$writer"
	kill "$writer"
}

@test "a link to a file that the user may not read" {
	need_root
	echo secret >"$tree/etc/shadow"
	chmod 600 "$tree/etc/shadow"
	ln -s /etc/shadow "$ann/.bash_history"
	rows
	same "$output" ''
	[ "$status" -eq 1 ]
	same "$warnings" "shhist: file /home/ann/.bash_history, as uid 4001: \
$denied"
}

@test "what may not be opened is counted, with the uid that it was tried as" {
	need_root
	for name in .bash_history .config/x .local/x .viminfo; do
		mkdir -p "$(dirname "$ann/$name")"
		echo one >"$ann/$name"
	done
	echo two >"$ann/.histfile"
	ln -s .histfile "$ann/.sh_history"
	echo three >"$bob/.sh_history"
	chmod 0 "$ann/.bash_history" "$ann/.config" "$ann/.viminfo" \
		"$ann/.local" "$bob/.sh_history"
	rows -o command
	same "$output" two
	[ "$status" -eq 1 ]
	[[ $warnings == 'shhist: '*" files (first: /home/ann/.bash_history, as \
uid 4001): $denied" ]]
	[ "$(wc -l <<<"$warnings")" -eq 1 ]
	rows -q -o command
	same "$status$output$warnings" 1two
	# Operands are reported one by one.
	chmod a+x "$ann" "$bob"
	run -2 setpriv --reuid 4001 --clear-groups "$shhist" -H \
		"$ann/.bash_history" "$bob/.sh_history"
	same "$output" "$(printf 'shhist: %s: Permission denied\n' \
		"$ann/.bash_history" "$bob/.sh_history")"
}

@test "homes whose user root may not become are counted" {
	need_root
	echo one >"$ann/.bash_history"
	echo two >"$tree/root/.bash_history"
	own
	for option in -H -Hq; do
		run -1 --separate-stderr setpriv --bounding-set -setuid \
			"$shhist" $option -r "$tree" -o command
		same "$output" two
		[ "$option" = -Hq ] || same "$stderr" \
			'shhist: 2 homes (first: /home/ann): change of user: '\
'Operation not permitted'
	done
	same "$stderr" ''
}

@test "links stay below the root that is looked at" {
	echo secret >"$BATS_TEST_TMPDIR/secret"
	ln -s "$BATS_TEST_TMPDIR/secret" "$ann/.bash_history"
	ln -s ../../../secret "$ann/.zsh_history"
	echo inside >"$tree/etc/inside"
	ln -s /etc/inside "$ann/.sh_history"
	rows -o command
	same "$output" inside
	need_root
	status=0
	output=$(setpriv --reuid 4001 --clear-groups "$shhist" -H -r "$tree" \
		-o command 2>&1) || status=$?
	same "$output" inside
}

@test "access times stay" {
	local before

	echo one >"$ann/.bash_history"
	touch -a -d '2001-01-01' "$ann/.bash_history"
	own
	before=$(stat -c '%x %y' "$ann/.bash_history")
	same "$("$shhist" -H -r "$tree" -o command)" one
	same "$(stat -c '%x %y' "$ann/.bash_history")" "$before"
}

@test "a sparse file of 1 TB: its hole is no matter" {
	truncate -s 1T "$ann/.bash_history"
	truncate -s 1G "$ann/.sh_history"
	echo end >>"$ann/.sh_history"
	rows -o history_file
	[ "$status" -eq 0 ]
	same "$output" /home/ann/.sh_history
}

@test "a passwd list of 1 TB: its hole is no matter" {
	echo one >"$ann/.bash_history"
	own
	truncate -s 1T "$tree/etc/passwd"
	SECONDS=0
	rows -o command
	[ "$SECONDS" -lt 10 ]
	same "$output" one
}

@test "a passwd list that would fill our memory" {
	echo one >"$ann/.bash_history"
	own
	yes '#' | head -c 257M >>"$tree/etc/passwd"
	rows -o command
	same "$status $output $warnings" '1 one shhist: passwd: File too large'
}

@test "a hole in a line does not join what is before and behind it" {
	printf 'rm -rf /tmp/%04084d' 1 >"$ann/.bash_history"
	truncate -s 64K "$ann/.bash_history"
	printf '/etc\nend\n' >>"$ann/.bash_history"
	[ "$(stat -c %b "$ann/.bash_history")" -lt 100 ] ||
		skip 'no sparse files'
	rows -o command
	same "$output" "$(printf 'rm -rf /tmp/%04084d\\x00/etc\nend' 1)"
}

@test "more files than one parser holds" {
	local i

	mkdir "$ann/.bash_sessions"
	for i in $(seq 1000 1299); do
		echo "$i" >"$ann/.bash_sessions/$i.history"
	done
	rows -o command
	same "$output" "$(seq 1000 1299)"
	# Without root the tree needs one, too.
	ulimit -n "$((8 + ($(id -u) > 0)))"
	# Without what whoever runs the tests has open.
	output=$("$shhist" -H -r "$tree" -o command \
		3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-)
	same "$output" "$(seq 1000 1299)"
}

@test "file operands: the owner's uid, the path as given, one is missing" {
	cd "$BATS_TEST_TMPDIR"
	echo one >some
	run -1 --separate-stderr "$shhist" -H some missing
	same "$output" "$(id -u)"$'\t0\tone\tsome'
	same "$stderr" 'shhist: missing: No such file or directory'
}

@test "file operands: none can be read" {
	cd "$BATS_TEST_TMPDIR"
	mkfifo fifo
	run -2 "$shhist" -H missing . fifo
	same "$output" 'shhist: missing: No such file or directory
shhist: .: is a directory, not a regular file
shhist: fifo: is a FIFO, not a regular file'
	run -2 "$shhist" -H - <.
	same "$output" 'shhist: -: Is a directory'
	run -2 sh -c "exec \"$shhist\" -H - <&-"
	same "$output" 'shhist: -: Bad file descriptor'
	# What opens, but gives nothing.
	run -2 "$shhist" -H /proc/self/mem missing
	[[ ${lines[0]} == 'shhist: /proc/self/mem: '*[Ee]rror ]]
	run -2 "$shhist" -H - </proc/self/mem
	: >empty
	run -1 "$shhist" -H missing empty
	run -1 "$shhist" -H empty /proc/self/mem
	run -1 "$shhist" -H /proc/self/mem empty
	run -0 "$shhist" -H empty
}

@test "file operands: /dev/stdin is standard input" {
	run -0 "$shhist" -H -o command,history_file /dev/stdin < <(echo one)
	same "$output" $'one\t/dev/stdin'
}

@test "file operands: descriptors, as shells make them of <(command)" {
	run -0 "$shhist" -H -o command,history_file <(echo one) <(echo two)
	[[ $output == $'one\t/dev/fd/'*$'\ntwo\t/dev/fd/'* ]]
	run -0 "$shhist" -H -o command /proc/self/fd/7 - 7< <(echo seven) \
		< <(echo zero)
	same "$output" $'seven\nzero'
	# One that the caller has not: it would be ours, or another file.
	echo one >"$BATS_TEST_TMPDIR/some"
	for fd in {1..9}; do
		run -1 --separate-stderr "$shhist" -H -o command \
			"$BATS_TEST_TMPDIR/some" "/dev/fd/$fd" \
			3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
		same "$output" one
		same "$stderr" "shhist: /dev/fd/$fd: Bad file descriptor"
	done
	echo one >"$BATS_TEST_TMPDIR/7"
	same "$(cd "$BATS_TEST_TMPDIR" && "$shhist" -H -o command,history_file \
		7 /dev/fd/7 7<./7)" $'one\t7\none\t/dev/fd/7'
	run -2 "$shhist" /dev/fd/7 7<.
	[[ $output == *': /dev/fd/7: Is a directory' ]]
}

@test "file operands go with nothing that chooses others" {
	echo one >"$BATS_TEST_TMPDIR/some"
	for option in -a '-u ann' '-p -'; do
		run -2 "$shhist" $option "$BATS_TEST_TMPDIR/some"
		same "$output" \
			'shhist: files cannot be used with -a, -p or -u (see shhist -h)'
	done
}

@test "an unterminated last line counts" {
	printf 'one\ntwo' >"$ann/.bash_history"
	rows -o command
	same "$output" $'one\ntwo'
}

@test "the names of users and files are escaped" {
	local evil=$'\e]0;x\a.history'

	mkdir "$ann/.bash_sessions"
	echo one >"$ann/.bash_sessions/$evil"
	mkfifo "$ann/.bash_sessions/${evil%.history}f.history"
	rows -o history_file
	same "$output" '/home/ann/.bash_sessions/\x1b]0;x\x07.history'
	[[ $warnings == *'/\x1b]0;x\x07f.history: is a FIFO'* ]]
}
