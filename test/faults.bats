#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What both tools do when the kernel says no: every system call and every
# malloc(3) for one small tree fails or comes back short once, see
# test/fault.c.  FAULTS=all asks for more calls and more errors.

# shellcheck disable=SC2030,SC2031,SC2154 # each test is a process

all_psock=pid,fd,socket,family,protocol,local_address,remote_address
all_psock+=,local_port,remote_port,path,state,net_namespace,tid,comm,exe,cwd
all_psock+=,cmdline,uid,ppid,start_time,cgroup,type,owner,rx_queue,tx_queue
all_psock+=,interface
all_shhist=uid,time,command,history_file,user,format,line,duration

setup_file() {
	local name
	mkdir -p "$BATS_TEST_DIRNAME/bin"
	for name in fault sockets; do
		[ "$BATS_TEST_DIRNAME/bin/$name" -nt \
			"$BATS_TEST_DIRNAME/$name.c" ] ||
			cc -std=gnu11 -O1 -Wall -pthread \
				-o "$BATS_TEST_DIRNAME/bin/$name" \
				"$BATS_TEST_DIRNAME/$name.c"
	done
	# Builds whose malloc(3) can fail; what it takes is never given back.
	for name in psock shhist; do
		cc -O1 -DVERSION='"x"' -o "$BATS_FILE_TMPDIR/$name" \
			"$BATS_TEST_DIRNAME"/{../$name.c,../common.c,malloc.c}
	done
}

setup() {
	# Sanitizers' own memory and calls are not what is tested.
	psock=$BATS_TEST_DIRNAME/../psock
	shhist=$BATS_TEST_DIRNAME/../shhist
	fault=("$BATS_TEST_DIRNAME/bin/fault")
	[ "${FAULTS-}" != all ] || fault+=(-a)
	R=$BATS_TEST_TMPDIR/root
	mkdir "$R"
	chmod a+rx "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
}

# process PID NAMESPACE FD:INODE...
process() {
	local fd dir=$R/proc/$1
	mkdir -p "$dir/fd" "$dir/ns" "$dir/net" "${dir%/*}"
	ln -s "net:[$2]" "$dir/ns/net"
	ln -s /bin/true "$dir/exe"
	ln -s / "$dir/cwd"
	printf 'a b\0c\0' >"$dir/cmdline"
	echo comm >"$dir/comm"
	printf 'Name:\tcomm\nUid:\t5\t5\t5\t5\n' >"$dir/status"
	echo '0::/a' >"$dir/cgroup"
	echo "1 (comm) S 1$(printf ' 0%.0s' {1..17}) 4200 0" >"$dir/stat"
	shift 2
	for fd; do
		ln -s "socket:[${fd#*:}]" "$dir/fd/${fd%:*}"
	done
}

# A host of two namespaces, with a thread that has its own descriptors.
tree() {
	local ns pid tcp unix packet
	process 7 100 3:11 4:12
	process 9 100 3:13 5:12
	process 30 200 0:21 1:22 2:29
	mkdir -p "$R"/proc/9/task/{9,10}/{fd,ns}
	ln -s 'net:[100]' "$R/proc/9/task/10/ns/net"
	ln -s 'socket:[14]' "$R/proc/9/task/10/fd/8"
	ln -s /bin/true "$R/proc/9/task/10/exe"
	ln -s / "$R/proc/9/task/10/cwd"
	printf 'a\0' >"$R/proc/9/task/10/cmdline"
	echo 'btime 1000' >"$R/proc/stat"
	for ns in 7,11,12,13 30,21,22,23; do
		IFS=, read -r pid tcp unix packet <<<"$ns"
		{
			echo '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
			printf '   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 %d 1 0 100 0 0 10 0\n' \
				"${tcp}0" "$tcp" "$((tcp + 3))"
		} >"$R/proc/$pid/net/tcp"
		{
			echo 'Num       RefCount Protocol Flags    Type St Inode Path'
			printf '0000000000000000: 00000002 00000000 00000000 0001 03 %5d /x\n' \
				"$unix" "${unix}0"
		} >"$R/proc/$pid/net/unix"
		printf 'sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n0000000000000000 3      3    0003   2     1 5      1000      %d\n' \
			"$packet" >"$R/proc/$pid/net/packet"
		printf 'Idx\tDevice\n2\teth0      :     1      V3\n' \
			>"$R/proc/$pid/net/igmp"
		printf 'protocol  size sockets  memory\nUNIX 1 2 -1\n' \
			>"$R/proc/$pid/net/protocols"
	done
}

# Homes of two users and one that no entry claims.
homes() {
	mkdir -p "$R"/{etc,root,home/{ann,orphan}/.zsh_sessions}
	printf '%s:x:%s:/bin/sh\n' root 0:0:root:/root \
		ann 4001:4001:ann:/home/ann >"$R/etc/passwd"
	printf '#17\nls\n#18\nid\n' >"$R/home/ann/.bash_history"
	printf 'ls\nid\n' >"$R/root/.history"
	printf ': 17:1;ls\n' >"$R/home/ann/.zsh_sessions/a.history"
	printf ': 17:2;ls\n' >"$R/home/ann/.zsh_sessions/b.history"
	printf ': 17:2;ls\n' >"$R/home/orphan/.zsh_sessions/c.history"
	printf 'plain\n' >"$R/home/orphan/.ash_history"
	printf '\253\315\377\0\0\0\1a b\0\377\0\0\0\2c d\0' \
		>"$R/home/orphan/.mksh_history"
	[ "$(id -u)" -ne 0 ] || chown -R 4001 "$R/home/ann"
}

@test "psock: each call that fails once is told, or costs nothing" {
	tree
	"${fault[@]}" "$psock" -r "$R" -o "$all_psock"
}

@test "psock: each malloc that fails is told" {
	tree
	"${fault[@]}" -m "$BATS_FILE_TMPDIR/psock" -r "$R" -o "$all_psock"
}

@test "psock: the same on the running kernel, with sockets to be asked" {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	# Alone: others come and go.  Without TCP sockets, for time.
	unshare --net --pid --mount --fork --mount-proc bash -c '
		ip link set lo up
		coproc S { exec "$1" unix=@x unbound udp-unbound netlink \
			raw-filter packet-filter thread-netns; }
		while read -r line <&"${S[0]}" && [ "$line" != ready ]; do
			:
		done
		shift
		"$@"
	' - "$BATS_TEST_DIRNAME/bin/sockets" "${fault[@]}" "$psock" \
		-o "$all_psock,filter" 3>&-
}

@test "shhist: each call that fails once is told, or costs nothing" {
	homes
	"${fault[@]}" "$shhist" -r "$R" -o "$all_shhist"
	"${fault[@]}" "$shhist" -o "$all_shhist" "$R"/home/ann/.bash_history -
}

@test "shhist: each malloc that fails is told" {
	homes
	"${fault[@]}" -m "$BATS_FILE_TMPDIR/shhist" -r "$R" -o "$all_shhist"
}
