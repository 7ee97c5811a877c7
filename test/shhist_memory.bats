#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# -m: what real shells, typed into through a pty, hold in memory.

# bats file_tags=live

# shellcheck disable=SC2016,SC2086,SC2154

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	need python3
	may_look
	export HOME=$BATS_TEST_TMPDIR TERM=dumb LC_ALL=C.UTF-8
	export ENV=/dev/null PATH=/usr/bin:/bin:$PATH
	unset HISTFILE HISTSIZE HISTCONTROL HISTTIMEFORMAT PROMPT_COMMAND
	cd "$HOME" || exit
	seq -f 'echo command number %.0f' 200 >typed
	# A user of the test's own, so that no other process need be read.
	uid=$(id -u) as=()
	[ "$uid" -ne 0 ] || {
		uid=$((100000 + $$))
		as=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)
		chown "$uid" .
		chmod a+rx "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
	}
}

teardown() {
	for holder in "${holders[@]}"; do
		kill "$holder" || :
		wait "$holder" || :
	done
}

need() {
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}

# Yama lets a user look at his own children only.
may_look() {
	local scope=/proc/sys/kernel/yama/ptrace_scope

	[ "$(id -u)" -eq 0 ] || [ ! -e "$scope" ] ||
		[ "$(cat "$scope")" -eq 0 ] || skip 'ptrace_scope forbids it'
}

# hold [-c COUNT] [-t] LINES COMMAND...: types into the shell and keeps it;
# its pid is in $pid, those of several are in the array pids.
hold() {
	local flags=() out

	while [[ $1 == -* ]]; do
		flags+=("$1")
		[ "$1" = -t ] || { flags+=("$2"); shift; }
		shift
	done
	exec {out}< <(exec python3 "$BATS_TEST_DIRNAME/shhist_hold.py" \
		"${flags[@]}" "$1" env PS1='@@>' PS2='@@>' "${as[@]}" "${@:2}" \
		3>&- 2>errors)
	holders+=($!)
	read -ra pids -u "$out" || {
		cat errors
		return 1
	}
	pid=${pids[0]}
}

bash_with() {
	hold typed env "$@" bash --norc --noprofile
}

# memory ARGUMENT...: what shhist finds, in the file all.
memory() {
	"$shhist" -qHm -u "$uid" "$@" >all
}

# held: what $pid holds, in the file rows; backslashes are as they were typed.
held() {
	memory -o history_file,command
	sed -n "s/^\\/proc\\/$pid\\/[^\t]*\t//p" all |
		sed 's/\\\\/\\/g' >rows
}

@test "bash: what no file has, HISTFILE unset, /dev/null or default" {
	need bash
	bash_with -u HISTFILE
	memory -o history_file,uid,format,line,command
	same "$(cat all)" "$(awk -v pid="$pid" -v uid="$uid" -v OFS='\t' '{
		print "/proc/" pid "/mem", uid, "bash", NR, $0 }' typed)"
	bash_with HISTFILE=/dev/null
	held
	same "$(cat rows)" "$(cat typed)"
	bash_with HISTFILE="$HOME/.bash_history"
	held
	same "$(cat rows)" "$(cat typed)"
	kill -KILL "$pid"
	[ ! -e .bash_history ]
}

