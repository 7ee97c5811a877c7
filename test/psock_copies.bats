#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock -r on copies of /proc that are not as tidy as a kernel's: of gVisor and
# old kernels, without headers or tables, of another byte order.

# shellcheck disable=SC2154 # root and output are set by the helper and bats

load psock_helper

setup() {
	netns 42 4026531840
}

zero=00000000000000000000000000000000

@test "gVisor pads the inode of a unix row wider" {
	printf '%s\n' "$unix_header" \
		'0000000000000000: 00000002 00000000 00010000 0001 01        6 /run/app.sock' \
		'0000000000000000: 00000002 00000000 00000000 0001 03       17' \
		'0000000000000000: 00000002 00000000 00000000 0002 01 1234567890 @a' \
		>"$root/proc/42/net/unix"
	hold 42 3 6
	hold 42 4 17
	hold 42 5 1234567890
	rows -o fd,socket,path,state
	expect 0 <<'END'
3 6 /run/app.sock LISTEN
4 17  CONNECTED
5 1234567890 @a UNCONNECTED
END
}

@test "tables without their headers are read by the usual columns" {
	inet 0100007F:0016 00000000:0000 0A 1 >"$root/proc/42/net/tcp"
	inet $zero:0035 $zero:0000 07 2 >"$root/proc/42/net/udp6"
	unix_line 3 /run/x >"$root/proc/42/net/unix"
	echo 'ffff8800 3      3    0003   2     1 5      1000   4' \
		>"$root/proc/42/net/packet"
	echo 'ffff8800 15  7          00000000 0        0        0     2        0        5' \
		>"$root/proc/42/net/netlink"
	rows -o socket,proto,local_port,path,owner
	expect 1 "psock: 5 tables (first: tcp): no header, read by the usual columns" <<'END'
1 tcp 22  1000
2 udp6 53  1000
3 unix 0 /run/x 
4 packet 0  1000
5 netlink 0  
END
}

@test "a table of nothing at all has no header" {
	: >"$root/proc/42/net/tcp"
	unix_line 3 | table 42 unix
	rows -o socket
	expect 1 'psock: table tcp: no header' <<<3
}

@test "a uid that an old kernel prints with its sign" {
	inet 0100007F:0016 00000000:0000 0A 1 | sed 's/ 1000 /   -2 /' |
		table 42 tcp
	hold 42 3 1
	rows -o socket,owner
	expect 0 <<<'1 4294967294'
	inet 0100007F:0016 00000000:0000 0A 1 | sed 's/ 1000 /    - /' |
		table 42 tcp
	rows -o socket,owner -t tcp
	expect 1 'psock: line 2: tcp: malformed' </dev/null
}

@test "a process without tables, beside ROOT/proc/net" {
	mkdir "$root/proc/net"
	{
		echo "$inet_header"
		inet 0100007F:0016 00000000:0000 0A 7
	} >"$root/proc/net/tcp"
	hold 42 3 7
	rows -o pid,socket,local_port
	expect 0 <<<'42 7 22'
	rm -r "$root/proc/42/net"
	rows -o pid,socket,local_port
	expect 0 <<<'42 7 22'
}

@test "the only table is unix, and no namespace is named" {
	rm "$root/proc/42/ns/net"
	rmdir "$root/proc/42/ns"
	unix_line 7 /run/x | table 42 unix
	hold 42 3 7
	rows -o pid,socket,path
	expect 0 <<<'42 7 /run/x'
}

@test "namespaces that no ns/net names differ by any table" {
	local p
	rm -r "$root/proc/42"
	for p in 5 6; do
		mkdir -p "$root/proc/$p/fd" "$root/proc/$p/net"
		{
			echo "$unix_header"
			unix_line "1$p" "/run/$p"
		} >"$root/proc/$p/net/unix"
	done
	rows -o socket,path
	expect 0 <<'END'
15 /run/5
16 /run/6
END
}

