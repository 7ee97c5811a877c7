#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# The tables of Linux 6.1 on s390x as they were read there, and the rows that
# psock printed there, in the file s390x.

@test "a capture of a big-endian host gives the rows that it gave there" {
	cd "$BATS_TEST_TMPDIR"
	mkdir -p root/proc/73/fd root/proc/73/ns root/proc/73/net
	ln -s 'net:[4026531840]' root/proc/73/ns/net
	awk '/^== / { file = $2 == "rows" ? "rows" : "root/proc/73/net/" $2
			next }
		{ print >file }' "$BATS_TEST_DIRNAME/s390x"
	while IFS=$'\t' read -r pid fd inode _; do
		[ "$pid" -eq -1 ] ||
			ln -s "socket:[$inode]" "root/proc/73/fd/$fd"
	done <rows
	qemu-s390x "${BIN:-$BATS_TEST_DIRNAME/../../.cross/bin}/s390x/psock" \
		-H -r root | diff rows -
}
