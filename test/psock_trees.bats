#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock below -r: threads, processes, rare tables and hostile trees.

# shellcheck disable=SC2154 # run sets stderr and stderr_lines
bats_require_minimum_version 1.5.0

setup() {
	PSOCK=${PSOCK:-$BATS_TEST_DIRNAME/../psock}
	R=$BATS_TEST_TMPDIR/root
	mkdir -p "$R/proc"
}

# proc PID NETNS FD:INODE...: a process with these sockets.
proc() {
	local pid=$1 ns=$2 fd
	mkdir -p "$R/proc/$pid/fd" "$R/proc/$pid/ns" "$R/proc/$pid/net"
	ln -s "net:[$ns]" "$R/proc/$pid/ns/net"
	shift 2
	for fd; do
		ln -s "socket:[${fd#*:}]" "$R/proc/$pid/fd/${fd%:*}"
	done
}

inet_header='  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

# inet FILE LOCAL REMOTE STATE INODE: adds a row to a table.
inet() {
	[ -e "$1" ] || echo "$inet_header" >"$1"
	printf '%4d: %s %s %s 00000003:00000002 00:00000000 00000000  1000        0 %s 1 0 100 0\n' \
		0 "$2" "$3" "$4" "$5" >>"$1"
}

@test "every holder has its row, in the order of pid and fd" {
	proc 100 1 9:7 10:7
	proc 99 1 5:7
	inet "$R/proc/99/net/tcp" 0100007F:0001 00000000:0000 0A 7
	run -0 "$PSOCK" -r "$R" -H -o pid,fd
	[ "$output" = $'99\t5\n100\t9\n100\t10' ]
}

