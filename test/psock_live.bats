#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock on the running kernel: real sockets from test/sockets.c, namespaces,
# threads, a user without privilege, and kernels that lack system calls.

# bats file_tags=host

# shellcheck disable=SC2030,SC2031 # each test is a process
# shellcheck disable=SC2154 # output and errors are set by the helper and bats

load live_helper

inet_kinds=(tcp tcp6 pair unaccepted udp udp6 udplite)
unix_kinds=(unix=@psock-live-$$ 'dgram=@psock\x0alive\x00\xff' socketpair)

@test "one row for each socket of each kind" {
	sockets "${inet_kinds[@]}" "${unix_kinds[@]}" seqpacket=@psock-seq-$$
	live -p "$pid"
	all_rows
	is "$status$errors" 0
	is "$(wc -l <<<"$output")" "$(grep -vc ' - ' <<<"${opened%$'\n'}")"
}

@test "a listener: its row, field for field" {
	sockets tcp
	live -p "$pid" -t tcp
	is "$status$errors" 0
	local port ns
	port=$(cut -f 8 <<<"$output")
	ns=$(readlink /proc/self/ns/net | tr -dc 0-9)
	is "$output" "$(printf '%s\t3\t%s\t2\t6\t127.0.0.1\t0.0.0.0\t%s\t0\t\tLISTEN\t%s' \
		"$pid" "$(inode_of tcp)" "$port" "$ns")"
	[ "$port" -gt 0 ]
}

@test "-r of the running system: root sees who holds what" {
	need_root
	sockets tcp
	live -r / -t tcp -o pid,fd,socket
	is "$(row tcp)" "$pid	3	$(inode_of tcp)"
}

@test "-r of the running system, without root: a process looks at itself, too" {
	need_root
	unprivileged
	psock=$open/psock
	wrap=(unshare --pid --fork --mount --mount-proc setpriv
		--reuid=65534 --regid=65534 --clear-groups)
	live -r /
	is "$errors" ''
	is "$status" 0
}

@test "-p: a thread is no process" {
	sockets tcp thread
	given thread
	local tid
	tid=$(awk '$1 == "thread" { print $3 }' <<<"$opened")
	live -p "$tid"
	is "$output" ''
	is "$errors" "psock: process $tid: No such process"
	is "$status" 1
}

@test "a connection: both ends agree" {
	sockets pair
	live -p "$pid" -t tcp
	is "$(row pair 2 | cut -f 6-9,11)" \
		"$(row pair 3 | awk -F '\t' -v OFS='\t' \
		'{ print $7, $6, $9, $8, $11 }')"
	is "$(row pair 2 | cut -f 11)" ESTABLISHED
	is "$(row pair 1 | cut -f 11)" LISTEN
}

@test "a connection that is not accepted yet is nobody's" {
	sockets unaccepted
	live -t tcp
	local port
	port=$(row unaccepted 1 | cut -f 8)
	is "$(awk -F '\t' -v p="$port" '$8 == p && $11 == "ESTABLISHED" {
		print $1, $2, $3 }' <<<"$output")" '-1 -1 0'
}

@test "duplicated and inherited listeners have a row for each holder" {
	sockets dup fork
	local child
	child=$(awk -v p="$pid" '$1 == "fork" && $2 != p { print $2 }' \
		<<<"$opened")
	live -p "$pid,$child" -o pid,fd,socket,state
	all_rows
	is "$(row dup | cut -f 1 | tr '\n' ' ')" \
		"$(printf '%s\n' "$pid" "$pid" "$child" "$child" |
			sort -n | tr '\n' ' ')"
	is "$(row fork | wc -l)" 2
}

@test "unix names come out byte by byte" {
	sockets 'dgram=@a\x0ab\x00\xff\x1b[31m c' \
		"unix=$BATS_TEST_TMPDIR/s p"
	live -p "$pid" -o pid,fd,socket,path,type,state
	is "$(row dgram | cut -f 4-)" \
		'@a\nb@\xff\x1b[31m c	DGRAM	UNCONNECTED'
	is "$(row unix | cut -f 4-)" "$BATS_TEST_TMPDIR/s p	STREAM	LISTEN"
}

