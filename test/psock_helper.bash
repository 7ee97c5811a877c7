# SPDX-License-Identifier: ISC
#
# What the tests of psock share: a tree of /proc in $BATS_TEST_TMPDIR/root.

# shellcheck shell=bash disable=SC2154 # bats sets these

psock=${PSOCK:-$BATS_TEST_DIRNAME/../psock}
root=$BATS_TEST_TMPDIR/root

inet_header='  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
unix_header='Num       RefCount Protocol Flags    Type St Inode Path'

# proc PID: a process without descriptors.
proc() {
	mkdir -p "$root/proc/$1/fd" "$root/proc/$1/net" "$root/proc/$1/ns"
}

# hold PID FD INODE: the process holds the socket.
hold() {
	proc "$1"
	ln -sfn "socket:[$3]" "$root/proc/$1/fd/$2"
}

# netns PID INODE: the process is in this network namespace.
netns() {
	proc "$1"
	ln -sfn "net:[$2]" "$root/proc/$1/ns/net"
}

# table PID NAME: a table from standard input, without its header.
table() {
	proc "$1"
	case $2 in
	unix) echo "$unix_header" ;;
	*) echo "$inet_header" ;;
	esac >"$root/proc/$1/net/$2"
	cat >>"$root/proc/$1/net/$2"
}

# inet LOCAL REMOTE STATE INODE: a line of a table of inet sockets.
inet() {
	printf '   0: %s %s %s 00000000:00000000 00:00000000 00000000  1000        0 %s 1 0000000000000000 100 0 0 10 0\n' \
		"$1" "$2" "$3" "$4"
}

# unix_line INODE [NAME [FLAGS [TYPE [STATE]]]]: a line of the unix table.
unix_line() {
	printf '0000000000000000: 00000002 00000000 %s %s %s %5s%s\n' \
		"${3:-00000000}" "${4:-0001}" "${5:-03}" "$1" "${2:+ $2}"
}

# each_table: the sockets 1 to 11, one in each table of inet, inet6 and unix.
each_table() {
	local t zero=00000000000000000000000000000000 i=1
	for t in tcp udp udplite raw icmp; do
		inet 00000000:0001 00000000:0000 07 $i | table 42 $t
		inet $zero:0001 $zero:0000 07 $((i + 1)) | table 42 ${t}6
		i=$((i + 2))
	done
	unix_line 11 | table 42 unix
}

# rows ARGUMENT...: runs psock below the tree and keeps the two outputs
# apart, in $output and $errors.
rows() {
	run sh -c '"$@" 2>"$0"' "$BATS_TEST_TMPDIR/errors" \
		"$psock" -H -r "$root" "$@"
	errors=$(cat "$BATS_TEST_TMPDIR/errors")
}

# is STRING STRING: tells of a difference.
is() {
	[ "$1" = "$2" ] || {
		diff <(echo "$2") <(echo "$1")
		return 1
	}
}

# expect STATUS: $status is it, $errors empty unless given, and the rows
# are those of standard input, in which blanks stand for tabs.
expect() {
	local want
	want=$(tr ' ' '\t')
	[ "$status" -eq "$1" ] || {
		echo "status $status: $output: $errors"
		return 1
	}
	is "$output" "$want"
	is "$errors" "${2-}"
}
