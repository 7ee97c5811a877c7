#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock -r: packet, netlink and sctp tables of every generation, and the
# columns that say more of a process.

# shellcheck disable=SC2030,SC2031,SC2154 # root, output, errors are set by the helper, bats

load psock_helper

setup() {
	netns 42 4026531840
}

teardown() {
	[ -z "${open:-}" ] || rm -rf "${open:?}"
}

# raw_table PID NAME: a table with its header from standard input.
raw_table() {
	proc "$1"
	mkdir -p "$(dirname "$root/proc/$1/net/$2")"
	cat >"$root/proc/$1/net/$2"
}

@test "packet sockets: EtherType, type, owner, interface" {
	raw_table 42 packet <<'END'
sk               RefCnt Type Proto  Iface R Rmem   User   Inode
0000000000000000 3      3    0003   0     1 0      0      17001
0000000000000000 3      2    0800   2     1 213    1000   17002
END
	printf '%s\n' 'Idx	Device    : Count Querier	Group    Users Timer	Reporter' \
		'1	lo        :     1      V3' \
		'				010000E0     1 0:00000000		0' \
		'2	eth0      :     1      V3' >"$root/proc/42/net/igmp"
	hold 42 3 17001
	rows -o pid,fd,socket,family,protocol,type,owner,rx_queue
	expect 0 <<'END'
42 3 17001 17 3 RAW 0 0
-1 -1 17002 17 2048 DGRAM 1000 213
END
	rows -o interface
	expect 0 <<'END'

eth0
END
}

@test "a user or queue that a table does not have is empty" {
	unix_line 7 /a | table 42 unix
	raw_table 42 netlink <<'END'
sk       Eth Pid        Groups   Rmem     Wmem     Dump     Locks     Drops     Inode
ffff8800 0   0          00000000 5        0        0        2         0         8
END
	hold 42 3 9
	rows -o socket,owner,rx_queue,tx_queue
	is "$output" $'7\t\t\t\n8\t\t5\t\n9\t\t\t'
	is "$status$errors" 0
}

@test "packet sockets of a narrow table" {
	raw_table 42 packet <<'END'
sk       RefCnt Type Proto  Iface R Rmem   User   Inode
f5a3a800 3      3    88cc   0     1 0      0      17001
END
	rows -o socket,family,protocol
	expect 0 <<<'17001 17 35020'
}

@test "netlink sockets: the netlink family, not the port id" {
	raw_table 42 netlink <<'END'
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 0   4294963000 00000000 0        0        0     2        0        18001
0000000000000000 15  1          00000001 12       0        0     2        0        18002
END
	rows -o pid,socket,family,protocol,rx_queue,state
	expect 0 <<'END'
-1 18001 16 0 0 
-1 18002 16 15 12 
END
}

@test "netlink of Linux 2.6.12 has no inode" {
	raw_table 42 netlink <<'END'
sk       Eth Pid    Groups   Rmem     Wmem     Dump     Locks
f7c4be00 0   0      00000000 0        0        00000000 2
END
	rows -o pid,socket,family,protocol
	expect 0 <<<'-1 0 16 0'
}

@test "sctp of 2.6.12: no inode" {
	raw_table 42 sctp/eps <<'END'
 ENDPT     SOCK   STY SST HBKT LPORT LADDRS
f6b1a000 f6b1b000 2   10  29   2000  10.0.0.1 10.0.0.2 
END
	raw_table 42 sctp/assocs <<'END'
 ASSOC     SOCK   STY SST ST HBKT LPORT RPORT LADDRS <-> RADDRS
f6b1c000 f6b1b000 2   1   3  31   2000  3000  *10.0.0.1 <-> *10.0.0.9 
END
	rows -t sctp -o socket,family,protocol,local_address,local_port,remote_address,remote_port,state
	is "$status$errors" 0
	is "$(head -1 <<<"$output" | cut -f 1-5,7-)" \
		'0	2	132	10.0.0.1	2000	0	LISTEN'
	is "$(tail -1 <<<"$output")" \
		'0	2	132	10.0.0.1	2000	10.0.0.9	3000	ESTABLISHED'
}

@test "sctp with uid and inode; the primary address is marked" {
	raw_table 42 sctp/eps <<'END'
 ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 0.0.0.0 
f6b1a001 f6b1b001 0   10  30   2001      0 19003 0000:0000:0000:0000:0000:0000:0000:0001 
END
	raw_table 42 sctp/assocs <<'END'
 ASSOC     SOCK   STY SST ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> RADDRS
f6b1c000 f6b1b000 2   1   7  31     12        1        2    1000 19002  2000  3000 10.0.0.1 *10.0.0.2 <-> 10.0.0.8 *10.0.0.9 
END
	hold 42 5 19002
	rows -o pid,socket,family,local_address,remote_address,owner,state
	is "$status$errors" 0
	is "$(cut -f 1-4,6- <<<"$output")" "$(printf '%s\n' \
		'-1	19001	2	0.0.0.0	1000	LISTEN' \
		'-1	19003	10	::1	0	LISTEN' \
		'42	19002	2	10.0.0.2	1000	SHUTDOWN_ACK_SENT')"
	is "$(tail -1 <<<"$output" | cut -f 5)" 10.0.0.9
}

