#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Who is at the other end: peer and peer_pid, within a network and across two;
# and the columns that name what a socket is bound to and whose it is.

# shellcheck disable=SC2016 # expanded on the other host
# shellcheck disable=SC2154 # set by bats and the helpers

bats_require_minimum_version 1.5.0

load live_helper
load manual_helper

# The sockets of ends.py, in $opened, and the rows of psock beside them, once;
# and what the recipes of psock(7) make of these.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	[ "$(id -u)" -eq 0 ] && command -v python3 ip >/dev/null || return 0
	commands psock.7
	mkdir bin
	ln -s "$(realpath "${PSOCK:-$BATS_TEST_DIRNAME/../psock}")" bin/psock
	sed 's#/run/docker.sock#./stream#' \
		"$(grep -l docker.sock run/*)" >who_uses
	cp "$(grep -l 'ns\[p\] != ns\[s\]' run/*)" containers
	cp "$(grep -l '" to "' run/*)" tree
	timeout -s KILL 120 unshare --net --pid --mount --fork --kill-child \
		--mount-proc bash -uc '
		coproc E { exec python3 "$1" "$PWD"; }
		while read -r line <&"${E[0]}" && [ "$line" != ready ]; do
			echo "$line"
		done >opened
		echo "$?" >ready
		[ -z "$(command -v strace)" ] || {
			trace="strace -f -qq -e trace=socket -o"
			$trace plain "$2" -H >/dev/null 2>&1
			$trace most "$2" -H -o "+proto,user,v6only,interface" \
				>/dev/null 2>&1
			$trace peer "$2" -H -o peer >/dev/null 2>&1
			$trace peer_pid "$2" -H -o peer_pid >/dev/null 2>&1
		}
		"$2" -H -o socket,peer,peer_pid >rows 2>errors
		echo "$?" >status
		PATH=$PWD/bin:$PATH
		for recipe in who_uses containers tree; do
			bash -o pipefail "$recipe" >"$recipe.out" 2>&1
		done' - "$BATS_TEST_DIRNAME/ends.py" \
		"${PSOCK:-$BATS_TEST_DIRNAME/../psock}" 3>&- >log 2>&1 || :
}

setup() {
	bin=$BATS_TEST_DIRNAME/bin
	pid=
	mount=
	open=
	under=()
	T=$BATS_TEST_TMPDIR
}

# peers: the column, which psock does not have yet.
peers() {
	"$psock" -h | grep -qw peer || skip 'psock has no column peer'
}

# host: the host of ends.py.
host() {
	peers
	need_root
	command -v python3 ip >/dev/null || skip 'no python3, or no ip'
	cd "$BATS_FILE_TMPDIR" || return
	[ "$(cat ready)" = 0 ] || skip "no such networks here: $(cat log)"
}

# of NAME: peer and peer_pid of that socket.
of() {
	awk -F '\t' -v i="$(awk -v n="$1" '$1 == n { print $3 }' opened)" \
		'$1 == i { print $2 "\t" $3 }' rows
}

# has_peer NAME PEER: that is the other end.
has_peer() {
	echo "$1: $(of "$1"), $2: $(grep "^$2 " opened)"
	is "$(of "$1")" "$(awk -v n="$2" '$1 == n { print $3 "\t" $2 }' opened)"
}

# no_peer NAME: nobody is, or nobody knows.
no_peer() {
	echo "$1: $(of "$1")"
	is "$(of "$1")" '	'
}

# joined PAIR: each end is the other's peer; its listener has none.
joined() {
	local line
	line=$(grep "^$1-client - " opened) && skip "$line"
	has_peer "$1-client" "$1-server"
	has_peer "$1-server" "$1-client"
	! grep -q "^$1-listener " opened || no_peer "$1-listener"
}

# bats test_tags=live
@test "the peers of a host are all that is asked for" {
	host
	is "$(cat errors)" ''
	is "$(cat status)" 0
}

# bats test_tags=live
@test "peers through loopback" {
	host
	joined tcp-loopback
	joined tcp6-loopback
	joined udp-loopback
}

# bats test_tags=live
@test "an IPv4 client of a listener at ::" {
	host
	joined tcp-mapped
}

# bats test_tags=live
@test "peers in two networks, there and back, IPv4 and IPv6" {
	host
	joined tcp-there
	joined tcp-back
	joined tcp6-there
	joined tcp6-back
	joined udp-there
	joined udp6-there
}

# bats test_tags=live
@test "peers of sctp" {
	host
	joined sctp-there
}

# bats test_tags=live
@test "an address that two networks have: none rather than a wrong peer" {
	host
	no_peer two-there-client
	no_peer two-there-server
	no_peer two-other
}

# bats test_tags=live
@test "the same addresses in two networks: each its own" {
	host
	joined own-b
	joined own-c
}

