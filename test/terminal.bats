#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# No byte that steers a terminal reaches it: all bytes and all pairs of them,
# through every field and every message, see test/terminal.py.

# bats file_tags=live

# shellcheck disable=SC2154 # output is set by bats

setup() {
	command -v python3 >/dev/null || skip 'no python3'
	psock=${PSOCK:-$BATS_TEST_DIRNAME/../psock}
	shhist=${SHHIST:-$BATS_TEST_DIRNAME/../shhist}
	# A child that is a user must reach its home.
	chmod a+rx "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
}

@test "psock: every field and message" {
	run python3 "$BATS_TEST_DIRNAME/terminal.py" psock "$psock" \
		"$BATS_TEST_TMPDIR"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == 'psock: '*' inputs' ]]
}

@test "shhist: every field and message" {
	run python3 "$BATS_TEST_DIRNAME/terminal.py" shhist "$shhist" \
		"$BATS_TEST_TMPDIR"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == 'shhist: '*' inputs' ]]
}