@test "sctp: as many addresses as a host has" {
	local n
	for n in 17 18 19 40 900; do
		{
			echo ' ASSOC     SOCK   STY SST ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> RADDRS'
			printf 'f6b1c000 f6b1b000 2   1   3  31     12        1        2    1000 19002  2000  3000 '
			for ((i = 1; i < n; i++)); do
				printf '10.1.%d.%d ' $((i / 250)) $((i % 250))
			done
			echo '*10.9.9.9 <-> *10.0.0.8 10.0.0.7 '
		} | raw_table 42 sctp/assocs
		rows -o local_address,remote_address
		expect 0 <<<'10.9.9.9 10.0.0.8'
	done
	sed -i 's/ <->.*/ <-> /' "$root/proc/42/net/sctp/assocs"
	rows -t sctp
	expect 1 'psock: line 2: sctp: malformed' </dev/null
}

@test "sctp: an IPv4 address beside an IPv6 one" {
	raw_table 42 sctp/assocs <<'END'
 ASSOC     SOCK   STY SST ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> RADDRS
f6b1c000 f6b1b000 2   1   3  31     12        0        0       0 19002  2000  3000 fd00:0000:0000:0000:0000:0000:0000:0001 <-> 10.0.0.9 
f6b1c000 f6b1b000 2   1   3  31     13        0        0       0 19003  2000  3000 10.0.0.1 <-> *fd00:0000:0000:0000:0000:0000:0000:0002 
END
	rows -o socket,family,local_address,remote_address
	expect 0 <<'END'
19002 10 fd00::1 ::ffff:10.0.0.9
19003 10 ::ffff:10.0.0.1 fd00::2
END
}

@test "sctp: the style of a socket is its type" {
	raw_table 42 sctp/eps <<'END'
 ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
f6b1a000 f6b1b000 2   10  29   2000      0 19001 0.0.0.0 
f6b1a001 f6b1b001 0   10  30   2001      0 19002 0.0.0.0 
END
	# SCTP_SOCKET_UDP 0, SCTP_SOCKET_UDP_HIGH_BANDWIDTH 1,
	# SCTP_SOCKET_TCP 2
	rows -o socket,type
	expect 0 <<'END'
19001 STREAM
19002 SEQPACKET
END
}

@test "sctp of today, and every state of an association" {
	local s
	{
		echo ' ASSOC     SOCK   STY SST ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> RADDRS HBINT INS OUTS MAXRT T1X T2X RTXC wmema wmemq sndbuf rcvbuf'
		for s in 0 1 2 3 4 5 6 7; do
			printf '       0        0 2   1   %d  0       1        0        0       0 1900%d 2000   3000  *fd00:0000:0000:0000:0000:0000:0000:0001 <-> *fd00:0000:0000:0000:0000:0000:0000:0002 \t    7500    10    10   10    0    0        0        1        0   212992   212992\n' $s $s
		done
	} | raw_table 42 sctp/assocs
	rows -o socket,family,remote_address,state
	expect 0 <<'END'
19000 10 fd00::2 CLOSED
19001 10 fd00::2 COOKIE_WAIT
19002 10 fd00::2 COOKIE_ECHOED
19003 10 fd00::2 ESTABLISHED
19004 10 fd00::2 SHUTDOWN_PENDING
19005 10 fd00::2 SHUTDOWN_SENT
19006 10 fd00::2 SHUTDOWN_RECEIVED
19007 10 fd00::2 SHUTDOWN_ACK_SENT
END
}

@test "malformed lines of packet, netlink and sctp" {
	raw_table 42 packet <<'END'
sk               RefCnt Type Proto  Iface R Rmem   User   Inode
0000000000000000 3      3    0003   0     1 0      0
0000000000000000 3      3    xxxx   0     1 0      0      17001
0000000000000000 3      3    0003   0     1 0      0      17002
END
	raw_table 42 netlink <<'END'
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 -1  1          00000001 12       0        0     2        0        18002
END
	raw_table 42 sctp/eps <<'END'
 ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 300.0.0.0 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 10.0.0 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 10.0.0. 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 10.0.0.1.2 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 10:0.0.1 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 .10.0.0.1 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 +1.0.0.1 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 fd00:0000:0000:0000:0000:0000:0000:0001: 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 fd00:0000:0000:0000:0000:0000:0000 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 fd00:0000:0000:0000:0000:0000:0000:0001:0001 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 fd00:0000:0000:0000:0000:0000:0000:10001 
f6b1a000 f6b1b000 2   10  29   2000   1000 19001 fd00:0000:0000:0000:0000:0000:0000.0001 
END
	rows -o socket
	is "$status" 1
	is "$output" 17002
	is "$errors" 'psock: 2 lines (first: 2): packet: malformed
psock: line 2: netlink: malformed
psock: 12 lines (first: 2): sctp: malformed'
}

