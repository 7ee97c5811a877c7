#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Real shells and clients, typed into through a pty, against what they show
# themselves: shhist_shells.py has the commands, and for each of its modes,
# which are named here, what may differ and why.

# bats file_tags=live

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	cd "$BATS_TEST_TMPDIR" || exit
}

# hold MODE: the mode's name begins with the shell's.
hold() {
	local tool

	for tool in "${1%%-*}" python3; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
	python3 "$BATS_TEST_DIRNAME/shhist_shells.py" "$shhist" "$1"
}

@test "bash: without stamps, several lines as one" {
	hold bash
}

@test "bash: with stamps" {
	hold bash-stamps
}

@test "bash: without stamps, each line by itself" {
	hold bash-lines
}

@test "bash: with stamps, several lines as they are, pasted into readline" {
	hold bash-pasted
}

@test "zsh: plain" {
	hold zsh
}

@test "zsh: extended" {
	hold zsh-extended
}

@test "zsh: SHARE_HISTORY" {
	hold zsh-share
}

@test "zsh: INC_APPEND_HISTORY" {
	hold zsh-append
}

@test "zsh: INC_APPEND_HISTORY_TIME" {
	hold zsh-append-time
}

@test "zsh: pasted into its line editor" {
	hold zsh-pasted
}

@test "fish: pasted into its line editor" {
	hold fish
}

@test "ksh93: binary" {
	hold ksh93
}

@test "mksh: binary" {
	hold mksh
}

@test "tcsh: words and quoted newlines" {
	hold tcsh
}

@test "busybox ash" {
	grep -qs ash_history "$(command -v busybox)" ||
		skip 'needs a busybox that writes histories'
	hold busybox-ash
}

@test "yash" {
	hold yash
}

@test "python3, with GNU readline" {
	hold python3
}

@test "sqlite3, with GNU readline" {
	hold sqlite3
}

@test "less: searches, which it never lists" {
	hold less
}

@test "vim: the command lines" {
	command -v vim >/dev/null && vim --version | grep -q +viminfo ||
		skip 'needs vim with +viminfo'
	hold vim
}
