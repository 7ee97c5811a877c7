#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What the kernel counts is what psock shows, or it says how much it does not
# show: sockets that no descriptor holds, descriptors on the move, processes
# and rows that are left out.  CHURN_RUNS and MOVE_RUNS ask for more runs.

# bats file_tags=live

# shellcheck disable=SC2016 # expanded on the other host
# shellcheck disable=SC2154 # set by bats and the helpers

load live_helper

T=$BATS_TEST_TMPDIR

setup() {
	bin=$BATS_TEST_DIRNAME/bin
	pid=
	mount=
	open=
	need_root
	unshare -n -p -m -f true || skip 'namespaces are refused'
	export bin psock
}

# beside PROGRAM COMMAND: on a host of its own, where $before has been run and
# PROGRAM has opened what it says in $opened, runs COMMAND, a line of a shell in
# which $pid is the program; its $output, $errors and $status.  There, psock
# takes the namespace of processes for the initial one, outside of which nobody
# is, and hidden is psock under a kernel that lies, by the options before --.
beside() {
	run timeout -s KILL 1800 unshare --net --pid --mount --fork \
		--kill-child --mount-proc bash -uc '
		psock() {
			"$bin/rootkit" -i "$psock" "$@"
		}
		hidden() {
			local options=()
			while [ "$1" != -- ]; do
				options+=("$1")
				shift
			done
			shift
			"$bin/rootkit" -i "${options[@]}" "$psock" "$@"
		}
		cd "$1"
		ip link set lo up
		eval "$2"
		: >opened
		if [ -n "$3" ]; then
			coproc P { eval "exec $3"; }
			pid=$P_PID
			while read -r line <&"${P[0]}" &&
			    [ "$line" != ready ]; do
				echo "$line"
			done >opened
		fi
		readlink /proc/self/ns/net | tr -dc 0-9 >ns
		eval "$4" 2>errors' - "$T" "${before:-}" "$1" "$2" 3>&-
	opened=$(cat "$T/opened")
	errors=$(cat "$T/errors")
}

# is_whole: psock says that nothing is missing.
is_whole() {
	[ "$status" -eq 0 ] && [ -z "$errors" ] || {
		echo "status $status: $errors"
		return 1
	}
}

# counts: psock says that the kernel counts more in that namespace.
counts() {
	[ "$status" -eq 1 ] &&
		[[ $errors = *"$(cat "$T/ns")"*'counted by the kernel'* ]] || {
		echo "status $status: $errors"
		return 1
	}
}

# No false alarm.

@test "a host where nothing is going on is whole, and a container" {
	local i
	for i in 1 2 3; do
		# What ip has closed is counted for some milliseconds.
		beside '' 'psock -H'
		is_whole
		beside '' '"$psock" -H'
		is_whole
	done
}

@test "sockets of every kind that are held are whole" {
	local kind
	for kind in tcp tcp6 pair unaccepted dup fork unbound bound udp udp6 \
		mptcp xdp reset in-ring udp-unbound udplite raw packet \
		netlink vsock unix=@a accepted=@a waiting=@a socketpair dgram \
		seqpacket=@a thread thread-netns netns-fd netns-socket all \
		leader-exits; do
		beside "\$bin/sockets tcp $kind" 'psock -H'
		is_whole || {
			echo "$kind"
			return 1
		}
	done
}

@test "sockets that are on their way to another process are whole" {
	local kind
	for kind in in-flight unix-in-flight=@a; do
		beside "\$bin/sockets $kind" 'psock -H'
		is_whole
	done
}

