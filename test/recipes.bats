#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# The commands of the manuals, taken from them and run as they stand, on a
# small host of files, or on a quiet host of namespaces.

# shellcheck disable=SC2016 # what is run has dollars of its own

bats_require_minimum_version 1.5.0

load psock_helper
load manual_helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir bin
	# In a pipe less is cat, and a fresh Debian has no less.
	printf '#!/bin/sh\nexec cat\n' >bin/less
	chmod +x bin/less
	PATH=$PWD/bin:$PATH
	export LC_ALL=C TZ=UTC
}

@test "psock(7): every command but those of the loads" {
	make_host
	make_stick
	touch hosts
	commands psock.7
	here
	rm "$(grep -l ^PATH= run/*)"
	grep -lE '^(sqlite3|createdb|xargs|ssh)| (mlr|jq) ' run/* | xargs rm
	# Files are no kernel that can be asked: psock_peers.bats has it.
	rm "$(grep -l docker.sock run/*)"
	shows <<-'END'
		^tcp	0.0.0.0	22	812	root	/usr/bin/sshd$
		^host 22 812 /usr/bin/sshd$
		^udp	68	4026531840$
		^4026531840	812	sshd$
		^900	4	700	10	17	::	::	53	0	.*	4026532000$
		^/system.slice/sshd.service	812	tcp	22	0.0.0.0	LISTEN$
		^/system.slice/docker-4f5e0c.scope	4026532000	900	tcp	49152	2201$
		^4026532000	900	49152	resolved	4026531840	2201	80	postgres$
		^5432	127.0.0.1	1400	alice	/tmp/LISTENd (deleted)	2201$
		^900 resolved (root)  *2023-11-14 22:..:..$
		^812  *3  *18201  *2  *6  *0.0.0.0  *0.0.0.0  *22 .* root  *sshd$
		^2023-11-14 22:13:20	1337	alice	/usr/bin/sh$
		^2023-11-14 22:15:20	root	echo "$
		^status 0
		psock: OK$
		^812	3	18201
		^1000	1700000000	id	/home/alice/.bash_history
		^LISTEN	22	812	sshd$
		^1337	0	40960	.*	ESTABLISHED
		^900	4	700	10	17	::	::	53	0	.*	resolved$
		^LISTEN	/run/dbus.sock	640	dbus$
		^-1	-1	901	17	2048	.*	RAW		
		^ *1 tcp LISTEN$
		^1337	0	40960	.*	203.0.113.9
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
	cd "stick/$(uname -n)"
	sha256sum -c "../$(uname -n).sums"
	# There is no -m below -r.
	[ "$(cut -d ' ' -f 2 commands | tr '\n' ' ')" = '2 0 0 ' ]
	[ ! -s sockets.err ]
	[ ! -s histories.err ]
	grep '^1337	0	40960	' sockets.tsv
}

@test "no name of a process or socket passes for a state or a path" {
	make_host
	for page in psock.1 psock.7; do
		commands "$page"
		for file in $(grep -l 'LISTEN$\|"LISTEN"' run/*); do
			run bash "$file"
			if grep -q '!= "LISTEN"' "$file"; then
				[[ $output == *$'\tLISTENd'* ]]
			elif ! grep -q mlr "$file"; then
				[[ $output == *LISTEN* ]]
				[[ $output != *LISTENd* ]]
				[[ $output != */tmp/LISTEN* ]]
			fi
		done
	done
	run bash "$(grep -l '== "/run/dbus.sock"' run/*)"
	[ "${#lines[@]}" -eq 1 ]
	[[ ${lines[0]} == 640$'\t'* ]]
}

@test "psock(1): the examples" {
	make_host
	inet 00000000:14E9 00000000:0000 07 18310 | table 640 udp
	hold 812 8 18310
	commands psock.1
	shows <<-'END'
		^LISTEN	22	0.0.0.0	tcp	812	/usr/bin/sshd$
		^5353	0.0.0.0	812	/usr/bin/sshd$
		^203.0.113.9	4444	ESTABLISHED	1337	alice	/usr/bin/sh$
		^1337	0	40960
		^1337  *0  *40960 .* alice  *sh$
		^900	4	700	10	17
		^0	4444	1337	alice	203.0.113.9	/usr/bin/sh$
		^/tmp/LISTENd (deleted)	1400	alice	LISTENd LISTEN$
		^RAW	17			-1		$
		^ *1 1337$
		^status 0
	END
}

@test "an address of IPv4 is found in IPv6 sockets, too" {
	make_host
	inet 0000000000000000FFFF00000500000A:0050 \
		0000000000000000FFFF0000097100CB:8000 01 40961 | table 640 tcp6
	hold 812 7 40961
	for page in psock.1 psock.7; do
		commands "$page"
		bash "$(grep -l "::ffff.*203" run/*)" >rows
		grep '^\(812	7	.*	\)*::ffff:203.0.113.9	' rows
		grep '^\(1337	0	.*	\)*203.0.113.9	' rows
	done
}

