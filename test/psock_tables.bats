#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock -r: every table, state and form of an address, shared sockets,
# namespaces and malformed lines.

# shellcheck disable=SC2154 # root and output are set by the helper and bats

load psock_helper

columns=pid,fd,socket,family,protocol
addresses=socket,local_address,local_port,remote_address,remote_port

setup() {
	netns 42 4026531840
}

# hold_all INODE...: process 42 holds them, so no row may be part of a name.
hold_all() {
	local i
	for i; do
		hold 42 "$i" "$i"
	done
}

@test "tables of IPv4: family and protocol of each" {
	local t i=1
	for t in tcp udp udplite raw icmp; do
		inet 0100007F:0016 00000000:0000 07 "100$i" | table 42 "$t"
		hold 42 "$i" "100$i"
		i=$((i + 1))
	done
	rows
	is "$output" "$(printf '%s\n' \
		'42	1	1001	2	6	127.0.0.1	0.0.0.0	22	0		CLOSE	4026531840' \
		'42	2	1002	2	17	127.0.0.1	0.0.0.0	22	0			4026531840' \
		'42	3	1003	2	136	127.0.0.1	0.0.0.0	22	0			4026531840' \
		'42	4	1004	2	255	127.0.0.1	0.0.0.0	22	0			4026531840' \
		'42	5	1005	2	1	127.0.0.1	0.0.0.0	22	0			4026531840')"
	is "$status$errors" 0
}

@test "tables of IPv6: family and protocol of each" {
	local t i=1 one=00000000000000000000000001000000
	for t in tcp6 udp6 udplite6 raw6 icmp6; do
		inet $one:0016 ${one//1/0}:0000 07 "100$i" | table 42 "$t"
		hold 42 "$i" "100$i"
		i=$((i + 1))
	done
	rows
	is "$output" "$(printf '%s\n' \
		'42	1	1001	10	6	::1	::	22	0		CLOSE	4026531840' \
		'42	2	1002	10	17	::1	::	22	0			4026531840' \
		'42	3	1003	10	136	::1	::	22	0			4026531840' \
		'42	4	1004	10	255	::1	::	22	0			4026531840' \
		'42	5	1005	10	58	::1	::	22	0			4026531840')"
	is "$status$errors" 0
}

@test "the order of tables is that of the manual, not of inodes" {
	local t i=20
	unix_line 10 | table 42 unix
	for t in icmp raw udplite udp tcp; do
		inet 00000000:0000 00000000:0000 07 $i | table 42 "$t"
		i=$((i + 1))
	done
	rows -o socket
	expect 0 <<'END'
24
23
22
21
20
10
END
}

@test "every state of TCP, and unknown numbers" {
	local s
	for s in 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 00 FF; do
		inet 00000000:0001 00000000:0000 "$s" "$((16#$s + 100))"
	done | table 42 tcp
	rows -o socket,state
	expect 0 <<'END'
101 ESTABLISHED
102 SYN_SENT
103 SYN_RECV
104 FIN_WAIT1
105 FIN_WAIT2
106 TIME_WAIT
107 CLOSE
108 CLOSE_WAIT
109 LAST_ACK
110 LISTEN
111 CLOSING
112 NEW_SYN_RECV
113 UNKNOWN
100 UNKNOWN
355 UNKNOWN
END
}

@test "every state of unix sockets, and their types" {
	{
		unix_line 1 '' 00010000 0001 01
		unix_line 2 '' 00000000 0001 01
		unix_line 3 '' 00000000 0005 02
		unix_line 4 '' 00000000 0002 03
		unix_line 5 '' 00000000 0001 04
		unix_line 6 '' 00010000 0005 01
	} | table 42 unix
	rows -o socket,state,type
	expect 0 <<'END'
1 LISTEN STREAM
2 UNCONNECTED STREAM
3 CONNECTING SEQPACKET
4 CONNECTED DGRAM
5 DISCONNECTING STREAM
6 LISTEN SEQPACKET
END
}

@test "addresses of IPv4 as a little-endian host writes them" {
	{
		inet 0100007F:22B8 00000000:0000 0A 1
		inet FFFFFFFF:FFFF 0102030A:0001 01 2
		inet 0100A8C0:0050 08080808:01BB 01 3
	} | table 42 tcp
	rows -o "$addresses"
	expect 0 <<'END'
1 127.0.0.1 8888 0.0.0.0 0
2 255.255.255.255 65535 10.3.2.1 1
3 192.168.0.1 80 8.8.8.8 443
END
}

@test "addresses of IPv6 in the shortest form" {
	local zero=00000000000000000000000000000000 a i=1
	for a in $zero 00000000000000000000000001000000 \
		0000000000000000FFFF00000100007F \
		B80D0120000000000000000001000000 \
		000080FE00000000FF005450785634FE \
		B80D0120010000000200000003000000 \
		B80D0120000001000000000000000100 \
		FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF \
		0000000000000000000000000100007F; do
		inet "$a":0001 $zero:0000 07 $i
		i=$((i + 1))
	done | table 42 tcp6
	rows -o socket,local_address
	is "$output" "$(tr ' ' '\t' <<'END'
1 ::
2 ::1
3 ::ffff:127.0.0.1
4 2001:db8::1
5 fe80::5054:ff:fe34:5678
6 2001:db8:0:1:0:2:0:3
7 2001:db8:1::1:0
8 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
9 ::7f00:1
END
)"
}

