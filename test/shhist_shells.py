# SPDX-License-Identifier: ISC
"""Holds shhist to what a shell or client itself shows: types more than 200
commands into the real program through a pty, lets it write its history, and
compares the rows of that file with what a new one shows that has read it.
Works in the current directory, which becomes HOME.
usage: shhist_shells.py SHHIST MODE"""
import calendar
import difflib
import fcntl
import itertools
import os
import pty
import random
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time

# What is typed

LINES = [
    b'echo one', b'echo twice', b'echo twice',
    b"echo 'quo\"tes'", b'echo "quo\'tes"', b'echo "a b"   c',
    b'echo a\\\\', b'echo a\\\\\\\\', b"echo 'a\\'", b'echo "a\\\\"',
    b'echo a \\  ', b'echo a\\\\ ', b'echo  a  \\\\  ', b'echo a  ',
    b' echo blank', b'   echo blanks',
    b'#123 comment', b'# comment', b'# 123', b'#123x', b'#+', b'#+1 x',
    b': 1:2;x', b': 1700000000:0;ls', b': 1700000000:0; ls', b':;x',
    b'- cmd: x', b'  when: 5', b'_HiStOrY_V2_', b'p123', b'1:5 x',
    b'echo a\\040b', b'echo a\\nb', b'echo a\\tb', b'echo a\\x41b',
    b'echo "<\\n>"', b'echo \\<\\\\n\\>', b'echo `:`', b'#$# yash history',
    'echo ü € 😀 \u200b \u00a0'.encode(), 'echo \u202e \u2028'.encode(),
    b'echo [a-z]*', b'echo {a,b}', b'echo ~', b'echo a=b',
]
CONTROLS = [
    b": 'a\tb'", b'\t: leading', b': trailing\t', b": '\x1b[31mred\x1b[0m'",
    b": '\x01 \x07 \x0b \x7f'", b": '\x1b]0;title\x07'", b": 'a\rb'",
]
# What is not UTF-8, or what zsh writes in another way.
BYTES = [
    b": '\xe9t\xe9'", b": '\xc3'", b": '\xfe\xf5 \xed\xa0\x80 \xc0\xaf'",
    b": '\x80\x83\x84\x9f\xa0\xa1\xa2\xa3'", b": '\x83 '", b": '\x81\x82'",
    b": '\xab\xcd\xff'", b": '\xc2\x83\xe9'",
]
BLOCKS = [
    b'for i in 1 2\ndo\n\t: $i\ndone', b'for i in 1 2; do\n:\ndone',
    b'if :; then\n:\nelse\n:\nfi', b'case x in\nx) : ;;\nesac',
    b'cat <<END >/dev/null\na  b\n\ttab\\\nq\\\\\n#12 x\n\'\n$HOME\nEND',
    b'cat <<"END" >/dev/null\n#17\nEND', b'f() {\n\n: body\n}',
    b'echo a \\\nb', b'echo a \\\\\\\nb', b'echo "two\nlines"',
    b"echo 'a\\\n\\\\\nb'", b"echo 'two\n\n\nlines'", b'{\n:\n}',
    b'echo a &&\necho b', b'echo a |\ncat', b'(\n: 1:2;x\n)',
]
CSH_BLOCKS = [
    b'foreach i (1 2)\n: $i\nend', b'if (1) then\n:\nendif',
    b': one \\\ntwo', b": 'a\\\nb'", b": 'a\\\\\nb' c", b': "a\\\nb\\\nc"',
    b'cat <<END >/dev/null\na\\\n#12 x\nEND',
]
FISH_BLOCKS = [
    b'for i in 1 2\n    : $i\nend', b'if true\n:\nelse\n\n:\nend',
    b'echo "two\nlines"', b"echo 'a\\\\\n\\\\\\\\\nb'", b'echo a \\\nb',
    b'begin\n: - cmd\nend', b'echo a |\ncat', b"echo 'two\n\n\nlines'",
    b"echo '- cmd: x\n  when: 7\n- cmd: y'",
]
LONG = b': ' + b'x' * 100000


def mixed(pieces):
    """Commands of the pieces in many orders, the same at each run."""
    chance = random.Random(5)
    made = {}
    while len(made) < 190:
        chosen = chance.choices(pieces, k=chance.randint(2, 9))
        if sum(piece.endswith(b'"') for piece in chosen) % 2 == 0:
            made[b': ' + chance.choice([b' ', b'']).join(chosen)] = True
    return list(made)