@test "shhist(1): the examples" {
	make_host
	cp -r "$root" copy
	printf '#!/bin/sh\necho alice:x:1000:1000::/home/alice:\n' >bin/getent
	chmod +x bin/getent
	printf ': 1700000000:0;id\n' | gzip >zsh_history.gz
	echo 'wget x' >>"$root/home/alice/.bash_history"
	printf ': 1700000001:0;ls\n' >"$root/home/alice/.zsh_history"
	commands shhist.1
	here
	# No process runs below -r: the tests of -m run these.
	grep -lE 'shhist -H?m' run/* | xargs rm
	# These look at a copy, with the tool itself.
	sed -i "/find copy/{s#shhist#${SHHIST:-$BATS_TEST_DIRNAME/../shhist}#
		n; s#shhist#${SHHIST:-$BATS_TEST_DIRNAME/../shhist}#}" run/*
	shows <<-'END'
		^1700000000	id\\nwget x$
		^2023-11-14 22:15:20	root	echo "$
		^zsh	1700000001	alice	ls$
		^alice  *1700000000  *id\\nwget x$
		^alice	1700000000	id\\nwget x
		^1000	1700000000	id
		^id$
		^[0-9]*	1700000000	id	/home/alice/.bash_history$
	END
}

# The width of a terminal, and what man puts before each line.
@test "every example of the manuals can be pasted from 80 columns" {
	command -v mandoc >/dev/null || skip 'mandoc is not installed'
	for page in psock.1 psock.7 shhist.1; do
		commands "$page"
		mandoc -T ascii -O width=78 "$manuals/$page" | col -bx >page
		for file in run/*; do
			# A line that is indented ends no here-document and
			# continues no word.
			! grep '<<\|[^[:blank:]]\\$' "$file"
			expand "$file" | sed 's/^ *//' |
			while IFS= read -r line; do
				grep -Fx -- "$line" <(sed 's/^ *//' page) || {
					echo "wraps: $line"
					exit 1
				}
			done >lines || {
				cat lines
				exit 1
			}
		done
		run grep '.\{81\}' page
		[ "$status" -eq 1 ]
	done
}

# messages: what is between the conversions of each message, in lines.
messages() {
	local calls='warning|note|fatal|usage_error|count_[a-z]+|report_[a-z]+'
	calls+='|kill_worker|MAGIC|return|why[a-z_]*(\[[a-z]*\])? ='
	tr '\n\t' '  ' | sed 's/" *"//g; s/MAGIC("[^"]*"/MAGIC(/g; s/;/;\n/g' |
		grep -oE "\\b($calls)[ (].*" | grep -o '"[^"]*"' |
		sed "s/\"//g; s/%[-.*]*l*[a-z]/\n/g" |
		sed "s/^[ :,('/]*//; s/[ :,(']*\$//" |
		grep '[a-z] [a-z]' | grep -v '^SQLite format 3$' | sort -u
}

@test "every message stands in the manual" {
	command -v mandoc >/dev/null || skip 'mandoc is not installed'
	for tool in psock shhist; do
		mandoc -T ascii -O width=1000 "$manuals/$tool.1" |
			tr -s '\n ' ' ' | tee "$tool.page" >>common.page
	done
	for tool in psock shhist common; do
		messages <"$manuals/../$tool.c" >said
		[ "$(wc -l <said)" -gt 5 ]
		while IFS= read -r words; do
			grep -qF -- "$words" "$tool.page" || echo "$words"
		done <said >missing
		cat missing
		[ ! -s missing ]
	done
}

# documented TOOL: the parts of the messages in its manual, without what
# stands for a number or a name.
documented() {
	awk '/^\.Sh DIAG/ { on = 1 } /^\.Sh SEE/ { on = 0 }
		on && sub(/^\.It Li "/, "") && sub(/"$/, "")' "$manuals/$1.1" |
		sed 's/: /\n/g; s/; /\n/g; s/, /\n/g' | sed -E '
		s/^(process|netns|socket|unix row|line|table) [^ ]+$//
		s/^(file|user|home|process range) [^ ]+$//
		s/^[0-9]+ sockets? (is|are) //; s/^[^ ]* is /is /
		s/ as uid N$/as uid/; s/ N$//; s/^.x. //
		s/more than 64 columns//' | grep ' ' |
		grep -v '^is none of$\| \.\.\.$' | sort -u
}

