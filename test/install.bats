#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# make install, and the manuals as man(1) shows them.

setup() {
	repo=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	stage="$BATS_TEST_TMPDIR/a stage"
}

# As it was built: a test of a file is not to build anew.
make_it() {
	make -s -C "$repo" -o psock -o shhist "$@" DESTDIR="$stage" \
		PREFIX="/opt/my tools"
}

@test "make install: DESTDIR and PREFIX, blanks in them" {
	umask 077
	make_it install
	cd "$stage/opt/my tools"
	find . -type f -printf '%m %P\n' | sort | diff - <(sort <<-'END'
		755 bin/psock
		755 bin/shhist
		644 share/doc/psock/README
		755 share/doc/psock/examples/nightly
		644 share/man/man1/psock.1
		644 share/man/man1/shhist.1
		644 share/man/man7/psock.7
	END
	)
	[ "$(find . -type d -perm 755 | wc -l)" -eq "$(find . -type d | wc -l)" ]
	bin/psock -V
	touch share/man/man7/other.7
	make_it uninstall
	[ "$(find . -type f)" = ./share/man/man7/other.7 ]
	[ ! -e share/doc/psock ]
}

@test "man -l shows every manual without a warning" {
	command -v man >/dev/null || skip 'man is not installed'
	cd "$BATS_TEST_TMPDIR"
	for page in "$repo"/man/*.[17]; do
		MANWIDTH=80 man --warnings -E UTF-8 -l "$page" >page 2>warnings
		cat warnings
		[ ! -s warnings ]
		grep -q ^NAME page
	done
}
