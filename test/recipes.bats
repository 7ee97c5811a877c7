#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# The commands of the manuals, taken from them and run as they stand, on a
# small host of files, or on a quiet host of namespaces.

# shellcheck disable=SC2016 # what is run has dollars of its own

load psock_helper
load manual_helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir bin
	PATH=$PWD/bin:$PATH
	export LC_ALL=C
}

@test "psock(7): every command that stands for one of another tool" {
	make_host
	commands psock.7
	rm run/*.block
	shows <<-'END'
		^812	3	18201	.*	LISTEN	.*	sshd$
		^1337	0	40960	.*	ESTABLISHED
		^900	4	700	10	17	::	::	53	0	.*	resolved$
		^640	5	15000	.*/run/dbus.sock	LISTEN	.*	dbus$
		^-1	-1	901	17	2048	.*	RAW		
		1 2	6	LISTEN$
		^1337	0	40960	.*203.0.113.9
		^900	4	700	.*	4026532000$
		^900	4	700	.*	resolved$
		^812	3	18201	2	6	0.0.0.0	0.0.0.0	22
		^812	3	18201
		^640	5	15000	.*	/run/dbus.sock
		^1337	0	40960	.*	1000$
		^1337	0	40960
		^-1	-1	901
		^812	3	18201	.*	LISTEN
		^1337	0	.*	sh	.*	/tmp/.x	sh -i	1000	812	
		^1000	1700000000	id	/home/alice/.bash_history
		^1000	1700000000	id	/home/alice/.bash_history	alice$
	END
}

@test "psock(1): the examples" {
	make_host
	touch lastnight
	commands psock.1
	shows <<-'END'
		^812	0.0.0.0	22	LISTEN	sshd$
		^1337	0	203.0.113.9	4444	/usr/bin/sh$
		^status 0
		^ *3 1337$
		^LISTEN	0.0.0.0	22	/usr/bin/sshd
	END
}

@test "shhist(1): the examples" {
	make_host
	printf ': 1700000000:0;id\n' | gzip >zsh_history.gz
	echo 'wget x' >>"$root/home/alice/.bash_history"
	commands shhist.1
	sed -i "s#/mnt#$root#" run/*
	# No process runs below -r: the tests of -m have what it shows.
	rm "$(grep -l 'shhist -Hm' run/*)"
	shows <<-'END'
		^1000	1700000000	id
		^0	1700000120	echo "
		^alice	1700000000	id\\nwget x
		^status 0
		^id$
	END
}

# bats test_tags=live
@test "psock(7): the nightly script tells what is new on a quiet host" {
	need_namespaces
	commands psock.7
	cp "$(grep -l '^compare listeners' run/*)" nightly
	mkdir -p bin kept
	# Copies: this may all be below /root.
	cp "$psock" bin/psock
	cp "${SHHIST:-$BATS_TEST_DIRNAME/../shhist}" bin/shhist
	cp "$BATS_TEST_DIRNAME/bin/sockets" bin
	cat >host <<-'END'
		ip link set lo up
		mount -t tmpfs tmpfs /root
		mount -t tmpfs tmpfs /home
		history=/root/.bash_history
		printf '#1700000000\nid\n' >"$history"
		night() {
			echo "$1:"
			sh nightly kept 2>&1
		}
		open() {
			mkfifo "$1"
			bin/sockets "$@" <>"$1" >"$1.told" &
			until grep -qs ready "$1.told"; do
				kill -0 "$!"
			done
		}
		open tcp tcp6 udp udp6 dgram seqpacket raw netlink pair
		mkfifo /root/.zsh_history
		night first
		rm /root/.zsh_history
		night quiet
		open unix=new.sock
		printf '#1700000060\nw\n' >>"$history"
		night new
		mkfifo /root/.zsh_history
		printf '#1700000120\nwho\n' >>"$history"
		night warned
		rm /root/.zsh_history
		night again
	END
	unshare --net --pid --mount --fork --kill-child --mount-proc \
		bash -eu host >told
	diff told - <<-END
		first:
		shhist: /root/.zsh_history: is a FIFO, not a regular file
		commands: exit status 1
		quiet:
		new:
		3a4
		> LISTEN	0	0		0	new.sock	$PWD/bin/sockets
		1a2
		> 0	1700000060	w	/root/.bash_history
		warned:
		shhist: /root/.zsh_history: is a FIFO, not a regular file
		2a3
		> 0	1700000120	who	/root/.bash_history
		commands: exit status 1
		again:
		2a3
		> 0	1700000120	who	/root/.bash_history
	END
}