# There they look at every user.
@test "the examples of README and manual that have -m" {
	need bash
	load manual_helper
	bash_with -u HISTFILE
	printf '#!/bin/sh\nexec "%s" -qu %s "$@"\n' "$shhist" "$uid" >shhist
	chmod +x shhist
	commands shhist.1
	sed -n 's/.*`\(\.\/shhist -m\)`.*/\1/p' "$manuals/../README" \
		>run/README
	grep -lE 'shhist -H?m' run/* >examples
	[ "$(wc -l <examples)" -eq 3 ]
	while IFS= read -r file; do
		PATH=$PWD:$PATH bash "$file" </dev/null >rows
		cat rows
		grep "command number 200\($\|	/proc/$pid/mem$\)" rows
	done <examples
}

@test "bash: each command has its time" {
	need bash
	before=$(date +%s)
	bash_with HISTFILE=/dev/null
	memory -o history_file,time
	awk -v file="/proc/$pid/mem" -v low="$before" -v high="$(date +%s)" \
		'$1 == file { n++; bad += $2 < low || $2 > high }
		END { exit !(n == 200 && !bad) }' all
}

@test "bash: 2,000 commands of random length" {
	need bash
	awk 'BEGIN { srand(1); for (i = 0; i < 2000; i++) {
		s = ": " i
		for (j = int(rand() * rand() * 200); j > 0; j--)
			s = s " " int(rand() * 1000)
		print s } }' >typed
	hold typed bash --norc --noediting
	held
	same "$(cat rows)" "$(tail -n 500 typed)"
	hold typed env HISTSIZE=3000 bash --norc --noediting
	held
	same "$(cat rows)" "$(cat typed)"
}

@test "bash: HISTSIZE=50 keeps the last 50" {
	need bash
	bash_with HISTSIZE=50
	held
	same "$(cat rows)" "$(tail -n 50 typed)"
}

@test "bash: several lines, UTF-8 and control bytes" {
	need bash
	printf '%s\n' 'for i in 1 2' 'do echo ü € 😀' 'done' \
		"echo 'a" "b'" $'echo \001\002\033[31m' $'echo \xff\xc3' \
		'cat <<\END' 'text \' 'END' >typed
	hold typed bash --norc --noediting
	held
	same "$(cat rows)" "$(printf '%s\n' \
		'for i in 1 2; do echo ü € 😀; done' "echo 'a\\nb'" \
		'echo \x01\x02\x1b[31m' 'echo \xff\xc3' \
		'cat <<\END\ntext \\nEND\n')"
}

@test "bash: nothing is claimed after history -c" {
	need bash
	echo 'history -c' >>typed
	bash_with HISTSIZE=500
	held
	same "$(cat rows)" ''
}

@test "zsh: its ring, with and without the symbol" {
	need zsh
	printf '%s\n' 'for i in 1 2' 'do echo ü € 😀' 'done' \
		$'echo \x83\xa2\xff' 'echo \' ' more' 'for unfinished in 1' \
		>>typed
	awk 'NR <= 200' typed >want
	printf '%s\n' 'for i in 1 2\ndo echo ü € 😀\ndone' \
		'echo \x83\xa2\xff' 'echo \\n more' >>want
	hold typed env HISTSIZE=1000 zsh -f +Z
	held
	same "$(cat rows)" "$(cat want)"
	sed 's/hist_ring/hist_rang/g' "$(command -v zsh)" >other
	chmod +x other
	hold typed env HISTSIZE=1000 ./other -f +Z
	rm other
	held
	same "$(cat rows)" "$(cat want)"
}

@test "ksh and mksh: a file that was removed" {
	for shell in ksh mksh; do
		need $shell
		hold typed env HISTFILE="$HOME/file" HISTSIZE=500 $shell
		held
		same "$(cat rows)" ''
		rm file
		held
		same "$(cat rows)" "$(cat typed)"
	done
}

@test "a removed file under a lease is reported" {
	exec {out}< <(exec "${as[@]}" python3 -c 'import fcntl, os, signal
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open("file", os.O_RDWR | os.O_CREAT)
os.write(fd, b"\xab\xcd\xff\0\0\0\1echo removed\0")
os.unlink("file")
try:
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    print(fd, flush=True)
except OSError:
    print("none", flush=True)
signal.pause()' 3>&-)
	holders+=($!)
	read -r -u "$out" fd
	[ "$fd" != none ] || skip 'the file system has no leases'
	run --separate-stderr "$shhist" -Hm -u "$uid"
	same "$status$stderr" \
		"1shhist: file /proc/$!/fd/$fd: Resource temporarily unavailable"
}

@test "a removed file that its owner made unreadable is reported" {
	exec {out}< <(exec "${as[@]}" python3 -c 'import os, signal
fd = os.open("file", os.O_RDWR | os.O_CREAT)
os.write(fd, b"\xab\xcd\xff\0\0\0\1echo removed\0")
os.fchmod(fd, 0)
os.unlink("file")
print(fd, flush=True)
signal.pause()' 3>&-)
	holders+=($!)
	need_root
	read -r -u "$out" fd
	run --separate-stderr "$shhist" -Hm -u "$uid"
	same "$status$stderr" \
		"1shhist: file /proc/$!/fd/$fd: Permission denied"
}

@test "memory that nobody but its process may read is no removed file" {
	exec {out}< <(exec "${as[@]}" python3 -c 'import ctypes, time
print(ctypes.CDLL(None).syscall(447, 0), flush=True)
time.sleep(1000)' 3>&-)
	holders+=($!)
	read -r -u "$out" fd
	[ "$fd" -ge 0 ] || skip 'needs memfd_secret'
	run -0 --separate-stderr "$shhist" -Hm -u "$uid"
	same "$output$stderr" ''
}

# make_brief: a shhist that takes a second for a minute.
make_brief() {
	sed 's/\<PROCESSES_TIME = [^,]*,/PROCESSES_TIME = 1,/' \
		"$BATS_TEST_DIRNAME/../shhist.c" >brief.c
	cc -std=gnu11 -O1 -DVERSION='"brief"' -o brief \
		-I "$BATS_TEST_DIRNAME/.." brief.c \
		"$BATS_TEST_DIRNAME/../common.c"
}

@test "all processes of a user together have a minute" {
	local i

	make_brief
	cp "$BATS_TEST_DIRNAME/bin/liar" .
	for i in {1..20}; do
		exec {out}< <(exec "${as[@]}" ./liar slow 3>&-)
		holders+=($!)
		read -r -u "$out"
	done
	SECONDS=0
	run --separate-stderr ./brief -Hm -u "$uid"
	[ "$SECONDS" -lt 10 ]
	[ "$status" -eq 1 ]
	grep -Eqx 'shhist: ([0-9]+ processes \(first: [0-9]+\)|process [0-9]+): memory: not read: the processes of its user took a minute' \
		<<<"$stderr"
}

@test "a minute, but not of who is slow to read our output" {
	make_brief
	seq -f 'echo %01000.f' 3000 >long
	chmod a+r long
	bash_with HISTFILE="$PWD/long" HISTSIZE=9999
	run -0 --separate-stderr bash -o pipefail -c \
		'./brief -Hm -u "$1" -o command | { sleep 3; wc -l; }' - "$uid"
	same "$output$stderr" 3200
}

@test "what cannot be opened of a process is reported with its reason" {
	need strace unshare
	echo 'echo removed' >file
	exec {out}< <(exec "${as[@]}" sh -c 'exec 9<file; rm file; echo
		exec sleep infinity' 3>&-)
	holders+=($!)
	read -r -u "$out"
	run --separate-stderr strace -f -qq -o trace -P "/proc/$!/fd/9" \
		-e inject=?open,openat:error=EACCES "$shhist" -Hm -u "$uid"
	same "$status$stderr" "1shhist: file /proc/$!/fd/9: Permission denied"
	# Another file beside it fails in another way.
	need_root
	python3 -c 'import socket
socket.socket(socket.AF_UNIX).bind("none")'
	run --separate-stderr unshare --mount sh -c 'mount --bind none "$1" &&
		shift && exec strace -f -qq -o trace -P maps \
		-e inject=openat:error=EACCES "$@"' - "/proc/$!/pagemap" \
		"$shhist" -Hm -u "$uid"
	same "$status$stderr" "$(printf "1shhist: process $!: memory: %s\n" \
		'mounted over' 'Permission denied' | sed '2s/^1//')"
}

@test "-u chooses processes; -r, -f and files are not for -m" {
	need bash
	bash_with HISTSIZE=10
	memory
	[ "$(grep -c "/proc/$pid/mem" all)" -eq 10 ]
	run -1 --separate-stderr "$shhist" -Hm -u 4000000
	same "$output" ''
	same "$stderr" 'shhist: 4000000: no such user'
	for option in '-r /' '-f bash' /dev/null; do
		run -2 "$shhist" -m $option
		same "$output" \
			'shhist: -m cannot be used with -f, -r or files (see shhist -h)'
	done
}

@test "fifty shells at once, while they are typed into" {
	seq -f 'echo command number %.0f' 20 >typed
	for shell in 'bash --norc' 'zsh -f +Z'; do
		command -v "${shell%% *}" || continue
		hold -c 50 -t typed env HISTSIZE=15 $shell
		for _ in $(seq "${MEMORY_RUNS:-2}"); do
			memory -o history_file,command
			# What was typed, one after the other; the oldest may
			# go while we look.
			printf '/proc/%s/mem\n' "${pids[@]}" |
				awk -F '\t' 'NR == FNR { n[$0] = 0; next }
				$1 in n {
					split($2, word, " ")
					bad += $2 !~ /^echo command number [0-9]+$/
					bad += n[$1]++ && word[4] != last % 20 + 1
					last = word[4]
				}
				END {
					for (file in n)
						bad += n[file] < 14 || n[file] > 15
					exit bad > 0
				}' - all
		done
	done
}

@test "a subshell has but what its parent lost or never had" {
	need bash
	printf '%s\n' '(sleep 99; :) & exec 9< <(sleep 99; :)' \
		'history -c' 'echo kept' >>typed
	hold typed env HISTSIZE=500 bash --norc
	memory -o command,history_file
	same "$(grep -c '^echo command number 7	' all)" 1
	same "$(grep "/proc/$pid/mem$" all)" "echo kept	/proc/$pid/mem"
}

@test "subshells that typed the same at different seconds" {
	need bash
	cat >>typed <<'END'
late() { local t=$((EPOCHSECONDS + $1))
until ((EPOCHSECONDS >= t)); do :; done; }
again() { late $1; history -s 'cat secret'; echo >>ready; sleep 99; }
: >ready; for i in 1 2; do (again $i; :) & done
until [ "$(wc -l <ready)" -ge 2 ]; do :; done
END
	hold typed env HISTSIZE=500 bash --norc
	memory -o command
	same "$(grep -c '^cat secret$' all)" 2
	same "$(grep -c '^echo command number 7$' all)" 1
}

@test "an executable that is deleted, renamed, stripped, static" {
	need bash
	cp "$(command -v bash)" kworker
	strip kworker 2>/dev/null || :
	hold typed ./kworker --norc --noprofile
	rm kworker
	held
	same "$(cat rows)" "$(cat typed)"
	hold typed setarch -R bash --norc
	held
	same "$(cat rows)" "$(cat typed)"
	# Without a passwd entry, bash-static does not start.
	[ "$(id -u)" -ne 0 ] || {
		uid=65534
		as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	}
	for shell in 'bash-static --norc' 'zsh-static -f +Z'; do
		command -v "${shell%% *}" || continue
		hold typed env HISTSIZE=500 $shell
		held
		same "$(cat rows)" "$(cat typed)"
	done
}

@test "another pid namespace, the rows have our numbers" {
	need bash unshare
	unshare --pid --fork true || skip 'needs a pid namespace'
	as=(unshare --pid --fork "${as[@]}")
	hold typed bash --norc
	pid=$(cat "/proc/$pid/task/$pid/children")
	pid=${pid% }
	held
	same "$(cat rows)" "$(cat typed)"
}

# Roots with the shells of other releases of Debian and of 32 bits, as
# .ci/run makes them.
@test "shells of other releases and machines, in a chroot" {
	[ -d "${SHHIST_ROOTS-}" ] || skip 'needs SHHIST_ROOTS'
	need_root
	as=()
	for root in "$SHHIST_ROOTS"/*/; do
		for size in 50 500; do
			hold typed env HISTSIZE=$size \
				chroot --userspec="$uid:$uid" "$root" \
				bash --norc --noediting
			held
			same "$(cat rows)" "$(tail -n $size typed)"
			[ -e "$root/bin/zsh" ] || continue
			hold typed env HISTSIZE=$size \
				chroot --userspec="$uid:$uid" "$root" \
				zsh -f +Z
			held
			same "$(cat rows)" "$(tail -n $size typed)"
		done
	done
}