@test "raw sockets have their IP protocol in the local port" {
	inet 00000000:0006 00000000:0000 07 9 | table 42 raw
	rows -o socket,protocol,local_port,state
	expect 0 <<<'9 255 6 '
}

@test "columns of tcp tables are padded with any number of blanks" {
	printf '%-149s\n' '1000: 0100007F:0016 00000000:0000 0A 0000000A:0000000B 00:00000000 00000000   7        0 77 1' |
		table 42 tcp
	rows -o socket,owner,tx_queue,rx_queue
	expect 0 <<<'77 7 10 11'
}

@test "unix names: blank, tab, escape, abstract, none" {
	{
		unix_line 1 ' a  b '
		unix_line 2 $'a\tb'
		unix_line 3 $'\033[31m'
		unix_line 4 '@abstract'
		unix_line 5
		unix_line 6 '/run/a\b'
		unix_line 7 $'\377\303\251'
	} | table 42 unix
	hold_all 1 2 3 4 5 6 7
	rows -o socket,path
	is "$output" "$(printf '%s\n' '1	 a  b ' '2	a\tb' '3	\x1b[31m' \
		'4	@abstract' '5	' '6	/run/a\\b' $'7\t\\xff\303\251')"
	is "$status$errors" 0
}

@test "unix names with newlines go on until a line has the exact form" {
	{
		unix_line 1 $'@a\nb'
		unix_line 2 $'@\n\nx'
		unix_line 3 $'@x\n0000: 00000002 00000000 00000000 0001 03 9'
		unix_line 4 $'@z\n'
		unix_line 5
	} | table 42 unix
	hold_all 1 2 3 4 5
	rows -o socket,path
	is "$output" "$(printf '%s\n' '1	@a\nb' '2	@\n\nx' \
		'3	@x\n0000: 00000002 00000000 00000000 0001 03 9' \
		'4	@z\n' '5	')"
	is "$status$errors" 0
}

@test "a shared socket has a row for each pid and fd, in that order" {
	inet 0100007F:0016 00000000:0000 0A 1598 | table 42 tcp
	netns 100 4026531840
	netns 9 4026531840
	hold 100 10 1598
	hold 100 9 1598
	hold 42 3 1598
	hold 9 0 1598
	cp "$root/proc/42/net/tcp" "$root/proc/9/net"
	rows -o pid,fd,socket
	expect 0 <<'END'
9 0 1598
42 3 1598
100 9 1598
100 10 1598
END
}