# process PID: one whose columns are known; it holds inode 5.
process() {
	hold "$1" 3 5
	printf 'a ) b\nc\n' >"$root/proc/$1/comm"
	printf '%s (a ) b\nc) S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n' \
		"$1" >"$root/proc/$1/stat"
	printf 'Name:\ta ) b\\nc\nUmask:\t0022\nUid:\t1000\t0\t0\t0\n' \
		>"$root/proc/$1/status"
	printf 'sh\0-c\0a b\tc\0' >"$root/proc/$1/cmdline"
	printf '12:cpu:/\n3:memory:/user\n0::/system.slice/x y\n' \
		>"$root/proc/$1/cgroup"
	ln -sfn '/bin/x y (deleted)' "$root/proc/$1/exe"
	ln -sfn '/tmp/a b' "$root/proc/$1/cwd"
	printf 'cpu 1 2\nbtime 1700000000\n' >"$root/proc/stat"
}

@test "columns of a process" {
	process 42
	rows -o tid,comm,exe,cwd,cmdline,uid,ppid,start_time,cgroup
	is "$status$errors" 0
	is "$output" '42	a ) b\nc	/bin/x y (deleted)	/tmp/a b	sh -c a b\tc	1000	7	1700000123	/system.slice/x y'
}

@test "start_time: no time of boot, or one that is no time" {
	process 42
	rm "$root/proc/stat"
	rows -o pid,ppid,start_time
	is "$output" '42	7	'
	is "$status" 1
	echo 'btime 9223372036854775807' >"$root/proc/stat"
	sed -i 's/[0-9]*$/9223372036854775807/' "$root/proc/42/stat"
	rows -o pid,ppid,start_time
	is "$output" '42	7	'
}

@test "a cgroup of before the unified hierarchy" {
	process 42
	printf '12:cpu:/\n3:memory:/user\n2:pids:/other\n' \
		>"$root/proc/42/cgroup"
	rows -o cgroup
	expect 0 <<<'/user'
}

@test "columns of a process are empty for an ownerless socket" {
	process 42
	inet 0100007F:0016 00000000:0000 0A 6 | table 42 tcp
	rows -t tcp -o pid,comm,exe,uid,ppid,start_time,cgroup
	expect 0 <<<'-1      '
}

@test "a process without its files has empty columns" {
	hold 42 3 5
	rows -o pid,comm,exe,cwd,cmdline,uid,ppid,start_time,cgroup
	is "$output" '42								'
}

@test "hostile stat, status and cgroup never crash" {
	local text
	process 42
	for text in '' ')' '(' ')(' '42 (' '42 ()' '42 () S' \
		'42 (x) S 99999999999999999999' '::' ':' '0::' 'Uid:' \
		$'\nUid:\t-1' $'\nUid:\t99999999999'; do
		printf %s "$text" >"$root/proc/42/stat"
		printf %s "$text" >"$root/proc/42/status"
		printf %s "$text" >"$root/proc/42/cgroup"
		rows -o pid,uid,ppid,start_time
		[ "$status" -lt 2 ]
		is "$output" '42			'
	done
}

@test "a thread with descriptors of its own has rows with its tid" {
	hold 42 3 5
	mkdir -p "$root/proc/42/task/42" "$root/proc/42/task/43/fd"
	cp -a "$root/proc/42/fd" "$root/proc/42/task/42/fd"
	mkdir -p "$root/proc/42/task/44"
	cp -a "$root/proc/42/fd" "$root/proc/42/task/44/fd"
	ln -s 'socket:[6]' "$root/proc/42/task/43/fd/3"
	ln -s 'socket:[7]' "$root/proc/42/task/43/fd/4"
	rows -o pid,tid,fd,socket
	is "$(sort <<<"$output")" "$(tr ' ' '\t' <<'END'
42 42 3 5
42 43 3 6
42 43 4 7
END
)"
	is "$status$errors" 0
}

@test "a thread in another namespace: its tables are read" {
	hold 42 3 5
	mkdir -p "$root/proc/42/task/43/ns" "$root/proc/42/task/43/net" \
		"$root/proc/42/task/42"
	ln -s 'net:[4026533000]' "$root/proc/42/task/43/ns/net"
	cp -a "$root/proc/42/fd" "$root/proc/42/task/43/fd"
	{
		echo "$inet_header"
		inet 0100007F:0016 00000000:0000 0A 5
	} >"$root/proc/42/task/43/net/tcp"
	rows -o pid,tid,socket,local_port,net_namespace
	expect 0 <<<'42 42 5 22 4026533000'
}

@test "a directory of descriptors that is refused is counted" {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	local p
	# bats' own directories are closed to others.
	open=$(mktemp -d)
	chmod 755 "$open"
	root=$open/root
	for p in 42 43 44; do
		hold $p 3 5
		chmod 700 "$root/proc/$p/fd"
		table $p tcp </dev/null
	done
	cp "$psock" "$open/psock"
	run setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$open/psock" -H -r "$root"
	is "$output" 'psock: 3 processes (first: 42): fd: Permission denied'
	is "$status" 1
}
