# SPDX-License-Identifier: ISC
#
# terminal.py TOOL WHERE: feeds all 256 bytes and all 65,536 pairs of them
# through every field and every message of the tool that others can write,
# in a tree below WHERE and on the running host.  What is printed is held
# against an escaping of Python's own, and so is that it can be had back.

import ctypes
import os
import re
import resource
import socket
import subprocess
import sys

# What a row or a message may show, besides its tabs and newlines, is no
# control and none of Unicode's Bidi_Control or line separators.
STEERING = [*range(0x20), *range(0x7f, 0xa0), 0x061c, 0x200e, 0x200f,
            *range(0x2028, 0x202f), *range(0x2066, 0x206a)]


def hexed(data):
    return ''.join('\\x%02x' % byte for byte in data)


TABLE = {code: hexed(chr(code).encode()) for code in STEERING}
# What is not UTF-8 comes out of Python's decoder as these.
TABLE.update({0xdc00 + byte: hexed([byte]) for byte in range(0x80, 0x100)})
TABLE.update({ord('\\'): '\\\\', 9: '\\t', 10: '\\n', 13: '\\r'})


def escaped(data):
    return data.decode('utf-8', 'surrogateescape').translate(TABLE).encode()


def unescaped(text):
    short = {b'\\': b'\\', b't': b'\t', b'n': b'\n', b'r': b'\r'}
    return re.sub(rb'\\(?:x([0-9a-f]{2})|(.))', lambda m: bytes.fromhex(
        m[1].decode()) if m[1] else short[m[2]], text)


tried = 0


def check(what, output, inputs, prefix=b'', suffix=b''):
    """The lines of output are those that the inputs should give."""
    global tried
    text = output.decode('utf-8')       # or it is not UTF-8
    bad = set(map(ord, text)) & set(STEERING) - {9, 10}
    assert not bad, f'{what}: {bad} came through'
    lines = output.split(b'\n')
    assert lines.pop() == b'', f'{what}: the last line is not whole'
    wanted = [prefix + escaped(data) + suffix for data in inputs]
    for data, line, want in zip(inputs, lines, wanted):
        assert line == want, f'{what}: {data!r}: {line!r}, not {want!r}'
        field = line[len(prefix):len(line) - len(suffix)]
        assert unescaped(field) == data, f'{what}: {data!r}: {line!r}'
    assert len(lines) == len(wanted), f'{what}: {len(lines)} lines'
    tried += len(b''.join(inputs)) // 3


def packs(size, without=b'', first=b''):
    """All bytes and all pairs but those without, in strings of that size."""
    given = [bytes([i]) for i in range(256) if i not in without]
    tokens = [a + b'.' for a in given]
    tokens += [a + b + b'.' for a in given for b in given]
    room = size - len(first)
    pack = []
    for token in tokens:
        if room < len(token):
            yield first + b''.join(pack)
            pack, room = [], size - len(first)
        pack.append(token)
        room -= len(token)
    yield first + b''.join(pack)


def run(*command, status=0, stdin=b'', **more):
    result = subprocess.run(command, input=stdin, capture_output=True, **more)
    assert result.returncode == status, (result.returncode, result.stderr)
    return result


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(data)


def psock_tree(tool, where):
    proc = where + b'/proc/'
    os.makedirs(proc + b'1/fd')
    os.mkdir(proc + b'1/ns')
    os.symlink(b'net:[1]', proc + b'1/ns/net')
    write(proc + b'1/net/unix', b''.join(
        [b'Num       RefCount Protocol Flags    Type St Inode Path\n'] +
        [b'0000000000000000: 00000002 00000000 00000000 0001 03 %5d %s\n'
         % (i + 10000, name) for i, name in enumerate(packs(108))]))
    output = run(tool, b'-r', where, b'-Ho', b'path').stdout
    check('unix name', output, list(packs(108)))

    links = list(packs(4000, b'\0'))
    texts = list(packs(32000))
    comms = list(packs(63))     # the kernel's longest
    names = list(packs(60, b'\t\n :'))
    share = len(names) // len(links) + 1
    for i, comm in enumerate(comms):
        pid = proc + b'%d/' % (1000 + i)
        link = links[i] if i < len(links) else b'text'
        text = texts[i] if i < len(texts) else b'text'
        write(pid + b'comm', comm + b'\n')
        write(pid + b'cmdline', text + b'\0')
        write(pid + b'cgroup', b'0::' + text.replace(b'\n', b'') + b'\n')
        for name in b'fd', b'ns', b'net':
            os.mkdir(pid + name)
        os.symlink(link, pid + b'exe')
        os.symlink(link, pid + b'cwd')
        os.symlink(b'socket:[%d]' % (i + 1), pid + b'fd/3')
        os.symlink(b'net:[%d]' % (i + 2), pid + b'ns/net')
        write(pid + b'net/packet', b'sk RefCnt Type Proto Iface R Rmem User '
              b'Inode\n' + b''.join(b'0 3 3 0003 %d 1 0 0 %d\n' %
                                    (k + 1, i * 1000 + k + 20000)
                                    for k in range(share)))
        write(pid + b'net/igmp', b'Idx\tDevice\n' + b''.join(
            b'%d\t%s :     1      V3\n' % (k + 1, name) for k, name in
            enumerate(names[i * share:(i + 1) * share])))
    output = run(tool, b'-r', where, b'-Ht', b'packet', b'-o',
                 b'interface').stdout
    lines = output.splitlines(True)[:len(names)]
    check('interface', b''.join(lines), names)
    pids = ','.join(str(1000 + i) for i in range(len(comms))).encode()
    for column, inputs in {
            b'exe': links, b'cwd': links, b'comm': comms,
            b'cmdline': [text.replace(b'\0', b' ') for text in texts],
            b'cgroup': [text.replace(b'\n', b'') for text in texts]}.items():
        output = run(tool, b'-r', where, b'-Hp', pids, b'-o', column).stdout
        check(column, output, inputs +
              [b'text'] * (len(comms) - len(inputs)))