@test "a socket that nobody holds has pid and fd -1" {
	inet 0100007F:0016 00000000:0000 0A 5 | table 42 tcp
	unix_line 6 | table 42 unix
	rows -o "$columns"
	expect 0 <<'END'
-1 -1 5 2 6
-1 -1 6 1 0
END
}

@test "inode 0 is held by nobody, and each such row is printed" {
	{
		inet 0100007F:0016 0100007F:1111 06 0
		inet 0100007F:0016 0100007F:1112 06 0
	} | table 42 tcp
	{
		unix_line 0 @x 00000000 0001 02
		unix_line 0 @x 00000000 0001 02
	} | table 42 unix
	hold 42 3 0
	rows -o pid,socket,remote_port,state -t tcp,unix
	expect 0 <<'END'
-1 0 4369 TIME_WAIT
-1 0 4370 TIME_WAIT
-1 0 0 CONNECTING
-1 0 0 CONNECTING
END
}

@test "icmp6 lists an IPv4 ping socket again: one row" {
	local zero=00000000000000000000000000000000
	inet 00000000:0007 00000000:0000 07 5 | table 42 icmp
	{
		inet $zero:0007 $zero:0000 07 5
		inet $zero:0008 $zero:0000 07 6
	} | table 42 icmp6
	rows -o socket,family,protocol
	expect 0 <<'END'
5 2 1
6 10 58
END
}

@test "a socket that its table lists twice: one row, if pointers are hidden" {
	{
		inet 0100007F:0016 00000000:0000 0A 7
		inet 0100007F:0016 00000000:0000 0A 7 | sed 's/ 0:/ 1:/'
	} | table 42 tcp
	hold 42 3 7
	rows -o pid,fd,socket
	expect 0 <<<'42 3 7'
}

@test "a unix socket that nobody holds and its table lists twice: one row" {
	{
		unix_line 7
		unix_line 8
		unix_line 7
	} | table 42 unix
	rows -o pid,socket
	expect 0 <<-'END'
		-1 7
		-1 8
	END
}

@test "inode numbers have 64 bits" {
	inet 0100007F:0016 00000000:0000 0A 18446744073709551615 |
		table 42 tcp
	hold 42 3 18446744073709551615
	rows -o pid,fd,socket
	expect 0 <<<'42 3 18446744073709551615'
}

@test "namespaces come in the order of their lowest pid" {
	netns 7 4026532999
	netns 100 4026532000
	netns 101 4026531840
	inet 0100007F:0016 00000000:0000 0A 1 | table 42 tcp
	inet 0100007F:0016 00000000:0000 0A 2 | table 7 tcp
	inet 0100007F:0016 00000000:0000 0A 3 | table 100 tcp
	inet 0100007F:0016 00000000:0000 0A 4 | table 101 tcp
	rows -o socket,net_namespace
	expect 0 <<'END'
2 4026532999
1 4026531840
3 4026532000
END
}

@test "a tree without ns/net: namespace 0, tables count" {
	rm -r "$root/proc/42/ns"
	inet 0100007F:0016 00000000:0000 0A 1 | table 42 tcp
	hold 42 3 1
	rows -o pid,socket,net_namespace
	expect 0 <<<'42 1 0'
}

@test "tables that are missing or have a header alone" {
	table 42 tcp </dev/null
	table 42 unix </dev/null
	rows
	is "$status$output$errors" 0
}

@test "malformed lines are counted and cost no neighbour" {
	{
		inet 0100007F:0016 00000000:0000 0A 1
		echo '   1: 0100007F:0016'
		inet 0100007F:0016 00000000:0000 0A 2
		inet 0100007G:0016 00000000:0000 0A 3
		inet 0100007F:00016 00000000:0000 0A 4
		inet 0100007F0016 00000000:0000 0A 5
		inet 0100007F:0016 00000000:0000 1FF 6
		inet 0100007F:0016 00000000:0000 0A 18446744073709551616
		inet 0100007F:0016 00000000:0000 0A -1
		inet 0100007F:0016 00000000:0000 0A 0x7
		inet 0100007F:0016 00000000:0000 0A 8
	} | table 42 tcp
	rows -o socket
	expect 1 'psock: 8 lines (first: 3): tcp: malformed' <<'END'
1
2
8
END
}

