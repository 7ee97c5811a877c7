#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Processes that keep psock waiting without end: what costs that long is let
# be and told, after ten seconds, and the rest is as it was.

# bats file_tags=live

# shellcheck disable=SC2154,SC2031 # set by bats and the helpers

load live_helper

T=$BATS_TEST_TMPDIR

# alone COMMAND...: on a host of its own, where it has a process with threads
# and a socket that is in no table: $S_PID.
alone() {
	need_root
	unshare --net --pid --mount --fork --mount-proc bash -c '
		ip link set lo up
		coproc S { exec "$0" unbound udp thread thread-netns; }
		while read -r line <&"${S[0]}" && [ "$line" != ready ]; do
			:
		done
		export S_PID
		"$@"
	' "$bin/sockets" "$@" 3>&-
}

# kept WHERE: the rows of psock, and those of one that waits there for the
# process with the sockets.
kept() {
	local columns=pid,tid,fd,state,type,cmdline
	"$psock" -H -o "$columns" >"$T/$1.before"
	KEPT=$1 KEPT_PID=$S_PID "$T/psock" -H -o "$columns" >"$T/$1" \
		2>"$T/$1.errors" 9<>"$T/fifo" || echo $? >>"$T/$1.errors"
}

# sleep_in_fuse: mounts fuse/history, of which half is never read, by $daemon.
sleep_in_fuse() {
	need_root
	[ -c /dev/fuse ] || skip 'no /dev/fuse'
	command -v python3 >/dev/null || skip 'no python3'
	mkdir "$T/fuse"
	"$bin/sleepyfs" "$T/fuse" read 0 >"$T/mounted" 3>&- &
	daemon=$!
	until [ -s "$T/mounted" ] || ! kill -0 "$daemon" 2>/dev/null; do :; done
	[ -s "$T/mounted" ] || skip 'FUSE file systems cannot be mounted'
	mount=$T/fuse
}

@test "what a process keeps waiting for is let be, and told" {
	need_root
	cc -std=gnu11 -O1 -Wall -o "$T/psock" \
		"$BATS_TEST_DIRNAME"/{inside/kept.c,../common.c}
	mkfifo "$T/fifo"
	export psock T
	export -f kept
	for where in compare cmdline process ask; do
		alone kept "$where" &
	done
	wait
	cd "$T"
	is "$(cat compare.errors)" ''
	is "$(cat compare)" "$(sed s,"$psock,$T/psock," compare.before)"
	# That of its leader is that of the thread with its own descriptors.
	is "$(cat cmdline.errors)" \
		$'psock: 1 process: cmdline: it kept us waiting\n1'
	is "$(cut -f 1-5 cmdline)" "$(cut -f 1-5 cmdline.before)"
	grep -q 'sockets ' cmdline.before
	is "$(grep -c 'sockets ' cmdline)" 0
	is "$(cat process.errors)" \
		$'psock: 1 process: not read: it kept us waiting\n1'
	is "$(cut -f 1 process | sort -u)" -1
	# A worker that is left behind may hold a copy until it is gone.
	is "$(awk 'NR == FNR { seen[$1]; next } $1 in seen' ask.before ask |
		wc -l)" "$(wc -l <ask.before)"
	is "$(cat ask.errors)" \
		$'psock: 1 socket: not asked: it kept us waiting\n1'
}

@test "a socket that is locked for ever, whose asker no signal ends" {
	sleep_in_fuse
	# The options of IP are copied while the socket is locked.
	python3 - "$T/fuse/history" >"$T/pid" 3>&- <<-'END' &
		import mmap, os, socket, sys
		with open(sys.argv[1], 'rb') as f:
		    page = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE,
		                     mmap.PROT_READ)
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		print(os.fstat(s.fileno()).st_ino, flush=True)
		s.setsockopt(socket.IPPROTO_IP, 4, memoryview(page)[1000000:1000040])
	END
	keeper=$!
	# Opening the file waited for an answer, too.
	until [ -s "$T/pid" ] &&
	    grep -q request_wait_answer "/proc/$keeper/wchan"; do
		kill -0 "$keeper"
	done
	# The pipe ends, although the asker has not.
	"$psock" -p "$keeper" -H -o fd,socket,family,protocol \
		2>"$T/errors" | cat >"$T/rows"
	kill -KILL "$daemon"
	wait "$keeper" || :
	cat "$T/errors"
	is "$(cut -f 2- "$T/rows")" "$(cat "$T/pid")	2	17"
	grep -q ': 1 socket: not asked: it kept us waiting' "$T/errors"
}

@test "a directory of tables that is locked for ever" {
	sleep_in_fuse
	# One reads the directory into a page that never comes; behind him,
	# one who would change it keeps out all others.
	cat >"$T/keeper" <<-'END'
		import ctypes, mmap, os, platform, sys, threading
		libc = ctypes.CDLL(None)
		libc.unshare(0x40000000)
		with open(sys.argv[1], 'rb') as f:
		    page = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE)
		net = os.open('/proc/self/net', os.O_RDONLY)
		at = ctypes.addressof(ctypes.c_char.from_buffer(page, 1000000))
		getdents64 = 217 if platform.machine() == 'x86_64' else 61
		threading.Thread(target=lambda: libc.syscall(
		    getdents64, net, ctypes.c_void_p(at), 32768)).start()
		def waits(tid):
		    with open('/proc/self/task/%s/wchan' % tid) as f:
		        return f.read() == 'request_wait_answer'
		while not any(map(waits, os.listdir('/proc/self/task'))):
		    pass
		os.mkdir('/proc/self/net/x')
	END
	cd "$T"
	unshare --net --pid --mount --fork --mount-proc bash -c '
		python3 keeper fuse/history &
		until grep -qE "rwsem|filename_create" "/proc/$!/wchan"; do
			kill -0 "$!" || break
		done
		timeout 100 "$0" -r / -t unix,netlink -H 2>&1 >rows-r |
			cat >errors-r &
		timeout 100 "$0" -t unix,netlink -H 2>&1 >rows | cat >errors
		wait "$!"
		touch finished' "$psock" 3>&- &
	until [ -e finished ]; do
		kill -0 "$!"
	done
	kill -KILL "$daemon"
	wait "$!" || :
	for name in '' -r; do
		cat "errors$name"
		grep -q ': 1 process: net: it kept us waiting' "errors$name"
		grep -q '^-1	' "rows$name"
	done
}
