#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# The system of another machine below -r: IMAGE, an unpacked Debian that
# these tests may change, or else a small tree of the same shape.

# shellcheck disable=SC2030,SC2031,SC2154,SC2086 # the helper sets them

bats_require_minimum_version 1.5.0

# Users whose homes and histories are links: to absolute paths, and to more
# ".." than there are directories.  What is inside is found in this way; the
# secret is where such links lead that are followed from this machine's root.
setup() {
	load shhist_helper
	make_tree
	[ -z "${IMAGE:-}" ] || tree=$IMAGE
	secret=$BATS_TEST_TMPDIR/secret
	up=../../../../../../../../../../../..
	[ -n "${IMAGE:-}" ] || debian
	cat >>"$tree/etc/passwd" <<'END'
eve:x:4003:4003::/home/eve:/bin/bash
joe:x:4004:4004::/home/joe:/bin/zsh
kim:x:4005:4005::/srv/../home/kim/:/bin/sh
END
	rm -rf "${tree:?}"/home/* "$tree"/srv/* "$tree"/root/.*_history
	mkdir -p "$tree/home/eve" "$tree/srv/joe" "$tree/home/kim"
	echo secret >"$secret"
	mkdir -p "$tree$BATS_TEST_TMPDIR"
	echo root >"$tree/root/.bash_history"
	printf '#1700000000\neve\n' >"$tree/srv/eve"
	ln -s /srv/eve "$tree/home/eve/.bash_history"
	ln -s "$up$secret" "$tree/home/eve/.zsh_history"
	ln -s /srv/joe "$tree/home/joe"
	echo joe >"$tree/srv/joe/.zsh_history"
	ln -s "$secret" "$tree/srv/joe/.sh_history"
	ln -s "/proc/self/root$secret" "$tree/srv/joe/.ash_history"
	ln -s $up/srv/kim "$tree/home/kim/.sh_history"
	echo kim >"$tree/srv/kim"
	ln -s .history "$tree/home/eve/.history"
	chmod -R a+rX "$tree/home" "$tree/srv" "$secret"
	[ "$(id -u)" -ne 0 ] || chown -hR 4003 "$tree/home/eve"
	# Nobody claims /home/kim, and its owner's is what the link leads to.
	rows='root 0 root /root/.bash_history
eve 1700000000 eve /home/eve/.bash_history
joe 0 joe /home/joe/.zsh_history
kim 0 kim /srv/../home/kim/.sh_history
 0 kim /home/kim/.sh_history'
}

teardown() {
	[ -z "${IMAGE:-}" ] ||
		sed -i '/^\(eve\|joe\|kim\):/d' "$IMAGE/etc/passwd"
}

# The shape of a Debian: links for the merged /usr, users without a home.
debian() {
	mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/proc" "$tree/srv"
	ln -s usr/bin "$tree/bin"
	cat >"$tree/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
games:x:5:60:games:/usr/games:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
}

# look COMMAND...: rows in $output, warnings in $warnings.
look() {
	status=0
	output=$("$@" -H -r "$tree" -o user,time,command,history_file \
		2>"$BATS_TEST_TMPDIR/err" | tr '\t' ' '
		exit "${PIPESTATUS[0]}") || status=$?
	warnings=$(cat "$BATS_TEST_TMPDIR/err")
}

@test "image: as root, what is inside and nothing else" {
	need_root
	look "$shhist"
	same "$output" "$rows"
	[[ $warnings == 'shhist: file /home/eve/.history: '*link* ]]
	[ "$(wc -l <<<"$warnings")" -eq 1 ]
	[ "$status" -eq 1 ]
	# Seen from outside, it would be there.
	same "$(cat "$tree/srv/joe/.sh_history")" secret
}

@test "image: as a plain user, what is inside and may be read" {
	need_root
	chmod 700 "$tree/root"
	cp "$shhist" "$BATS_TEST_TMPDIR/shhist"
	look setpriv --reuid 4005 --clear-groups "$BATS_TEST_TMPDIR/shhist"
	same "$output" "${rows#*$'\n'}"
	same "$(grep root <<<"$warnings")" 'shhist: file /root: Permission denied'
	[[ $warnings != *secret* ]]
	[ "$status" -eq 1 ]
}

@test "image: a plain user is refused where the kernel has no openat2" {
	need_root
	bin=$BATS_TEST_TMPDIR
	cp "$shhist" "$bin/shhist"
	cp "$BATS_TEST_DIRNAME/bin/nosys" "$bin"
	look "$bin/nosys" openat2 setpriv --reuid 4005 --clear-groups \
		"$bin/shhist"
	same "$output" ''
	[ "$status" -eq 2 ]
	[[ $warnings == *'/etc/passwd: Function not implemented'* ]]
	# As root the kernel need not have it.
	look "$bin/nosys" openat2 "$bin/shhist"
	same "$output" "$rows"
}

@test "image: in a directory that is open to its owner alone" {
	need_root
	mkdir -p "$tree/home/kim/.bash_sessions"
	echo kim >"$tree/home/kim/.bash_sessions/x.history"
	chmod -R go= "$tree/root"
	echo no >"$tree/root/.ash_history"
	ln -s /root/.ash_history "$tree/home/kim/.ash_history"
	sed -i 's/^kim:.*/kim:x:4005:4005::\/home\/kim:/' "$tree/etc/passwd"
	chmod 700 "$tree"
	for owner in 0 4711; do
		chown "$owner" "$tree"
		look "$shhist" -u kim
		same "$output" \
			'kim 0 kim /home/kim/.bash_sessions/x.history'
		[[ $warnings == *' (first: /home/kim/'*', as uid 4005): Perm'* ]]
	done
	chown 0 "$tree"
	look "$shhist" -u root
	same "$(tail -n 1 <<<"$output")" 'root 0 no /root/.ash_history'
	chmod 700 "$tree/home"
	look "$shhist" -u kim
	chmod 755 "$tree" "$tree/home"
	same "$output" ''
	[[ $warnings == *'/home/kim, as uid 4005: Permission denied'* ]]
}