# bats test_tags=live
@test "unix sockets, wherever they are" {
	host
	joined unix-pair
	joined unix-dgram
	joined unix-stream
	joined unix-seqpacket
	joined unix-abstract
	has_peer unix-sender-client unix-sender-server
	no_peer unix-sender-server
}

# asks NAME: how often psock opened a socket of sock_diag there.
asks() {
	command -v strace >/dev/null || skip 'no strace'
	[ -s "$BATS_FILE_TMPDIR/$1" ] || [ "$2" = 0 ] || return
	is "$(($(grep -c 'NETLINK_SOCK_DIAG\|NETLINK_INET_DIAG' \
		"$BATS_FILE_TMPDIR/$1") > 0))" "$2"
}

# bats test_tags=live
@test "nothing but these columns asks sock_diag" {
	peers
	host
	asks plain 0
	asks most 0
	asks peer 1
	asks peer_pid 1
	# And no other socket is opened.
	! grep -v 'NETLINK_SOCK_DIAG\|NETLINK_INET_DIAG\|exited\|SIG\|resumed>' \
		plain most peer peer_pid
}

# pid_of NAME: the process that holds that socket.
pid_of() {
	awk -v n="$1" '$1 == n { print $2 }' opened
}

# bats test_tags=live
@test "psock(7): who uses a unix service" {
	host
	cat who_uses.out
	is "$(cut -f 1 who_uses.out)" "$(pid_of unix-stream-client)"
}

# bats test_tags=live
@test "psock(7): which container talks to which" {
	host
	cat containers.out
	local pair
	for pair in tcp-there tcp-back tcp6-there tcp6-back udp-there; do
		is "$(awk -v "a=$(pid_of $pair-client)" \
			-v "b=$(pid_of $pair-server)" -F '\t' '
			$1 != $5 && ($2 == a && $6 == b ||
			$2 == b && $6 == a) { n++ } END { print n }' \
			containers.out)" 1
	done
	for pair in tcp-loopback two-there own-b; do
		run -1 awk -v "a=$(pid_of $pair-client)" -F '\t' '
			$2 == a || $6 == a { n++ } END { exit !n }' \
			containers.out
	done
}

# bats test_tags=live
@test "psock(7): a tree of who is connected to whom" {
	host
	cat tree.out
	local pair
	for pair in tcp-loopback tcp-there unix-abstract; do
		grep -A 1 "^$(pid_of $pair-client) [^ ]* ([^ ]*)  *20..-" \
			tree.out |
			grep "^  [a-z0-9]* to $(pid_of $pair-server) "
	done
}

# bats test_tags=live
@test "a peer that nobody holds" {
	peers
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	# One end of a pair is on its way to another process.
	run --separate-stderr unshare -n python3 -c '
import os, socket, subprocess, sys
a, b = socket.socketpair()
c, d = socket.socketpair()
socket.send_fds(a, [b"x"], [d.fileno()])
inodes = [os.fstat(s.fileno()).st_ino for s in (c, d)]
d.close()
print(*inodes, flush=True)
subprocess.run(sys.argv[1:])' "$psock" -H -o socket,peer,peer_pid
	local held sent
	read -r held sent <<<"$output"
	grep -qx "$held	$sent	-1" <<<"$output"
}

# left KEPT: psock beside a pair of unix sockets in a network that no process
# is in any more; a descriptor of it is open if KEPT is 1.
left() {
	peers
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	run --separate-stderr unshare -n python3 -c '
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None)
home = os.open("/proc/self/ns/net", os.O_RDONLY)
libc.unshare(0x40000000)
if sys.argv[1] == "1":
    kept = os.open("/proc/self/ns/net", os.O_RDONLY)
pair = socket.socketpair()
libc.setns(home, 0x40000000)
print(os.getpid(), *[os.fstat(s.fileno()).st_ino for s in pair], flush=True)
os.close(home)
subprocess.run(sys.argv[2:])' "$1" "$psock" -H -o socket,peer,peer_pid
	read -r holder first second <<<"$output"
}

# bats test_tags=live
@test "unix sockets in a network that a descriptor keeps" {
	left 1
	grep -qx "$first	$second	$holder" <<<"$output"
	grep -qx "$second	$first	$holder" <<<"$output"
}

# bats test_tags=live
@test "unix sockets in a network that they alone keep: a warning" {
	left 0
	grep -qx "$first		" <<<"$output"
	grep -q 'unix_diag: only a socket keeps it$' <<<"$stderr"
}

