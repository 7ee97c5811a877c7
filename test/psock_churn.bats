#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# psock loses no quiet socket while others of its kind come and go.
# CHURN_RUNS and CHURN_SOCKETS ask for more runs and sockets.

# bats file_tags=live

# shellcheck disable=SC2154 # set by the helper

load psock_helper

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/.." helpers >&2
}

setup() {
	sockets=${CHURN_SOCKETS:-500}
	quiet=$BATS_TEST_TMPDIR/quiet
	trace=$BATS_TEST_TMPDIR/trace
	[ "$(ulimit -Hn)" = unlimited ] ||
		[ "$(ulimit -Hn)" -gt $((2 * sockets + 50)) ] ||
		skip "$(ulimit -Hn) descriptors are too few"
	own=()
	! unshare -n true || own=(unshare -n)
}

hang_up() {
	[ -z "${pid:-}" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
	pid=
}

teardown() {
	hang_up
}

# churn KIND: sockets of the kind in a namespace of their own, where that
# can be; returns 1 where the host has none of it.
churn() {
	local line='' n=$sockets
	# The kernel takes 10 ms to close each of these.
	[ "$1" != packet ] || n=$((sockets / 40))
	coproc CHURN {
		exec "${own[@]}" sh -c 'ip link set lo up
			echo "0 1" >/proc/sys/net/ipv4/ping_group_range
			exec "$@"' sh "$BATS_TEST_DIRNAME/bin/churn" \
			"$n" "$1" 2>/dev/null 3>&-
	}
	pid=$CHURN_PID
	while read -r line <&"${CHURN[0]}" && [ "$line" != ready ]; do
		echo "$pid	$line"
	done >"$quiet"
	[ "$line" = ready ] && sort -o "$quiet" "$quiet"
}

# runs KIND [N]: psock misses none of them, in table KIND nor in all.
runs() {
	local i lost
	for ((i = 0; i < ${2:-${CHURN_RUNS:-1}}; i++)); do
		# In a table: a row of it with the holder, each just once.
		"$psock" -q -H -t "$1" -o pid,fd,socket >"$quiet.rows" ||
			[ $? -eq 1 ]
		lost=$(grep "^$pid	" "$quiet.rows" | sort |
			comm -3 - "$quiet" | wc -l)
		[ "$lost" -eq 0 ] || {
			echo "$1, run $i: $lost of $(wc -l <"$quiet") differ"
			return 1
		}
	done
}

# reads KIND: how often that table was read of the namespace alone.
reads() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -o "$trace" -e trace=openat \
		"$psock" -q -p "$pid" -t "$1" >/dev/null 2>&1 || [ $? -eq 1 ]
	grep -c "\"$1\"" "$trace"
}

@test "no quiet socket is lost under churn, of any kind" {
	local kind missing=
	for kind in tcp tcp6 udp udp6 udplite udplite6 icmp icmp6 raw raw6 \
		unix packet netlink; do
		churn "$kind" || {
			missing+=" $kind"
			hang_up
			continue
		}
		runs "$kind"
		# No table is read more than three times.
		if command -v strace >/dev/null; then
			is "$kind $(($(reads "$kind") <= 3))" "$kind 1"
			grep -q "\"$kind\"" "$trace"
		fi
		hang_up
	done
	[ -z "$missing" ] || skip "the host has no$missing"
}

@test "a process that ends while its links are read is no refusal" {
	cc -std=gnu11 -O1 -Wall -o "$BATS_TEST_TMPDIR/gone" \
		"$BATS_TEST_DIRNAME"/{inside/gone.c,../common.c}
	is "$("$BATS_TEST_TMPDIR/gone")" 'there 1, gone 0'
}
