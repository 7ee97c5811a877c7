#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Nothing hides from psock: threads with descriptors or namespaces of their
# own, exited leaders, namespaces that no process is in, sockets that no
# descriptor holds, mounts over /proc.

# bats file_tags=live

# shellcheck disable=SC2030,SC2031 # each test is a process
# shellcheck disable=SC2154 # output and errors are set by the helper and bats

bats_require_minimum_version 1.5.0

load live_helper

@test "a thread with descriptors of its own" {
	sockets tcp thread tcp
	given thread
	live -p "$pid" -o pid,fd,socket,tid
	all_rows
	local tid
	tid=$(awk '$1 == "thread" { print $3 }' <<<"$opened")
	is "$(row thread | cut -f 4)" "$tid"
	is "$(row tcp 1 | cut -f 4)" "$pid"
	[ "$tid" != "$pid" ]
}

# exactly: every socket that was opened has its row, and just one.
exactly() {
	all_rows
	is "$(wc -l <<<"$output")" "$(grep -c "^[^ ]* $pid " <<<"$opened")"
}

@test "threads that share descriptors with each other alone" {
	local with
	for with in '' leader-exits; do
		# shellcheck disable=SC2086 # no word where it is empty
		sockets three-threads $with
		live -p "$pid" -o pid,fd,socket,tid
		exactly
		is "$(cut -f 3,4 <<<"$output" | sort)" \
			"$(awk 'NF { print $5 "\t" $3 }' <<<"$opened" | sort)"
		hang_up
	done
}

@test "a leader that has left the descriptors of its threads" {
	sockets main-unshares
	live -p "$pid" -o pid,fd,socket,tid
	exactly
	is "$(cut -f 2 <<<"$output" | sort -u | wc -l)" 1
}

@test "a thread in another network namespace" {
	need_root
	sockets thread-netns
	given thread-netns
	live -o pid,fd,socket,path,state,net_namespace
	is "$(row thread-netns | cut -f 4-5)" '@in-thread-netns	LISTEN'
	[ "$(row thread-netns | cut -f 6)" != \
		"$(readlink /proc/self/ns/net | tr -dc 0-9)" ]
}

@test "a process whose leader has exited" {
	sockets tcp leader-exits
	live -p "$pid" -o pid,fd,socket,state,tid
	all_rows
	is "$(row tcp | cut -f 4)" LISTEN
	[ "$(row tcp | cut -f 5)" != "$pid" ]
}

@test "a thread of its own descriptors whose leader has exited" {
	need_root
	sockets tcp thread thread-netns leader-exits
	given thread-netns
	live -p "$pid" -o pid,fd,socket,tid,net_namespace
	exactly
	is "$(row thread | cut -f 4)" \
		"$(awk '$1 == "thread" { print $3 }' <<<"$opened")"
	[ "$(row thread-netns | cut -f 5)" != "$(row thread | cut -f 5)" ]
}

@test "a socket that is on its way to another process is nobody's" {
	sockets in-flight unix-in-flight=@psock-in-flight-$$
	live -t tcp,unix -o socket,pid,fd,state,path
	is "$(grep "^$(inode_of in-flight)	" <<<"$output")" \
		"$(inode_of in-flight)	-1	-1	LISTEN	"
	is "$(grep "^$(inode_of unix-in-flight)	" <<<"$output")" \
		"$(inode_of unix-in-flight)	-1	-1	LISTEN	@psock-in-flight-$$"
}

@test "a socket that is registered with an io_uring alone" {
	sockets in-ring
	given in-ring
	live -p "$pid" -o socket,pid,fd,state,comm
	is "$output" "$(inode_of in-ring)	$pid	-1	LISTEN	sockets"
	live -t tcp -o socket,pid,fd,state
	is "$(grep "^$(inode_of in-ring)	" <<<"$output")" \
		"$(inode_of in-ring)	$pid	-1	LISTEN"
}

@test "a socket in an io_uring and in a descriptor, whichever is asked" {
	need_root
	sockets in-ring-too
	given in-ring-too
	live -p "$pid" -o pid,fd,socket,filter,rx_queue
	is "$(sort <<<"$output")" "$(awk -v p="$pid" '/^in-ring-too/ {
		print p "\t" $4 "\t" $5 "\t0\t0" }' <<<"$opened" | sort)"
}

@test "a socket in an io_uring that is in use without end" {
	sockets in-busy-ring
	given in-busy-ring
	live -t tcp -o socket,pid,fd,state
	is "$(grep "^$(inode_of in-busy-ring)	" <<<"$output")" \
		"$(inode_of in-busy-ring)	$pid	-1	LISTEN"
}

@test "an io_uring that is locked for good" {
	need_root
	sockets in-locked-ring
	given in-locked-ring
	live -p "$pid"
	is "$status" 1
	is "$errors" "psock: process $pid: io_uring: busy, shows no files"
}

