#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What a hostile home, or a parser that fell to one, can do: cost its own
# user's rows, and that is told.  HOSTILE_FILES and HOSTILE_USERS are how
# many of them there are where there are many.

# shellcheck disable=SC2030,SC2031,SC2154 # the helper sets them

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." && cc -std=gnu11 -O1 -DVERSION='"broken"' \
		-o "$BATS_FILE_TMPDIR/broken" test/broken/shhist.c common.c
}

setup() {
	load shhist_helper
	make_tree
	T=$BATS_TEST_TMPDIR
	broken=$BATS_FILE_TMPDIR/broken
	mounted=()
}

teardown() {
	local mount

	for mount in "${mounted[@]}"; do
		kill "${mount%%:*}" || :
		umount -l "${mount#*:}"
	done
}

# catch NAME UID [COMMAND...]: starts COMMAND (shhist on the tree) and catches
# the child that reads UID's long history: its pid in $caught, that of all in
# $pid.  It goes on, its output to NAME.out, after let_go.
catch() {
	mkfifo "$T/$1.fifo"
	"${@:3}" >"$T/$1.fifo" 2>"$T/$1.err" 3>&- &
	pid=$!
	exec 4<"$T/$1.fifo"
	read -r _ <&4
	caught=$(pgrep -P "$pid")
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$caught/status")" -eq "$2" ]
}

let_go() {
	cat <&4 >"$T/$1.out"
	exec 4<&-
	status=0
	wait "$pid" || status=$?
}

# More than a pipe holds, so that its reader waits for room.
long_history() {
	yes "${2:-a long command of one user}" | head -c 8000000 >"$1"
}

# sleepy DIRECTORY CALL: a FUSE file system there that never answers CALL.
sleepy() {
	local pid log=$T/sleepy.${#mounted[@]}

	[ -c /dev/fuse ] || skip 'no /dev/fuse'
	"$BATS_TEST_DIRNAME/bin/sleepyfs" "$1" "$2" 4001 >"$log" 3>&- &
	pid=$!
	until [ -s "$log" ] || ! kill -0 "$pid" 2>/dev/null; do :; done
	[ -s "$log" ] || skip 'FUSE file systems cannot be mounted'
	mounted+=("$pid:$1")
}

# What a process may do, whose it is, and which descriptors it has.
confinement() {
	awk '/^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)/ { $1 = $1; print }' \
		"/proc/$1/status"
	grep -c 'Max core file size *0 *0 ' "/proc/$1/limits"
	stat -c %u:%g "/proc/$1/maps" "/proc/$1/fd"
	readlink "/proc/$1/fd/"* | sed 's/:.*//' | sort | uniq -c |
		sed 's/^ *//'
}

@test "the child that parses is its user, and can do nothing" {
	local id user root

	need_root
	long_history "$ann/.bash_history"
	long_history "$tree/root/.bash_history"
	own
	for id in 4001 0; do
		user=$([ "$id" -eq 0 ] && echo root || echo ann)
		root=$([ "$id" -eq 0 ] && echo /root || echo /home/ann)
		catch "$user" "$id" "$shhist" -H -r "$tree" -u "$user"
		same "$(confinement "$caught")" "Uid: $id $id $id $id
Gid: $id $id $id $id
Groups: $id
CapInh: 0000000000000000
CapPrm: 0000000000000000
CapEff: 0000000000000000
CapBnd: 0000000000000000
CapAmb: 0000000000000000
NoNewPrivs: 1
Seccomp: 2
1
0:0
0:0
1 $tree$root/.bash_history
3 pipe"
		run -1 setpriv --reuid 4001 --regid 4001 --clear-groups \
			cat "/proc/$caught/environ"
		let_go "$user"
		[ "$status" -eq 0 ]
	done
}

@test "a parser that is broken is stopped, and costs its user's rows alone" {
	local attack attacks lost='' uid=5000

	need_root
	attacks=$("$broken" attacks)
	for attack in $attacks; do
		uid=$((uid + 1))
		echo "$attack:x:$uid:$uid::/home/$attack:"
		mkdir "$tree/home/$attack"
		printf '%s\n' before "$attack" after \
			>"$tree/home/$attack/.bash_history"
		chown -R "$uid" "$tree/home/$attack"
		lost+="shhist: $attack: history reader died: rows are lost"$'\n'
	done >"$tree/etc/passwd"
	echo 'bob:x:4002:4002::/home/bob:' >>"$tree/etc/passwd"
	echo fine >"$bob/.bash_history"
	shhist=$broken rows -o user,command
	same "$output" "$(for attack in $attacks; do case $attack in
		half | narrow | wide | escape | delete | c1 | bidi | utf8 | \
			nul | message | tabbed | stdin | stderr)
			printf '%s\tbefore\n' "$attack" ;;
		esac; done; printf 'bob\tfine\n')"
	same "$warnings" "${lost%$'\n'}"
	[ "$status" -eq 1 ]
}

@test "operands and standard input are parsed confined, too" {
	local attack

	for attack in $("$broken" attacks); do
		printf '%s\n' "$attack" after >"$T/file"
		run -1 --separate-stderr "$broken" -H "$T/file"
		same "$output" ''
		same "$stderr" \
			'shhist: operands: history reader died: rows are lost'
		# It has standard input, and may try to write to it.
		[ "$attack" != stdin ] || continue
		run -1 --separate-stderr "$broken" -H - <"$T/file"
		same "$output" ''
		same "$stderr" \
			'shhist: operands: history reader died: rows are lost'
	done
}

@test "more files than one parser holds: each parser is confined" {
	local i

	mkdir "$ann/.bash_sessions"
	for i in $(seq 1000 1599); do
		echo "$i" >"$ann/.bash_sessions/$i.history"
	done
	echo two >"$bob/.bash_history"
	echo socket >"$ann/.bash_sessions/1300.history"
	shhist=$broken rows -o command
	same "$output" two
	same "$warnings" 'shhist: ann: history reader died: rows are lost'
	echo socket >"$ann/.bash_sessions/1590.history"
	echo 1300 >"$ann/.bash_sessions/1300.history"
	shhist=$broken rows -o command
	same "$output" "$(seq 1000 1511; echo two)"
	same "$warnings" 'shhist: ann: history reader died: rows are lost'
}

@test "a parser that never ends its row is no matter of memory" {
	echo endless >"$ann/.bash_history"
	echo two >"$bob/.bash_history"
	shhist=$broken rows -o command
	same "$output" two
	same "$warnings" 'shhist: ann: history reader died: rows are lost'
}

@test "a parser reaches nothing that the caller left open" {
	echo inherited >"$ann/.bash_history"
	exec 5<>"$T/five" 77<>"$T/seventyseven"
	shhist=$broken rows -o command -p <(cat "$tree/etc/passwd")
	exec 5>&- 77>&-
	same "$output" inherited
	[ "$status" -eq 0 ]
	[ ! -s "$T/five" ]
	[ ! -s "$T/seventyseven" ]
}