PIECES = [b'\\\\', b"\\'", b'ab', b'\\ ', b'  ', b'\\n', b'\\\\n', b'\\x41',
          'ü'.encode(), '€'.encode(), '😀'.encode(), b';:', b'#5', b'\\:',
          b'1:0;', b'- cmd', b'="', b'"']
MIXED = mixed(PIECES + [b"'\\'"])
POSIX = LINES + CONTROLS + BYTES + BLOCKS + MIXED + [LONG]
# A line editor takes a pasted CR as the end of the line.
PASTED = [command for command in POSIX if b'\r' not in command]
# In fish that quote is open, outer blanks go, what is typed again moves.
FISH = list({command.lstrip(): 0 for command in
             LINES + FISH_BLOCKS + mixed(PIECES)
             if command != b"echo 'a\\'" and command[-1:] != b' '})



def comments(sign):
    """For clients, of which some go on after a backslash."""
    return [sign + line for line in LINES + MIXED if line[-1:] != b'\\']

# How it is typed


def canonical(command):
    """For a terminal that itself edits lines of at most 4,095 bytes: ^V
    before what steers it, ^D to hand over a part."""
    keys = b''
    for line in command.split(b'\n'):
        for at in range(0, len(line), 4000):
            keys += b'\x04' if at else b''
            keys += re.sub(rb'[\0-\x08\x0a-\x1f\x7f]', b'\x16\\g<0>',
                           line[at:at + 4000])
        keys += b'\n'
    return [keys]


# With this, line editors ask for pasted text before each line.
PASTE_ME = b'\x1b[?2004h'


def lines(command):
    return [line + b'\r' for line in command.split(b'\n')]


def pasted_lines(command):
    return [b'\x1b[200~' + line + b'\x1b[201~\r'
            for line in command.split(b'\n')]


def pasted(command):
    return [b'\x1b[200~' + command + b'\x1b[201~\r']


def vim_keys(command):
    return [b':' + command + b'\r']


def less_keys(command):
    return [b'/' + command + b'\r']


class Terminal:
    """A program in a pty of its own."""

    def __init__(self, argv, echo):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            mode = termios.tcgetattr(0)
            if not echo:
                mode[3] &= ~termios.ECHO
            termios.tcsetattr(0, termios.TCSANOW, mode)
            os.execvp(argv[0], argv)
        size = struct.pack('HHHH', 50, 200, 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)
        os.set_blocking(self.fd, False)

    def type(self, keys, mark):
        """Types the keys, and reads up to the mark or the end."""
        seen = b''
        while keys or mark not in seen:
            ready = select.select([self.fd], [self.fd] if keys else [], [],
                                  60)
            if ready[1]:
                keys = keys[os.write(self.fd, keys[:1024]):]
            elif not ready[0]:
                sys.exit('silent after %r' % seen[-300:])
            if ready[0]:
                try:
                    seen += os.read(self.fd, 65536)
                except OSError:     # its last process has closed it
                    return


def type_all(mode, commands):
    """Types each command, or each of its lines, at the next prompt."""
    terminal = Terminal(mode['argv'], mode['keys'] is not canonical)
    # What is typed before a program reads by itself may be lost.
    terminal.type(b'', mode['ready'] or mode['prompt'])
    for command in commands:
        for keys in mode['keys'](command):
            terminal.type(keys, mode['prompt'])
    terminal.type(mode['end'] + b'\r', b'nothing but the end')
    if os.waitpid(terminal.pid, 0)[1] & 0xff:
        sys.exit('killed')

# What a new shell shows: times (0 where it has none) and commands