@test "a namespace that only a socket keeps" {
	need_root
	sockets netns-socket
	given netns-socket
	live -o pid,fd,socket,state,net_namespace
	all_rows
	local ns
	ns=$(row netns-socket | cut -f 5)
	[ "$ns" != 0 ]
	[ "$ns" != "$(readlink /proc/self/ns/net | tr -dc 0-9)" ]
	is "$(row netns-socket | cut -f 4)" LISTEN
}

@test "a namespace that only a descriptor keeps" {
	need_root
	sockets netns-fd
	given netns-fd
	# netlink's own kernel sockets are in every namespace.
	live -t netlink -o pid,fd,net_namespace
	[ "$status" -lt 2 ]
	grep -q "^-1	-1	$(inode_of netns-fd)\$" <<<"$output"
}

@test "a namespace that only a bind mount keeps" {
	need_root
	local ns
	: >"$BATS_TEST_TMPDIR/ns"
	unshare --net="$BATS_TEST_TMPDIR/ns" true ||
		skip 'namespaces may not be mounted'
	mount=$BATS_TEST_TMPDIR/ns
	ns=$(stat -L -c %i "$mount")
	live -t netlink -o pid,fd,net_namespace
	[ "$status" -lt 2 ]
	grep -q "^-1	-1	$ns\$" <<<"$output"
}

@test "a namespace that only a thread's own descriptor keeps" {
	need_root
	sockets thread-netns-fd
	live -t netlink -o pid,fd,net_namespace
	grep -q "^-1	-1	$(inode_of thread-netns-fd)\$" <<<"$output"
}

# mounted COMMAND: the rows of the process $pid in a mount namespace in
# which the command has been run first.
mounted() {
	run unshare -m sh -c "$1"' && exec "$0" -H -t tcp -o pid,fd,socket,state' \
		"$psock"
}

@test "a process that hides under a mount" {
	need_root
	local over
	unshare -m true || skip 'unshare -m is refused'
	sockets tcp
	for over in "" /fd /net "/task/$pid" "/task/$pid/fd" /ns; do
		mounted "mount -t tmpfs none /proc/$pid$over"
		echo "$over: $output"
		is "$(row tcp)" "$pid	3	$(inode_of tcp)	LISTEN"
		[[ $output = *"psock: /proc: something is hidden by mounts"* ]]
	done
	mounted "mount --bind /dev/null /proc/$pid/net/tcp"
	is "$(row tcp)" "$pid	3	$(inode_of tcp)	LISTEN"
}

@test "another tree, or a part of it, over /proc" {
	need_root
	local fake=$BATS_TEST_TMPDIR/fake over
	unshare -m true || skip 'unshare -m is refused'
	sockets tcp
	mkdir -p "$fake/self" "$fake/1/fd" "$fake/1/net"
	: >"$fake/self/mountinfo"
	cp "/proc/$pid/net/tcp" "$fake/1/net"
	ln -s "socket:[$(inode_of tcp)]" "$fake/1/fd/3"
	for over in '-t tmpfs none' "--bind $fake" '--bind /proc/1' \
		"--bind /proc/$pid/task"; do
		mounted "mount $over /proc"
		echo "$over: $output"
		is "$(row tcp)" "$pid	3	$(inode_of tcp)	LISTEN"
		[[ $output = *"psock: /proc: not a whole procfs"* ]]
	done
	# The processes of a pid namespace below ours are not all.
	mounted "unshare -p -f mount -t proc none /proc"
	is "$(row tcp)" "$pid	3	$(inode_of tcp)	LISTEN"
	# A kernel that has no fsopen(2): no answer that could be trusted.
	mounted "mount --bind $fake /proc && exec $bin/nosys fsopen $psock"
	is "$status" 2
}