@test "-a: a program with GNU readline" {
	need sqlite3
	printf '%s\n' 'select 1;' 'select "a' 'b";' >typed
	hold typed sqlite3 -cmd '.prompt @@> @@>'
	held
	same "$(cat rows)" ''
	memory -a -o format,line,time,command
	same "$(awk -F '\t' -v OFS='\t' '$3 > 1700000000 { $3 = "" } 1' all)" \
		"$(printf '%s\n' 'readline	1		select 1;' \
		'readline	2		select "a' 'readline	3		b";')"
}

@test "who may not look reads how many there are, once" {
	need_root
	need bash
	hold typed bash --norc
	first=$pid
	hold typed bash --norc
	cp "$shhist" shhist
	run -1 --separate-stderr setpriv --reuid 99999 --regid 99999 \
		--clear-groups ./shhist -Hm -u "$uid"
	same "$output" ''
	same "$stderr" "shhist: 2 processes (first: $((first < pid ? first :
		pid))): memory: Permission denied"
	run -0 --separate-stderr "${as[@]}" ./shhist -Hm -u "$uid" -o uid
	same "$output" "$(sed "s/.*/$uid/" typed typed)"
	same "$stderr" ''
}

@test "to be stopped itself is no silence of a process" {
	need_root
	need bash
	# Stops as it begins to wait for the first process.
	sed -e 's/\<FIRST_PATIENCE = [^,]*,/FIRST_PATIENCE = 1,/' \
		-e '/\<if (poll(fds/i static int waits; \
		if (scan->begin \&\& !waits++) kill(getpid(), SIGSTOP);' \
		"$BATS_TEST_DIRNAME/../common.c" >stops.c
	cc -std=gnu11 -O1 -DVERSION='"stops"' -o stops \
		-I "$BATS_TEST_DIRNAME/.." "$BATS_TEST_DIRNAME/../shhist.c" \
		stops.c
	hold typed bash --norc
	./stops -Hm -u "$uid" -o command >all 2>errors 3>&- &
	until grep -q '^State:.T' "/proc/$!/status" || ! kill -0 $!; do :; done
	timeout 3 tail -f /dev/null || :
	kill -CONT $!
	status=0
	wait $! || status=$?
	same "$status$(cat errors)" 0
	same "$(cat all)" "$(cat typed)"
}

