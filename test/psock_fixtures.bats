#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Whole systems below test/fixtures, each with the rows it must give beside
# it: NAME/proc and NAME/rows.  test/capture copies one from a running kernel.

# shellcheck disable=SC2154 # output is set by the helper and bats

load psock_helper

fixtures=$BATS_TEST_DIRNAME/fixtures

# fixture NAME: its rows, exit 0, and no warning.
fixture() {
	root=$fixtures/$1
	run "$psock" -r "$root" -o +tid,type,owner,comm,ppid
	is "$output" "$(cat "$root/rows")"
	is "$status" 0
}

@test "a host of today: three namespaces, shared sockets, some nobody's" {
	fixture host
}

@test "Linux 2.6.32: no ns, no comm, no inodes in netlink" {
	fixture linux-2.6.32
}

@test "Linux 4.4 without IPv6, raw and packet sockets" {
	fixture linux-4.4
}

# bats test_tags=live
@test "test/capture copies what psock reads" {
	local to=$BATS_TEST_TMPDIR/captured
	exec 9<>/dev/udp/127.0.0.1/9
	"$BATS_TEST_DIRNAME/capture" "$to" $$
	"$psock" -Hp $$ -o pid,fd,socket,family >"$BATS_TEST_TMPDIR/live"
	root=$to
	rows -p $$ -o pid,fd,socket,family
	is "$output" "$(cat "$BATS_TEST_TMPDIR/live")"
	[[ $output = *"$$	9	"*"	2"* ]]
}