@test "connections that are closed but not over are whole" {
	command -v python3 >/dev/null || skip 'no python3'
	cat >"$T/closed" <<-'END'
		import socket, sys
		to = socket.socket()
		to.bind(("127.0.0.1", 0))
		to.listen()
		def connect():
		    s = socket.create_connection(to.getsockname())
		    return s, to.accept()[0]
		keep = []
		for i in range(5):
		    # FIN_WAIT1, as not all could be sent.
		    s, peer = connect()
		    keep.append(peer)
		    s.setblocking(False)
		    try:
		        while True:
		            s.send(bytes(65536))
		    except BlockingIOError:
		        s.close()
		    # FIN_WAIT2 and TIME_WAIT.
		    s, peer = connect()
		    keep.append(peer)
		    s.close()
		    s, peer = connect()
		    s.close()
		    peer.close()
		    # In the queue of the listener, alive and not.
		    keep.append(socket.create_connection(to.getsockname()))
		    socket.create_connection(to.getsockname()).close()
		    keep += [connect() for i in range(2)]
		print("ready", flush=True)
		sys.stdin.readline()
	END
	beside 'python3 closed' 'psock -H -o pid,socket,state'
	for state in FIN_WAIT1 TIME_WAIT; do
		grep -q "	$state\$" <<<"$output"
	done
	is_whole
}

@test "sockets of the kernel itself are whole" {
	local add kinds=0
	for add in 'ip link add a type vxlan id 1 dstport 4789 dev lo' \
		'ip link add a type geneve id 1 remote 127.0.0.1' \
		'ip link add a type bareudp dstport 6635 ethertype ip' \
		'ip link add a type wireguard' \
		'ip mptcp endpoint add 127.0.0.1 port 9999 dev lo signal'; do
		before="$add && ip link set a up" beside '' 'psock -H'
		grep -q '^-1	-1	[1-9][0-9]*	10*	[16]' \
			<<<"$output" || [[ $output = *9999* ]] ||
			[[ $output = *4789* ]] || [[ $output = *6081* ]] ||
			[[ $output = *6635* ]] || continue
		is_whole || {
			echo "$add"
			return 1
		}
		kinds=$((kinds + 1))
	done
	[ "$kinds" -gt 0 ] || skip 'the kernel has no such sockets'
}