@test "every message of the manual is one of the programs" {
	local words binary
	for tool in psock shhist; do
		binary=$manuals/../$tool
		tr '\n\t' '  ' <"$binary.c" >source
		tr '\n\t' '  ' <"$manuals/../common.c" >>source
		sed -i 's/" *"//g' source
		# The reasons are in the binary, in the words of its libc.
		tr '\0' '\n' <"$binary" >reasons
		grep -qxa 'No file descriptors available' reasons ||
			skip 'not built with musl'
		documented "$tool" >parts
		[ "$(wc -l <parts)" -gt 40 ]
		while IFS= read -r words; do
			grep -qF -- "$words" source ||
				grep -qxaF -- "$words" reasons ||
				echo "$tool: $words"
		done <parts >unknown
		cat unknown
		[ ! -s unknown ]
	done
}

@test "the nightly script: linted" {
	command -v shellcheck >/dev/null || skip 'shellcheck is not installed'
	shellcheck "$manuals/nightly"
}

@test "the nightly script without a directory: usage, nothing is made" {
	for arguments in '' 'one two'; do
		# shellcheck disable=SC2086 # none or two words
		run -2 "$manuals/nightly" $arguments
		[ "$output" = 'usage: nightly DIRECTORY' ]
	done
	[ "$(ls)" = bin ]
}

# bats test_tags=live
@test "psock in a chroot with nothing but /proc" {
	need_namespaces
	[ -z "${ASAN_OPTIONS-}" ] || skip 'sanitizers need their libraries'
	mkdir -p jail/proc
	cp "$psock" jail/psock
	unshare --net --pid --mount --fork --kill-child bash -eu -c '
		mount -t proc proc jail/proc
		chroot jail /psock'
}

# bats test_tags=live
@test "the nightly script, from a crontab, on a quiet host" {
	need_namespaces
	commands psock.7
	crontab=$(grep -l ^PATH= run/*)
	mkdir -p bin
	# Copies: this may all be below /root.
	cp "$psock" bin/psock
	cp "${SHHIST:-$BATS_TEST_DIRNAME/../shhist}" bin/shhist
	cp "$BATS_TEST_DIRNAME/bin/sockets" "$manuals/nightly" bin
	# The command of the line, in the environment that it sets.
	{
		sed -n "s#^PATH=/usr/local/bin#export PATH=$PWD/bin#p" "$crontab"
		sed -n "s#^5 3 [* ]*##p" "$crontab" | sed "
			s#/usr/local/share/doc/psock/examples#$PWD/bin#
			s#/var/lib/nightly#$PWD/kept#"
	} >cron
	[ "$(wc -l <cron)" -eq 2 ]
	cat >host <<-'END'
		ip link set lo up
		mount -t tmpfs tmpfs /root
		mount -t tmpfs tmpfs /home
		history=/root/.bash_history
		printf '#1700000000\nid\n' >"$history"
		night() {
			echo "$1:"
			env -i ${ASAN_OPTIONS+"ASAN_OPTIONS=$ASAN_OPTIONS"} \
				/bin/sh cron 2>&1
		}
		open() {
			mkfifo "$1"
			bin/sockets "$@" <>"$1" >"$1.log" &
			until grep -qs ready "$1.log"; do
				kill -0 "$!"
			done
		}
		open tcp tcp6 udp udp6 dgram seqpacket raw netlink pair
		ln -s /dev/null /root/.zsh_history
		night first
		night quiet
		open unix=new.sock
		printf '#1700000060\nw\n' >>"$history"
		night new
		night again
		rm /root/.zsh_history
		mkfifo /root/.zhistory
		printf '#1700000120\nwho\n' >"$history"
		night changed
		mv bin/shhist bin/away
		printf '#!/bin/sh\necho broken >&2\nexit 2\n' >bin/shhist
		chmod +x bin/shhist
		! night broken || exit
		mv bin/away bin/shhist
		night mended
	END
	unshare --net --pid --mount --fork --kill-child --mount-proc \
		bash -eu host >printed
	[ "$(stat -c %a kept kept/commands | tr '\n' ' ')" = '700 600 ' ]
	diff printed - <<-END
		first:
		shhist: file /root/.zsh_history: is a character device, not a regular file
		quiet:
		new:
		listeners: new: unix		0	new.sock	root	$PWD/bin/sockets
		commands: new: 0	1700000060	w	/root/.bash_history
		again:
		changed:
		commands: new: 0	1700000120	who	/root/.bash_history
		commands: gone: 0	1700000000	id	/root/.bash_history
		commands: gone: 0	1700000060	w	/root/.bash_history
		commands-warnings: new: shhist: file /root/.zhistory: is a FIFO, not a regular file
		commands-warnings: gone: shhist: file /root/.zsh_history: is a character device, not a regular file
		broken:
		commands: exit status 2, not compared
		broken
		mended:
	END
}
