#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What both tools do when the kernel says no: every system call and every
# malloc(3) for one small tree fails or comes back short once, see
# test/fault.c.  FAULTS=all asks for more calls and more errors.

# bats file_tags=live

# shellcheck disable=SC2030,SC2031,SC2154 # each test is a process

all_psock=pid,fd,socket,family,protocol,local_address,remote_address
all_psock+=,local_port,remote_port,path,state,net_namespace,tid,comm,exe,cwd
all_psock+=,cmdline,uid,ppid,start_time,cgroup,type,owner,rx_queue,tx_queue
all_psock+=,interface
all_shhist=uid,time,command,history_file,user,format,line,duration

setup_file() {
	local name
	make -s -C "$BATS_TEST_DIRNAME/.." helpers >&2
	# Builds whose malloc(3) can fail; what it takes is never given back.
	for name in psock shhist; do
		cc -O1 -DVERSION='"x"' -o "$BATS_FILE_TMPDIR/$name" \
			"$BATS_TEST_DIRNAME"/../{$name,common}.c \
			"$BATS_TEST_DIRNAME/inside/malloc.c"
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
				"${unix}0" "$unix"
		} >"$R/proc/$pid/net/unix"
		printf 'sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n0000000000000000 3      3    0003   2     1 5      1000      %d\n' \
			"$packet" >"$R/proc/$pid/net/packet"
		printf 'Idx\tDevice\n2\teth0      :     1      V3\n' \
			>"$R/proc/$pid/net/igmp"
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

@test "psock: each call that fails once is reported, or costs nothing" {
	tree
	"${fault[@]}" "$psock" -r "$R" -o "$all_psock"
}