def output(argv, **env):
    """Standard output of a command without a terminal."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=dict(os.environ, **env)).stdout


def known(when, started):
    """Entries without a time are as old as their reading to some shells.

    The clock of time(2) may be a tick behind ours.
    """
    return int(when) if MODE['stamped'] or int(when) < started - 1 else 0


def show_bash(file):
    started = int(time.time())
    text = output(['bash', '--norc', '-c', 'unset HISTFILE;'
                   'set -o history; HISTSIZE=9999;'
                   "HISTTIMEFORMAT=$'\\x1e%s\\x1f';"
                   'history -r "$0"; history', file])
    parts = re.split(rb'(?m)^ *\d+[* ] \x1e(\d+)\x1f', text)[1:]
    return [(known(when, started), command[:-1])
            for when, command in zip(parts[::2], parts[1::2])]


def show_zsh(file):
    """$history is as it was typed; fc -l has the times."""
    started = int(time.time())
    text = output(['zsh', '-f', '-i', '-c', 'zmodload zsh/parameter;'
                   'HISTSIZE=9999; fc -R "$0"; print -s last;'
                   'for n in ${(kn)history}; do print -rN -- "$history[$n]";'
                   'done; fc -lnt %s 1', file])
    commands = text.split(b'\0')
    times = [known(line.split()[0], started)
             for line in commands.pop().split(b'\n')[:-2]]
    assert len(times) == len(commands)
    return list(zip(times, commands))


def show_fish(file):
    """A new fish leaves out what is as young as it is itself."""
    with open(file, 'rb') as history:
        times = re.findall(rb'(?m)^ *when: (\d+)$', history.read())
    while time.time() < max(map(int, times)) + 1:
        pass
    text = output(['fish', '-c', 'history search --null --reverse '
                   '--show-time="%s "'])
    parts = (entry.split(b' ', 1) for entry in text.split(b'\0')[:-1])
    return [(int(when), command) for when, command in parts]


def show_ksh(file):
    """In what fc -l shows, lines that go on are indented."""
    shutil.copy(file, 'copy')   # these shells write to it
    text = output([MODE['argv'][0], '-i', '-c', 'print -s last; fc -l 1'],
                  HISTFILE='copy')
    commands = re.split(rb'(?m)^ *\d+\t', text)[1:]
    if commands[-1].endswith(b'fc -l 1\n'):
        commands.pop()
    return [(0, c[:-1].replace(b'\n\t', b'\n')) for c in commands]


def show_tcsh(file):
    text = output(['tcsh', '-f', '-c', 'set history=9999; history -L %s;'
                   'history -hT' % file])
    parts = re.split(rb'(?m)^#\+(\d+)\n', text)[1:]
    return [(int(when), command[:-1])
            for when, command in zip(parts[::2], parts[1::2])]


def show_ash(file):
    """It reads its file for a terminal alone."""
    shutil.copy(file, 'copy')
    os.environ['HISTFILE'] = 'copy'
    type_all(MODE, [b'history >shown'])
    with open('shown', 'rb') as shown:
        lines = [re.sub(rb'^ *\d+ ', b'', line[:-1]) for line in shown]
    return [(0, line) for line in lines[:-1]]


def show_yash(file):
    shutil.copy(file, 'copy')
    text = output(['yash', '--norcfile', '-i', '-c', 'fc -lv 1'],
                  HISTFILE='copy', TZ='UTC')
    entries = (line.split(b'\t', 2)[1:] for line in text[:-1].split(b'\n'))
    return [(calendar.timegm(time.strptime(when.decode())), command)
            for when, command in entries]

def show_readline(file):
    """What any program with GNU readline has in memory."""
    text = output(['python3', '-c', 'import readline as r, sys;'
                   'r.read_history_file(sys.argv[1]);'
                   'print(*(r.get_history_item(i + 1) for i in '
                   'range(r.get_current_history_length())), sep="\\0")', file])
    return [(0, command) for command in text[:-1].split(b'\0')]


def show_vim(file):
    """The newest comes last here, and first in the file."""
    output(['vim', '-N', '-u', 'NONE', '-i', file, '--cmd', 'set history=999',
            '-c', 'call writefile(map(range(1, histnr(":")), '
            '"histget(\':\', v:val)"), "shown")', '-c', 'qa!'])
    with open('shown', 'rb') as shown:
        return sorted((0, line[:-1]) for line in shown)

# The differences there may be: what each shell makes of shhist's rows


def same(rows, _=None):
    return rows


def bash_shows(rows, _):
    """A line that merely begins as a stamp does is one to bash."""
    shown, pending = [], 0
    for when, command in rows:
        first, *rest = re.split(rb'(?m)^#(\d+).*\n?', command)
        parts = [(when or pending, first)]
        parts += zip(map(int, rest[::2]), rest[1::2])
        shown += [(when, re.sub(rb'\n\Z', b'', part))
                  for when, part in parts if part]
        pending = 0 if parts[-1][1] else parts[-1][0]
    return shown


def fish_shows(rows, _):
    """It takes a command "- cmd: x" for an old fault, and removes that.

    Since version 4 it skips all blanks before a command, not only one.
    """
    version = int(output(['fish', '--version']).split()[-1].split(b'.')[0])
    skipped = b' \t' if version >= 4 else b''
    return [(when, no_cmd(command.lstrip(skipped))) for when, command in rows]


def no_cmd(command):
    return re.sub(rb'\A(- cmd: )+', b'', command)


def ash_shows(rows, shown):
    """What is longer than its line editor can hold is cut."""
    most = max(len(command) for _, command in shown)
    return [(when, command[:most]) for when, command in rows]


def vim_shows(rows, _):
    """It shows no times, and what is of one second in any order."""
    return sorted((0, command) for _, command in rows)


def ksh93_shows(rows, shown):
    """Some versions undo the line of 100 KB, which stays in the file."""
    return [row for row in rows if row[1] != LONG or row in shown]


def tcsh_shows(rows, _):
    """It reads no comments."""
    return [row for row in rows if not row[1].startswith(b'#')]

# What each shell keeps of a line that is typed


def squeeze(command):
    return b''.join(command.split())


def no_blank(command):
    return command if command[0] not in b' \t' else None


# The shells and clients.  A mode says how to start one (argv, env, rc), what
# it writes (file), what is typed and how (commands, keys, once it is ready, at
# each prompt, and then end), what is added to the file since it cannot be
# typed (append), whether it has times (stamped), what a new one shows (show),
# how that may differ from shhist's rows (differs), and what it keeps of a
# typed line (kept, order).

BASH = dict(argv=['bash', '--norc', '--noediting'], file='.bash_history',
            env=dict(HISTCONTROL=''), show=show_bash, differs=bash_shows)
ZSH = dict(argv=['zsh', '-di', '-o', 'nozle'], file='.zsh_history',
           env=dict(SAVEHIST='5000'), rc=('.zshrc', '\n'), show=show_zsh)
STAMPS = dict(BASH, stamped=True,
              env=dict(BASH['env'], HISTTIMEFORMAT='%s '))
EXTENDED = dict(ZSH, stamped=True,
                argv=ZSH['argv'] + ['-o', 'extendedhistory'])
MODES = {
    'bash': BASH,
    'bash-stamps': STAMPS,
    'bash-lines': dict(BASH, argv=BASH['argv'] + ['+O', 'cmdhist']),
    'bash-pasted': dict(
        STAMPS, argv=['bash', '--norc', '-O', 'lithist'],
        env=dict(STAMPS['env'], PS2='@#>', TERM='linux'),
        keys=pasted_lines, prompt=PASTE_ME, commands=PASTED),
    'zsh': ZSH,
    'zsh-extended': EXTENDED,
    'zsh-share': dict(
        EXTENDED, argv=EXTENDED['argv'] + ['-o', 'sharehistory']),
    'zsh-append': dict(ZSH, argv=ZSH['argv'] + ['-o', 'incappendhistory']),
    'zsh-append-time': dict(
        EXTENDED, argv=EXTENDED['argv'] + ['-o', 'incappendhistorytime']),
    'zsh-pasted': dict(
        ZSH, argv=['zsh', '-di'],
        env=dict(ZSH['env'], PS2='@#>', TERM='linux'),
        keys=pasted_lines, prompt=PASTE_ME, commands=PASTED),
    'fish': dict(
        argv=['fish'], file='.local/share/fish/fish_history', show=show_fish,
        # Without that directory it works on all manuals of the host.
        rc=('.config/fish/config.fish', 'set -g fish_greeting\n'
            'mkdir -p ~/.local/share/fish/generated_completions\n'
            'function fish_prompt; echo -n "@#>"; end\n'),
        keys=pasted, prompt=PASTE_ME, commands=FISH, differs=fish_shows,
        kept=no_cmd,
        append=b''.join(b'- cmd: %s\n  when: 1700000000\n' % c
                        for c in CONTROLS + BYTES + [LONG])),
    'ksh93': dict(
        argv=['ksh93', '+o', 'vi', '+o', 'emacs'], file='.sh_history',
        show=show_ksh, differs=ksh93_shows, kept=bytes.rstrip),
    'mksh': dict(
        argv=['mksh', '+o', 'vi', '+o', 'emacs'], file='.mksh_history',
        show=show_ksh, kept=no_blank),
    'tcsh': dict(
        argv=['tcsh'], file='.history', show=show_tcsh, differs=tcsh_shows,
        rc=('.tcshrc', 'set history=5000 savehist=5000 noglob\n'
            "unset edit autologout\nset prompt='@#>' prompt2='> '\n"),
        commands=LINES + CONTROLS + CSH_BLOCKS + MIXED + [LONG], kept=squeeze,
        append=b''.join(b'#+1700000000\n%s\n' % c for c in BYTES)),
    'busybox-ash': dict(
        argv=['busybox', 'ash'], file='.ash_history', env=dict(PS2='@#>'),
        show=show_ash, differs=ash_shows,
        commands=LINES + BLOCKS + MIXED, keys=lines,
        append=b''.join(c + b'\n' for c in CONTROLS + BYTES + [LONG])),
    'yash': dict(
        argv=['yash', '+o', 'vi', '+o', 'emacs'], file='.yash_history',
        rc=('.yashrc', "PS1='@#>' PS2='> '\n"), show=show_yash,
        commands=[c for c in POSIX if c not in BYTES + [LONG]]),
    'python3': dict(
        argv=['python3'], file='.python_history', end=b'exit()',
        env=dict(PYTHONSTARTUP='rc.py'), keys=lines, show=show_readline,
        rc=('rc.py', 'import sys\nsys.ps1 = sys.ps2 = "@#>"\n'),
        commands=comments(b'# ') + [b'for i in 1, 2:\n    i\n',
                                    b'"""a\n#5\n"""', b'1 + \\\n2']),
    'sqlite3': dict(
        argv=['sqlite3', '-cmd', '.prompt @#> @#>'], file='.sqlite_history',
        env=dict(SQLITE_HISTORY='.sqlite_history'), end=b'.exit',
        commands=comments(b'-- ') + [b'select 1,\n2\n;', b'.tables'],
        keys=lines, show=show_readline),
    'less': dict(
        argv=['less', '.rc'], file='.lesshst', end=b'q', prompt=b'',
        ready=b'(END)',
        env=dict(LESSHISTFILE='.lesshst', LESSHISTSIZE='999', TERM='linux'),
        commands=LINES + MIXED, keys=less_keys, show=None),
    'vim': dict(
        argv=['vim', '-N', '-u', 'NONE', '-i', '.viminfo', '--cmd',
              'set history=999'], file='.viminfo', end=b':qa!', prompt=b'',
        ready=b'~',
        commands=comments(b'" ') + [b'" ' + b'x' * 2000],
        keys=vim_keys, show=show_vim, differs=vim_shows, order=reversed),
}
MODE = dict(dict(env={}, rc=('.rc', ''), stamped=False, commands=POSIX,
                 keys=canonical, prompt=b'@#>', ready=b'', end=b'exit',
                 append=b'', differs=same, kept=same, order=iter),
            **MODES[sys.argv[2]])

