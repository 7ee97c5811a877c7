# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the manuals say to run.

manuals=$BATS_TEST_DIRNAME/../man

# need_namespaces: in a chroot nothing can be mounted apart from the host.
need_namespaces() {
	unshare --net --mount --pid --fork true 2>/dev/null ||
		skip 'no namespaces'
}

# The page without what roff makes of backslashes.
plain() {
	sed 's/\\&//g; s/\\e/\\/g' "$manuals/$1"
}

# commands PAGE: each that stands there by itself, in order, as a file
# run/NN.line or run/NN.block.
commands() {
	rm -rf run
	mkdir run
	plain "$1" | awk '
		/^\.Dl / {
			file = sprintf("run/%02d.line", ++n)
			sub(/^.Dl /, "")
			print >file
		}
		/^\.Ed/ { on = 0 }
		on { print >file }
		/^\.Bd/ { on = 1; file = sprintf("run/%02d.block", ++n) }'
}

# here: the places that the commands name are those of our host.
here() {
	sed -i "s#/mnt#$root#; s#/media/stick#$PWD/stick#" run/*
}

# shows: each command succeeds and prints a line that matches the next one
# of standard input.  Neither may be left over.
shows() {
	local file row
	for file in run/*; do
		IFS= read -r row || return
		{
			bash -o pipefail "$file" </dev/null
			echo "status $?"
		} >got
		if ! grep -qx 'status 0' got || ! grep -- "$row" got; then
			cat "$file" got
			return 1
		fi
	done
	! read -r row
}

# process PID PPID UID CWD ARGUMENT...: one of make_host.
process() {
	local dir=$root/proc/$1
	proc "$1"
	printf '%s\n' "$5" >"$dir/comm"
	printf "$1 ($5) S $2 $(seq -s ' ' 18) 4200 0 0\n" >"$dir/stat"
	printf 'Name:\t%s\nUid:\t%s\t%s\n' "$5" "$3" "$3" >"$dir/status"
	ln -s "/usr/bin/$5" "$dir/exe"
	ln -s "$4" "$dir/cwd"
	shift 4
	printf '%s\0' "$@" >"$dir/cmdline"
}

# A host of files at $root, and commands psock and shhist that look at it.
make_host() {
	process 640 1 0 / dbus
	netns 640 4026531840
	hold 640 5 15000
	{
		unix_line 15000 /run/dbus.sock 00010000 0001 01
		unix_line 15001 /tmp/LISTEN/run/dbus.sock
	} | table 640 unix
	{
		inet 00000000:0016 00000000:0000 0A 18201
		inet 0500000A:C942 097100CB:115C 01 40960
		inet 0100007F:9C40 0100007F:1538 01 41000
		inet 0100007F:1538 0100007F:9C40 01 41001
		inet 010011AC:0050 020011AC:C000 01 18202
	} | table 640 tcp
	# Nobody holds it.
	inet 00000000:0044 00000000:0000 07 18300 | table 640 udp
	printf '%s\n' 'sk RefCnt Type Proto Iface R Rmem User Inode' \
		'0 3 3 0800 0 1 0 0 901' >"$root/proc/640/net/packet"
	process 812 1 0 / sshd -D
	netns 812 4026531840
	hold 812 3 18201
	echo 0::/system.slice/sshd.service >"$root/proc/812/cgroup"
	process 900 1 0 / resolved
	netns 900 4026532000
	hold 900 4 700
	inet "$(printf '0%.0s' {1..32}):0035" \
		"$(printf '0%.0s' {1..32}):0000" 07 700 | table 900 udp6
	# A container that talks to the host.
	hold 900 5 701
	inet 020011AC:C000 010011AC:0050 01 701 | table 900 tcp
	echo 0::/system.slice/docker-4f5e0c.scope >"$root/proc/900/cgroup"
	process 2201 1 0 / postgres
	netns 2201 4026531840
	hold 2201 7 41001
	hold 2201 8 18202
	process 1337 812 1000 /tmp/.x sh -i
	netns 1337 4026531840
	for fd in 0 1 2; do
		hold 1337 "$fd" 40960
	done
	# Its names are to pass for the state of a socket.
	process 1400 1 1000 /tmp LISTENd LISTEN
	ln -sfn '/tmp/LISTENd (deleted)' "$root/proc/1400/exe"
	netns 1400 4026531840
	hold 1400 3 41000
	hold 1400 4 15001
	echo 'btime 1700000000' >"$root/proc/stat"
	mkdir -p "$root/etc" "$root/home/alice" "$root/root"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/bash' \
		'alice:x:1000:1000::/home/alice:/bin/bash' >"$root/etc/passwd"
	printf '%s\n' '#1700000000' id >"$root/home/alice/.bash_history"
	printf '%s\n' '#1700000060' '"/opt/a b/c" -x' '#1700000120' 'echo "' \
		>"$root/root/.bash_history"
	chmod -R a+rX "$root"
	mkdir -p bin
	wrap psock "$psock"
	wrap shhist "${SHHIST:-$BATS_TEST_DIRNAME/../shhist}"
	# The files that stand for namespaces; a chroot has its /proc.
	cat >bin/stat <<-'END'
		#!/bin/sh
		case $* in
		*/proc/1/*) echo 4026531840 ;;
		*) echo 4026532000 ;;
		esac
	END
	echo '#!/bin/sh' >bin/mount
	chmod +x bin/stat bin/mount
}

wrap() {
	printf '#!/bin/sh\nexec "%s" -r "%s" "$@"\n' "$2" "$root" >"bin/$1"
	chmod +x "bin/$1"
}

# A USB stick in the current directory, with both tools and their sums.
make_stick() {
	mkdir stick
	cp bin/psock bin/shhist stick
	(cd stick && sha256sum ./*) >sums
	mv sums stick
}