@test "one malformed line in each of two tables: two warnings" {
	echo junk | table 42 udp
	echo junk | table 42 raw6
	rows
	is "$status" 1
	is "$output" ''
	is "$(echo "$errors" | sort)" 'psock: line 2: raw6: malformed
psock: line 2: udp: malformed'
}

@test "binary junk, a line too long and a truncated last line" {
	{
		inet 0100007F:0016 00000000:0000 0A 1
		printf '\000\001\377\n'
		inet 0100007F:0016 00000000:0000 0A 2
		head -c 200000 /dev/zero | tr '\0' ' '
		echo
		inet 0100007F:0016 00000000:0000 0A 3
		printf '   4: 0100007F:0016 00000000:00'
	} | table 42 tcp
	rows -o socket
	is "$status" 1
	is "$output" "$(printf '%s\n' 1 2 3)"
	is "$errors" 'psock: 3 lines (first: 3): tcp: malformed'
}

@test "every prefix of a line is malformed or a whole row" {
	local line n bad=0
	line=$(inet 0100007F:0016 00000000:0000 0A 1598)
	table 42 tcp </dev/null
	for ((n = 1; n < ${#line}; n += 3)); do
		{ echo "$inet_header"; echo "${line:0:n}"; } \
			>"$root/proc/42/net/tcp"
		rows -o local_address,local_port
		[ "$status" -lt 2 ]
		[ -z "$output" ] || is "$output" '127.0.0.1	22'
		[ "$status" -eq 0 ] || bad=$((bad + 1))
	done
	[ "$bad" -gt 20 ]
}

@test "-p: these processes alone" {
	local p
	inet 0100007F:0016 00000000:0000 0A 5 | table 42 tcp
	for p in 43 44; do
		netns $p 4026531840
		cp "$root/proc/42/net/tcp" "$root/proc/$p/net"
	done
	hold 42 3 5
	hold 43 3 5
	hold 44 3 5
	rows -o pid -p 44,42
	expect 0 <<'END'
42
44
END
}

@test "-p -1: what nobody holds" {
	{
		inet 0100007F:0016 00000000:0000 0A 5
		inet 0100007F:0017 00000000:0000 0A 6
	} | table 42 tcp
	hold 42 3 5
	rows -o pid,socket -p -1
	expect 0 <<<'-1 6'
	rows -o pid,socket -p 42
	expect 0 <<<'42 5'
	rows -o pid,socket -p 42,-1
	expect 0 <<'END'
42 5
-1 6
END
}

@test "-p: a process that is not there is a warning" {
	rows -p 4711
	is "$status" 1
	is "$output" ''
	is "$errors" 'psock: process 4711: No such process'
	rows -p 4711,-1
	is "$status" 1
	rows -q -p 4711
	is "$status$errors" 1
}

@test "-p: a process without a socket has no row" {
	inet 0100007F:0016 00000000:0000 0A 5 | table 42 tcp
	run timeout 20 "$psock" -H -r "$root" -p 42
	is "$status$output" 0
}

@test "-p: what is no number is a usage error" {
	local p
	for p in x '' '1,' ,1 1,,2 -2 +1 ' 1' 1x 99999999999; do
		rows -p "$p"
		echo "-p '$p'"
		is "$status" 2
		is "$output" ''
		[ -n "$errors" ]
	done
}

@test "-t: each table alone" {
	local t i=1
	each_table
	for t in tcp tcp6 udp udp6 udplite udplite6 raw raw6 icmp icmp6 unix
	do
		rows -t $t -o socket
		expect 0 <<<$i
		i=$((i + 1))
	done
	rows -t unix,tcp,udp6 -o socket
	expect 0 <<'END'
1
4
11
END
}

@test "-t: a table that is none is a usage error" {
	local t
	for t in x '' 'tcp,' ,tcp TCP tcp7; do
		rows -t "$t"
		echo "-t '$t'"
		is "$status" 2
		is "$output" ''
		[[ $errors = *udplite6* ]]
	done
}

@test "the header names the twelve columns of process_open_sockets" {
	run "$psock" -r "$root"
	is "$output" "$(echo pid fd socket family protocol local_address \
		remote_address local_port remote_port path state \
		net_namespace | tr ' ' '\t')"
	is "$status" 0
}

@test "a socket that is held but in no table: family 0, at the end" {
	inet 0100007F:0016 00000000:0000 0A 5 | table 42 tcp
	unix_line 6 | table 42 unix
	hold 42 3 4
	hold 42 4 5
	hold 42 5 6
	hold 42 6 4
	rows
	is "$status$errors" 0
	is "$output" "$(printf '%s\n' \
		'42	4	5	2	6	127.0.0.1	0.0.0.0	22	0		LISTEN	4026531840' \
		'42	5	6	1	0			0	0		CONNECTED	4026531840' \
		'42	3	4	0	0			0	0			0' \
		'42	6	4	0	0			0	0			0')"
	rows -t tcp -o socket
	expect 0 <<<5
}

@test "two unix rows of one inode below -r: both, and a warning" {
	unix_line 4343 $'@a\n0000000000000000: 00000002 00000000 00010000 0001 01  4343 /run/dbus' |
		table 42 unix
	hold 42 3 4343
	rows -o pid,socket,path,state
	is "$status" 1
	is "$output" "$(printf '%s\n' '42	4343	@a	CONNECTED' \
		'42	4343	/run/dbus	LISTEN')"
	[ -n "$errors" ]
}

@test "links that are no sockets, and broken ones, are passed over" {
	local link n=0
	proc 42
	for link in pipe:[1] 'socket:[' 'socket:[]' 'socket:[x]' \
		'socket:[1' 'socket:[-1]' 'socket:[18446744073709551616]' \
		/dev/null 'socket:[7]x' 'anon_inode:[eventpoll]'; do
		ln -s "$link" "$root/proc/42/fd/$n"
		n=$((n + 1))
	done
	ln -s 'socket:[9]' "$root/proc/42/fd/x"
	: >"$root/proc/42/fd/99"
	rows
	is "$output" ''
	[ "$status" -lt 2 ]
}

@test "no proc at all is exit 2" {
	rows -r "$BATS_TEST_TMPDIR/nothing"
	is "$status" 2
	[ -n "$errors" ]
	is "$output" ''
}

@test "the same tree gives the same bytes" {
	local i first
	for i in 1 2 3 4 5 6; do
		netns "$i" "$((i % 3 + 1))"
		hold "$i" 3 5
		hold "$i" 4 "$((i + 10))"
		inet 0100007F:0016 00000000:0000 0A 5 | table "$i" tcp
		unix_line "$((i + 10))" | table "$i" unix
	done
	rows
	first=$output
	for i in 1 2 3; do
		rows
		is "$output" "$first"
	done
}

@test "files of a tree that have no end: what is there, and no more" {
	netns 42 4026531840
	inet 0100007F:0050 00000000:0000 0A 77 | table 42 tcp
	unix_line 78 @a | table 42 unix
	hold 42 3 77
	truncate -s 4T "$root/proc/42/net/"{tcp,unix} \
		"$root/proc/42/cmdline" || skip 'no sparse files'
	mkfifo "$root/proc/42/net/udp"
	run timeout 60 "$psock" -H -r "$root" -o socket,pid
	is "$(grep -v ^psock <<<"$output")" $'77\t42\n78\t-1'
	is "$status" 1
	[[ $output = *'psock: table udp: Invalid argument'* ]]
}
