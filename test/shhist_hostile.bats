#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What a hostile home, or a parser that fell to one, can do: cost its own
# user's rows, and that is reported.  HOSTILE_FILES and HOSTILE_USERS are how
# many of them there are where there are many.

# bats file_tags=live

# shellcheck disable=SC2030,SC2031,SC2154,SC2086 # the helper sets them

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." && ${BROKEN_CC:-cc} -std=gnu11 -O1 \
		-DVERSION='"broken"' -o "$BATS_FILE_TMPDIR/broken" \
		test/broken/shhist.c common.c
}

setup() {
	load shhist_helper
	make_tree
	T=$BATS_TEST_TMPDIR
	broken=$BATS_FILE_TMPDIR/broken
	daemons=
	mounted=()
}

teardown() {
	local mount

	[ -z "$daemons" ] || kill $daemons || :
	for mount in "${mounted[@]}"; do
		umount -l "$mount"
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
	caught=$(for child in $(pgrep -P "$pid"); do
		! grep -q "^Uid:.$2	" "/proc/$child/status" ||
			! grep -q '^CapEff:.0*$' "/proc/$child/status" ||
			grep -q '^State:.Z' "/proc/$child/status" ||
			echo "$child"
	done)
	[ -n "$caught" ]
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
	[ -x "$BATS_TEST_DIRNAME/bin/sleepyfs" ]
	"$BATS_TEST_DIRNAME/bin/sleepyfs" "$1" "$2" 4001 >"$log" 3>&- &
	pid=$!
	until [ -s "$log" ] || ! kill -0 "$pid" 2>/dev/null; do :; done
	[ -s "$log" ] || skip 'FUSE file systems cannot be mounted'
	daemons+=" $pid"
	mounted+=("$1")
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

@test "a list on standard input, and a /home that does not answer" {
	need_root
	echo one >"$ann/.bash_history"
	own
	mkdir "$tree/top"
	cp -a "$ann" "$tree/top"
	sleepy "$tree/home" opendir
	run -1 --separate-stderr timeout 60 "$shhist" -H -o command \
		-r "$tree" -p - < <(sed 's,/home/,/top/,' "$tree/etc/passwd")
	same "$output" one
	same "$stderr" 'shhist: /home: did not answer'
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
		catch "$user" "$id" "$shhist" -H -r "$tree" -u "$user" \
			-p "$tree/etc/passwd"
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

# attackers NAME...: a user for each, whose second command it is, and bob.
attackers() {
	local attack uid=5000

	for attack; do
		uid=$((uid + 1))
		echo "$attack:x:$uid:$uid::/home/$attack:"
		mkdir "$tree/home/$attack"
		printf '%s\n' before "$attack" after \
			>"$tree/home/$attack/.bash_history"
		chown -R "$uid" "$tree/home/$attack"
	done >"$tree/etc/passwd"
	echo 'bob:x:4002:4002::/home/bob:' >>"$tree/etc/passwd"
	echo fine >"$bob/.bash_history"
}

@test "a parser that is broken is stopped, and costs its user's rows alone" {
	local attack attacks

	need_root
	attacks=$("$broken" attacks)
	attackers $attacks
	shhist=$broken rows -o user,command
	same "$output" "$(for attack in $attacks; do case $attack in
		half | long | stdin | stderr)
			printf '%s\tbefore\n' "$attack" ;;
		esac; done; printf 'bob\tfine\n')"
	[ "$status" -eq 1 ]
	same "$(awk '{ lost += /: rows are lost: / ? /^shhist: user / ? 1 : $2 : 0 }
		END { print lost }' <<<"$warnings")" "$(wc -w <<<"$attacks")"
	grep -Eqx 'shhist: [0-9]+ users \(first: openat\): rows are lost: killed by signal 31' \
		<<<"$warnings"
}