@test "sockets that the kernel lets nobody ask are held, not missing" {
	beside '"$bin/sockets" tcp unbound udp-unbound vsock' \
		'"$bin/rootkit" -i "$bin/nosys" pidfd_getfd "$psock" -H'
	all_rows
	[[ $errors != *'counted by the kernel'* ]]
	command -v python3 >/dev/null || return 0
	# MPTCP, which is counted twice.
	beside "python3 -c 'import socket, sys; s = socket.socket(2, 1, 262)
s.listen(); print(\"ready\", flush=True); sys.stdin.readline()'" \
		'"$bin/rootkit" -i "$bin/nosys" pidfd_getfd "$psock" -H'
	is_whole
}

@test "beside a socket that cannot be asked, others are counted" {
	before='sleep inf | "$bin/sockets" unbound >other &
		until grep -q ready other; do :; done' \
		beside '"$bin/ghosts" ring-udp' \
		'"$bin/rootkit" -i "$bin/nosys" pidfd_getfd "$psock" -H'
	[[ $opened != *' - '* ]] || skip "$opened"
	counts
	[[ $errors = *': 1 socket is counted by the kernel and seen nowhere' ]]
}

@test "no false alarm beside namespaces that go with their only socket" {
	command -v python3 >/dev/null || skip 'no python3'
	cat >"$T/going" <<-'END'
		import ctypes, os, socket, time
		libc = ctypes.CDLL(None)
		home = os.open("/proc/self/ns/net", os.O_RDONLY)
		def alone():
		    libc.unshare(0x40000000)    # CLONE_NEWNET
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.bind(("", 1))
		    libc.setns(home, 0)
		    return s
		keep = [alone() for i in range(20)]
		print("ready", flush=True)
		while True:
		    keep.pop(0).close()
		    time.sleep(0.002)
		    keep.append(alone())
	END
	beside 'python3 going' 'for ((i = 0; i < ${CHURN_RUNS:-20}; i++)); do
			psock -H -t udp || exit
		done'
	is_whole
}

@test "no false alarm beside sockets that come and go" {
	beside '"$bin/churn" ${CHURN_SOCKETS:-500} \
		tcp,tcp6,udp,udp6,raw,unix,netlink' '
		for ((i = 0; i < ${CHURN_RUNS:-20}; i++)); do
			psock -H -p 1 >rows 2>&1
			grep "counted by the kernel" rows
			psock -H >all 2>&1
			grep "counted by the kernel" all
		done
		[ -s all ]'
	is "$output" ''
	is "$status" 0
}

# Held by a mapping: shown with the process.

# shows KIND FAMILY: its socket has a row of its process, which names no
# descriptor.
shows() {
	local name ghost inode
	read -r name ghost inode <<<"$(grep "^$1 " <<<"$opened")"
	[ "$ghost" != - ] || skip "$opened"
	is "$(grep "	$inode	" <<<"$output" | cut -f 1-4)" \
		"$ghost	-1	$inode	$2"
}

@test "a packet socket whose ring stays mapped after close" {
	beside '"$bin/ghosts" packet-map' 'psock -H'
	shows packet-map 17
	is "$(grep -c '	17	3	' <<<"$output")" 1
}

@test "a mapped packet ring of a process that -p names" {
	beside '"$bin/ghosts" packet-map' 'psock -H -p "$pid"'
	shows packet-map 17
}

@test "a mapped packet ring of a process whose leader has exited" {
	beside '"$bin/ghosts" packet-map leader-exits' 'psock -H -o +comm,exe'
	shows packet-map 17
	is "$(grep "	17	3	" <<<"$output" | cut -f 13-)" "ghosts	$bin/ghosts"
}

@test "an AF_XDP socket whose ring stays mapped after close" {
	beside '"$bin/ghosts" xdp-map' 'psock -H'
	# Nothing tells its family.
	[[ $output = *'	44	'* ]] || shows xdp-map 0
	[[ $output != *'	44	'* ]] || shows xdp-map 44
}

@test "a TCP listener that only a mapping holds" {
	beside '"$bin/ghosts" tcp-map' 'psock -H'
	shows tcp-map 2
	is "$(grep -c '	LISTEN	' <<<"$output")" 1
}

@test "a namespace that only a mapping keeps" {
	# Its tables are out of reach: who holds it is not.
	beside '"$bin/ghosts" elsewhere-tcp-map tcp-map' 'psock -H'
	shows tcp-map 2
	shows elsewhere-tcp-map 0
}

@test "a mapped file that is named like a socket" {
	command -v python3 >/dev/null || skip 'no python3'
	cat >"$T/named" <<-'END'
		import array, mmap, socket
		# Maps are read for a socket that nobody seems to hold.
		sent, got = socket.socketpair()
		udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		udp.bind(("127.0.0.1", 0))
		sent.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
		    array.array("i", [udp.fileno()]))])
		udp.close()
		with open("socket:[999999999]", "wb+") as f:
		    f.write(bytes(4096))
		    f.flush()
		    memory = mmap.mmap(f.fileno(), 4096)
		print("ready", flush=True)
		input()
	END
	beside 'python3 "$PWD/named"' 'psock -H -o pid,fd,socket'
	[[ $output != *999999999* ]]
	grep -q '^-1	-1	' <<<"$output"
}

@test "no maps are read where nothing is amiss" {
	command -v strace >/dev/null || skip 'no strace'
	beside '"$bin/sockets" tcp udp unbound unix=@a socketpair netlink' \
		'"$bin/rootkit" -i strace -f -qq -o trace -e trace=openat,open \
			"$psock" -H'
	is "$status" 0
	grep -q '"sockstat"\|/sockstat' "$T/trace"
	# A sanitizer reads its own.
	is "$(grep -v '/proc/self/maps' "$T/trace" | grep -c 'maps"')" 0
}

# Held by what nothing in procfs shows: counted.

@test "a ring without a descriptor that holds a vsock listener" {
	beside '"$bin/ghosts" ring-vsock' 'psock -H'
	[[ $opened != *' - '* ]] || skip "$opened"
	counts
	[[ $errors = *'1 socket'* ]]
}

