#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Every command of the README, taken from it, must print just what the README
# says.  They run on a small host of files: ./psock and ./shhist are scripts
# that look at it with -r.

header='  sl  local_address rem_address   st tx_queue rx_queue tr tm->when'
header+=' retrnsmt   uid  timeout inode'
unix_header='Num       RefCount Protocol Flags    Type St Inode Path'
zero='00000000:00000000 00:00000000 00000000'

# holder PID INODE NETNS EXE FD...: a process in a namespace.
holder() {
	local dir=$host/proc/$1 inode=$2 fd
	mkdir -p "$dir/fd" "$dir/ns" "$dir/net"
	ln -s "net:[$3]" "$dir/ns/net"
	ln -s "$4" "$dir/exe"
	shift 4
	for fd; do
		ln -s "socket:[$inode]" "$dir/fd/$fd"
	done
}

# The tables of the host, and of a container.
tables() {
	{
		echo "$header"
		echo "   0: 00000000:0016 00000000:0000 0A $zero 0 0 18201 1"
		echo "   1: 0500000A:C942 097100CB:115C 01 $zero 0 0 40960 1"
	} >"$host/proc/640/net/tcp"
	{
		echo "$unix_header"
		echo "0000000000000000: 00000002 00000000 00010000 0001 01" \
			"15000 /run/dbus.sock"
	} >"$host/proc/640/net/unix"
	{
		echo "$header"
		echo "   0: 0100007F:1538 00000000:0000 0A $zero 0 0 50300 1"
	} >"$host/proc/2201/net/tcp"
}

setup() {
	repo=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	host=$BATS_TEST_TMPDIR/host
	holder 640 15000 4026531840 /usr/bin/dbus-daemon 5
	holder 812 18201 4026531840 /usr/sbin/sshd 3
	holder 1337 40960 4026531840 /usr/bin/bash 0 1
	holder 2201 50300 4026532301 /usr/bin/postgres 6
	tables
	mkdir -p "$host/etc" "$host/home/alice" "$host/root"
	{
		echo 'root:x:0:0:root:/root:/bin/bash'
		echo 'alice:x:1000:1000::/home/alice:/bin/bash'
	} >"$host/etc/passwd"
	printf '%s\n' '#1700000000' 'systemctl status nginx' '#1700000060' \
		'for i in 1 2' "do echo \$i" 'done' \
		>"$host/home/alice/.bash_history"
	printf '%s\n' '#1700000120' 'passwd alice' >"$host/root/.bash_history"
	chmod -R a+rX "$host"
	cd "$BATS_TEST_TMPDIR" || return
	wrap psock "${PSOCK:-$repo/psock}"
	wrap shhist "${SHHIST:-$repo/shhist}"
	export LC_ALL=C
}

wrap() {
	printf '#!/bin/sh\nexec "%s" -r "%s" "$@"\n' "$2" "$host" >"$1"
	chmod +x "$1"
}

# The indented lines of the README that are commands or their output.
session() {
	awk '/^    \$ / { on = 1 } !/^    / { on = 0 }
		on { print substr($0, 5) }' "$repo/README"
}

@test "the README: every command prints what it says there" {
	session | sed -n 's/^\$ //p' >commands
	[ "$(wc -l <commands)" -ge 5 ]
	while IFS= read -r line; do
		printf '$ %s\n' "$line"
		bash -c "$line" </dev/null 2>&1 || echo "status $?"
	done <commands >got
	session | diff - got
}

@test "the README: nothing but commands begins with \$" {
	run grep -c "^    \\\$ " "$repo/README"
	[ "$output" -eq "$(session | grep -c '^\$ ')" ]
}

@test "the README: two commands for a fresh machine, the targets exist" {
	[ "$(grep -c '^    apt-get ' "$repo/README")" -eq 2 ]
	grep -qx '    apt-get .* && make && ./psock' "$repo/README"
	grep -qx '        .* && make test' "$repo/README"
}

@test "the README: 100 lines before the licence, of at most 80 columns" {
	[ "$(sed '/^LICENCE/,$d' "$repo/README" | wc -l)" -le 100 ]
	run grep -n '.\{81\}' "$repo/README"
	[ "$status" -eq 1 ]
}

@test "the README: its columns are the default ones, in order" {
	for tool in psock shhist; do
		awk -v tool="$tool" '!/^    / { on = $0 == tool; next }
			on { print $1 ($1 ~ /,$/ ? " " $2 : "") }' \
			"$repo/README" | tr -d , | tr ' ' '\n' >named
		"./$tool" | head -n 1 | tr '\t' '\n' >real
		diff named real
	done
}

@test "the README: a pipe that aligns the columns" {
	command -v column >/dev/null || skip 'column is not installed'
	pipe=$(sed -n 's/.*`\(column [^`]*\)`.*/\1/p' "$repo/README")
	./psock -o pid,fd,family | bash -c "$pipe" >aligned
	diff aligned - <<-'END'
		pid   fd  family
		812   3   2
		1337  0   2
		1337  1   2
		640   5   1
		2201  6   2
	END
}

# bats test_tags=live
@test "the README: what it says of its peers is what they do" {
	for tool in ss lsof lsfd; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	unshare --net --pid --mount --fork true 2>/dev/null ||
		skip 'no namespaces'
	awk '/ psock +ss / { on = 1 } on && !NF { exit }
		on { print $(NF - 3), $(NF - 2), $(NF - 1), $NF }' \
		"$repo/README" >says
	PSOCK=${PSOCK:-$repo/psock} "$BATS_TEST_DIRNAME/peers" tcp unbound \
		ping thread netns-socket in-ring |
		awk '{ print $2, $3, $4, $5 }' >found
	[ "$(wc -l <found)" -eq 7 ]
	diff says found
}
