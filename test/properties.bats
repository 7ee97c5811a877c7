#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What holds for every input, as the harnesses of fuzz/ say it, over inputs
# made by chance, always the same ones.  INPUTS is how many for each target
# where 3,000 are too few, HARNESS_CC another compiler and its flags.

# shellcheck disable=SC2154 # bats sets these

setup_file() {
	local tool
	for tool in psock shhist; do
		# shellcheck disable=SC2086 # a command
		"$BATS_TEST_DIRNAME/fuzz/build" "$tool" \
			"$BATS_FILE_TMPDIR/$tool" ${HARNESS_CC:-cc -O1}
	done
}

# every TOOL: all targets of its harness.
every() {
	local target files=() n=0
	for target in $("$BATS_FILE_TMPDIR/$1" list 0); do
		shopt -s nullglob
		files=("$BATS_TEST_DIRNAME"/fuzz/inputs/"$target"/*
			"$BATS_TEST_DIRNAME"/samples/history/"$target"/*/.*history
			"$BATS_TEST_DIRNAME"/samples/history/"$target"/*/*history)
		[ "${#files[@]}" -gt 0 ]
		"$BATS_FILE_TMPDIR/$1" "$target" "${INPUTS:-3000}" "${files[@]}"
		n=$((n + 1))
	done
	echo "$n targets"
	[ "$n" -gt 0 ]
}

@test "psock: every table and file of /proc" {
	every psock
}

@test "shhist: every format and list" {
	every shhist
}
