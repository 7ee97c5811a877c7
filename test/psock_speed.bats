#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What makes psock fast: what the kernel says is empty is not walked, and
# several workers read.  No row is lost by either.

# bats file_tags=live

# shellcheck disable=SC2154 # output and errors are set by the helper and bats

load psock_helper

# need_netns: in namespaces of our own nobody else has sockets.
need_netns() {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	unshare -npf --mount-proc true || skip "namespaces are refused"
	command -v python3 >/dev/null || skip 'no python3'
}

# within PYTHON COMMAND...: runs it in namespaces of its own in which
# the sockets of PYTHON are open.
within() {
	need_netns
	# shellcheck disable=SC2016 # they are the inner shell's
	run unshare -npf --mount-proc sh -c 'ip link set lo up && exec python3 - "$@"' sh \
		"${@:2}" <<-END
		import socket, subprocess, sys
		$1
		sys.exit(subprocess.run(sys.argv[1:]).returncode)
	END
}

# tables: the tables of tcp that are opened, in $output.
tables() {
	command -v strace >/dev/null || skip 'no strace'
	ASAN_OPTIONS=detect_leaks=0 within "$1" strace -f -qq -o \
		"$BATS_TEST_TMPDIR/trace" -e trace=openat "$psock" -q -t tcp,tcp6
	output=$(sed -n 's/.*"\(tcp6*\)".*/\1/p' "$BATS_TEST_TMPDIR/trace" |
		tr '\n' ' ')
}

listen4="v4 = socket.socket(); v4.bind(('127.0.0.1', 0)); v4.listen()"
listen6="v6 = socket.socket(socket.AF_INET6); v6.bind(('::1', 0)); v6.listen()"

@test "no TCP socket: neither table is read" {
	tables pass
	is "$output" ''
}

@test "TCP over IPv4 alone: tcp6 is not read" {
	tables "$listen4"
	is "$output" 'tcp '
}

@test "TCP over IPv6: both are read" {
	tables "$listen6"
	is "$output" 'tcp tcp6 '
}

@test "TIME_WAIT of IPv6 is printed although no socket of it is in use" {
	within "$listen4; $listen6
c = socket.create_connection(v6.getsockname()[:2]); a = v6.accept()[0]
a.close(); c.close(); v6.close()" "$psock" -H -t tcp,tcp6 -o socket,family,state
	is "$(cut -f 2- <<<"$output")" $'2\tLISTEN\n10\tTIME_WAIT'
	is "${lines[1]%%$'\t'*}" 0
}

@test "a connection over IPv4 to a listener of IPv6 is printed" {
	within "v6 = socket.socket(socket.AF_INET6); v6.bind(('::', 0)); v6.listen()
c = socket.create_connection(('127.0.0.1', v6.getsockname()[1]))" \
		"$psock" -H -t tcp,tcp6 -o family,remote_address,state
	is "$(sort <<<"$output")" "$(printf '%s\n' \
		$'10\t::\tLISTEN' \
		$'10\t::ffff:127.0.0.1\tESTABLISHED' \
		$'2\t127.0.0.1\tESTABLISHED')"
}

# Processes enough for several workers.  They end with the namespace.
many="$listen4; $listen6
import os, signal, threading, time
for i in range(150):
    if os.fork() == 0:
        own = socket.socket(socket.AF_UNIX); own.bind('\\0own%d' % i)
        if i == 140:
            threading.Thread(target=time.sleep, args=(1e5,)).start()
            ns = open('/proc/self/ns/net')
        signal.pause()
while open('/proc/net/unix').read().count('@own') < 150:
    time.sleep(0.01)"

# same_rows STATUS COMMAND...: its rows are those of psock on one processor, in
# the same order.
same_rows() {
	# shellcheck disable=SC2016 # they are the inner shell's
	psock=$psock within "$many" sh -c 'rows=$0
		want=$1; shift
		"$@" -H >"$rows.other" 2>"$rows.errors"; [ $? -eq $want ] || exit 9
		taskset -c "$(taskset -cp $$ | sed "s/.*: //; s/[-,].*//")" \
			"$psock" -H >"$rows" || exit
		diff "$rows" "$rows.other" >&2 && wc -l <"$rows"' \
		"$BATS_TEST_TMPDIR/rows" "$@"
	is "$status" 0
	[ "$output" -ge 450 ]
}

@test "one worker and several: the rows are the same" {
	same_rows 0 "$psock"
	is "$(cat "$BATS_TEST_TMPDIR/rows.errors")" ''
}

@test "who starts it may ignore SIGCHLD" {
	same_rows 0 env --ignore-signal=CHLD "$psock"
	is "$(cat "$BATS_TEST_TMPDIR/rows.errors")" ''
}

@test "no worker can be forked: the rows are the same, and a warning" {
	"$BATS_TEST_DIRNAME/bin/nosys" fork true ||
		skip 'seccomp filters are refused'
	same_rows 1 "$BATS_TEST_DIRNAME/bin/nosys" fork "$psock"
	is "$(cat "$BATS_TEST_TMPDIR/rows.errors")" 'psock: no worker: Resource temporarily unavailable: a job that hangs is waited for'
}

@test "rows of one socket: time grows with their number, no faster" {
	netns 42 4026531840
	{
		echo "$inet_header"
		seq -f '%g' 300000 | awk '{ printf "   0: 0100007F:0016 " \
			"%08X:0000 01 00000000:00000000 00:00000000 00000000" \
			"  1000        0 77 1 0 100 0 0 10 0\n", $1 }'
	} >"$root/proc/42/net/tcp"
	# 0.5 s; one by one they took a minute.
	run timeout 20 sh -c '"$@" | wc -l' - "$psock" -H -r "$root" -o socket
	is "$output" 300000
}

@test "names that may go on: time grows with their number, no faster" {
	netns 42 4026531840
	{
		echo "$unix_header"
		seq -f '%.0f' 200000 | awk '{ printf "0000000000000000: " \
			"00000002 00000000 00000000 0001 01 %5d @\n%x\n", \
			$1, $1 }'
	} >"$root/proc/42/net/unix"
	# 0.2 s; one by one they took two minutes.  There is no process 7.
	run timeout 20 sh -c '"$@" | wc -l' - "$psock" -qH -r "$root" -p -1,7
	is "$output" 200000
}

@test "connections that wait: as many rows as there are" {
	netns 42 4026531840
	for i in {1..700}; do
		unix_line '    0' @a 00000000 0001 02
		unix_line '    0' "@b$((i % 3))" 00000000 0001 02
	done | table 42 unix
	rows -o socket,path
	is "$(sort <<<"$output" | uniq -c | tr -s ' ' '\t')" "$(printf '%s\n' \
		$'\t700\t0\t@a' $'\t233\t0\t@b0' $'\t234\t0\t@b1' \
		$'\t233\t0\t@b2')"
	is "$status$errors" 0
}