@test "packet, raw and netlink sockets, and their filters" {
	need_root
	sockets packet packet-filter raw raw-filter netlink tcp
	given packet
	live -p "$pid" -o pid,fd,socket,family,protocol,local_port,type,filter
	all_rows
	is "$(row packet | cut -f 4-5,7-)" '17	3	RAW	0'
	is "$(row packet-filter | cut -f 4-5,7-)" '17	2048	RAW	5'
	is "$(row raw | cut -f 4-)" '2	255	253	RAW	0'
	is "$(row raw-filter | cut -f 4-)" '2	255	253	RAW	3'
	is "$(row netlink | cut -f 4-5,7-)" '16	0	RAW	0'
	is "$(row tcp | cut -f 4-5,7-)" '2	6	STREAM	0'
}

@test "sockets in no table are asked themselves" {
	sockets unbound bound udp-unbound vsock
	live -p "$pid" -o pid,fd,socket,family,protocol,local_address,state,net_namespace
	all_rows
	local ns
	ns=$(readlink /proc/self/ns/net | tr -dc 0-9)
	is "$(row unbound | cut -f 4-)" "2	6	0.0.0.0	CLOSE	$ns"
	is "$(row bound | cut -f 4-)" "2	6	127.0.0.1	CLOSE	$ns"
	is "$(row udp-unbound | cut -f 4-)" "2	17	0.0.0.0		$ns"
	given vsock
	is "$(row vsock | cut -f 4)" 40
}

@test "every family, type and protocol that the kernel gives" {
	sockets all
	live -p "$pid" -o pid,fd,socket,family,protocol,type,local_port,net_namespace
	all_rows
	is "$status$errors" 0
	is "$(wc -l <<<"$output")" "$(grep -c ^all <<<"$opened")"
	# The kind says what the socket says; raw ones have their protocol in
	# the local port, SOCK_PACKET (10) has no name.
	is "$(awk -v ns="$(readlink /proc/self/ns/net | tr -dc 0-9)" '
		BEGIN { split("STREAM DGRAM RAW RDM SEQPACKET", name, " ") }
		NF { split($1, k, "/"); port = 0
			if (k[3] == 3 && (k[2] == 2 || k[2] == 10)) {
				port = k[4]
				k[4] = 255
			}
			print $5, k[2], k[4], name[k[3]], port, ns }' \
		<<<"$opened" | sort)" \
		"$(cut -f 3- <<<"$output" | awk -F '\t' '
		{ print $1, $2, $3, $4, $2 == 2 || $2 == 10 ? $5 : 0, $6 }' |
			sort)"
}

@test "without privilege to ask, the protocol's name tells the family" {
	need_root
	"$bin/nosys" pidfd_getfd true || skip 'seccomp filters are refused'
	sockets all
	wrap=("$bin/nosys" pidfd_getfd)
	live -p "$pid" -o pid,fd,socket,family
	all_rows
	is "$(awk 'NF { split($1, k, "/"); print $5, k[2] }' <<<"$opened" |
		sort)" "$(cut -f 3,4 <<<"$output" | tr '\t' ' ' | sort)"
}

@test "a process that ends before it is asked is no error" {
	"$bin/nosys" ended true || skip 'seccomp filters are refused'
	sockets unbound
	wrap=("$bin/nosys" ended)
	live -p "$pid" -o socket,state
	is "$output" "$(inode_of unbound)	"
	is "$status$errors" 0
}

@test "a connection that was reset is in no table" {
	sockets reset
	live -p "$pid" -o pid,fd,socket,family,protocol,local_address,state
	is "$output" "$pid	$(awk 'NF { print $4 }' <<<"$opened")	$(inode_of reset)	2	6	127.0.0.1	CLOSE"
}

@test "a ping socket" {
	sockets ping
	given ping
	live -p "$pid"
	is "$(row ping | cut -f 4-6)" '2	1	127.0.0.1'
}

@test "two network namespaces, each with its own rows" {
	need_root
	under=(unshare -n)
	unshare -n true || skip 'unshare -n is refused'
	sockets unix=@psock-two
	live -p "$pid" -o pid,fd,socket,path,net_namespace
	is "$(row unix | cut -f 4-)" \
		"@psock-two	$(readlink "/proc/$pid/ns/net" | tr -dc 0-9)"
}

