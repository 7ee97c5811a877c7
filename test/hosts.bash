#!/bin/bash
# SPDX-License-Identifier: ISC
#
# hosts COMMAND...: runs the command where ssh reaches three hosts, web1, web2
# and db1: namespaces of their own for network, processes, mounts and name,
# with an sshd and a history of root in each.  Their PATH begins with bin in
# the current directory, which gets the keys, too.

set -eu
dir=$PWD

# Within the namespaces of all of this; the first process ends the others.
if [ "${1-}" != inside ]; then
	exec unshare --net --mount --pid --fork --kill-child --mount-proc \
		bash "$0" inside "$@"
fi
shift

# host NAME NUMBER: starts it.
host() {
	ip link add "to$2" type veth peer name eth0 netns "$1"
	ip addr add "10.0.$2.1/24" dev "to$2"
	ip link set "to$2" up
	ip -n "$1" addr add "10.0.$2.2/24" dev eth0
	ip -n "$1" link set eth0 up
	printf 'Host %s\n\tHostName 10.0.%d.2\n' "$1" "$2" >>client
	ip netns exec "$1" unshare --uts --mount --pid --fork --kill-child \
		--mount-proc bash -eu -c '
			umount -l /run/netns/*
			hostname "$1"
			mount -t tmpfs tmpfs /root
			printf "#1700000000\nhostname %s\n" "$1" \
				>/root/.bash_history
			exec "$2" -D -f server' - "$1" "$(command -v sshd)" &
}

# answers NAME: waits until it does, for a minute.
answers() {
	local end=$((SECONDS + 60))
	while ((SECONDS < end)); do
		if bin/ssh "$1" true 2>/dev/null; then
			return
		fi
	done
	echo "hosts: $1 does not answer" >&2
	return 1
}

mount -t tmpfs tmpfs /run
mkdir /run/netns /run/sshd
ip link set lo up
for key in host user; do
	ssh-keygen -q -t ed25519 -N '' -f "$key"
done
cat >server <<END
HostKey $dir/host
AuthorizedKeysFile $dir/user.pub
PidFile none
StrictModes no
UsePAM no
SetEnv PATH=$dir/bin:$PATH ${ASAN_OPTIONS+ASAN_OPTIONS=$ASAN_OPTIONS}
END
cat >client <<END
IdentityFile $dir/user
StrictHostKeyChecking no
UserKnownHostsFile $dir/known
LogLevel ERROR
BatchMode yes
ConnectTimeout 10
END
printf '#!/bin/sh\nexec %s -F %s/client "$@"\n' "$(command -v ssh)" "$dir" \
	>bin/ssh
chmod +x bin/ssh
for name in web1 web2 db1; do
	ip netns add "$name"	# each host unmounts them all
done
host web1 1
host web2 2
host db1 3
for name in web1 web2 db1; do
	answers "$name"
done
"$@"