# covered MOUNT COMMAND...: runs it where something is mounted over /proc.
covered() {
	unshare --mount sh -c "$1; exec \"\$@\"" sh "${@:2}"
}

@test "what is mounted over /proc or a process is reported" {
	need_root
	unshare --mount true || skip 'needs a mount namespace'
	sleep 1000 3>&- &
	holders+=($!)
	for over in '-t tmpfs none' '--bind /proc/self'; do
		run -1 --separate-stderr covered "mount $over /proc/$!" \
			"$shhist" -Hm -u "$uid"
		[[ $stderr == *"process $!: memory: mounted over"* ]]
	done
	for over in '-t tmpfs none' '--bind /proc/self'; do
		run -2 covered "mount $over /proc" "$shhist" -m
		# Without /proc a sanitizer has its own word.
		same "$(grep '^shhist:' <<<"$output")" \
			'shhist: /proc: no procfs that shows us'
	done
}

@test "names of users are read where they are asked for" {
	need_root
	unshare --mount true || skip 'needs a mount namespace'
	for option in '-o uid' '-o user' '-u 0'; do
		run --separate-stderr covered 'mount -t tmpfs none /etc' \
			"$shhist" -Hm $option
		lost='shhist: /etc/passwd: No such file or directory'
		if [ "$option" = '-o uid' ]; then
			[[ $stderr != *"$lost"* ]]
		else
			[[ $stderr == *"$lost"* ]]
		fi
	done
}

