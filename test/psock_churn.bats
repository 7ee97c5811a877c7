#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock loses no quiet socket while others come and go.  CHURN_RUNS and
# CHURN_SOCKETS ask for more runs and sockets.

# shellcheck disable=SC2154 # set by the helper

load psock_helper

setup_file() {
	mkdir -p "$BATS_TEST_DIRNAME/bin"
	[ -x "$BATS_TEST_DIRNAME/bin/churn" ] ||
		cc -std=gnu11 -O1 -Wall -o "$BATS_TEST_DIRNAME/bin/churn" \
			"$BATS_TEST_DIRNAME/churn.c"
}

teardown() {
	[ -z "${pid:-}" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
}

@test "no quiet socket is lost under churn, in rows nor in tables" {
	local line i quiet=$BATS_TEST_TMPDIR/quiet lost
	[ "$(ulimit -Hn)" = unlimited ] ||
		[ "$(ulimit -Hn)" -gt $((4 * ${CHURN_SOCKETS:-2000} + 50)) ] ||
		skip "$(ulimit -Hn) descriptors are too few"
	coproc CHURN {
		exec "$BATS_TEST_DIRNAME/bin/churn" "${CHURN_SOCKETS:-2000}" \
			3>&-
	}
	pid=$CHURN_PID
	while read -r line <&"${CHURN[0]}" && [ "$line" != ready ]; do
		echo "$pid	$line"
	done >"$quiet"
	[ "$line" = ready ]
	sort "$quiet" >"$quiet.sorted"
	for ((i = 0; i < ${CHURN_RUNS:-3}; i++)); do
		# In a table: a row of it with the holder, each just once.
		"$psock" -q -H -t tcp,udp,unix,netlink -o pid,fd,socket \
			>"$quiet.rows" || [ $? -eq 1 ]
		lost=$(grep "^$pid	" "$quiet.rows" | sort |
			comm -3 - "$quiet.sorted" | wc -l)
		[ "$lost" -eq 0 ] || {
			echo "run $i: $lost of $(wc -l <"$quiet") differ"
			return 1
		}
	done
	command -v strace >/dev/null || return 0
	# No table of its namespace is read more than three times.
	ASAN_OPTIONS=detect_leaks=0 strace -o "$quiet.trace" -e trace=openat \
		"$psock" -q -p "$pid" -t udp,unix >/dev/null 2>&1 || [ $? -eq 1 ]
	[ "$(grep -c '"udp"' "$quiet.trace")" -ge 1 ]
	[ "$(grep -c '"udp"' "$quiet.trace")" -le 3 ]
	[ "$(grep -c '"unix"' "$quiet.trace")" -le 3 ]
}
