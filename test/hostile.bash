#!/bin/bash
# SPDX-License-Identifier: ISC
#
# hostile DIRECTORY CALL ATTACK COMMAND...: runs the command on a host of its
# own, with namespaces for network, processes and mounts, where a user without
# privilege keeps it waiting.  DIRECTORY, which all may enter, has the programs
# in bin.  The user, 65534, has mounted a sleepyfs that never answers CALL
# (none, where that is -) in DIRECTORY/fuse.  Its process is the first; when
# others have opened sockets, it runs ATTACK, a line of a shell, and when that
# has written $ATTACK_LINES lines, or one, the command is run.  Leaves in
# DIRECTORY: attack and sockets, what they wrote; rows, errors, status and
# seconds of the command, or no status where that has not ended after
# $HANG_LIMIT seconds, or 120.  Nothing outlives it.

set -eu

if [ "$1" != inside ]; then
	exec unshare --net --mount --pid --fork --kill-child --mount-proc \
		bash "$0" inside "$@"
fi
cd "$2"
call=$3
attack=$4
shift 4

as() {
	local uid=$1
	shift
	setpriv --reuid="$uid" --regid="$uid" --clear-groups "$@"
}

ip link set lo up
mkfifo gate
if [ "$call" != - ]; then
	mknod fusedev c 10 229
	chmod 666 fusedev
	mount --bind fusedev /dev/fuse
	mkdir fuse
	chown 65534 fuse
fi
: >attack
: >sockets
# shellcheck disable=SC2016,SC2094 # expanded and written there
as 65534 unshare -Urm bash -euc '
	if [ "$0" != - ]; then
		bin/sleepyfs fuse "$0" 0 | {
			read -r _
			exec sleep inf
		} &
		until grep -q sleepyfs /proc/self/mounts; do
			[ -n "$(jobs -r)" ]
		done
	fi
	read -r _ <gate
	eval "$1"
' "$call" "$attack" >attack 2>attack.errors &
attacker=$!
for uid in 0 1000; do
	sleep inf | as "$uid" bin/sockets tcp tcp6 pair udp unbound \
		udp-unbound "unix=@of-$uid" dgram socketpair netlink thread \
		>>sockets &
done
until [ "$(grep -c ready sockets)" -eq 2 ]; do
	:
done
echo >gate
# From here on, nothing else may look for a name in /proc.
written=()
until [ "${#written[@]}" -ge "${ATTACK_LINES:-1}" ]; do
	kill -0 "$attacker"
	mapfile -t written <attack
done
# One that hangs may not be waited for: it ends with this host.
state=0
SECONDS=0
sleep "${HANG_LIMIT:-120}" &
timer=$!
"$@" >rows 2>errors &
command=$!
wait -n "$command" "$timer" || state=$?
if kill -0 "$command" 2>/dev/null; then
	exit 1
fi
echo "$SECONDS" >seconds
echo "$state" >status
