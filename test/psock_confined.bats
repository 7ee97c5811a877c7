#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What psock asks of the kernel, and what it cannot ask any more.

# bats file_tags=live

# shellcheck disable=SC2154 # output is set by bats

# What it takes to start, in musl's way and in glibc's, before the sandbox.
start='execve arch_prctl set_tid_address set_robust_list rseq prlimit64
	getrandom brk mmap munmap mprotect madvise access readlink
	newfstatat fstat pread64 rt_sigaction fcntl capget capset prctl
	geteuid poll sched_getaffinity uname'
# What the parent does besides: it forks and watches workers, and mounts a
# procfs for them.
start+=' fsopen fsconfig fsmount pipe pipe2 dup2 dup3 fork clone rt_sigprocmask
	gettid getppid getpid kill wait4 clock_gettime restart_syscall'
# What they do: look, and write rows.
work='read write close open openat readlinkat getdents64 statx fstatfs fchdir
	mremap sysinfo setns kcmp pidfd_open pidfd_getfd getxattr getsockopt
	getsockname getpeername ioctl exit_group'

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/.." helpers >&2
}

setup() {
	# The libraries of sanitizers have calls of their own.
	psock=$BATS_TEST_DIRNAME/../psock
	bin=$BATS_TEST_DIRNAME/bin
	columns=tid,comm,exe,cwd,cmdline,uid,ppid,start_time,cgroup,type,owner
	columns+=,rx_queue,tx_queue,interface,filter
}

# strange COMMAND...: runs it as root where there is all that psock looks
# into: sockets of every kind, namespaces that a thread, a descriptor, a
# socket and a mount keep, a mount over a process.
strange() {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	unshare --net --pid --mount --fork --mount-proc bash -c '
		cd "$1" && export bin=$2 && shift 2
		ip link set lo up
		touch kept && unshare --net=kept true
		coproc S { exec "$bin/sockets" tcp tcp6 pair unaccepted dup \
			fork unbound bound udp udp6 udp-unbound udplite raw \
			raw-filter ping unix=@a dgram=@b seqpacket=@c \
			socketpair packet packet-filter netlink vsock thread \
			thread-netns netns-fd netns-socket; }
		while read -r line <&"${S[0]}" && [ "$line" != ready ]; do
			:
		done
		mount --bind . "/proc/$S_PID"
		# Enough for several workers.
		for i in {1..120}; do sleep inf & done
		"$@" 2>errors
	' - "$BATS_TEST_TMPDIR" "$bin" "$@" 3>&-
}

@test "it looks: no call but those of the list, none that changes a thing" {
	command -v strace >/dev/null || skip 'no strace'
	strange strace -f -o trace "$psock" -o "+$columns" >/dev/null
	strange strace -f -A -o trace "$psock" >/dev/null
	cd "$BATS_TEST_TMPDIR"
	grep -q 'procfs of our own' errors
	sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' trace | sort -u >calls
	# It did what there was to do.
	for call in setns kcmp pidfd_getfd ioctl fsmount getpeername wait4; do
		grep -qx "$call" calls
	done
	tr -s ' \t' '\n' <<<"$start $work" | sort -u | comm -23 calls - >odd
	[ ! -s odd ] || { cat odd; return 1; }
	# Written to is nothing but standard output and standard error.
	awk '/ write\(/ && !/ write\([12],/ ||
		/ open(at)?\(/ && /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/ ||
		/ ioctl\(/ && !/SIOCGSKNS/ ||
		/ execve\(/ && n++ > 1 || / prctl\(PR_SET_DUMPABLE, SUID_DUMP_USER/
		' trace >odd
	[ ! -s odd ] || { cat odd; return 1; }
}

@test "it cannot do else: each call is tried from inside, and stopped" {
	cc -O1 -Wall -o "$BATS_TEST_TMPDIR/inside" \
		"$BATS_TEST_DIRNAME"/{inside/psock.c,../common.c}
	run "$BATS_TEST_TMPDIR/inside"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *tried ]]
}

@test "what it keeps of root: four capabilities, with -r two" {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	command -v strace >/dev/null || skip 'no strace'
	mkdir -p "$BATS_TEST_TMPDIR/root/proc/1"
	strace -f -o "$BATS_TEST_TMPDIR/trace" -e trace=capset,prctl \
		"$psock" -p 1 >/dev/null 2>&1 || [ $? -eq 1 ]
	grep -q 'permitted=1<<CAP_DAC_READ_SEARCH|1<<CAP_NET_ADMIN|1<<CAP_SYS_PTRACE|1<<CAP_SYS_ADMIN, inheritable=0' \
		"$BATS_TEST_TMPDIR/trace"
	grep -q 'PR_SET_DUMPABLE, SUID_DUMP_DISABLE' "$BATS_TEST_TMPDIR/trace"
	grep -q 'PR_SET_NO_NEW_PRIVS, 1' "$BATS_TEST_TMPDIR/trace"
	strace -f -o "$BATS_TEST_TMPDIR/trace" -e trace=capset \
		"$psock" -r "$BATS_TEST_TMPDIR/root" >/dev/null 2>&1 || :
	grep -q 'permitted=1<<CAP_DAC_READ_SEARCH|1<<CAP_SYS_PTRACE, inheritable=0' \
		"$BATS_TEST_TMPDIR/trace"
}

@test "without seccomp, and with nothing given up: the same rows" {
	strange bash -c '"$@" >whole; "$bin/nosys" prctl,capset "$@" >rows
		diff whole rows' - "$psock" -o "+$columns"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/rows")" -gt 40 ]
}