@test "a ring without a descriptor that holds an unbound UDP socket" {
	beside '"$bin/ghosts" ring-udp ring-udp' 'psock -H'
	[[ $opened != *' - '* ]] || skip "$opened"
	counts
	[[ $errors = *'2 sockets'* ]]
}

@test "a request to accept connections that goes on after close" {
	beside '"$bin/ghosts" accept-tcp' 'psock -H'
	[[ $opened != *' - '* ]] || skip "$opened"
	# That has a row.
	is "$(grep -c '	LISTEN	' <<<"$output")" 1
	[[ $errors != *'counted by the kernel'* ]]
	beside '"$bin/ghosts" accept-vsock' 'psock -H'
	counts
}

# Descriptors on the move.

@test "a socket that moves over hundreds of descriptors" {
	beside '"$bin/moving" over 250' '
		read -r who tcp udp <opened
		for ((i = 0; i < ${MOVE_RUNS:-200}; i++)); do
			s=0
			psock -H -o pid,socket >rows 2>what || s=$?
			for inode in "$tcp" "$udp"; do
				grep -q "^$who	$inode\$" rows ||
					{ [ "$s" -eq 1 ] &&
					grep -qE "$who.*moved|counted" what; } ||
					echo "$inode, status $s: $(cat what)"
			done
		done | sort | uniq -c'
	is "$output" ''
}

# Left out of the list, and of the tables.

listed='sockets tcp unbound udp unix=@a thread'

@test "-x finds a process that is left out of the list" {
	beside "\$bin/$listed" 'hidden -p "$pid" -- -x -H'
	all_rows
	local who
	read -r _ who _ <<<"$opened"
	is "$status" 1
	[[ $errors = *"process $who: not listed"* ]]
}

@test "-x says nothing where all are listed" {
	beside "\$bin/$listed" 'hidden -p 99999 -- -x -H'
	all_rows
	is_whole
}

@test "-x finds a process under a mount" {
	beside "\$bin/$listed" 'mount -t tmpfs none "/proc/$pid"
		psock -x -H'
	all_rows
}

@test "a process that is left out of the list: its sockets are counted" {
	beside "\$bin/$listed" 'hidden -p "$pid" -- -H'
	counts
}

@test "rows that are left out of a table, of a socket that is held" {
	beside '"$bin/sockets" tcp' 'psock -H >whole
		hidden -t tcp " 0100007F:" -- -H
		exit $?'
	# All that the table says, from the socket itself.
	is "$(grep '	LISTEN	' <<<"$output")" \
		"$(grep '	LISTEN	' "$T/whole")"
	is "$(wc -l <<<"$output")" "$(wc -l <"$T/whole")"
}

@test "who looks again sees namespaces that sockets alone keep again" {
	beside "\$bin/sockets in-flight$(printf ' netns-socket%.0s' {1..9})" \
		'hidden -t tcp " 0100007F:" -- -H'
	all_rows
	counts
	# A socket whose namespace is not known is in namespace 0.
	is "$(cut -f 12 <<<"$output" | grep -c '^0$')" 0
}

@test "no worker can be forked: who reads a table again has no row twice" {
	beside '"$bin/sockets" unix=@a unix-in-flight=@b' '"$bin/rootkit" -i \
		-t unix " @a" -- "$bin/nosys" fork,pidfd_getfd "$psock" -H'
	is "$(grep -c '	@b	' <<<"$output")" 1
}

@test "a process and its rows that are left out" {
	beside '"$bin/sockets" tcp' \
		'hidden -p "$pid" -t tcp " 0100007F:" -- -H'
	[[ $output != *LISTEN* ]]
	counts
	[[ $errors = *': 1 socket is counted by the kernel and seen nowhere' ]]
	beside '"$bin/sockets" tcp' \
		'hidden -p "$pid" -t tcp " 0100007F:" -- -x -H'
	all_rows
	is "$(grep -c '	LISTEN	' <<<"$output")" 1
}