@test "hidepid: that processes may be missing is reported, but not to root" {
	need_root
	hide='mount -t proc -o hidepid=2 proc /proc'
	unshare --pid --mount --fork sh -c "$hide" ||
		skip 'needs a namespace for pids'
	cp "$shhist" shhist
	run -1 --separate-stderr unshare --pid --mount --fork \
		sh -c "$hide; exec \"\$@\"" sh "${as[@]}" ./shhist -Hm
	[[ $stderr == *'/proc: hidepid: processes may be missing'* ]]
	run -0 --separate-stderr unshare --pid --mount --fork \
		sh -c "$hide; exec \"\$@\"" sh ./shhist -Hm
	same "$stderr" ''
}

@test "hidepid: nor to the group that sees them" {
	need_root
	unshare --pid --mount --fork mount -t proc -o hidepid=2,gid=77 proc \
		/proc || skip 'needs a namespace for pids'
	cp "$shhist" shhist
	for case in '2,gid=77 77 5' '2,gid=77 5 77' '2 0 5' '2,gid=77 0 5 warned' \
	    '2 5 77 warned' 'ptraceable,gid=77 77 5 warned'; do
		read -r options gid group warned <<<"$case"
		run --separate-stderr unshare --pid --mount --fork sh -c '
			mount -t proc -o "hidepid=$1" proc /proc && shift &&
			exec "$@"' - "$options" setpriv --reuid 99999 \
			--regid "$gid" --groups "$group" ./shhist -Hm
		same "${stderr:+warned}" "$warned"
	done
}