@test "psock: each malloc that fails is reported" {
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

@test "shhist: each call that fails once is reported, or costs nothing" {
	homes
	"${fault[@]}" "$shhist" -r "$R" -o "$all_shhist"
	"${fault[@]}" "$shhist" -o "$all_shhist" "$R"/home/ann/.bash_history -
}

@test "shhist: each malloc that fails is reported" {
	homes
	"${fault[@]}" -m "$BATS_FILE_TMPDIR/shhist" -r "$R" -o "$all_shhist"
}

@test "shhist -m: the same on what a shell holds in memory" {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	cd "$BATS_TEST_TMPDIR"
	mkfifo typing opened
	unshare --net --pid --mount --fork --kill-child --mount-proc bash -c '
		HISTFILE= bash --norc -i <typing >shown 2>&1 &
		exec 7>typing
		echo "echo typed" >&7
		echo "echo done >opened" >&7
		read -r line <opened
		"$@"
	' - "${fault[@]}" "$shhist" -mu root -o uid,time,command 3>&-
}

# judged WHOLE COMMAND...: exit 0 with the very output of the file WHOLE, or
# exit 1 or 2 and a message, and rows that are whole.
judged() {
	local whole=$1 got=0 tabs
	shift
	"$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || got=$?
	tabs=$(head -n 1 "$whole" | tr -dc '\t')
	case $got in
	0) cmp "$whole" "$BATS_TEST_TMPDIR/out" &&
		[ ! -s "$BATS_TEST_TMPDIR/err" ] ;;
	1 | 2) [ -s "$BATS_TEST_TMPDIR/err" ] &&
		awk -F '\t' -v n=$((${#tabs} + 1)) 'NF != n { exit 1 }' \
			"$BATS_TEST_TMPDIR/out" &&
		[ -z "$(tail -c 1 "$BATS_TEST_TMPDIR/out")" ] ;;
	*) false ;;
	esac || {
		echo "status $got: $*"
		cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"
		return 1
	}
}

# Closes what whoever runs the tests has open, then "ulimit $1".
limited() {
	bash -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
		ulimit $1 && shift && exec "$@"' - "$@"
}

@test "few descriptors: everything, or a message" {
	tree
	homes
	local n whole=$BATS_TEST_TMPDIR/whole
	"$psock" -r "$R" -o "$all_psock" >"$whole.psock"
	"$shhist" -r "$R" -o "$all_shhist" >"$whole.shhist"
	for n in {3..16}; do
		judged "$whole.psock" limited "-n $n" \
			"$psock" -r "$R" -o "$all_psock"
		judged "$whole.shhist" limited "-n $n" \
			"$shhist" -r "$R" -o "$all_shhist"
	done
	# These are enough for all.
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
}

@test "little memory: everything, or a message" {
	tree
	homes
	local n tool whole=$BATS_TEST_TMPDIR/whole least
	"$psock" -r "$R" -o "$all_psock" >"$whole.psock"
	"$shhist" -r "$R" -o "$all_shhist" >"$whole.shhist"
	for tool in psock shhist; do
		columns=all_$tool
		# Below that the kernel does not even start it.
		least=400
		until limited "-v $least" "${!tool}" -V >/dev/null 2>&1; do
			least=$((least + 20))
		done
		for ((n = least; n < least + 600; n += 20)); do
			judged "$whole.$tool" limited "-v $n" \
				"${!tool}" -r "$R" -o "${!columns}"
		done
		judged "$whole.$tool" limited '-v 20000' \
			"${!tool}" -r "$R" -o "${!columns}"
		[ ! -s "$BATS_TEST_TMPDIR/err" ]
	done
}

# alone SCRIPT: as root in namespaces of its own; both tools in $PWD.
alone() {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	cp "$psock" "$shhist" "$R"
	cd "$R" || return
	run unshare --net --pid --mount --fork --mount-proc bash -c "
		exec 2>&1; ip link set lo up
		as_nobody() {
			setpriv --reuid 65534 --regid 65534 --clear-groups \"\$@\"
		}
		rows() { \"\$@\" >out; echo \$?; wc -l <out; }
		chmod a+rwx . && $1"
	echo "$output"
}

@test "a root directory with nothing but the binaries" {
	alone 'chroot . /psock; echo $?; chroot . /shhist; echo $?
		mkdir -p proc home/ann
		mount -t proc proc proc
		rows chroot . /psock -t unix,udp
		echo ls >home/ann/.bash_history
		chroot . /shhist -Hr / -o command'
	[ "$output" = 'psock: /proc: No such file or directory
2
shhist: /etc/passwd: No such file or directory
shhist: no passwd list and no homes
2
0
1
shhist: /etc/passwd: No such file or directory
ls' ]
}

@test "an empty /proc: one of its own, or exit 2; shhist does without" {
	alone 'umount -l /proc; mount -t tmpfs none /proc
		rows ./psock -t unix
		rows as_nobody ./psock; mkdir -p home/ann
		echo ls >home/ann/.bash_history
		./shhist -r . -Ho command home/ann/.bash_history'
	[ "$output" = 'psock: /proc: not a whole procfs; read through a procfs of our own
0
1
psock: /proc: not a whole procfs, and no other can be mounted
2
0
ls' ]
}

@test "hidepid=2: root sees all, others read that they do not" {
	alone 'mount -t proc -o hidepid=2 proc /proc
		rows ./psock -t unix
		rows as_nobody ./psock -t unix
		as_nobody ./psock -x 2>&1 | grep -c hidepid'
	[ "$output" = '0
1
psock: /proc: mounted with hidepid: processes of other users are not seen
1
1
1' ]
}

@test "subset=pid: all but the start times, which is reported" {
	alone 'mount -t proc -o subset=pid proc /proc
		rows ./psock -t unix
		exec 5<>/dev/udp/127.0.0.1/9
		./psock -Hp $$ -o fd,family,start_time'
	[ "$output" = $'0\n1\n5\t2\t
psock: file /proc/stat: No such file or directory' ]
}

@test "standard error closed or full: the status tells all the same" {
	tree
	homes
	local tool columns got to
	rm "$R/proc/7/net/tcp" && mkdir "$R/proc/7/net/tcp"
	mkdir "$R/home/ann/.zsh_history"
	for tool in psock shhist; do
		columns=all_$tool
		"${!tool}" -r "$R" -o "${!columns}" \
			>"$BATS_TEST_TMPDIR/rows" 2>&1 || :
		grep -v "^$tool: " "$BATS_TEST_TMPDIR/rows" \
			>"$BATS_TEST_TMPDIR/whole"
		for to in '2>&-' '2>/dev/full' '<&- 2>&-'; do
			got=0
			bash -c "exec \"\$@\" $to" - "${!tool}" -r "$R" \
				-o "${!columns}" >"$BATS_TEST_TMPDIR/out" ||
				got=$?
			[ "$got" -eq 1 ]
			cmp "$BATS_TEST_TMPDIR/whole" "$BATS_TEST_TMPDIR/out"
			got=0
			bash -c "exec \"\$@\" $to" - "${!tool}" -r "$R" \
				>/dev/full || got=$?
			[ "$got" -eq 2 ]
		done
	done
}
