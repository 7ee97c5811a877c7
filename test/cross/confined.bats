#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# The filters of system calls on other machines: QEMU runs a kernel of theirs,
# in which broken parsers attack.

# shellcheck disable=SC2154 # bats sets these

bats_require_minimum_version 1.5.0

# What the kernel starts.
init() {
	cat <<-'END'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		/inside
		for attack in $(/broken attacks); do
			mkdir -p "/home/$attack"
			echo "$attack:x:5001:5001::/home/$attack:" >>/etc/passwd
			printf '%s\n' "$attack" after >"/home/$attack/.bash_history"
			chown -R 5001 "/home/$attack"
			/broken -H - <"/home/$attack/.bash_history" 2>/dev/null
			echo "$attack $?"
		done >/operands
		mkdir /home/bob
		echo bob:x:4002:4002::/home/bob: >>/etc/passwd
		echo fine >/home/bob/.bash_history
		echo "$(grep -c ' 1$' /operands) of $(wc -l </operands) operands"
		/broken -H -o user,command 2>/errors
		echo "$(awk '/: rows are lost: / {
			n += $2 == "user" ? 1 : $2 } END { print n + 0 }' \
			/errors) homes"
		poweroff -f
	END
}

# confined MACHINE QEMU CPU: no attack comes through.
confined() {
	local kernel=../.cross/kernels/$1 tree=$BATS_TEST_TMPDIR/tree

	cd "$BATS_TEST_DIRNAME/.."
	command -v "$2" >/dev/null || skip "no $2"
	command -v cpio >/dev/null || skip 'no cpio'
	[ -d "$kernel" ] || skip 'no kernels below .cross'
	mkdir -p "$tree"/{bin,etc,home,proc}
	cp "$kernel/bin/busybox" "$tree/bin"
	cross/cc "$1" -std=gnu11 -O1 -static -o "$tree/inside" inside/psock.c \
		../common.c
	cross/cc "$1" -std=gnu11 -O1 -static -DVERSION='"broken"' \
		-o "$tree/broken" broken/shhist.c ../common.c
	init >"$tree/init"
	chmod +x "$tree/init"
	(cd "$tree" && find . | cpio -o -H newc) |
		gzip -1 >"$tree.gz"
	timeout 600 "$2" -M virt -cpu "$3" -m 512 -nic none -display none \
		-serial stdio -no-reboot -kernel "$kernel"/boot/vmlinuz-* \
		-initrd "$tree.gz" -append 'console=ttyAMA0 quiet panic=-1' \
		</dev/null | tr -d '\r' | tee "$tree.log"
	grep -qx '[1-9][0-9]* tried' "$tree.log"
	run -1 grep 'stopped: ' "$tree.log"
	run -0 grep -Ex '([0-9]+) of \1 operands' "$tree.log"
	[ "${output%% *}" -ge 30 ]
	grep -qx "${output%% *} homes" "$tree.log"
	grep -q $'^bob\tfine$' "$tree.log"
	run -1 grep $'\tafter$' "$tree.log"
}

@test "aarch64: what may not be is stopped by the kernel" {
	confined aarch64 qemu-system-aarch64 cortex-a57
}

@test "armhf: what may not be is stopped by the kernel" {
	confined armhf qemu-system-arm cortex-a15
}
