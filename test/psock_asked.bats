#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# What psock has from the sockets themselves, or from what is asked of the
# running kernel beside the tables: devices, IPV6_V6ONLY, states of vsock,
# command lines, and who may see which processes.

# bats file_tags=live

# shellcheck disable=SC2154 # output and errors are set by the helper and bats

load live_helper

# python CODE: opens sockets by it, and waits; $pid is its process.
python() {
	local line
	command -v python3 >/dev/null || skip 'no python3'
	coproc SOCKETS { exec python3 -c "import socket, sys
from socket import *
def bound(family, type, address, listens=0):
    s = socket(family, type)
    s.bind(address)
    if listens:
        s.listen()
    return s
try:
    $1
except OSError as e:
    print('skip', e, flush=True)
print('ready', flush=True)
sys.stdin.readline()" "${@:2}" 3>&-; }
	pid=$SOCKETS_PID
	IFS= read -r line <&"${SOCKETS[0]}"
	is "${line%% *}" ready || skip "$line"
}

# device NAME: one whose other end is eth0 of a namespace that the process $far
# keeps, which is added to far_processes.
device() {
	ip link set lo up
	unshare -n sleep inf 3>&- &
	far=$!
	far_processes+=("$far")
	until [ "$(readlink "/proc/$far/ns/net")" != \
		"$(readlink /proc/self/ns/net)" ]; do
		:
	done
	ip link add "$1" type veth peer name eth0 netns "$far" 2>/dev/null ||
		skip 'no veth device'
	ip link set "$1" up
	nsenter -t "$far" -n ip link set eth0 up
}

setup() {
	far_processes=()
	bin=$BATS_TEST_DIRNAME/bin
	pid=
	open=
	mount=
	under=()
}

teardown() {
	hang_up
	[ ${#far_processes[@]} -eq 0 ] || kill "${far_processes[@]}"
}

@test "vsock: who listens, who is bound, who is neither" {
	python 'a = socket(AF_VSOCK, SOCK_STREAM); a.bind((VMADDR_CID_ANY, 5555)); a.listen()
    b = bound(AF_VSOCK, SOCK_STREAM, (VMADDR_CID_ANY, 5556))
    c = socket(AF_VSOCK, SOCK_STREAM)'
	live -p "$pid" -o proto,local_port,state
	is "$(sort <<<"$output")" "$(printf '%s\n' \
		$'vsock\t0\t' $'vsock\t5555\tLISTEN' $'vsock\t5556\t')"
	is "$status$errors" 0
}

@test "proto: each protocol of a family has its own name" {
	# Of AF_BLUETOOTH, where the kernel has it.
	python 'a = socket(31, SOCK_STREAM, 3)'
	live -p "$pid" -o family,protocol,proto
	is "$output" $'31\t3\trfcomm'
	is "$status$errors" 0
}

@test "v6only: whether a listener at :: takes IPv4, too" {
	python 'a = socket(AF_INET6); a.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1); a.bind(("::", 0)); a.listen()
    b = socket(AF_INET6); b.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0); b.bind(("::", 0)); b.listen()
    c = bound(AF_INET, SOCK_STREAM, ("127.0.0.1", 0), 1)
    d = bound(AF_UNIX, SOCK_STREAM, "\0v6only")'
	live -p "$pid" -o proto,v6only
	is "$output" $'tcp\t\ntcp6\t1\ntcp6\t0\nunix\t' ||
		is "$output" $'tcp\t\ntcp6\t0\ntcp6\t1\nunix\t'
	is "$status$errors" 0
}

@test "interface: the device that a socket is bound to, or its scope" {
	need_root
	device psock0
	ip addr add fe80::77/64 dev psock0 nodad
	python 'a = socket(AF_INET, SOCK_DGRAM); a.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"psock0"); a.bind(("0.0.0.0", 1001))
    b = socket(AF_INET6, SOCK_DGRAM); b.bind(("fe80::77", 1002, 0, if_nametoindex("psock0")))
    c = socket(AF_INET, SOCK_DGRAM); c.bind(("127.0.0.1", 1003))
    d = socket(AF_PACKET, SOCK_RAW, 0); d.bind(("psock0", 3))'
	live -p "$pid" -o proto,local_port,interface
	ip link del psock0
	is "$(sort <<<"$output")" "$(printf '%s\n' \
		$'packet\t0\tpsock0' $'udp\t1001\tpsock0' \
		$'udp\t1003\t' $'udp6\t1002\tpsock0')"
	is "$status$errors" 0
}

@test "a long command line is not multiplied by every row" {
	python 'keep = [socketpair() for i in range(200)]' \
		"$(head -c 100000 /dev/zero | tr '\0' x)"
	live -p "$pid" -o cmdline
	is "$status" 1
	is "$errors" "psock: process $pid: cmdline: cut at 32 KiB"
	is "$(wc -l <<<"$output")" 400
	output=$(uniq <<<"$output")
	[ "$(printf %b "$output" | wc -c)" -eq 32768 ]
}

@test "uid: of a process in very many groups" {
	need_root
	python 'import os; os.setgroups(range(10**9, 10**9 + 9999)); a = socket()'
	live -p "$pid" -o uid,user
	is "$output" $'0\troot'
	is "$status$errors" 0
}

@test "two sockets in TIME_WAIT that differ in their device alone" {
	need_root
	local d line
	# Two networks with the same addresses.
	for d in psock0 psock1; do
		device $d
		echo 0 >/proc/sys/net/ipv4/conf/$d/rp_filter
		ip addr add 10.9.8.1/24 dev $d
		nsenter -t "$far" -n ip addr add 10.9.8.2/24 dev eth0
	done
	echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
	python 'import ctypes, os
    for device, far in zip((b"psock0", b"psock1"), sys.argv[1:]):
        home = os.open("/proc/self/ns/net", 0)
        ctypes.CDLL(None).setns(os.open("/proc/%s/ns/net" % far, 0), 0)
        l = bound(AF_INET, SOCK_STREAM, ("10.9.8.2", 4001), 1)
        ctypes.CDLL(None).setns(home, 0)
        c = socket(AF_INET)
        c.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, device)
        c.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        c.bind(("10.9.8.1", 4002))
        c.settimeout(10)
        c.connect(("10.9.8.2", 4001))
        a = l.accept()[0]
        c.shutdown(SHUT_RDWR)
        a.recv(1)
        a.close()
        c.recv(1)
        c.close()' "${far_processes[@]}"
	live -t tcp -o local_port,remote_port,state
	is "$(grep $'^4002\t4001\tTIME_WAIT' <<<"$output")" \
		$'4002\t4001\tTIME_WAIT\n4002\t4001\tTIME_WAIT'
}

@test "hidepid: a member of its group sees all, and is not warned" {
	need_root
	local who
	# shellcheck disable=SC2016 # it is the inner shell's
	for who in --groups=4242 --clear-groups; do
		run unshare --net --pid --mount --fork --kill-child \
			--mount-proc bash -c '
			mount -t tmpfs tmpfs /mnt
			cp "$1" /mnt/psock
			mount -t proc -o hidepid=2,gid=4242 proc /proc
			sleep inf 3>&- &
			exec setpriv --reuid=65534 --regid=65534 "$2" \
				/mnt/psock -H -t unix' - "$psock" "$who"
		# The member is refused, but not in the dark.
		is "$status" 1
		is "$who $(grep -c 'mounted with hidepid' <<<"$output")" \
			"$who $([ $who != --clear-groups ]; echo $?)"
	done
}