@test "a parser that is broken is believed in nothing but its own rows" {
	local attack records

	need_root
	records=$("$broken" records)
	attackers $records
	shhist=$broken rows -o uid,user,command
	[ "$status" -eq 0 ]
	same "$output" "$(uid=5000; for attack in $records; do
		uid=$((uid + 1))
		printf "$uid\\t$attack\\t%s\\n" before "$attack" after
		done; printf '4002\tbob\tfine\n')"
}

@test "operands and standard input are parsed confined, too" {
	local attack

	for attack in $("$broken" attacks); do
		printf '%s\n' "$attack" after >"$T/file"
		run -1 --separate-stderr "$broken" -H "$T/file"
		same "$output" ''
		[[ $stderr == "shhist: $T/file: rows are lost: "* ]]
		# It has standard input, and may try to write to it.
		[ "$attack" != stdin ] || continue
		run -1 --separate-stderr "$broken" -H - <"$T/file"
		same "$output" ''
		[[ $stderr == "shhist: -: rows are lost: "* ]]
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
	same "$warnings" \
		'shhist: user ann: rows are lost: killed by signal 31'
	echo socket >"$ann/.bash_sessions/1590.history"
	echo 1300 >"$ann/.bash_sessions/1300.history"
	shhist=$broken rows -o command
	same "$output" "$(seq 1000 1511; echo two)"
	same "$warnings" \
		'shhist: user ann: rows are lost: killed by signal 31'
}

@test "a parser that goes on behind its end is stopped" {
	need_root
	attackers goes-on-{1..33}	# more than there are workers at once
	shhist=$broken rows -o command
	same "$output" "$(yes before | head -n 33; echo fine)"
	[ "$status" -eq 0 ]
}

@test "a parser that never ends its record is no matter of memory" {
	echo endless >"$ann/.bash_history"
	echo two >"$bob/.bash_history"
	shhist=$broken rows -o command
	same "$output" two
	[[ $warnings == 'shhist: user ann: rows are lost: '* ]]
}

@test "a parser reaches nothing that the caller left open" {
	echo inherited >"$ann/.bash_history"
	exec 5<>"$T/five" 77<>"$T/seventyseven"
	shhist=$broken rows -o command -p <(cat "$tree/etc/passwd")
	exec 5>&- 77>&-
	same "$output" ''
	same "$warnings" \
		'shhist: user ann: rows are lost: killed by signal 31'
	[ ! -s "$T/five" ]
	[ ! -s "$T/seventyseven" ]
}

@test "a child that crashes among its rows: whole ones before, others after" {
	need_root
	long_history "$ann/.bash_history"
	echo two >"$bob/.bash_history"
	own
	# Sanitizers would print a message of their own and exit.
	ASAN_OPTIONS=$ASAN_OPTIONS:handle_segv=0 \
		catch crash 4001 "$shhist" -H -r "$tree" -o user,command
	kill -SEGV "$caught"
	let_go crash
	[ "$status" -eq 1 ]
	same "$(sort -u "$T/crash.out")" $'ann\ta long command of one user
bob\ttwo'
	same "$(cat "$T/crash.err")" \
		'shhist: user ann: rows are lost: killed by signal 11'
}

@test "a child ends with its parent" {
	need_root
	echo spin >"$ann/.bash_history"
	own
	"$broken" -r "$tree" 3>&- &
	pid=$!
	exec 2>/dev/null	# what is gone already
	caught=
	until [ -n "$caught" ]; do
		for child in $(pgrep -P "$pid"); do
			mapfile -t lines <"/proc/$child/status" || continue
			[[ ${lines[*]} != *Uid:?4001*Seccomp_filters:?2* ]] ||
				caught=$child
		done
	done
	kill -KILL "$pid"
	until ! mapfile -t lines <"/proc/$caught/status" ||
		[[ ${lines[*]} == *State:?Z* ]]; do :; done
}