@test "every socket of a plain walk has its row" {
	need_root
	sockets "${inet_kinds[@]}" socketpair unbound vsock netlink thread
	walk >"$BATS_TEST_TMPDIR/before"
	live -o pid,fd,socket
	walk >"$BATS_TEST_TMPDIR/after"
	# What was there before and after.
	comm -12 "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" \
		>"$BATS_TEST_TMPDIR/walk"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/walk")" -gt 10 ]
	is "$(sort -u <<<"$output" | comm -13 - "$BATS_TEST_TMPDIR/walk")" ''
}

@test "a socket behind a file whose path is longer than a page" {
	command -v python3 >/dev/null || skip 'no python3'
	need_root
	coproc SOCKETS { cd "$BATS_TEST_TMPDIR" && exec python3 -c '
import os, socket
for i in range(25):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
file = open("file", "w")
tcp = socket.socket()
print(os.fstat(tcp.fileno()).st_ino, flush=True)
input()' 3>&-; }
	pid=$SOCKETS_PID
	read -r inode <&"${SOCKETS[0]}"
	run "$psock" -H -p "$pid" -o pid,socket
	is "$output" "$pid	$inode"
	is "$status" 0
}

@test "a user without privilege: each namespace once, one warning a kind" {
	need_root
	sockets tcp
	unprivileged
	psock=$open/psock
	wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	live -t tcp
	is "$status" 1
	is "$(row tcp | cut -f 1,2,11)" '-1	-1	LISTEN'
	[[ $errors = *' fd: Permission denied'* ]]
	is "$(cut -d : -f 3- <<<"$errors" | sort | uniq -d)" ''
}

@test "a plain user reads in one line why pids are -1, root does not" {
	need_root
	sockets tcp
	unprivileged
	local hint='psock: not root: processes of other users cannot be read, '
	hint+='so their sockets have pid -1; '
	hint+='root sees every process and namespace'
	psock=$open/psock
	live -t tcp
	[[ $errors != *'not root'* ]]
	wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	live -t tcp
	is "$status" 1
	is "$(grep -c 'not root' <<<"$errors")" 1
	is "$(tail -n 1 <<<"$errors")" "$hint"
	live -q -t tcp
	is "$status" 1
	is "$errors" ''
	# A copy of what a root saw, and processes that are the user's own.
	live -r / -t tcp
	[[ $errors != *'not root'* ]]
	live -p "$pid"
	[[ $errors != *'not root'* ]]
}

@test "a plain user is refused two namespaces: the plural is netns" {
	need_root
	unprivileged
	touch "$open/1" "$open/2"
	unshare --mount unshare --net="$open/1" true ||
		skip 'namespaces may not be mounted'
	# shellcheck disable=SC2016 # the inner shell's
	run unshare --net --mount --pid --fork --mount-proc bash -ec '
		unshare --net="$1/1" true
		unshare --net="$1/2" true
		cd "$1"
		exec setpriv --reuid=65534 --regid=65534 --clear-groups \
			./psock -t tcp' - "$open"
	grep -E '^psock: 2 netns \(first: [0-9]+\): setns: Op' <<<"$output"
}

@test "root of a user namespace sees its own, and a warning for others" {
	need_root
	sockets tcp
	unprivileged
	psock=$open/psock
	wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups
		unshare -Ur)
	"${wrap[@]}" true || skip 'user namespaces are refused'
	live -t tcp,unix
	is "$status" 1
	is "$(row tcp | cut -f 1,2,11)" '-1	-1	LISTEN'
	[[ $errors = *' fd: Permission denied'* ]]
	is "$(cut -d : -f 3- <<<"$errors" | sort | uniq -d)" ''
}

@test "a user's own sockets are asked, others printed without their names" {
	need_root
	unprivileged
	bin=$open
	under=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	sockets tcp unbound unix=@psock-own-$$ udp
	psock=$open/psock
	wrap=("${under[@]}")
	live -p "$pid"
	all_rows
	is "$status" 0
	is "$(row unbound | cut -f 4,5,11)" '2	6	CLOSE'
}

