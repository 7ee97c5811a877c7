#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# A worker that is killed takes no more with it than the job that it was at,
# and that is reported.  KILL_RUNS asks for more runs.

# bats file_tags=live

load live_helper

@test "a worker that is killed, at any moment" {
	need_root
	command -v python3 >/dev/null || skip 'no python3'
	[ -e "/proc/$$/task/$$/children" ] ||
		skip 'the kernel does not list children'
	timeout -s KILL 600 unshare --net --pid --mount --fork --kill-child \
		--mount-proc sh -c 'ip link set lo up; exec "$@"' - python3 \
		"$BATS_TEST_DIRNAME/kill_workers.py" "${KILL_RUNS:-200}" \
		"$psock"
}
