#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock on a busy host: processes and sockets come and go while it runs, and
# it neither warns without cause nor loses a quiet socket.  LOAD_RUNS and
# LOAD_PROCESSES ask for more.

# bats file_tags=live

# shellcheck disable=SC2154 # output is set by bats

load psock_helper

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/.." helpers >&2
}

setup() {
	bin=$BATS_TEST_DIRNAME/bin
}

# runs N COMMAND...: beside the command, alone on a host of its own, psock
# runs N times: exit 0, no word, and each quiet socket in each run.
runs() {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	unshare --net --pid --mount --fork --mount-proc bash -c '
		runs=$1 psock=$2
		shift 2
		ip link set lo up
		coproc LOAD { exec "$@"; }
		while read -r line <&"${LOAD[0]}" && [ "$line" != ready ]; do
			echo "$LOAD_PID	$line"
		done >opened
		[ "$line" = ready ] && sort opened >quiet || exit
		columns=,comm,exe,cwd,cmdline,uid,ppid,start_time,cgroup
		columns+=,type,interface,filter
		for ((i = 0; i < runs; i++)); do
			# By turns what a helper reads, and what it does not.
			"$psock" -Ho "pid,fd,socket${columns:i % 2 * 999}" \
				>rows 2>errors
			status=$?
			cut -f 1-3 rows | sort -u | comm -13 - quiet >lost
			[ "$status" -eq 0 ] && [ ! -s errors ] &&
				[ ! -s lost ] || {
				echo "run $i: status $status"
				cat errors lost
				exit 1
			}
		done
	' - "$1" "$psock" "${@:2}" 3>&-
}

@test "processes that come and go: no false warning, no socket lost" {
	cd "$BATS_TEST_TMPDIR"
	runs "${LOAD_RUNS:-4}" "$bin/load" "${LOAD_PROCESSES:-300}"
}

@test "sockets that come and go: no false warning" {
	cd "$BATS_TEST_TMPDIR"
	runs "${LOAD_RUNS:-4}" "$bin/churn" 2000 \
		tcp,udp,unix,netlink
}

@test "closed with words unread: a unix socket that is counted, not listed" {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
	command -v python3 >/dev/null || skip 'no python3'
	unshare --net --pid --mount --fork --mount-proc python3 - "$psock" <<-'END'
		import socket, subprocess, sys
		reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		reader.bind(b'\0reader')
		for i in range(5):
		    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as writer:
		        writer.sendto(b'words', b'\0reader')
		result = subprocess.run([sys.argv[1], '-Htunix', '-opath'],
		                        capture_output=True)
		assert result.returncode == 0, result
		assert result.stdout == b'@reader\n', result
	END
}
