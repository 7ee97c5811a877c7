#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# A user without privilege keeps psock waiting without end, in every way that
# procfs gives him: psock ends in time, says what did not answer, and the rows
# of all others are there.

# bats file_tags=live

# shellcheck disable=SC2154 # set by bats and the helpers

load live_helper

teardown() {
	[ -z "$open" ] || rm -rf --one-file-system "${open:?}"
}

# need_fuse: the host can be one where each user mounts FUSE file systems.
need_fuse() {
	need_root
	unprivileged
	[ -c /dev/fuse ] || skip 'no /dev/fuse'
	unshare -n -p -m -f true || skip 'namespaces are refused'
	chmod 777 "$open"
	(
		cd "$open"
		mknod fusedev c 10 229 && chmod 666 fusedev && : <>fusedev
	) || skip 'no device can be made here'
	(
		cd "$open"
		setpriv --reuid=65534 --regid=65534 --clear-groups \
			unshare -Urm true
	) || skip 'users may not have namespaces'
}

# no_sanitizer: it may look into what is locked before psock does.
no_sanitizer() {
	[ -z "${ASAN_OPTIONS-}" ] || skip 'the sanitizer reads /proc, too'
}

# attack NAME CALL ATTACK ARGUMENT...: psock on such a host, in the
# background; see hostile.bash.  One that hangs ends with all of the host,
# and has no status.
attack() {
	local dir=$open/$1 call=$2 attack=$3
	shift 3
	mkdir "$dir"
	chmod 777 "$dir"
	mkdir "$dir/bin"
	cp "$bin"/{sockets,sleepyfs,proclock,mmlock,moving} "$dir/bin"
	timeout -s KILL 900 \
		bash "$BATS_TEST_DIRNAME/hostile.bash" "$dir" "$call" \
		"$attack" "$@" >"$dir/log" 2>&1 3>&- &
}

# both NAME CALL ATTACK ARGUMENT...: where psock can have a procfs of its
# own, and where it can not.
both() {
	local name=$1 call=$2 attack=$3
	shift 3
	attack "$name" "$call" "$attack" "$psock" -H "$@"
	attack "$name.shared" "$call" "$attack" \
		"$bin/nosys" fsopen "$psock" -H "$@"
}

# fails NAME WHY: with what is there to see.
fails() {
	echo "$1: $2"
	head -v -n 5 "$open/$1"/{log,attack,attack.errors,errors,status}
	return 1
}

# lacks NAME: a socket of others that is not in one row.
lacks() {
	awk -F '[\t ]' '
		FILENAME == ARGV[1] { rows[$1, $2, $3]++; next }
		NF == 5 && rows[$2, $4, $5] != 1' \
		"$open/$1/rows" "$open/$1/sockets"
}

# judge NAME: psock has ended in time, with the rows of all others; if it does
# not say that something did not answer, those of the attackers, too.
judge() {
	local dir=$open/$1 pid state
	[ -s "$dir/status" ] || fails "$1" 'psock did not end' || return 1
	# A minute, and what a busy host may take for the rest.
	[ "$(cat "$dir/seconds")" -lt 90 ] || fails "$1" 'too long' || return 1
	is "$(lacks "$1")" '' || fails "$1" 'rows are missing' || return 1
	state=$(cat "$dir/status")
	# Where nothing else is amiss, it says where it is.
	grep -qv 'pid namespace' "$dir/errors" || state=0
	case $state in
	1)
		grep -qE 'did not answer|counted by the kernel' \
			"$dir/errors" ||
			fails "$1" 'no warning'
		;;
	0)
		while read -r pid _; do
			grep -q "^$pid	" "$dir/rows" ||
				fails "$1" "no row of $pid" || return 1
		done <"$dir/attack"
		;;
	*)
		fails "$1" 'no answer'
		;;
	esac
}

# judge_all: each attack.
judge_all() {
	local dir bad=0
	wait
	for dir in "$open"/*/; do
		judge "$(basename "$dir")" || bad=1
	done
	return "$bad"
}

@test "/proc is locked before psock starts" {
	need_fuse
	no_sanitizer
	local name dir
	both start read 'exec bin/proclock fuse/history now /proc'
	wait
	for name in start start.shared; do
		dir=$open/$name
		# It cannot list a process.
		if [ "$(cat "$dir/status")" = 2 ]; then
			is "$(cat "$dir/rows")" ''
			grep -q '/proc: did not answer' "$dir/errors"
		else
			judge "$name"
		fi
	done
}

@test "/proc is locked when the processes have been listed" {
	need_fuse
	both listed read \
		'exec bin/proclock -d 400 fuse/history opened /proc'
	judge_all
}

@test "a process whose directories are locked" {
	need_fuse
	local name
	for name in "" /fd /net /task; do
		both "dir${name#/}" read \
			"exec bin/proclock fuse/history now .$name"
	done
	judge_all
}

@test "a process whose directories are locked, with -r" {
	need_fuse
	local name
	for name in "" /fd /net /task; do
		attack "root${name#/}" read \
			"exec bin/proclock fuse/history now .$name" \
			"$psock" -H -r /
	done
	judge_all
}

@test "the only process of a namespace, whose tables are locked" {
	need_fuse
	local name
	both tables read 'exec unshare -n \
		bin/proclock fuse/history now ./net'
	judge_all
}

@test "directories of psock's own, in namespaces that descriptors keep" {
	need_fuse
	no_sanitizer
	local name
	# So many that it is still there when its directory is locked.
	for name in "" /net /task; do
		both "own${name#/}" read 'for i in {1..40}; do
				unshare -n sleep inf &
				while [ "/proc/$!/ns/net" -ef /proc/self/ns/net ]
				do :; done
				exec {fd}<"/proc/$!/ns/net"
				kill "$!"
			done
			exec bin/proclock -d 150 fuse/history psock '".$name"
	done
	judge_all
}

@test "descriptors that turn into files that do not answer" {
	need_fuse
	local call
	export ATTACK_LINES=4
	for call in getattr getxattr; do
		both "$call" "$call" 'for i in 1 2 3 4; do
			bin/moving between fuse/history 50 &
		done
		exec sleep inf'
		# Where it may not ask the socket, it asks the descriptor.
		attack "$call.refused" "$call" 'for i in 1 2 3 4; do
			bin/moving between fuse/history 50 &
		done
		exec sleep inf' "$bin/nosys" pidfd_getfd "$psock" -H
	done
	judge_all
}

@test "a process whose memory is locked" {
	need_fuse
	both mm read 'exec bin/mmlock fuse/history mm' \
		-o +cmdline,exe,start_time
	judge_all
}

@test "a process that runs another program and waits for its memory" {
	need_fuse
	both exec read 'exec bin/mmlock fuse/history exec' -o +start_time
	judge_all
}

@test "a socket that is locked" {
	need_fuse
	both socket read 'exec bin/mmlock fuse/history socket'
	judge_all
}

@test "32 processes of one user" {
	need_fuse
	export ATTACK_LINES=32
	both manyfd read 'exec bin/proclock -c 32 fuse/history now ./fd'
	both manytask read 'exec bin/proclock -c 32 fuse/history now ./task'
	both manyexec read 'for i in {1..31}; do
			bin/mmlock fuse/${i}history exec &
		done
		exec bin/mmlock fuse/history exec'
	judge_all
}