@test "numbers of every length are printed whole" {
	local n=9 fd=3 numbers=(1 18446744073709551615) sockets=()
	for ((; ${#n} < 19; n = n * 10 + 9)); do
		numbers+=("$n" "$((n + 1))")
	done
	numbers+=(9999999999999999999 10000000000000000000)
	for n in "${numbers[@]}"; do
		sockets+=("$((fd++)):$n")
	done
	proc 42 1 "${sockets[@]}"
	run -0 "$PSOCK" -r "$R" -H -o socket
	[ "$(sort -n <<<"$output")" = "$(printf '%s\n' "${numbers[@]}" |
		sort -n)" ]
}

@test "a process that has ended does not cost its namespace" {
	proc 5 200
	rmdir "$R/proc/5/net"
	proc 7 200
	inet "$R/proc/7/net/tcp" 0100007F:0001 00000000:0000 0A 1
	run -0 "$PSOCK" -r "$R" -H -o socket
	[ "$output" = 1 ]
}

@test "a header that is not known loses only its table" {
	proc 42 1
	echo "  who knows" >"$R/proc/42/net/tcp"
	inet "$R/proc/42/net/udp" 0100007F:0001 00000000:0000 07 9
	run -1 --separate-stderr "$PSOCK" -r "$R" -H -o socket
	[ "$output" = 9 ]
	[ "$stderr" = "psock: table tcp: unknown header" ]
}

@test "packet, netlink and three generations of sctp" {
	proc 42 1 3:7
	printf 'sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n0000000000000000 3      3    0003   2     1 5      1000      7\n' \
		>"$R/proc/42/net/packet"
	printf 'IP address       HW type\n2\teth0      :     1      V3\n' \
		>"$R/proc/42/net/igmp"
	printf 'sk       Eth Pid    Groups   Rmem     Wmem     Dump     Locks\n0000000000000000 4   0      00000000 0        0        0000000000000000 2\n' \
		>"$R/proc/42/net/netlink"
	mkdir "$R/proc/42/net/sctp"
	printf ' ENDPT     SOCK   STY SST HBKT LPORT LADDRS\nf3c0 f3c1 0   10  12   5000  10.0.0.1 *10.0.0.2\n' \
		>"$R/proc/42/net/sctp/eps"
	printf ' ASSOC     SOCK   STY SST ST HBKT ASSOC-ID TX_QUEUE RX_QUEUE UID INODE LPORT RPORT LADDRS <-> RADDRS HBINT INS OUTS\nf3c0 f3c1 2   1   3  0    1        0        0        1000 77    5001  6001  *fe80:0000:0000:0000:0000:0000:0000:0001 <-> *fe80:0000:0000:0000:0000:0000:0000:0002 7500 10 10\n' \
		>"$R/proc/42/net/sctp/assocs"
	run -0 "$PSOCK" -r "$R" -H -o socket,family,protocol,type,local_address,local_port,remote_address,remote_port,state,interface
	[ "$output" = $'7\t17\t3\tRAW\t\t0\t\t0\t\teth0
0\t16\t4\t\t\t0\t\t0\t\t
0\t2\t132\tSEQPACKET\t10.0.0.2\t5000\t0.0.0.0\t0\tLISTEN\t
77\t10\t132\tSTREAM\tfe80::1\t5001\tfe80::2\t6001\tESTABLISHED\t' ]
	printf ' ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS\nf3c0 f3c1 1   7  12   5000  0 99 10.0.0.1\n' \
		>"$R/proc/42/net/sctp/eps"
	run -0 "$PSOCK" -r "$R" -H -t sctp -o socket,state
	[ "${lines[0]}" = $'99\tCLOSED' ]
}

@test "a thread with descriptors of its own" {
	proc 42 1 3:7
	mkdir -p "$R/proc/42/task/42" "$R/proc/42/task/43/fd" "$R/proc/42/task/43/ns"
	ln -s 'net:[1]' "$R/proc/42/task/43/ns/net"
	ln -s 'socket:[7]' "$R/proc/42/task/43/fd/3"
	ln -s 'socket:[8]' "$R/proc/42/task/43/fd/4"
	inet "$R/proc/42/net/tcp" 0100007F:0001 00000000:0000 0A 7
	inet "$R/proc/42/net/tcp" 0100007F:0002 00000000:0000 0A 8
	run -0 "$PSOCK" -r "$R" -H -o pid,tid,fd,socket
	[ "$output" = $'42\t42\t3\t7\n42\t43\t4\t8' ]
}

@test "a thread in another namespace" {
	proc 42 1 3:7
	mkdir -p "$R/proc/42/task/42" "$R/proc/42/task/43/net" "$R/proc/42/task/43/ns"
	ln -s 'net:[2]' "$R/proc/42/task/43/ns/net"
	inet "$R/proc/42/task/43/net/tcp" 0100007F:0001 00000000:0000 0A 7
	run -0 "$PSOCK" -r "$R" -H -o pid,net_namespace
	[ "$output" = $'42\t2' ]
}

@test "the columns of a process" {
	local p=$R/proc/42
	proc 42 1 3:7
	inet "$p/net/tcp" 0100007F:0001 00000000:0000 0A 7
	printf 'a) (b\nc\n' >"$p/comm"
	printf '42 (a) (b\nc) S 17 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0\n' >"$p/stat"
	printf 'Name:\tx\nUid:\t4294967294\t1\t1\t1\n' >"$p/status"
	printf 'prog\0-a\0two words\0' >"$p/cmdline"
	printf '1:cpu:/cpu\n0::/unified\n' >"$p/cgroup"
	printf 'cpu 1\nbtime 1000\n' >"$R/proc/stat"
	ln -s '/bin/x (deleted)' "$p/exe"
	ln -s /tmp "$p/cwd"
	run -0 "$PSOCK" -r "$R" -H -o comm,exe,cwd,cmdline,uid,ppid,start_time,cgroup
	[ "$output" = $'a) (b\\nc\t/bin/x (deleted)\t/tmp\tprog -a two words\t4294967294\t17\t1002\t/unified' ]
	printf '2:x:/\n1:cpu:/cpu\n' >"$p/cgroup"
	rm "$p/comm"
	run -0 "$PSOCK" -r "$R" -H -o comm,cgroup
	[ "$output" = $'a) (b\\nc\t/cpu' ]
}

@test "no link of another root's tree is followed" {
	proc 42 1
	rmdir "$R/proc/42/net"
	ln -s /proc/self/net "$R/proc/42/net"
	run -1 --separate-stderr "$PSOCK" -r "$R" -H
	[ "$output" = "" ]
	rm "$R/proc/42/net"
	mkdir "$R/proc/42/net"
	mkfifo "$R/proc/42/net/tcp"
	run -1 --separate-stderr timeout 20 "$PSOCK" -r "$R" -H
	[ "$stderr" = "psock: table tcp: Invalid argument" ]
}

@test "no proc, or an empty one, is no answer" {
	run -2 "$PSOCK" -r "$R"
	rmdir "$R/proc"
	run -2 "$PSOCK" -r "$R"
}

# bats test_tags=live
@test "what no column prints is not read" {
	local p=$R/proc/42 trace=$BATS_TEST_TMPDIR/trace file
	command -v strace >/dev/null || skip "no strace"
	strace -o "$trace" true 2>/dev/null || skip "strace may not trace"
	# Who is not root sees no names in the calls of a confined process.
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	proc 42 1 3:7
	inet "$p/net/tcp" 0100007F:0001 00000000:0000 0A 7
	for file in comm stat status cmdline cgroup; do
		echo "$file" >"$p/$file"
	done
	ASAN_OPTIONS=detect_leaks=0 strace -f -o "$trace" "$PSOCK" -r "$R" \
		-H -t tcp -o pid,fd
	run -1 grep -E '"(comm|stat|status|cmdline|cgroup|exe|cwd|udp)"' \
		"$trace"
	grep -q '"tcp"' "$trace"
	ASAN_OPTIONS=detect_leaks=0 strace -f -o "$trace" "$PSOCK" -r "$R" \
		-H -o comm,exe >/dev/null
	grep -q '"comm"' "$trace"
	grep -q '"exe"' "$trace"
	run -1 grep -E '"(status|cmdline|cgroup|cwd)"' "$trace"
}

@test "holders and rows that must be sorted, by thousands" {
	command -v python3 >/dev/null || skip 'no python3'
	proc 42 1
	proc 43 1
	mkdir -p "$R/proc/43/task/43" "$R/proc/43/task/44/fd" "$R/proc/43/task/44/ns"
	ln -s 'net:[1]' "$R/proc/43/task/44/ns/net"
	python3 - "$R/proc/43" <<'END'
import os, sys
os.chdir(sys.argv[1])
for i in range(999, -1, -1):
    os.symlink('socket:[%d]' % (i + 1), 'fd/%d' % (2 * i + 3))
    os.symlink('socket:[%d]' % (i + 2000), 'task/44/fd/%d' % (2 * i + 4))
END
	run -0 "$PSOCK" -r "$R" -H -o fd
	[ "${#lines[@]}" = 2000 ]
	[ "$output" = "$(seq 3 2002)" ]
}
