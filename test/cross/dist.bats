#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What make dist writes, from the commit that is checked out.

setup_file() {
	repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	export repo
	[ -e "$repo/.git" ] || skip 'not a checkout'
	dist "$BATS_FILE_TMPDIR/one"
}

# dist FOLDER [COMMAND...]: clones and builds there, by way of the command.
dist() {
	local folder=$1
	shift
	git clone -q "$repo" "$folder"
	mkdir "$folder/.cross"
	ln -s "$repo/.cross/usr" "$folder/.cross/usr"
	"$@" make -s -C "$folder" dist
}

@test "two folders on two dates: the same bytes" {
	cd "$BATS_FILE_TMPDIR/one/dist"
	[ "$(grep -c / SHA256SUMS)" -eq \
		$((2 * $(wc -l <"$BATS_TEST_DIRNAME/machines"))) ]
	sha256sum -c SHA256SUMS
	umask 077
	dist "$BATS_TEST_TMPDIR/another name" \
		env TZ=Asia/Tokyo faketime -f +400d
	cmp SHA256SUMS "$BATS_TEST_TMPDIR/another name/dist/SHA256SUMS"
}

@test "the binaries, and the sources without git, name the commit" {
	local version
	cd "$BATS_FILE_TMPDIR/one/dist"
	version="psock 0.1 ($(git -C "$repo" rev-parse HEAD | cut -c 1-7))"
	[ "$(qemu-x86_64 x86_64/psock -V)" = "$version" ]
	[ "$(qemu-s390x s390x/psock -V)" = "$version" ]
	tar -x -C "$BATS_TEST_TMPDIR" -f psock-0.1.tar.gz
	make -s -C "$BATS_TEST_TMPDIR/psock-0.1"
	[ "$("$BATS_TEST_TMPDIR/psock-0.1/psock" -V)" = "$version" ]
}

@test "a chroot with nothing but the binaries and /proc: they run" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	[ "$(uname -m)" = x86_64 ] || skip 'not the machine of these binaries'
	cd "$BATS_TEST_TMPDIR"
	mkdir -p root/proc
	cp "$BATS_FILE_TMPDIR"/one/dist/x86_64/* root
	mkfifo quit
	unshare --net --mount --pid --fork --kill-child sh -c '
		mount -t proc proc root/proc
		"$0" tcp <quit | {
			exec 3>quit
			until read -r line && [ "$line" = ready ]; do :; done
			chroot root /psock -H -t tcp -o local_address,state
		}' "$repo/test/bin/sockets" >got 2>&1
	[ "$(cat got)" = $'127.0.0.1\tLISTEN' ]
	printf '#1700000000\nid\n' | chroot root /shhist -H -f bash - >got
	[ "$(cat got)" = $'0\t1700000000\tid\t-' ]
}