@test "files that are cut, rewritten, and that grow, while they are read" {
	need_root
	long_history "$ann/.bash_history"
	echo two >"$bob/.bash_history"
	own
	catch cut 4001 "$shhist" -H -r "$tree" -o user,command
	: >"$ann/.bash_history"
	let_go cut
	[ "$status" -eq 1 ]
	same "$(cat "$T/cut.err")" \
		'shhist: file /home/ann/.bash_history: changed while it was read'
	# What was the last line by then may have been cut.
	same "$(sort -u "$T/cut.out" | grep -v '^ann	a.*[^r]$')" \
		$'ann\ta long command of one user\nbob\ttwo'
	long_history "$ann/.bash_history"
	catch other 4001 "$shhist" -H -r "$tree" -o user,command
	long_history "$ann/.bash_history" 'another command of that user'
	let_go other
	[ "$status" -eq 1 ]
	same "$(cat "$T/other.err")" "$(cat "$T/cut.err")"
	long_history "$ann/.bash_history"
	catch grown 4001 "$shhist" -H -r "$tree" -o user,command
	printf '\nmore\n' >>"$ann/.bash_history"
	let_go grown
	[ "$status" -eq 0 ]
	same "$(tail -n 2 "$T/grown.out")" $'ann\tmore\nbob\ttwo'
}

@test "a file that never ends, or grows as fast as it is read" {
	need_root
	setpriv --reuid 4001 --regid 4001 --clear-groups sleep 1000 3>&- &
	daemons+=" $!"
	echo one >"$ann/.bash_history"
	ln -s "/proc/$!/pagemap" "$ann/.zsh_history"
	until [ "$(cat "/proc/$!/comm")" = sleep ]; do :; done
	own
	sed -n "s,/home,$tree&,p" "$tree/etc/passwd" >"$T/list"
	run -1 --separate-stderr timeout 20 "$shhist" -H -u ann -p "$T/list" \
		-o command
	same "$output" one
	same "$stderr" "shhist: file $ann/.zsh_history: is the kernel's own, not \
a regular file"
	# More than 16 MiB behind what it was.
	rm "$ann/.zsh_history"
	long_history "$ann/.bash_history"
	catch grows 4001 "$shhist" -H -r "$tree"
	yes 'a long command of one user' | head -c 40000000 \
		>>"$ann/.bash_history"
	let_go grows
	[ "$status" -eq 1 ]
	same "$(cat "$T/grows.err")" \
		'shhist: file /home/ann/.bash_history: File too large'
	[ "$(cut -f 3 "$T/grows.out" | wc -c)" -lt 26000000 ]
}

@test "a file that cannot be looked at is not said to be none" {
	command -v strace >/dev/null || skip 'no strace'
	echo one >"$T/file"
	run -2 strace -f -qq -o /dev/null -P "$T/file" \
		-e inject=fstat,newfstatat,statx:error=EACCES \
		"$shhist" -H "$T/file"
	same "$output" "shhist: $T/file: Permission denied"
	# A file server may answer what we ourselves call no file.
	run -2 strace -f -qq -o /dev/null -P "$T/file" \
		-e inject=?open,openat,?openat2:error=EMEDIUMTYPE \
		"$shhist" -H "$T/file"
	same "$output" "shhist: $T/file: Wrong medium type"
}

# hold_lease yes|no FILE...: leases on them; whether one is given back when
# it is asked for.
hold_lease() {
	python3 -c 'import fcntl, os, signal, sys
files = [os.open(name, os.O_RDWR) for name in sys.argv[2:]]
def asked(*_):
    if sys.argv[1] == "yes":
        for file in files:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
signal.signal(signal.SIGIO, asked)
for file in files:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
while True:
    signal.pause()' "$@" >"$T/lease" 3>&- &
	until [ -s "$T/lease" ] || ! kill -0 $! 2>/dev/null; do :; done
	[ -s "$T/lease" ] || skip 'the file system has no leases'
}