# bats test_tags=live
@test "a user without privilege, in the own namespace" {
	peers
	need_root
	unprivileged
	psock=$open/psock
	bin=$open
	wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	under=("${wrap[@]}")
	sockets pair socketpair
	live -p "$pid" -o socket,peer,peer_pid
	is "$(grep "^$(inode_of socketpair 1)	" <<<"$output")" \
		"$(inode_of socketpair 1)	$(inode_of socketpair 2)	$pid"
	is "$(grep "^$(inode_of pair 2)	" <<<"$output")" \
		"$(inode_of pair 2)	$(inode_of pair 3)	$pid"
}

@test "peers with -r: by addresses, never by asking" {
	peers
	netns 42 4026531840
	{
		inet 0100007F:0050 0100007F:9000 01 101
		inet 0100007F:9000 0100007F:0050 01 102
		inet 0100007F:0050 00000000:0000 0A 103
	} | table 42 tcp
	unix_line 104 /run/x | table 42 unix
	hold 42 3 101
	hold 43 4 102
	netns 43 4026531840
	rows -t tcp,unix -o pid,socket,peer,peer_pid
	is "$(sort <<<"$output")" "$(printf '%s\n' '-1	103		' \
		'-1	104		' '42	101	102	43' '43	102	101	42')"
}

@test "peers of sctp with -r, by the primary addresses" {
	peers
	local tree=$root/proc/42/net/sctp
	netns 42 4026531840
	mkdir -p "$tree"
	echo ' ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS' >"$tree/eps"
	cat >"$tree/assocs" <<-'END'
		 ASSOC SOCK STY SST ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> RADDRS
		f3c0 f3c1 2 1 3 0 1 0 0 1000 101 5001 6001 *10.0.0.1 10.0.1.1 <-> *10.0.0.2
		f3c2 f3c3 2 1 3 0 2 0 0 1000 102 6001 5001 *10.0.0.2 <-> 10.0.1.1 *10.0.0.1
	END
	hold 42 3 101
	hold 43 4 102
	netns 43 4026531840
	rows -t sctp -o pid,socket,peer,peer_pid
	expect 0 <<-'END'
		42 101 102 43
		43 102 101 42
	END
}

@test "a peer that -p and -t leave out is a peer all the same" {
	peers
	netns 42 4026531840
	inet 0100007F:9000 0100007F:0050 01 101 | table 42 tcp
	inet 0000000000000000FFFF00000100007F:0050 \
		0000000000000000FFFF00000100007F:9000 01 102 | table 42 tcp6
	hold 42 3 101
	netns 43 4026531840
	hold 43 4 102
	hold 44 4 102
	rows -p 42 -t tcp -o pid,socket,peer,peer_pid
	expect 0 <<<'42 101 102 43'
	rows -p 43 -t tcp6 -o pid,socket,peer,peer_pid
	expect 0 <<<'43 102 101 42'
}

@test "none rather than a wrong peer" {
	peers
	netns 42 4026531840
	netns 43 4026532000
	# Two sockets that share both ends: SO_REUSEPORT.
	{
		inet 0100007F:0001 0100007F:0002 01 101
		inet 0100007F:0002 0100007F:0001 01 102
		inet 0100007F:0002 0100007F:0001 01 103
	} | table 42 udp
	# The loopback of another network, and an address that is not.
	{
		inet 0100007F:0003 0100007F:0004 01 104
		inet 0100000A:0005 0200000A:0006 01 105
		inet 0100000A:0007 0200000A:0008 01 106
	} | table 42 tcp
	{
		inet 0100007F:0004 0100007F:0003 01 107
		inet 0200000A:0006 0100000A:0005 01 108
		inet 0200000A:0008 0100000A:0007 06 0
	} | table 43 tcp
	# Another protocol.
	inet 0200000A:0008 0100000A:0007 01 109 | table 43 udp
	rows -o socket,peer,peer_pid
	is "$(sort <<<"$output")" "$(printf '%s\n' '0	106	-1' '101		' \
		'102	101	-1' '103	101	-1' '104		' \
		'105	108	-1' '106		' '107		' '108	105	-1' \
		'109		')"
}

# bats test_tags=live
@test "without unix_diag: no peers of unix sockets, and one warning" {
	peers
	need_root
	sockets socketpair
	wrap=("$bin/nosys" socket)
	live -p "$pid" -t unix -o socket,peer,peer_pid
	is "$status" 1
	is "$(sort <<<"$output")" "$(printf '%s\t\t\n' \
		"$(inode_of socketpair 1)" "$(inode_of socketpair 2)" | sort)"
	is "$(grep -c 'unix_diag: not in this kernel$' <<<"$errors")" 1
}