@test "two tables of descriptors whose threads take turns are read once" {
	need_root
	command -v strace >/dev/null || skip 'no strace'
	command -v python3 >/dev/null || skip 'no python3'
	local line
	coproc TURNS { exec python3 -c '
import ctypes, os, socket, sys, threading
libc = ctypes.CDLL(None)
turns = [threading.Semaphore(1), threading.Semaphore(0)]
forever = threading.Event()
def table(i):
    libc.unshare(0x400)
    s = socket.socket()
    keep = [s.dup() for n in range(50)]
    for n in range(20):
        turns[i].acquire()
        threading.Thread(target=forever.wait, daemon=True).start()
        turns[1 - i].release()
    turns[i].acquire()
    if i == 1:
        print("ready", flush=True)
    turns[1 - i].release()
    forever.wait()
for i in 0, 1:
    threading.Thread(target=table, args=(i,), daemon=True).start()
sys.stdin.readline()
os._exit(0)' 3>&-; }
	pid=$TURNS_PID
	IFS= read -r line <&"${TURNS[0]}"
	is "$line" ready
	strace -f -qq -e trace=readlinkat -o "$BATS_TEST_TMPDIR/trace" \
		"$psock" -H -p "$pid" -o fd,state >"$BATS_TEST_TMPDIR/rows"
	is "$(wc -l <"$BATS_TEST_TMPDIR/rows")" 102
	# Read for each thread, they would be more than 2,000.
	[ "$(grep -c 'socket:' "$BATS_TEST_TMPDIR/trace")" -lt 1000 ]
}

@test "more files are registered with rings than are read" {
	local root=$BATS_TEST_TMPDIR/root
	mkdir -p "$root"/proc/42/{fd,fdinfo,net}
	ln -s 'anon_inode:[io_uring]' "$root/proc/42/fd/3"
	{
		echo 'UserFiles: 1'
		yes '    0: socket:[77]' | head -n 1050000
	} >"$root/proc/42/fdinfo/3"
	run --separate-stderr "$psock" -r "$root" -H -o pid,fd,socket
	is "$output" '42	-1	77'
	[[ $stderr = *': process 42: io_uring: too many files'* ]]
	is "$status" 1
}

# python_apart SCRIPT ARGUMENT...: runs it in namespaces of its own.
python_apart() {
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	run --separate-stderr unshare --net --pid --mount --fork \
		--mount-proc python3 -c "$@"
}

@test "more namespaces than descriptors cost no row of the host" {
	python_apart '
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None)
home = os.open("/proc/self/ns/net", 0)
s = socket.socket()
s.bind(("0.0.0.0", 5555))
s.listen()
keep = []
for i in range(80):
    libc.unshare(0x40000000)
    keep.append(os.open("/proc/self/ns/net", 0))
libc.setns(home, 0)
command = sys.argv[1:]
for limit in (64, 64), (64, 512):
    subprocess.run(["sh", "-c", "ulimit -Sn 64; ulimit -Hn %d; "
                    "\"$@\"; echo $?" % limit[1], "-"] + command)
' "$psock" -H -t tcp,netlink -o local_port,state,net_namespace
	is "$(grep -c $'^5555\tLISTEN\t' <<<"$output")" 2
	# All of them are there where the limit may be raised.
	is "$(tail -n 1 <<<"$output")" 0
	is "$(sed '1,/^[0-9]$/d' <<<"$output" | cut -f 3 | sort -u | grep -c ...)" 81
}

# kept_by KIND: in namespaces that descriptors of this kind keep, processes come
# and go: psock finds some, which have ended when it reads the tables.
kept_by() {
	python_apart '
import ctypes, fcntl, os, signal, socket, subprocess, sys
libc = ctypes.CDLL(None)
sockets = sys.argv[1] == "sockets"
home = os.open("/proc/self/ns/net", 0)
keep = []
for i in range(40):
    libc.unshare(0x40000000)
    keep.append(socket.socket() if sockets else
                os.open("/proc/self/ns/net", 0))
libc.setns(home, 0)
comers = os.fork()
if comers == 0:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        for k in keep:
            ns = fcntl.ioctl(k, 0x894c) if sockets else k
            libc.setns(ns, 0)
            if sockets:
                os.close(ns)
            if os.fork() == 0:
                os._exit(0)
for i in range(40):
    rows = subprocess.check_output(sys.argv[2:], text=True).split()
    print(len(set(rows)))
os.kill(comers, signal.SIGKILL)
' "$1" "$psock" -H -t netlink -o net_namespace
	is "$stderr" ''
	is "$output" "$(yes 41 | head -n 40)"
}

@test "a namespace whose processes end, while a descriptor keeps it" {
	kept_by descriptors
}

@test "a namespace whose processes end, while a socket keeps it" {
	kept_by sockets
}

@test "a process that goes to and fro between namespaces" {
	python_apart '
import ctypes, os, signal, socket, subprocess, sys
libc = ctypes.CDLL(None)
home = os.open("/proc/self/ns/net", 0)
keep = []
for port in 1001, 1002, 1003:
    libc.unshare(0x40000000)
    s = socket.socket()
    s.bind(("0.0.0.0", port))
    s.listen()
    keep.append((os.open("/proc/self/ns/net", 0), s))
    print(port, os.stat("/proc/self/ns/net").st_ino, flush=True)
libc.setns(home, 0)
hoppers = []
for i in range(4):
    hoppers.append(os.fork())
    while hoppers[-1] == 0:
        for fd, s in keep:
            libc.setns(fd, 0)
for i in range(40):
    subprocess.run(sys.argv[1:])
for pid in hoppers:
    os.kill(pid, signal.SIGKILL)
' "$psock" -H -t tcp -o local_port,net_namespace
	is "$stderr" ''
	# Each by itself and its four copies.
	is "$(tr ' ' '\t' <<<"$output" | sort | uniq -c | awk '{print $1}')" \
		"$(printf '201\n201\n201')"
}