@test "a file under a lease: its holder is asked, and not waited for" {
	local i

	need_root
	echo one >"$ann/.bash_history"
	echo two >"$bob/.bash_history"
	own
	hold_lease yes "$ann/.bash_history"
	rows -o command
	kill $!
	same "$output" $'one\ntwo'
	[ "$status" -eq 0 ]
	: >"$T/lease"
	hold_lease no "$ann/.bash_history"
	rows -o command
	kill $!
	same "$output" two
	[ "$status" -eq 1 ]
	same "$warnings" "shhist: file /home/ann/.bash_history: Resource \
temporarily unavailable"
	# One second for all of them.
	: >"$T/lease"
	mkdir "$ann/.bash_sessions"
	for i in {10..24}; do
		echo "$i" >"$ann/.bash_sessions/$i.history"
	done
	own
	hold_lease no "$ann/.bash_sessions/"*
	SECONDS=0
	rows -o command
	kill $!
	[ "$SECONDS" -lt 10 ]
	same "$output" $'one\ntwo'
	[[ $warnings == *"15 files (first: /home/ann/.bash_sessions/10.history): \
Resource temporarily unavailable" ]]
}

# plant NAME: a tree of that name, in which ann comes to grief and bob's one
# command can be read.
plant() {
	make_tree "$1"
	echo two >"$bob/.bash_history"
	own
}