# bats test_tags=live
@test "an answer of sock_diag that is not whole is asked for again" {
	peers
	need_root
	cc -std=gnu11 -O1 -Wall -o "$T/psock" \
		"$BATS_TEST_DIRNAME"/{inside/interrupted.c,../common.c}
	psock=$T/psock
	sockets socketpair
	local first second
	first=$(inode_of socketpair 1) second=$(inode_of socketpair 2)
	for lie in INTERRUPTED CUT; do
		wrap=(env "$lie=2")
		live -p "$pid" -t unix -o socket,peer
		[[ $errors != *unix_diag* ]]
		grep -qx "$first	$second" <<<"$output"
		wrap=(env "$lie=1000")
		live -p "$pid" -t unix -o socket,peer
		is "$status" 1
		grep -q 'unix_diag: changed while it was read$' <<<"$errors"
		grep -qx "$first	" <<<"$output"
	done
}

# The other columns.

# shown KIND VALUE...: the rows of that socket have one of these values.
shown() {
	local kind=$1 value
	shift
	! grep -q "^$kind - " <<<"$opened" || return 0
	for value; do
		[ "$(row "$kind" | cut -f 4)" != "$value" ] || return 0
	done
	echo "$kind: $(row "$kind")"
	return 1
}

# bats test_tags=live
@test "proto: a name for every socket" {
	need_root
	sockets tcp tcp6 udp udp6 udplite raw unix=@proto dgram packet \
		netlink unbound udp-unbound vsock xdp mptcp ping
	live -p "$pid" -o pid,fd,socket,proto
	shown tcp tcp
	shown tcp6 tcp6
	shown udp udp
	shown udp6 udp6
	shown udplite udplite
	shown raw raw
	shown unix unix
	shown dgram unix
	shown packet packet
	shown netlink netlink
	shown unbound tcp
	shown udp-unbound udp
	shown vsock vsock
	shown xdp xdp
	shown mptcp mptcp
	shown ping icmp
}

@test "user: the name of the uid, or its number" {
	hold 42 3 5
	printf 'Uid:\t1000\t0\t0\t0\n' >"$root/proc/42/status"
	hold 43 3 6
	printf 'Uid:\t4242\t0\t0\t0\n' >"$root/proc/43/status"
	mkdir "$root/etc"
	printf 'root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\n' \
		>"$root/etc/passwd"
	table 42 udp </dev/null
	rows -o socket,user
	expect 0 <<'END'
5 ann
6 4242
END
	rm "$root/etc/passwd"
	rows -o socket,user
	is "$output" $'5\t1000\n6\t4242'
}

# bound_to CODE: a process in a network of its own, with an interface va that
# has fe80::9, which runs CODE in Python, has printed the inodes of the sockets
# in the list s, and runs psock with -o socket and the other arguments.
bound_to() {
	local code=$1
	need_root
	command -v python3 ip >/dev/null || skip 'no python3, or no ip'
	shift
	run --separate-stderr unshare -n bash -euc '
		ip link set lo up
		ip link add va type veth peer name vb 2>/dev/null || {
			echo no veth
			exit
		}
		ip link set va up
		ip link set vb up
		ip addr add fe80::9/64 dev va nodad
		exec python3 -c "
import os, socket, subprocess, sys
from socket import *
exec(sys.argv[1])
print(*[os.fstat(x.fileno()).st_ino for x in s], flush=True)
sys.exit(subprocess.run(sys.argv[2:]).returncode)" "$@"' - \
		"$code" "$psock" -H "$@"
	[ "$output" != 'no veth' ] || skip "$output"
	read -ra inodes <<<"$output"
}

# bats test_tags=live
@test "v6only: whether a listener at :: takes IPv4" {
	bound_to '
s = [socket(AF_INET6), socket(AF_INET6), socket(AF_INET)]
for i, x in enumerate(s):
    if i < 2:
        x.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, i)
    x.bind(("0.0.0.0" if i == 2 else "::", 7000 + i))
    x.listen()
' -o socket,v6only
	grep -qx "${inodes[0]}	0" <<<"$output"
	grep -qx "${inodes[1]}	1" <<<"$output"
	grep -qx "${inodes[2]}	" <<<"$output"
}

# bats test_tags=live
@test "interface: what a socket is bound to, and the scope of an address" {
	bound_to '
s = [socket(AF_INET), socket(AF_INET, SOCK_DGRAM), socket(AF_INET),
     socket(AF_INET6, SOCK_DGRAM), socket(AF_INET6), socket(AF_INET)]
for x in s[:3]:
    x.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"va")
s[0].bind(("0.0.0.0", 7000))
s[0].listen()
s[1].bind(("0.0.0.0", 7001))
scope = if_nametoindex("va")
s[3].bind(("fe80::9", 7002, 0, scope))
s[4].bind(("fe80::9", 7003, 0, scope))
s[4].listen()
s[5].bind(("127.0.0.1", 7004))
s[5].listen()
' -o socket,interface
	local i
	for i in 0 1 2 3 4; do
		grep -qx "${inodes[i]}	va" <<<"$output"
	done
	grep -qx "${inodes[5]}	" <<<"$output"
}