@test "addresses of the other byte order are turned, and a warning" {
	inet 7F000001:0016 00000000:0000 0A 1 | table 42 tcp
	{
		inet C0A80001:0050 08080404:01BB 01 2
		inet 00000000:0051 00000000:0000 07 3
	} | table 42 udp
	inet 20010DB8000000000000000000000001:0050 $zero:0000 07 4 |
		table 42 udp6
	rows -o socket,local_address,local_port,remote_address
	expect 1 "psock: $root/proc: addresses of the other byte order, turned" <<'END'
1 127.0.0.1 22 0.0.0.0
2 192.168.0.1 80 8.8.4.4
3 0.0.0.0 81 0.0.0.0
4 2001:db8::1 80 ::
END
	# ::1 alone shows it as well.
	rm "$root/proc/42/net/"{tcp,udp,udp6}
	inet 00000000000000000000000000000001:0050 $zero:0000 07 4 |
		table 42 udp6
	rows -o socket,local_address
	expect 1 "psock: $root/proc: addresses of the other byte order, turned" <<<'4 ::1'
}

@test "addresses are not turned where loopback shows our byte order" {
	{
		inet 7F000001:0016 00000000:0000 0A 1
		inet 0100007F:0016 00000000:0000 0A 2
	} | table 42 tcp
	rows -o socket,local_address
	expect 0 <<'END'
1 1.0.0.127
2 127.0.0.1
END
}

@test "a row without a final newline is malformed, in every table" {
	{
		inet 0100007F:0016 00000000:0000 0A 1
		inet 0100007F:0017 00000000:0000 0A 2 | tr -d '\n'
	} | table 42 tcp
	{
		unix_line 3 /run/x
		unix_line 4 /run/y | tr -d '\n'
	} | table 42 unix
	rows -o socket
	expect 1 'psock: line 3: tcp: malformed
psock: line 3: unix: malformed' <<'END'
1
3
END
}

@test "two rows without an inode: two sockets if place or pointer differ" {
	# time_wait PLACE POINTER
	time_wait() {
		printf '%4d: 0100007F:0016 0100007F:1111 06 00000000:00000000 03:00001770 00000000     0        0 0 3 %s\n' \
			"$1" "$2"
	}
	{
		time_wait 0 00000000aaaaaaaa
		time_wait 1 00000000bbbbbbbb
		time_wait 2 0000000000000000
		time_wait 3 0000000000000000
		# The table that is read while others go lists one again.
		time_wait 4 00000000aaaaaaaa
		time_wait 3 0000000000000000
	} | table 42 tcp
	rows -o socket,state
	expect 0 <<'END'
0 TIME_WAIT
0 TIME_WAIT
0 TIME_WAIT
0 TIME_WAIT
END
}

@test "a command line longer than 32 KiB is cut there, and a warning" {
	unix_line 7 | table 42 unix
	hold 42 3 7
	head -c 32767 /dev/zero | tr '\0' a >"$root/proc/42/cmdline"
	printf '\0' >>"$root/proc/42/cmdline"
	rows -o cmdline
	is "$status$errors" 0
	is "${#output}" 32767
	printf 'b\0' >>"$root/proc/42/cmdline"
	rows -o cmdline
	is "$errors" 'psock: process 42: cmdline: cut at 32 KiB'
	is "$status" 1
	[ "${#output}" -le 32768 ]
}

@test "user: the name in ROOT/etc/passwd, else the number" {
	local p
	for p in 42:1000 43:1001 44:4294967294; do
		netns "${p%:*}" 4026531840
		hold "${p%:*}" 3 "${p%:*}"
		printf 'Name:\tx\nUid:\t%s\t0\t0\t0\n' "${p#*:}" \
			>"$root/proc/${p%:*}/status"
	done
	mkdir "$root/etc"
	printf '%s\n' root:x:0:0:root:/root:/bin/sh 'broken:x:1001' \
		$'e\tvil:x:1000:1000::/:/bin/sh' 'second:x:1000:1000::/:/bin/sh' \
		>"$root/etc/passwd"
	rows -o pid,user
	is "$status$errors" 0
	is "$output" $'42\te\\tvil\n43\t1001\n44\t4294967294'
	rm "$root/etc/passwd"
	rows -o pid,user
	is "$output" $'42\t1000\n43\t1001\n44\t4294967294'
	is "$errors" 'psock: file /etc/passwd: No such file or directory'
	is "$status" 1
}

@test "proto: the name of the table" {
	each_table
	hold 42 3 12
	rows -o socket,proto
	expect 0 <<'END'
1 tcp
2 tcp6
3 udp
4 udp6
5 udplite
6 udplite6
7 raw
8 raw6
9 icmp
10 icmp6
11 unix
12 
END
}