# begin NAME [COMMAND...]: shhist, or COMMAND, on that tree in the background;
# its output, messages and status to NAME.out, .err and .status.
begin() {
	local command=("${@:2}")

	[ $# -gt 1 ] || command=("$shhist")
	(
		status=0
		"${command[@]}" -H -r "$tree" -o user,command \
			>"$T/$1.out" 2>"$T/$1.err" 3>&- || status=$?
		echo "$status" >"$T/$1.status"
	) &
	begun+=($!)
}

# ended NAME OUTPUT MESSAGES: that is what came of it, and status 1.
ended() {
	same "$(uniq "$T/$1.out")" "$2"
	same "$(cat "$T/$1.err")" "$3"
	[ "$(cat "$T/$1.status")" -eq 1 ]
}

@test "who links another's history does not make it vanish" {
	need_root
	mkdir -p "$ann/.local/share/fish"
	ln -s /home/bob/.bash_history "$ann/.local/share/fish/a_history"
	echo two >"$bob/.bash_history"
	rows -o user,command
	same "$output" $'bob\ttwo'
	same "$warnings" "shhist: file /home/ann/.local/share/fish/a_history: \
line 1: a line that belongs to no entry"
	# Nor does he by the end of his own reader.
	long_history "$ann/.bash_history"
	own
	catch linked 4001 "$shhist" -H -r "$tree" -o user,command
	kill -KILL "$caught"
	let_go linked
	[ "$status" -eq 1 ]
	same "$(sort -u "$T/linked.out")" $'ann\ta long command of one user
bob\ttwo'
	# With its owner first he has nothing to tell.
	ln -s /home/bob/.bash_history "$ann/.zsh_history"
	rows -o user,command -p - <<'END'
bob:x:4002:4002::/home/bob:
ann:x:4001:4001::/home/ann:
END
	same "$(head -n 2 <<<"$output")" $'bob\ttwo
ann\ta long command of one user'
	[ "$(grep -c two <<<"$output")" -eq 1 ]
}

@test "what is silent for 10 seconds is killed, reported and left behind" {
	local call begun=() lost='shhist: user ann: rows are lost: did not answer'

	need_root
	plant spin
	echo spin >"$ann/.bash_history"
	own
	begin spin "$broken"
	# A home on a file system that does not answer this call.
	for call in lookup open read flush; do
		plant "$call"
		sleepy "$ann" "$call"
		begin "$call"
	done
	plant home
	sed -i 's,/home/bob,/root,' "$tree/etc/passwd"
	sleepy "$tree/home" opendir
	echo two >"$tree/root/.bash_history"
	begin home
	plant orphan
	sed -i 1q "$tree/etc/passwd"
	sleepy "$ann" getattr
	begin orphan
	plant passwd
	sleepy "$tree/etc" lookup
	begin passwd
	plant list
	mkdir "$tree/far"
	sleepy "$tree/far" lookup
	begin list "$shhist" -p "$tree/far/passwd"
	plant stopped
	long_history "$ann/.bash_history"
	own
	catch stopped 4001 "$shhist" -H -r "$tree" -o user,command
	kill -STOP "$caught"
	let_go stopped
	[ "$status" -eq 1 ]
	echo 1 >"$T/stopped.status"
	wait "${begun[@]}"
	ended stopped $'ann\ta long command of one user\nbob\ttwo' "$lost"
	ended spin $'bob\ttwo' "$lost"
	ended lookup $'bob\ttwo' "$lost"
	ended open $'bob\ttwo' "$lost"
	ended read $'ann\tcommand\nbob\ttwo' "$lost"
	ended flush $'bob\ttwo' "$lost"
	ended home $'root\ttwo' 'shhist: /home: did not answer'
	ended orphan $'\ttwo' \
		'shhist: home /home/ann: rows are lost: did not answer'
	ended passwd $'\ttwo' 'shhist: passwd: did not answer'
	ended list $'\ttwo' 'shhist: passwd: did not answer'
}

@test "an operand that does not answer costs no other" {
	local begun=()

	need_root
	plant operand
	mkdir "$tree/far"
	sleepy "$tree/far" lookup
	on_far() {
		"$shhist" "$@" /far/x /home/bob/.bash_history
	}
	begin operand on_far
	wait "${begun[@]}"
	ended operand $'\ttwo' \
		'shhist: /far/x: rows are lost: did not answer'
}

@test "a history that never ends costs so much time, and no more" {
	need_root
	sed 's/\<LIFETIME = [^,]*,/LIFETIME = 2,/' \
		"$BATS_TEST_DIRNAME/../shhist.c" >"$T/impatient.c"
	cc -std=gnu11 -O1 -DVERSION='"impatient"' -o "$T/impatient" \
		-I "$BATS_TEST_DIRNAME/.." "$T/impatient.c" \
		"$BATS_TEST_DIRNAME/../common.c"
	sleepy "$ann" end
	echo two >"$bob/.bash_history"
	chown -R 4002 "$bob"
	status=0
	output=$(timeout 60 "$T/impatient" -H -r "$tree" -o user,command \
		2>"$T/err" | uniq; exit "${PIPESTATUS[0]}") || status=$?
	[ "$status" -eq 1 ]
	same "$output" $'ann\tcommand\nbob\ttwo'
	same "$(cat "$T/err")" \
	    'shhist: user ann: rows are lost: did not end'
}

@test "a user's processes that hang cost other users nothing" {
	local i

	need_root
	sleepy "$ann" read
	cc -xc -o "$T/holder" - <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
char *volatile from = "x";	/* data that tell where nothing is to be had */
int
main(int argc, char **argv)
{
	from = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE,
	    open(argv[1], O_RDONLY), 1 << 19);
	return from == MAP_FAILED || puts("held") < 0 || fclose(stdout) ||
	    pause();
}
END
	chmod a+rx "$T/holder"
	for i in {1..32}; do
		setpriv --reuid 4001 --regid 4001 --clear-groups "$T/holder" \
			"$ann/.bash_history" >"$T/held.$i" 3>&- &
		daemons+=" $!"
	done
	for i in {1..32}; do
		until [ -s "$T/held.$i" ] || ! kill -0 $!; do :; done
	done
	cp "$BATS_TEST_DIRNAME/bin/liar" "$T"
	setpriv --reuid 4002 --regid 4002 --clear-groups "$T/liar" traps \
		>"$T/honest" 3>&- &
	daemons+=" $!"
	until [ -s "$T/honest" ] || ! kill -0 $!; do :; done
	# What pagemap says is not in use is not waited for.
	run -0 --separate-stderr "$shhist" -Hm -u 4001
	same "$output$stderr" ''
	# As on a kernel without it.
	sed 's/"pagemap"/"none"/' "$BATS_TEST_DIRNAME/../shhist.c" >"$T/blind.c"
	cc -std=gnu11 -O1 -DVERSION='"blind"' -o "$T/blind" \
		-I "$BATS_TEST_DIRNAME/.." "$T/blind.c" \
		"$BATS_TEST_DIRNAME/../common.c"
	SECONDS=0
	run -1 --separate-stderr "$T/blind" -Hm -u 4001,4002 -o uid,command
	[ "$SECONDS" -lt 30 ]
	same "$output" $'4002\techo honest'
	same "$(sed 's/[0-9]* process.*): //' <<<"$stderr")" \
		'shhist: rows are lost: did not answer
shhist: memory: not read: the processes of its user took a minute'
}