@test "the shell is not disturbed" {
	need bash strace
	hold typed bash --norc
	kept="VmRSS|VmPTE|voluntary_ctxt|nonvoluntary_ctxt"
	before=$(grep -E "^($kept)" "/proc/$pid/status")
	strace -f -o trace "$shhist" -qHm -u "$uid" >/dev/null
	grep -q '"mem", O_RDONLY' trace
	run ! grep -E '^[0-9]+ +(ptrace|process_vm|kill|tkill|tgkill|pidfd)' \
		trace
	run ! grep -E 'open(at)?\([^)]*(O_WRONLY|O_RDWR|O_CREAT)' trace
	same "$(grep -E "^($kept)" "/proc/$pid/status")" "$before"
	cp "$BATS_TEST_DIRNAME/bin/liar" .
	exec {out}< <(exec "${as[@]}" ./liar large 3>&-)
	holders+=($!)
	read -r -u "$out"
	# On its way to sleep it may touch one more page.
	until grep -q '^State:.S' "/proc/$!/status"; do :; done
	before=$(grep VmPTE "/proc/$!/status")
	memory
	same "$(grep VmPTE "/proc/$!/status")" "$before"
}

# lie MODE: a process that lies, and what is said of it.
lie() {
	local out

	exec {out}< <(exec "${as[@]}" "$BATS_TEST_TMPDIR/liar" "$1" 3>&-)
	holders+=($!)
	read -r -u "$out"
	run --separate-stderr "$shhist" -Hm -u "$uid" -o command
	kill $!
	stderr=${stderr//[0-9]*\/mem/N\/mem}
}

@test "what looks like a history: traps, limits, changes" {
	cp "$BATS_TEST_DIRNAME/bin/liar" .
	lie traps
	same "$status$stderr" 0
	same "$output" 'echo honest'
	lie many
	same "$status$stderr" \
	    '1shhist: file /proc/N/mem: more than a million entries'
	same "$output" "$(printf '%s\n' 'echo honest' 'echo many')"
	lie long
	same "$status$stderr" \
	    '1shhist: file /proc/N/mem: line 1: command longer than 1 MiB is cut'
	[ "${#output}" -eq $((12 + (1 << 20))) ]
	lie changing
	[ "$(sort -u <<<"$output" | grep -cvE '^echo (honest|changing)$')" -eq 0 ]
	[[ $output == 'echo honest'* ]]
}

@test "what looks like a history: more than is read" {
	[ -n "${MEMORY_RUNS-}" ] || skip 'needs MEMORY_RUNS, prints 1 GiB'
	cp "$BATS_TEST_DIRNAME/bin/liar" .
	lie slow
	same "$status$stderr" \
	    '1shhist: file /proc/N/mem: more than 1 GiB to be read'
	[[ $output == 'echo honest'* ]]
	exec {out}< <(exec "${as[@]}" ./liar much 3>&-)
	holders+=($!)
	read -r -u "$out"
	"$shhist" -Hm -u "$uid" -o command 2>errors | wc -lc >size
	grep -qx 'shhist: file /proc/[0-9]*/mem: more than 1 GiB to be read' errors
	[ "$(awk '{ print $2 }' size)" -lt $(((1 << 30) + (2 << 20))) ]
}
