#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What the kernel says is empty is not walked, and nothing is lost by that.

# shellcheck disable=SC2154 # output and errors are set by the helper and bats

load psock_helper

setup() {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	unshare -npf --mount-proc true || skip "namespaces are refused"
	command -v python3 >/dev/null || skip 'no python3'
}

# within PYTHON COMMAND...: runs it in namespaces of its own in which
# the sockets of PYTHON are open.
within() {
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
	ASAN_OPTIONS=detect_leaks=0 within "$1" strace -qq -o \
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

@test "TIME_WAIT of IPv6 is told although no socket of it is in use" {
	within "$listen4; $listen6
c = socket.create_connection(v6.getsockname()[:2]); a = v6.accept()[0]
a.close(); c.close(); v6.close()" "$psock" -H -t tcp,tcp6 -o socket,family,state
	is "$(cut -f 2- <<<"$output")" $'2\tLISTEN\n10\tTIME_WAIT'
	is "${lines[1]%%$'\t'*}" 0
}

@test "a connection over IPv4 to a listener of IPv6 is told" {
	within "v6 = socket.socket(socket.AF_INET6); v6.bind(('::', 0)); v6.listen()
c = socket.create_connection(('127.0.0.1', v6.getsockname()[1]))" \
		"$psock" -H -t tcp,tcp6 -o family,remote_address,state
	is "$(sort <<<"$output")" "$(printf '%s\n' \
		$'10\t::\tLISTEN' \
		$'10\t::ffff:127.0.0.1\tESTABLISHED' \
		$'2\t127.0.0.1\tESTABLISHED')"
}
