# SPDX-License-Identifier: ISC
#
# ends: two hosts, a and b, joined by veth, with 10.9.0.1 and fd00:9::1, and
# 10.9.0.2 and fd00:9::2; a third one, c, that nothing joins, with the
# addresses of b.  Each pair of sockets that are connected is two processes.
# Prints lines "NAME PID INODE", where NAME is that of the pair and its end,
# "NAME - REASON" for what the kernel lacks, and "ready"; waits until its
# standard input ends.  The first network is that of who starts this.

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
V4, V6 = socket.AF_INET, socket.AF_INET6
SEQ = socket.SOCK_SEQPACKET
networks = {}


def enter(name):
    if libc.setns(networks[name], CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), 'setns')


def run(name, command):
    """With ip, in that network."""
    enter(name)
    subprocess.run(command, shell=True, check=True)
    enter('home')


def make_networks():
    networks['home'] = os.open('/proc/self/ns/net', os.O_RDONLY)
    for name in 'abc':
        libc.unshare(CLONE_NEWNET)
        networks[name] = os.open('/proc/self/ns/net', os.O_RDONLY)
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        enter('home')
    run('a', 'ip link add va type veth peer name vb')
    run('a', 'ip link set vb netns /proc/%d/fd/%d' %
        (os.getpid(), networks['b']))
    for name, number in ('a', 1), ('b', 2):
        run(name, 'ip link set v%s up; ip addr add 10.9.0.%d/24 dev v%s; '
            'ip addr add fd00:9::%d/64 dev v%s nodad' %
            (name, number, name, number, name))
    run('c', 'ip addr add 10.9.0.2/24 dev lo')


def close_all_but(*kept):
    for name in os.listdir('/proc/self/fd'):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass        # that of the list


def process(name, network, work):
    """Forks: work() returns the socket of the process, its only one."""
    ready, done = os.pipe()
    if os.fork() == 0:
        libc.prctl(1, signal.SIGKILL)
        enter(network)
        try:
            s = work()
            close_all_but(done, s.fileno())
            print(name, os.getpid(), os.fstat(s.fileno()).st_ino, flush=True)
        except OSError as e:
            print(name, '-', e, flush=True)
        os.close(done)
        while True:
            signal.pause()
    os.close(done)
    os.read(ready, 1)
    os.close(ready)


def bound(family, kind, address, protocol=0):
    s = socket.socket(family, kind, protocol)
    s.bind(address)
    return s


def connected(family, kind, address, protocol=0):
    s = socket.socket(family, kind, protocol)
    s.connect(address)
    return s


def stream_pair(name, one, other, family, kind, address, protocol=0):
    """A client in one network of a listener in another."""
    enter(other)
    try:
        listener = bound(family, kind, address, protocol)
    except OSError as e:
        print(name + '-client', '-', e, flush=True)
        return
    finally:
        enter('home')
    listener.listen()
    address = listener.getsockname()
    if address[0] == '::':      # which IPv4 reaches, too
        family, address = V4, ('127.0.0.1', address[1])
    process(name + '-client', one,
            lambda: connected(family, kind, address, protocol))
    process(name + '-server', other, lambda: listener.accept()[0])
    process(name + '-listener', other, lambda: listener)
    listener.close()


def datagram_end(name, network, family, mine, its):
    def connect():
        s = bound(family, UDP, mine)
        s.connect(its)
        return s

    process(name, network, connect)


def datagram_pair(name, one, other, family, first, second):
    datagram_end(name + '-client', one, family, first, second)
    datagram_end(name + '-server', other, family, second, first)


def unix_pair(name, kind):
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    process(name + '-client', 'a', lambda: one)
    process(name + '-server', 'b', lambda: other)
    one.close()
    other.close()


def unix_sender(name, path):
    """A datagram socket that is connected to one that is not."""
    to = bound(socket.AF_UNIX, UDP, path)
    process(name + '-client', 'a',
            lambda: connected(socket.AF_UNIX, UDP, path))
    process(name + '-server', 'b', lambda: to)
    to.close()


os.chdir(tempfile.mkdtemp(dir=sys.argv[1]))
make_networks()
stream_pair('tcp-loopback', 'a', 'a', V4, TCP, ('127.0.0.1', 0))
stream_pair('tcp6-loopback', 'a', 'a', V6, TCP, ('::1', 0))
stream_pair('tcp-mapped', 'a', 'a', V6, TCP, ('::', 7001))
stream_pair('tcp-there', 'a', 'b', V4, TCP, ('10.9.0.2', 7002))
stream_pair('tcp-back', 'b', 'a', V4, TCP, ('10.9.0.1', 7003))
stream_pair('tcp6-there', 'a', 'b', V6, TCP, ('fd00:9::2', 7004))
stream_pair('tcp6-back', 'b', 'a', V6, TCP, ('fd00:9::1', 7005))
stream_pair('sctp-there', 'a', 'b', V4, TCP, ('10.9.0.2', 7006),
            protocol=socket.IPPROTO_SCTP)
datagram_pair('udp-loopback', 'a', 'a', V4, ('127.0.0.1', 7007),
              ('127.0.0.1', 7008))
datagram_pair('udp-there', 'a', 'b', V4, ('10.9.0.1', 7009),
              ('10.9.0.2', 7009))
datagram_pair('udp6-there', 'a', 'b', V6, ('fd00:9::1', 7010),
              ('fd00:9::2', 7010))
# Which one of b's and c's it is nobody can know.
datagram_pair('two-there', 'a', 'b', V4, ('10.9.0.1', 7011),
              ('10.9.0.2', 7011))
datagram_end('two-other', 'c', V4, ('10.9.0.2', 7011), ('10.9.0.1', 7011))
# The same addresses in two networks: each has its own.
for network in 'b', 'c':
    stream_pair('own-' + network, network, network, V4, TCP,
                ('10.9.0.2', 7013))
stream_pair('unix-stream', 'a', 'b', socket.AF_UNIX, TCP, './stream')
stream_pair('unix-seqpacket', 'a', 'b', socket.AF_UNIX, SEQ, './seqpacket')
stream_pair('unix-abstract', 'c', 'c', socket.AF_UNIX, TCP, '\0abstract')
unix_pair('unix-pair', TCP)
unix_pair('unix-dgram', UDP)
unix_sender('unix-sender', './dgram')
print('ready', flush=True)
sys.stdin.read()