@test "many files in a directory, listed and read in turns" {
	local n=${HOSTILE_FILES:-17000}

	need_root
	mkdir "$ann/.bash_sessions"
	mount -t tmpfs files "$ann/.bash_sessions" ||
		skip 'file systems cannot be mounted'
	mounted+=("$ann/.bash_sessions")
	(cd "$ann/.bash_sessions" && seq -f '%06g' "$n" |
		split -l 1 -a 6 --additional-suffix=.history)
	rows -o command
	[ "$status" -eq 0 ]
	same "$(sort <<<"$output")" "$(seq -f '%06g' "$n")"
}

@test "many files whose numbers differ in few bits take no longer" {
	cc -std=gnu11 -O1 -Wall -o "$T/inside" \
		"$BATS_TEST_DIRNAME"/{inside/shhist.c,../common.c}
	"$T/inside"
}

@test "without a name of its own, the environment is no operand" {
	echo one >"$T/history"
	# Linux 5.18 and later would put a name there.
	cc -std=gnu11 -O1 -DVERSION='"nameless"' -Dmain=shhist_main -c \
		-o "$T/shhist.o" "$BATS_TEST_DIRNAME/../shhist.c"
	cc -std=gnu11 -o "$T/nameless" "$T/shhist.o" \
		"$BATS_TEST_DIRNAME/../common.c" -xc - <<'END'
int shhist_main(int, char **);
int
main(int argc, char **argv)
{
	argv[0] = 0;
	return shhist_main(argc - 2, argv);
}
END
	run --separate-stderr "$T/nameless" "$T/history"
	[[ $output == $'uid\ttime\tcommand\thistory_file'* ]]
	[[ $output != *"$T/history"* ]]
}

@test "many users" {
	local n=${HOSTILE_USERS:-1000}

	seq "$n" | sed 's,.*,u&:x:50000:50000::/home/u&:,' >"$tree/etc/passwd"
	echo 'ann:x:4001:4001::/home/ann:' >>"$tree/etc/passwd"
	echo one >"$ann/.bash_history"
	rows -o user,command
	[ "$status" -eq 0 ]
	same "$output" $'ann\tone'
}

@test "homes that are /, links, shared, or written in odd ways" {
	need_root
	cat >"$tree/etc/passwd" <<'END'
nobody:x:4003:4003::/:
sync:x:4004:4004:://:
ann:x:4001:4001::/home/link:
twin:x:4001:4001::/home/ann/:
bob:x:4002:4002::/home/./bob/../bob:
loop:x:4005:4005::/home/loop:
file:x:4005:4005::/etc/passwd:
END
	ln -s ann "$tree/home/link"
	ln -s loop "$tree/home/loop"
	echo root >"$tree/.bash_history"
	echo one >"$ann/.bash_history"
	ln "$ann/.bash_history" "$ann/.zsh_history"
	echo two >"$bob/.bash_history"
	rows
	same "$output" $'4003\t0\troot\t/.bash_history
4001\t0\tone\t/home/link/.bash_history
4002\t0\ttwo\t/home/./bob/../bob/.bash_history'
	[[ $warnings == 'shhist: file /home/loop: '* ]]
	[ "$status" -eq 1 ]
}
