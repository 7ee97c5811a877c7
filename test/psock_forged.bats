#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Nobody fools psock: names of unix sockets that hold what looks like rows
# of the table, before and behind the true ones, of any other socket.

# bats file_tags=live

# shellcheck disable=SC2030,SC2031 # each test is a process
# shellcheck disable=SC2154 # output and errors are set by the helper and bats

bats_require_minimum_version 1.5.0

load live_helper

columns=pid,fd,socket,family,path,state

# forge N [PATH [FLAGS [TYPE [STATE]]]]: a name that goes on with a row of
# the inode of the Nth socket opened before it, or of what else N is.
forge() {
	echo "\\x0a0000000000000000: 00000002 00000000 ${3:-00010000}" \
		"${4:-0001} ${5:-01} $1${2:+ $2}"
}

# short ...: the same with a pointer of 32 bits; two of them fit into a name.
short() {
	local row
	row=$(forge "$@")
	echo "${row/00000000/}"
}

# in_netns: sockets in a namespace of their own; its rows.
in_netns() {
	under=(unshare -n)
	sockets "$@" || skip 'unshare -n is refused'
	ns=$(readlink "/proc/$pid/ns/net" | tr -dc 0-9)
	live -o "$columns,net_namespace"
	output=$(grep "	$ns\$" <<<"$output")
}

# bind_late KIND...: the same, where the late sockets get their names while
# psock reads, at another moment each time.
bind_late() {
	local line='' n=$((RANDOM % 5000)) rows=$BATS_TEST_TMPDIR/rows
	under=(unshare -n)
	sockets "$@" || skip 'unshare -n is refused'
	"$psock" -H -t unix -o "$columns" >"$rows" 2>"$rows.errors" 3>&- &
	while ((n-- > 0)) && kill -0 $! 2>/dev/null; do
		:
	done
	echo >&"${SOCKETS[1]}"
	IFS= read -r line <&"${SOCKETS[0]}"
	wait $! || :
	output=$(cat "$rows")
	errors=$(cat "$rows.errors")
	is "$line" bound
}

# hides: a warning says that a name hides a row, status 1 that it is one.
hides() {
	is "$status" 1
	[[ $errors = *'hides a row'* ]] || {
		echo "no warning: $errors"
		return 1
	}
}

# is_sure: nothing is left open.
is_sure() {
	[[ $errors != *'may be part of a name'* ]] || {
		echo "$errors"
		return 1
	}
}

# only KIND PATH STATE: that socket has this row and no other.
only() {
	echo "$output"
	is "$(row "$1" | cut -f 5-6)" "$2	$3"
}

# without REGEX: no row matches.
without() {
	is "$(grep -E "$1" <<<"$output")" ''
}

# pairs KIND [PATH]: four sockets @true-1 to @true-7 of the kind, each with
# one behind it that forges its row.  The table's order comes from a hash:
# some stand before the true row and some behind it.
pairs() {
	local i kinds=()
	for i in 1 3 5 7; do
		kinds+=("$1=@true-$i" "dgram=@$i$(forge "%$i" "${2-@true-$i}")")
	done
	in_netns "${kinds[@]}"
}

# true_rows KIND STATE: the sockets of pairs have one row each, the true one.
true_rows() {
	local i
	echo "$output"
	for i in 1 2 3 4; do
		is "$(row "$1" $i | cut -f 5-6)" "@true-$((2 * i - 1))	$2"
	done
}

@test "a row that names a listener" {
	need_root
	local i
	pairs unix @lie
	true_rows unix LISTEN
	for i in 1 2 3 4; do
		is "$(row dgram $i | cut -f 5 | cut -c 2-20)" \
			"$((2 * i - 1))\\n0000000000000000"
	done
	hides
}

@test "a row that differs from the true one in its state alone" {
	need_root
	pairs quiet-unix
	true_rows quiet-unix UNCONNECTED
	hides
}

@test "a row that is the same as the true one" {
	need_root
	pairs unix
	true_rows unix LISTEN
	hides
}

@test "a row that names what nobody holds" {
	need_root
	pairs unix-in-flight @lie
	true_rows unix-in-flight LISTEN
	hides
	hang_up
	in_netns "dgram=@2$(forge 99999999)" "dgram=@3$(forge '    0' x)"
	without '	(99999999|0)	'
	hides
}

