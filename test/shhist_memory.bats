#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# -m: what real shells, typed into through a pty, hold in memory.

# shellcheck disable=SC2016,SC2154

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	need python3
	may_look
	export HOME=$BATS_TEST_TMPDIR TERM=dumb LC_ALL=C.UTF-8
	export ENV=/dev/null PATH=/usr/bin:/bin:$PATH
	unset HISTFILE HISTSIZE HISTCONTROL HISTTIMEFORMAT PROMPT_COMMAND
	cd "$HOME" || exit
	seq -f 'echo command number %.0f' 200 >typed
}

teardown() {
	for holder in "${holders[@]}"; do
		kill "$holder" || :
		wait "$holder" || :
	done
}

need() {
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}

# Yama lets a user look at his own children only.
may_look() {
	local scope=/proc/sys/kernel/yama/ptrace_scope

	[ "$(id -u)" -eq 0 ] || [ ! -e "$scope" ] ||
		[ "$(cat "$scope")" -eq 0 ] || skip 'ptrace_scope forbids it'
}

# hold [-c COUNT] [-t] LINES COMMAND...: types into the shell and keeps it;
# its pid is in $pid, those of several are in the array pids.
hold() {
	local flags=() out

	while [[ $1 == -* ]]; do
		flags+=("$1")
		[ "$1" = -t ] || { flags+=("$2"); shift; }
		shift
	done
	exec {out}< <(exec python3 "$BATS_TEST_DIRNAME/shhist_hold.py" \
		"${flags[@]}" "$1" env PS1='@@>#' PS2='@@>' "${@:2}" \
		3>&- 2>errors)
	holders+=($!)
	read -ra pids -u "$out" || {
		cat errors
		return 1
	}
	pid=${pids[0]}
}

bash_with() {
	hold typed env "$@" bash --norc --noprofile
}

# held: what $pid holds, in the file rows; backslashes are as they were typed.
held() {
	"$shhist" -qHm -o history_file,command >all || [ $? -eq 1 ]
	sed -n "s/^\\/proc\\/$pid\\/[^\t]*\t//p" all |
		sed 's/\\\\/\\/g' >rows
}

@test "bash: what no file has, HISTFILE unset, /dev/null or default" {
	need bash
	bash_with -u HISTFILE
	"$shhist" -Hm -o history_file,uid,format,line,command >all || :
	same "$(grep "^/proc/$pid/mem	" all)" "$(awk -v pid="$pid" \
		-v uid="$(id -u)" -v OFS='\t' '{ print "/proc/" pid "/mem",
			uid, "bash", NR, $0 }' typed)"
	bash_with HISTFILE=/dev/null
	held
	same "$(cat rows)" "$(cat typed)"
	bash_with HISTFILE="$HOME/.bash_history"
	held
	same "$(cat rows)" "$(cat typed)"
	kill -KILL "$pid"
	[ ! -e .bash_history ]
}

@test "bash: each command has its time" {
	need bash
	before=$(date +%s)
	bash_with HISTFILE=/dev/null
	"$shhist" -Hm -o history_file,time | awk -v file="/proc/$pid/mem" \
		-v low="$before" -v high="$(date +%s)" '$1 == file {
			n++; bad += $2 < low || $2 > high
		} END { exit !(n == 200 && !bad) }'
}

@test "bash: 2,000 commands of random length" {
	need bash
	awk 'BEGIN { srand(1); for (i = 0; i < 2000; i++) {
		s = ": " i
		for (j = int(rand() * rand() * 200); j > 0; j--)
			s = s " " int(rand() * 1000)
		print s } }' >typed
	hold typed bash --norc --noediting
	held
	same "$(cat rows)" "$(tail -n 500 typed)"
	hold typed env HISTSIZE=3000 bash --norc --noediting
	held
	same "$(cat rows)" "$(cat typed)"
}

@test "bash: HISTSIZE=50 keeps the last 50" {
	need bash
	bash_with HISTSIZE=50
	held
	same "$(cat rows)" "$(tail -n 50 typed)"
}

@test "bash: several lines, UTF-8 and control bytes" {
	need bash
	printf '%s\n' 'for i in 1 2' 'do echo ü € 😀' 'done' \
		"echo 'a" "b'" $'echo \001\002\033[31m' $'echo \xff\xc3' \
		'cat <<\END' 'text \' 'END' >typed
	hold typed bash --norc --noediting
	held
	same "$(cat rows)" "$(printf '%s\n' \
		'for i in 1 2; do echo ü € 😀; done' "echo 'a\\nb'" \
		'echo \x01\x02\x1b[31m' 'echo \xff\xc3' \
		'cat <<\END\ntext \\nEND\n')"
}

@test "bash: nothing is claimed after history -c" {
	need bash
	echo 'history -c' >>typed
	bash_with HISTSIZE=500
	held
	same "$(cat rows)" ''
}

@test "zsh: its ring, with and without the symbol" {
	need zsh
	printf '%s\n' 'for i in 1 2' 'do echo ü € 😀' 'done' \
		$'echo \x83\xa2\xff' 'echo \' ' more' >>typed
	awk 'NR <= 200' typed >want
	printf '%s\n' 'for i in 1 2\ndo echo ü € 😀\ndone' \
		'echo \x83\xa2\xff' 'echo \\n more' >>want
	hold typed env HISTSIZE=1000 zsh -f +Z
	held
	same "$(cat rows)" "$(cat want)"
	sed 's/hist_ring/hist_rang/g' "$(command -v zsh)" >other
	chmod +x other
	hold typed env HISTSIZE=1000 ./other -f +Z
	rm other
	held
	same "$(cat rows)" "$(cat want)"
}

@test "ksh and mksh: a file that was removed" {
	for shell in ksh mksh; do
		need $shell
		hold typed env HISTFILE="$HOME/file" HISTSIZE=500 $shell
		held
		same "$(cat rows)" ''
		rm file
		held
		same "$(cat rows)" "$(cat typed)"
	done
}

@test "-u chooses processes; -r, -f and files are not for -m" {
	need bash
	bash_with HISTSIZE=10
	output=$("$shhist" -qHm -u "$(id -u)" | grep -c "/proc/$pid/mem") || :
	[ "$output" -eq 10 ]
	output=$("$shhist" -qHm -u 4000000 | grep -c "/proc/$pid/mem") || :
	[ "$output" -eq 0 ]
	for option in '-r /' '-f bash' /dev/null; do
		run -2 "$shhist" -m $option
		[[ $output == usage:* ]]
	done
}
