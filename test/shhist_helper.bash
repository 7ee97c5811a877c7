# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # the tests use them
#
# What the tests of shhist share: the binary, and a tree to look at with -r.

shhist=${SHHIST:-$BATS_TEST_DIRNAME/../shhist}
samples=$BATS_TEST_DIRNAME/samples/history

# make_tree [NAME]: with the users ann and bob and root, whom all may look at.
make_tree() {
	tree=$BATS_TEST_TMPDIR/${1:-tree}
	ann=$tree/home/ann
	bob=$tree/home/bob
	mkdir -p "$tree/etc" "$ann" "$bob" "$tree/root"
	cat >"$tree/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
ann:x:4001:4001::/home/ann:/bin/sh
bob:x:4002:4002::/home/bob:/bin/sh
END
	# A child that is a user must reach its home.
	for dir in "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"; do
		chmod a+rx "$dir"
	done
}

own() {
	if [ "$(id -u)" -eq 0 ]; then
		chown -R 4001 "$ann"
		chown -R 4002 "$bob"
	fi
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to become other users'
}

# rows: runs shhist on the tree; rows in $output, warnings in $warnings.
rows() {
	own
	status=0
	output=$("$shhist" -H -r "$tree" "$@" 2>"$BATS_TEST_TMPDIR/err") ||
		status=$?
	warnings=$(cat "$BATS_TEST_TMPDIR/err")
}

same() {
	[ "$1" = "$2" ] || {
		diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | head -20
		return 1
	}
}