@test "a true row that nobody holds is not dropped for its double" {
	need_root
	pairs unix-in-flight
	true_rows unix-in-flight LISTEN
	is "$status" 1
}

@test "a true row that nobody holds, in a name whose own row is forged" {
	need_root
	in_netns unix-in-flight=@true "dgram=@1$(forge %1 @true)" \
		"dgram=@2$(forge %2 @1 00000000 0002)"
	only unix-in-flight @true LISTEN
}

@test "names that come while the table is read" {
	need_root
	local i kinds=()
	for i in {1..300}; do
		kinds+=(socketpair)
	done
	for i in {1..20}; do
		bind_late "${kinds[@]}" quiet-unix=@true \
			"late=@1$(forge %1 @lie)" "dgram=@2$(forge %2 @lie)" \
			"late=@3$(forge 99999999 @lie)"
		without '	@lie	'
		only quiet-unix @true UNCONNECTED
		is "$(row late 1 | wc -l) $(row late 2 | wc -l)" '1 1'
		hang_up
	done
}

@test "names that come and go while the table is read" {
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	local i line
	unshare -n true || skip 'unshare -n is refused'
	coproc NAMES { exec unshare -n python3 -c '
import os, socket, sys, threading
true = socket.socket(socket.AF_UNIX)
true.bind("\0true")
true.listen()
inode = os.fstat(true.fileno()).st_ino
line = "\n0000000000000000: 00000002 00000000 00010000 0001 01 %5d @lie"
def forge(name):
    while True:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind("\0" + name + line % inode)
for i in range(4):
    threading.Thread(target=forge, args=(str(i),), daemon=True).start()
keep = [socket.socketpair() for i in range(300)]
print(inode, flush=True)
sys.stdin.readline()
os._exit(0)' 3>&-; }
	pid=$NAMES_PID
	IFS= read -r line <&"${NAMES[0]}"
	for i in {1..20}; do
		live -t unix -o socket,pid,path,state
		echo "$errors"
		grep -qx "$line	$pid	@true	LISTEN" <<<"$output"
		# One that is gone cannot be asked.
		if grep -q "^$line	.*	@lie	" <<<"$output"; then
			is "$status" 1
			[[ $errors = *'may be part of a name'* ]]
		fi
	done
}

@test "a row that names what nobody holds, in many names" {
	need_root
	local i kinds=()
	# No row behind names as long as these can be part of them.
	for i in {10..29}; do
		kinds+=("dgram=@$i$(printf %0105d 0)")
	done
	for i in 1 2 3 4 5 6 7 8; do
		kinds+=("dgram=@$i$(forge 99999999 @lie)")
	done
	in_netns "${kinds[@]}"
	without '	@lie	'
	hides
	is_sure
}

@test "connections that wait, and a row that looks like one" {
	need_root
	in_netns waiting=@w "dgram=@1$(forge '    0' @w 00000000 0001 02)"
	is "$(grep -c '	0	1	@w	' <<<"$output")" 1
	is_sure
	hang_up
	in_netns waiting=@w waiting=@v "dgram=@1$(forge '    0' @w 00000000 \
		0001 02)" "dgram=@2$(forge '    0' @w 00000000 0001 02)" \
		"dgram=@3$(forge '    0' @w 00000000 0001 02)\\x0ax" \
		"dgram=@4$(forge '    0' @x 00000000 0001 02)\\x0ay"
	is "$(grep -c '	0	1	@w	' <<<"$output")" 1
	is "$(grep -c '	0	1	@v	' <<<"$output")" 1
	without '	0	1	@[wx]\\'
	hides
	is_sure
}

@test "rows that name sockets of other families" {
	need_root
	in_netns packet unbound netlink "dgram=@1$(forge %1 @lie)" \
		"dgram=@2$(forge %2 @lie)" "dgram=@3$(forge %3 @lie)"
	without '	@lie	'
	is "$(row unbound | cut -f 1,4,6)" "$pid	2	CLOSE"
	is "$(row netlink | cut -f 4)" 16
	hides
}

@test "a row that names the only socket of another namespace" {
	need_root
	sockets netns-socket=@flight "dgram=@1$(forge %1 @lie)" \
		"dgram=@2$(forge 99999999 @lie)"
	given netns-socket
	live -o "$columns,net_namespace"
	without '	@lie	'
	is "$(row netns-socket 2 | cut -f 1,5-7)" \
		"-1	@flight	LISTEN	$(row netns-socket | cut -f 7)"
	[ "$(row netns-socket | cut -f 7)" != \
		"$(readlink /proc/self/ns/net | tr -dc 0-9)" ]
}

@test "a row that makes up for a closed socket in the counts" {
	need_root
	in_netns closed-senders=1 unbound "dgram=@1$(forge %2 @lie)"
	only unbound '' CLOSE
	hides
}

@test "sockets that are closed but counted are no warning" {
	need_root
	sockets closed-senders=3
	live -p "$pid" -t unix
	is "$status$errors" 0
}

@test "a row that names its own socket" {
	need_root
	in_netns "unix=@$(forge %0 @lie)" "unix=@a$(forge %0 @)"
	is "$(row unix 1 | wc -l)" 1
	is "$(row unix 2 | wc -l)" 1
	[[ $(row unix 1 | cut -f 5) = *@lie ]]
	[[ $(row unix 2 | cut -f 5) = @a*@ ]]
}

@test "two that name one listener, and each other" {
	need_root
	in_netns unix=@true "dgram=@1$(forge %1 @lie)" \
		"dgram=@2$(forge %1 @lie)" "dgram=@3$(forge %2 @lie)" \
		"dgram=@4$(forge %3 @lie)"
	only unix @true LISTEN
	without '	@lie	'
	is "$(row dgram 1 | wc -l)$(row dgram 2 | wc -l)" 11
}

@test "a forger that is connected to, accepted and not" {
	need_root
	in_netns unix=@true "accepted=@1$(forge %1 @lie)" \
		"waiting=@2$(forge %1 @lie)"
	only unix @true LISTEN
	without '	@lie	'
}

@test "a row in the name of a file" {
	need_root
	cd "$BATS_TEST_TMPDIR"
	in_netns unix=@true "unix=$(forge %1 lie)" "dgram=x$(forge %1 lie)"
	only unix @true LISTEN
	without '	lie	'
	is "$(row unix 2 | cut -f 5 | cut -c 1-6)" '\n0000'
}

@test "names that only look like the end or the beginning of rows" {
	need_root
	local n i=0 names=('@\x0a' '@\x0a\x0a\x0a' '@a\x0a ' '\x0a' '@:'
		'@\x0a0000000000000000: 00000002 00000000 00010000 0001 01'
		'@\x0a0000000000000000: 00000002 00000000 00010000 0001 01 '
		'@\x0a0000000000000000: 00000002 00000000 00010000 0001 01 12'
		'@\x0a000000000000000: 00000002 00000000 00010000 0001 01 12345'
		'@\x0ag000000000000000: 00000002 00000000 00010000 0001 01 12345'
		'@\x0a0000000000000000: 00000002 00000000 00010000 0001 01 12345x'
		'@\x0a0000000000000000: 0000002 00000000 00010000 0001 01  12345'
		"@$(printf '%107s' x)" "@$(printf '%105s' x)\\x0ay"
		'@a\x0ab\x0ac\x0ad\x0ae\x0af\x0ag\x0ah\x0a\x0a\x0a')
	cd "$BATS_TEST_TMPDIR"
	in_netns "${names[@]/#/dgram=}"
	for n in "${names[@]}"; do
		i=$((i + 1))
		is "$(row dgram $i | cut -f 5)" "${n//\\x0a/\\n}"
	done
	[[ $errors != *unix* ]]
}

@test "a user without privilege sees both rows, and a warning" {
	need_root
	sockets unix=@true "dgram=@1$(forge %1 @lie)"
	unprivileged
	psock=$open/psock
	wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	live -t unix -o "$columns"
	is "$(row unix | cut -f 5 | sort)" $'@lie\n@true'
	is "$status" 1
	[[ $errors = *'may be part of a name'* ]]
}

@test "a user without privilege forges, root looks" {
	need_root
	unprivileged
	bin=$open
	under=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	sockets unix=@true "dgram=@1$(forge %1 @lie)"
	live -t unix -o "$columns"
	only unix @true LISTEN
}

@test "hundreds of rows that name one inode" {
	need_root
	local i n kinds=(unix=@true)
	for n in %1 99999999 '    0'; do
		for i in {1..150}; do
			# Some rows are alike, and their order is a hash's.
			kinds+=("dgram=@$i$(forge "$n" "@lie\\x0a$((i % 100))")")
		done
	done
	in_netns "${kinds[@]}"
	only unix @true LISTEN
	without '	@lie'
	is_sure
	is "$(grep -c '	@[0-9]*\\n0000000000000000: ' <<<"$output")" 450
}

@test "a row without a name, and more behind it" {
	need_root
	in_netns "dgram=@n$(short 99999)\\x0a" \
		"dgram=@$(short 99998 @l)$(short 99997)\\x0a"
	without '	9999[0-9]	'
	is "$(row dgram 1 | cut -f 5)" \
		'@n\n00000000: 00000002 00000000 00010000 0001 01 99999\n'
	hides
}

@test "a copy of a true row, and a lie behind it" {
	need_root
	in_netns socketpair "dgram=@$(short %1 '' 00000000 0001 03)$(short 99999)"
	without '	99999	'
	[[ $(row dgram | cut -f 5) = *99999 ]]
	is "$(row socketpair 1 | wc -l)" 1
	hides
}

# may_be KIND: that has its true row, and the other one is not kept back.
may_be() {
	echo "$output"
	row "$1" | cut -f 5-6 | grep -qx '@true	LISTEN'
	is "$(row "$1" | grep -c '	@lie	')" 1
	is "$status" 1
	[[ $errors = *'may be part of a name'* ]]
}

@test "one that nobody can ask names a socket that can be asked" {
	need_root
	local i
	# In flight, or in a ring.  The lie is behind the true row and before
	# it, as the names' hash has it.
	for i in {1..8}; do
		in_netns unix=@true$i "unix-in-flight=@1$(forge %1 @lie)"
		only unix @true$i LISTEN
		without '	@lie	'
		is "$status" 1
		[[ $errors = *': is part of a name'* ]]
		hang_up
	done
}

@test "one that nobody can ask: all rows stay, with a warning" {
	need_root
	in_netns unix-in-flight=@true "unix-in-flight=@1$(forge %1 @lie)"
	may_be unix-in-flight
	hang_up
	in_netns "unix-in-flight=@1$(forge 99999999 @lie)"
	is "$status" 1
	[[ $errors = *99999999*'may be part of a name'* ]]
}

@test "one that nobody can ask, on a kernel that lets nobody ask" {
	need_root
	wrap=("$bin/nosys" pidfd_getfd)
	in_netns unix=@true "dgram=@1$(forge %1 @lie)"
	may_be unix
	hang_up
	wrap=()
	sockets unix=@true "dgram=@1$(forge %1 @lie)"
	live -r / -t unix -o "$columns"
	may_be unix
}

@test "one that nobody can ask names a socket of another family" {
	need_root
	in_netns unbound "unix-in-flight=@1$(forge %1 @lie)"
	only unbound '' CLOSE
	without '	@lie	'
	is "$status" 1
}

@test "sockets that get a name while the table is read are not forged" {
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	local i line
	unshare -n true || skip 'unshare -n is refused'
	coproc NAMES { exec unshare -n python3 -c '
import os, socket, sys, threading
s = [socket.socket(socket.AF_UNIX) for i in range(3000)]
def name():
    for i, t in enumerate(s):
        t.bind("\0%d" % i)
print("ready", flush=True)
sys.stdin.readline()
threading.Thread(target=name, daemon=True).start()
sys.stdin.readline()
os._exit(0)' 3>&-; }
	pid=$NAMES_PID
	IFS= read -r line <&"${NAMES[0]}"
	echo >&"${NAMES[1]}"
	for i in {1..5}; do
		live -t unix
		[[ $errors != *name* ]]
		is "$(cut -f 1-3 <<<"$output" | grep -c "^$pid	")" 3000
	done
}

@test "a name with NUL bytes, and one that is as long as can be" {
	need_root
	local n
	# Of 108 bytes, the first is NUL and 67 are the row.
	for n in 1 39 40; do
		in_netns unix=@true "dgram=@$(printf "%0${n}d" 1)$(forge %1)" \
			"dgram=@a\\x00b$(forge %1 @lie)" \
			"dgram=@\\x00$(forge %1 @lie)\\x00\\x00"
		only unix @true LISTEN
		without '	@lie'
		hides
		is "$(row dgram 2 | cut -f 5 | cut -c 1-6)" '@a@b\n'
		hang_up
	done
}

@test "names that end where rows end and begin where rows begin" {
	need_root
	# Behind each of them comes a true row, which is none of it.
	in_netns unix=@true "dgram=@1\\x0a" "dgram=@2$(forge %1)\\x0a" \
		"dgram=@3\\x0a0000000000000000" \
		"dgram=@4$(forge %1 '')" "dgram=@5$(short %1)$(short %1)" \
		dgram dgram dgram unix-in-flight=@flight socketpair
	only unix @true LISTEN
	only unix-in-flight @flight LISTEN
	is "$(row dgram 1 | cut -f 5)" '@1\n'
	is "$(row dgram 3 | cut -f 5)" '@3\n0000000000000000'
	all_rows
	hides
}

@test "a row of a socket that is in no table, and a lie behind it" {
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	unshare -n true || skip 'unshare -n is refused'
	local line
	# The namespace is found by its socket, when the tables have been read.
	coproc NAMES { exec python3 -c '
import ctypes, os, socket, sys
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
libc = ctypes.CDLL(None)
with open("/proc/self/ns/net") as home:
    libc.unshare(0x40000000)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    libc.setns(home.fileno(), 0)
row = "\n00000000: 00000002 00000000 00010000 0001 01 %5d"
s.bind("\0" + row % os.fstat(u.fileno()).st_ino + row % 99997)
print("ready", flush=True)
sys.stdin.readline()' 3>&-; }
	pid=$NAMES_PID
	IFS= read -r line <&"${NAMES[0]}"
	live -o "$columns"
	is "$line" ready
	without '	99997	'
	hides
}

# hidden NAME SOCKET CLOSED: the rows of a host where a process holds SOCKET
# of a namespace that only it keeps, and the name of a socket on its way has
# the forged rows NAME of that (both in Python); CLOSED senders are counted by
# the kernel, but in no table.
hidden() {
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	run --separate-stderr unshare --net --pid --mount --fork --mount-proc \
		python3 -c '
import ctypes, os, socket, subprocess, sys
a, b = socket.socketpair()
if os.fork() == 0:
    ctypes.CDLL(None).unshare(0x40000000)
    s = eval(sys.argv[2])
    s.bind(("0.0.0.0", 4444) if s.family == 2 else b"\0evil")
    s.listen()
    socket.send_fds(a, [b"x"], [s.fileno()])
    os._exit(0)
V = socket.socket(fileno=socket.recv_fds(b, 1, 1)[1][0])
os.wait()
row = lambda i: b"\n00000000: 00000003 00000000 00000000 0001 03 %5d" % i
E = socket.socket(socket.AF_UNIX)
E.bind(b"\0" + eval(sys.argv[1]))
socket.send_fds(a, [b"x"], [E.fileno()])
E.close()
keep = []
for i in range(int(sys.argv[3])):
    c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    c.send(b"x")
    c.close()
    keep.append(d)
sys.exit(subprocess.run(sys.argv[4:]).returncode)
' "$@" "$psock" -H -o family,local_port,path,state
	is "$status" 1
	echo "$output; $stderr"
	[[ $stderr = *'hides a row'* || $stderr = *'part of a name'* ]]
}

@test "a forged row behind another one without a name hides no listener" {
	hidden 'row(0) + row(os.fstat(V.fileno()).st_ino)' 'socket.socket()' 2
	grep -qx $'2\t4444\t\tLISTEN' <<<"$output"
}

@test "a forged row of a unix socket elsewhere hides neither" {
	hidden 'row(os.fstat(V.fileno()).st_ino)' 'socket.socket(1)' 1
	grep -qx $'1\t0\t@evil\tLISTEN' <<<"$output"
}
