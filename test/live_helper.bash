# SPDX-License-Identifier: ISC
#
# What the tests of psock on the running kernel share: real sockets from
# test/sockets.c, and their rows.

# shellcheck shell=bash disable=SC2154 # bats sets these

load psock_helper

setup_file() {
	# make cross has copied these tests, and built its own helpers.
	[ ! -e "$BATS_TEST_DIRNAME/../Makefile" ] ||
		make -s -C "$BATS_TEST_DIRNAME/.." helpers >&2
}

setup() {
	bin=$BATS_TEST_DIRNAME/bin
	pid=
	mount=
	open=
	under=()
}

# hang_up: ends the process of sockets.
hang_up() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
	pid=
}

teardown() {
	hang_up
	[ -z "$mount" ] || umount -l "$mount" || :	# others may look
	[ -z "$open" ] || rm -rf "${open:?}"
}

# sockets KIND...: opens them; $opened has a line "kind pid tid fd inode" each.
# The first word may be a command that takes the others.
sockets() {
	local line
	coproc SOCKETS { exec "${under[@]}" "$bin/sockets" "$@" 3>&-; }
	pid=$SOCKETS_PID
	opened=
	while IFS= read -r line <&"${SOCKETS[0]}"; do
		[ "$line" != ready ] || return 0
		opened+=$line$'\n'
	done
	return 1
}

# need_root: the kernel shows all of it to root alone.
need_root() {
	[ "$(id -u)" -eq 0 ] || skip 'not root'
}

# given KIND: what the host cannot give is skipped.
given() {
	local line
	line=$(grep "^$1 - " <<<"$opened") || return 0
	skip "$line"
}

# live ARGUMENT...: the rows of psock without a header in $output.
live() {
	run sh -c '"$@" 2>"$0"' "$BATS_TEST_TMPDIR/errors" \
		"${wrap[@]}" "$psock" -H "$@"
	errors=$(cat "$BATS_TEST_TMPDIR/errors")
}

# all_rows: every line of $opened has exactly one row in $output, which is
# that of -o pid,fd,socket,...
all_rows() {
	local kind p tid fd inode n
	while read -r kind p tid fd inode; do
		case $p$kind in
		-* | *netns-fd) continue ;;
		esac
		n=$(grep -c "^$p	$fd	$inode	" <<<"$output" || :)
		[ "$n" -eq 1 ] || {
			echo "$kind $p $fd $inode: $n rows; $errors"
			return 1
		}
	done <<<"${opened%$'\n'}"
}

# inode_of KIND [N]: inode of the Nth line of the kind.
inode_of() {
	awk -v k="$1" -v n="${2:-1}" '$1 == k && ++i == n { print $5 }' \
		<<<"$opened"
}

# row KIND [N]: the rows of that socket.
row() {
	awk -F '\t' -v i="$(inode_of "$@")" '$3 == i' <<<"$output"
}

# unprivileged: what a user without privilege runs is in $open.
unprivileged() {
	open=$(mktemp -d)	# bats' own directories are closed to others
	chmod 755 "$open"
	cp "$psock" "$bin/sockets" "$open"
}

# walk: pid, fd and inode of every socket below /proc.
walk() {
	find /proc/[0-9]*/fd -lname 'socket:*' -printf '%p %l\n' 2>/dev/null |
		sed -n 's|^/proc/\([0-9]*\)/fd/\([0-9]*\) socket:\[\(.*\)\]$|\1\t\2\t\3|p' |
		sort
}