def psock_live(tool, where):
    """A process of our own, and all that it may call itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    me = str(os.getpid()).encode()
    prctl = ctypes.CDLL(None).prctl

    def rows(column, pid=me):
        return run(tool, b'-Hp', pid, b'-t', b'unix', b'-o', column).stdout

    held = [socket.socket(socket.AF_UNIX)]
    singles = bytes(range(1, 256))
    for i in range(0, len(singles), 15):
        prctl(15, singles[i:i + 15])    # PR_SET_NAME
        check('comm', rows(b'comm'), [singles[i:i + 15]])
    prctl(15, b'terminal')
    deep = where + b'/deep'
    for i in range(0, len(singles), 50):
        deep += b'/d' + singles[i:i + 50].replace(b'/', b'')
    os.makedirs(deep)
    home = os.getcwd()
    os.chdir(deep)
    check('cwd', rows(b'cwd'), [os.getcwdb()])
    os.chdir(home)
    for text in packs(32000, b'\0'):
        program = [sys.executable, b'-c', b'print(flush=1); input()', text]
        child = subprocess.Popen(program, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE,
                                 pass_fds=[held[0].fileno()])
        child.stdout.readline()         # execve(2) is done with it
        check('cmdline', rows(b'cmdline', str(child.pid).encode()),
              [b' '.join(os.fsencode(word) for word in program)])
        child.communicate(b'\n')
    names = list(packs(107)) if hard > 4000 else list(packs(107))[:900]
    for name in names:
        held.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        held[-1].bind(b'\0' + name)
    shown = dict(line.split(b'\t') for line in rows(b'fd,path').splitlines())
    check('abstract name', b''.join(shown[b'%d' % one.fileno()] + b'\n'
                                    for one in held[1:]),
          [b'@' + name.replace(b'\0', b'@') for name in names])


def psock_messages(tool):
    for pack in packs(63, bytes(range(1, 256))[31:] + b'\0,'):
        check('-t', run(tool, b'-t', pack, status=2).stderr, [pack],
              b"psock: -t: table: '",
              b"' is none of: tcp tcp6 udp udp6 udplite udplite6 raw "
              b"raw6 icmp icmp6 unix packet netlink sctp (see psock -h)")


def usage_messages(name, tool):
    """Options that are none, bytes in each argument, a strange argv[0]."""
    singles = bytes(set(range(1, 256)) - set(b',+'))
    options = b'oprt' if name == b'psock' else b'fopru'
    for i in range(0, len(singles), 60):
        for option in options:
            pack = singles[i:i + 60]
            result = subprocess.run([tool, b'-' + bytes([option]), pack],
                                    capture_output=True)
            assert result.returncode in (1, 2), (option, pack)
            assert escaped(pack) in result.stderr, (option, result.stderr)
            check(option, result.stderr, [
                unescaped(line) for line in result.stderr.splitlines()])
    known = b'-HqhV' + options + (b'am' if name == b'shhist' else b'x')
    for byte in set(range(1, 256)) - set(known):
        option = bytes([byte])
        lines = run(b'/evil\33[31m\x9b', b'-' + option, executable=tool,
                    status=2).stderr.split(b'\n', 1)
        check('option', lines[0] + b'\n', [option], name + b': -',
              b': no such option (see ' + name + b' -h)')
        assert b'\33' not in lines[-1] and b'\x9b' not in lines[-1]


def shhist_tree(tool, where):
    uid = os.getuid()
    texts = list(packs(60000, b'\n'))
    write(where + b'/commands', b''.join(text + b'\n' for text in texts))
    output = run(tool, b'-Hf', b'plain', b'-o', b'command',
                 where + b'/commands').stdout
    check('command', output, texts)

    users = list(packs(60000, b'\0\n:', b'u'))
    homes = [b'/home/one/' + home for home in packs(250, b'\0\n:/')]
    homes = [homes[0] + b''.join(home[9:] for home in homes[i:i + 14])
             for i in range(0, len(homes), 14)]
    users += [b'user'] * (len(homes) - len(users))
    passwd = b''
    for user, home in zip(users, homes):
        passwd += b'%s:x:%d:%d::%s:/bin/sh\n' % (user, uid, os.getgid(),
                                                home)
        # The whole path may be longer than one system call takes.
        os.chdir(where)
        for part in home.split(b'/')[1:]:
            os.makedirs(part, exist_ok=True)
            os.chdir(part)
        with open(b'.sh_history', 'wb') as file:
            file.write(b'ls\n')
    os.chdir(where)
    write(where + b'/etc/passwd', passwd)
    result = run(tool, b'-r', where, b'-Hfplain', b'-o', b'history_file')
    check('home', result.stdout, [home + b'/.sh_history' for home in homes])
    result = run(tool, b'-r', where, b'-Ho', b'user')
    check('user', result.stdout, users)


def shhist_names(tool, where):
    """Files and directories of all names: rows of these, words of those."""
    names = sorted(name + b'.history'
                   for name in packs(246, b'\0/', b'n'))
    path = b'/home/two/.bash_sessions/'
    os.makedirs(where + path)
    for i, name in enumerate(names):
        if i % 2:
            write(where + path + name, b'ls\n')
        else:
            os.mkdir(where + path + name)
    result = run(tool, b'-r', where, b'-Ho', b'history_file', status=1)
    check('file', result.stdout, [path + name for name in names[1::2]])
    paths = [where + path + name for name in names[::2]]
    result = run(tool, *paths, status=2)
    check('warning', result.stderr, paths,
          b'shhist: ', b': is a directory, not a regular file')
    # The other half the other way round.
    for i, name in enumerate(names):
        if i % 2:
            os.remove(where + path + name)
            os.mkdir(where + path + name)
        else:
            os.rmdir(where + path + name)
            write(where + path + name, b'ls\n')
    result = run(tool, b'-r', where, b'-Ho', b'history_file', status=1)
    check('file', result.stdout, [path + name for name in names[::2]])
    paths = [where + path + name for name in names[1::2]]
    result = run(tool, *paths, status=2)
    check('warning', result.stderr, paths,
          b'shhist: ', b': is a directory, not a regular file')


def shhist_messages(tool, where):
    """Every way in which a file or a user is complained of."""
    singles = bytes(set(range(1, 256)) - set(b'/'))
    name = b'/' + singles[:127], b'/' + singles[127:]
    path = where + name[0] + name[1]
    result = run(tool, path, status=2)
    check('missing', result.stderr, [path], b'shhist: ',
          b': No such file or directory')
    write(path, b'x\n')
    result = run(tool, b'-fyash', path, status=1)
    check('malformed', result.stderr, [path], b'shhist: ',
          b': line 1: malformed entry')
    result = run(tool, b'-p', where + name[1], status=2)
    check('-p', result.stderr, [where + name[1]], b'shhist: ',
          b': No such file or directory')
    result = run(tool, b'-f', singles, status=2)
    assert result.stderr.startswith(
        b"shhist: -f: format: '" + escaped(singles[:64])), result.stderr
    # A home that is a link to itself.
    home = b'/home/' + bytes(set(name[0]) - set(b'/:\n'))
    os.makedirs(where + b'/home')
    os.symlink(os.path.basename(home), where + home)
    write(where + b'/etc/passwd', b'u:x:%d:%d::%s:\n' % (
        os.getuid(), os.getgid(), home))
    result = run(tool, b'-r', where, status=1)
    check('home', result.stderr.rpartition(b': ')[0] + b'\n', [home],
          b'shhist: file ')
    write(where + b'/etc/passwd', b'')
    os.makedirs(where + b'/root')
    users = list(packs(900, b'\0,'))
    for i in range(0, len(users), 120):
        result = run(tool, b'-r', where, b'-Hu', b','.join(users[i:i + 120]),
                     status=1)
        check('-u', result.stderr, users[i:i + 120], b'shhist: ',
              b': no such user')


def main():
    name = sys.argv[1].encode()
    tool, where = map(os.fsencode, sys.argv[2:])
    for part in b'a', b'b', b'c':
        os.mkdir(where + b'/' + part)
    if name == b'psock':
        psock_tree(tool, where + b'/a')
        psock_live(tool, where + b'/b')
        psock_messages(tool)
    else:
        shhist_tree(tool, where + b'/a')
        shhist_names(tool, where + b'/b')
        shhist_messages(tool, where + b'/c')
    usage_messages(name, tool)
    print(f'{name.decode()}: {tried} inputs')


main()