# The comparison


def unescape(field):
    names = {b't': b'\t', b'n': b'\n', b'r': b'\r', b'\\': b'\\'}
    return re.sub(rb'\\(x..|.)', lambda match: names.get(match[1]) or
                  bytes([int(match[1][1:], 16)]), field)


def read_rows(file):
    rows = output([sys.argv[1], '-H', '-o', 'time,command', file])
    return [(int(when), unescape(command)) for when, command in
            (row.split(b'\t') for row in rows.splitlines())]


def fail_unless_same(one, other, names):
    diff = [line[:200] for line in difflib.unified_diff(
        *([repr(x) for x in side] for side in (one, other)), *names, n=0)]
    if diff:
        sys.exit('\n'.join(diff[:40]))


def fail_if_missing(rows):
    """Holds the rows to the commands typed on one line."""
    typed = [c for c, _ in itertools.groupby(MODE['commands'])
             if b'\n' not in c and MODE['kept'](c)]
    kept = MODE['order']([MODE['kept'](command) for _, command in rows])
    missing = [c for c in typed if MODE['kept'](c) not in kept]
    if missing:
        sys.exit('typed, but not in its place: %r' % missing[0][:200])


def main():
    os.environ.update(HOME=os.getcwd(), TERM='dumb', LC_ALL='C.UTF-8', ENV='',
                      PS1='@#>', PS2='> ', HISTSIZE='5000',
                      HISTFILE=MODE['file'])
    os.environ.update(MODE['env'])
    name, text = MODE['rc']
    os.makedirs(os.path.dirname(name) or '.', exist_ok=True)
    with open(name, 'w') as file:
        file.write(text)
    assert len(MODE['commands']) >= 200
    type_all(MODE, MODE['commands'])
    with open(MODE['file'], 'ab') as file:
        file.write(MODE['append'])
    rows = read_rows(MODE['file'])
    if MODE['show']:
        shown = MODE['show'](MODE['file'])
        fail_unless_same(MODE['differs'](rows, shown), shown,
                         ('shhist', 'shown'))
    fail_if_missing(rows)


main()