@test "no namespace is printed twice for a user without privilege" {
	need_root
	under=(unshare -n)
	unshare -n true || skip 'unshare -n is refused'
	sockets unix=@psock-far unix=@psock-far2
	unprivileged
	psock=$open/psock
	wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	live -t unix
	is "$(row unix 1 | cut -f 1,2,10)" '-1	-1	@psock-far'
	is "$(grep -c '@psock-far' <<<"$output")" 2
}

@test "comm, exe, cwd, cmdline, uid and ppid of a real process" {
	sockets tcp
	live -p "$pid" -o pid,comm,exe,cwd,cmdline,uid,ppid
	is "$output" "$(printf '%s\tsockets\t%s\t%s\t%s tcp\t%s\t%s' "$pid" \
		"$(readlink -f "$bin/sockets")" "$(pwd -P)" "$bin/sockets" \
		"$(id -u)" "$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")")"
	is "$status" 0
}

# opened ARGUMENT...: the last parts of the names that psock opens or reads.
opened() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o "$BATS_TEST_TMPDIR/trace" \
		-e trace=open,openat,readlink,readlinkat,pidfd_getfd \
		"$psock" "$@" >/dev/null 2>&1 || [ $? -lt 2 ]
	# What a sanitizer asks of itself is not psock's.
	sed -n '/"\/proc\/self\//d
		s/^[0-9]* *[a-z_]*([^"]*"\([^"]*\)".*/\1/p
		s/^[0-9]* *\(pidfd_getfd\)(.*/\1/p' "$BATS_TEST_TMPDIR/trace" |
		sed 's|.*/||' | sort -u
}

@test "what is not asked for is not read" {
	command -v strace >/dev/null || skip 'no strace'
	sockets tcp udp unix=@psock-strace-$$ packet
	local all='comm exe cwd cmdline status stat cgroup igmp pidfd_getfd'
	local column file read
	# Default columns: nothing of a process but descriptors, nothing asked.
	read=$(opened -p "$pid")
	for file in $all; do
		is "$(grep -x "$file" <<<"$read")" ''
	done
	# Each column reads its own file and no other.
	while read -r column file; do
		read=$(opened -p "$pid" -o "fd,$column")
		is "$column: $(grep -xE "${all// /|}" <<<"$read" |
			tr '\n' ' ')" "$column: $file "
	done <<-'END'
		comm comm
		exe exe
		cwd cwd
		cmdline cmdline
		uid status
		ppid stat
		start_time stat
		cgroup cgroup
		filter pidfd_getfd
	END
	# -t: no other table; -p: no other process.
	read=$(opened -p "$pid" -t udp)
	is "$(grep -xE 'tcp6?|udp6?|unix|packet|netlink|raw6?|icmp6?|eps' \
		<<<"$read")" udp
	is "$(sed -n 's/.*openat(.*"\([0-9]*\)", .*O_DIRECTORY.*/\1/p' \
		"$BATS_TEST_TMPDIR/trace" | sort -u)" "$pid"
}

@test "-p reads the tables that may list what the process holds" {
	command -v strace >/dev/null || skip 'no strace'
	need_root
	local kind want read tables='tcp6?|udp6?|unix|packet|netlink|raw6?|icmp6?'
	while read -r kind want; do
		sockets "$kind"
		given "$kind" || continue
		read=$(opened -p "$pid" | grep -xE "$tables" | tr '\n' ' ')
		is "$kind: $read" "$kind: $want "
		hang_up
	done <<-'END'
		tcp tcp
		udp6 udp6
		unix=@psock-p unix
		pair tcp
	END
	# No table lists these.
	sockets vsock
	given vsock
	read=$(opened -p "$pid" | grep -xE "$tables" || :)
	is "$read" ''
}

@test "-p: a socket in the namespace of but one of its processes" {
	need_root
	local parent child
	coproc MOVED { exec python3 -c '
import ctypes, os, socket, sys
held = socket.create_server(("127.0.0.1", 0))
child = os.fork()
if child:
    if ctypes.CDLL(None).unshare(0x40000000):   # CLONE_NEWNET
        os._exit(1)
    print(os.getpid(), child, flush=True)
sys.stdin.read()' 3>&-; }
	pid=$MOVED_PID
	read -r parent child <&"${MOVED[0]}" || skip 'no new network'
	live -p "$parent,$child" -o pid,state,rx_queue
	is "$output" "$parent	LISTEN	0"$'\n'"$child	LISTEN	0"
}

@test "start_time is when the process started" {
	sockets tcp
	local now
	now=$(date +%s)
	live -p "$pid" -o start_time
	[ "$output" -ge $((now - 20)) ]
	[ "$output" -le $((now + 2)) ]
}

@test "/dev/full and a closed standard output are exit 2" {
	run sh -c "'$psock' >/dev/full"
	is "$status" 2
	[[ $output = psock:* ]]
	run sh -c "'$psock' >&-"
	is "$status" 2
}

# Kernels that lack system calls: the same rows, less what only that call
# tells, and never a crash.
calls=(pidfd_open pidfd_getfd kcmp fsopen fsmount openat2 statx setns)

# scene: what psock tells of $pid and of the namespace that it left, sorted.
scene() {
	live -o pid,fd,socket,family,path,state,tid,net_namespace
	[ "$status" -lt 2 ]
	awk -F '\t' -v p="$pid" -v ns="$(inode_of netns-fd)" '
		$NF == ns { print ns, "is read" }
		$1 == p { NF--; print }' <<<"$output" | sort -u
}

@test "without each system call alone, and without all" {
	need_root
	"$bin/nosys" kcmp true || skip 'seccomp filters are refused'
	local c want head='0000000000000000: 00000002 00000000 00010000 0001 01'
	sockets unix=@true "dgram=@1\x0a$head %1 @lie" "${inet_kinds[@]}" \
		"${unix_kinds[@]}" unbound reset vsock thread three-threads \
		in-ring netns-fd thread-netns
	scene >"$BATS_TEST_TMPDIR/full"
	all_rows
	grep -q 'is read' "$BATS_TEST_TMPDIR/full"
	for c in "${calls[@]}" "$(IFS=,; echo "${calls[*]}")"; do
		want=
		case $c in
		*pidfd*)	# Neither states nor the truth of names.
			want+="< @1\\n$head $(inode_of unix) @lie
> @1
> @lie
< CLOSE
< CLOSE
> 
> 
" ;;&
		*setns*) want+="< $(inode_of netns-fd) is read
" ;;
		esac
		wrap=("$bin/nosys" "$c")
		scene >"$BATS_TEST_TMPDIR/now"
		echo "without $c:"
		is "$(diff "$BATS_TEST_TMPDIR/full" "$BATS_TEST_TMPDIR/now" |
			sed -n '/is read/p
			s/^\([<>]\) [^ ]* [^ ]* [^ ]* 1 \(.*\) [A-Z]* [0-9]*$/\1 \2/p
			s/^\([<>]\) [^ ]* [^ ]* [^ ]* 2  \([A-Z]*\) [0-9]*$/\1 \2/p' |
			sort)" "$(printf %s "$want" | sort)"
		output=$(grep -v '	@lie	' <<<"$output")
		all_rows
	done
}

@test "-x: the same rows, and nothing is hidden on a normal host" {
	need_root
	sockets "${inet_kinds[@]}" socketpair thread
	live -p "$pid" -o pid,fd,socket
	local without=$output
	is "$status$errors" 0
	live -x -p "$pid" -o pid,fd,socket
	is "$output" "$without"
	is "$status$errors" 0
}

@test "-x asks for threads, too, and takes none for a process" {
	need_root
	sockets tcp thread three-threads
	live -x -t tcp
	[[ $errors != *'not listed in /proc'* ]]
	# Before Linux 5.3.
	wrap=("$bin/nosys" pidfd_open)
	live -x -t tcp
	[[ $errors != *'not listed in /proc'* ]]
}

@test "beside processes that are out of sight: it says so, and counts nothing" {
	need_root
	[ "$(readlink /proc/self/ns/pid)" = 'pid:[4026531836]' ] ||
		skip 'not in the first namespace of processes'
	sockets tcp unbound
	# A container with processes of its own in the network of the host.
	wrap=(unshare -p -f --mount-proc)
	live
	is "$status" 1
	[[ $errors = *"this pid namespace is not the host's: processes outside"* ]]
	[[ $errors != *'counted by the kernel'* ]]
	# Whose network is its own sees all that is in there.
	wrap=(unshare -n -p -f --mount-proc)
	live
	is "$status$errors" 0
}
