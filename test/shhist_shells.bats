#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Real shells, typed into through a pty, against what they show themselves.

# shellcheck disable=SC1003,SC2016,SC2154

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	type=$BATS_TEST_DIRNAME/shhist_shells.py
	export HOME=$BATS_TEST_TMPDIR TERM=dumb LC_ALL=C.UTF-8
	cd "$HOME" || exit
	{
		seq -f 'echo command number %.0f' 200
		printf '%s\n' "echo 'quo\"tes'" 'echo \\ # 1' ' echo blank' \
		    '#123 comment' 'echo ü € 😀' "printf '\\t\\n'" \
		    'for i in 1 2; do echo $i; done' 'echo a\\\\'
	} >typed
}

need() {
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}

@test "bash: rows are what the shell shows" {
	need bash python3
	python3 "$type" typed env -u ENV PS1='@@>' PS2='@@>' \
		HISTFILE="$HOME/.bash_history" HISTCONTROL='' bash --norc
	# The shell that shows them must not write to the file.
	bash --norc -c 'set -o history; unset HISTFILE
		history -c; history -r .bash_history; history' |
		sed 's/^ *[0-9]*\*\{0,1\}  //' >shown
	"$shhist" -H -o command .bash_history | sed 's/\\\\/\\/g' >rows
	same "$(cat rows)" "$(grep -v '^history -r' shown)"
	same "$(grep -v '^exit$' rows)" "$(cat typed)"
}

@test "bash with stamps: every entry has its time" {
	need bash python3
	python3 "$type" typed env PS1='@@>' PS2='@@>' HISTTIMEFORMAT='%s ' \
		HISTFILE="$HOME/.bash_history" HISTCONTROL='' bash --norc
	grep -q '^#[0-9]' .bash_history
	"$shhist" -H -o command .bash_history | sed 's/\\\\/\\/g' >rows
	same "$(grep -v '^exit$' rows)" "$(cat typed)"
	"$shhist" -H -o time .bash_history | awk '$1 < 1700000000 { exit 1 }'
}

@test "zsh: rows are what fc -l shows" {
	need zsh python3
	printf '%s\n' 'PS1="@@>" PS2="@@>" HISTFILE=$HOME/.zsh_history' \
		'HISTSIZE=5000 SAVEHIST=5000' 'setopt extendedhistory' \
		'setopt interactivecomments' 'unsetopt zle' >.zshrc
	python3 "$type" typed env ZDOTDIR="$HOME" zsh -o noglobalrcs -i
	zsh -f -i -c 'HISTSIZE=5000; fc -R .zsh_history; fc -ln 1' >shown
	"$shhist" -H -o command .zsh_history | sed 's/\\\\/\\/g' >rows
	same "$(cat rows)" "$(cat shown)"
	same "$(grep -v '^exit$' rows)" "$(cat typed)"
	"$shhist" -H -o time,duration .zsh_history |
		awk '$1 < 1700000000 || $2 == "" { exit 1 }'
}
