# SPDX-License-Identifier: ISC
"""Types the lines of a file into shells that run in a pty each, one line
after each prompt, then prints the shells' pids and keeps them until its own
end; with -t it goes on typing the lines again and again.
usage: shhist_hold.py [-c COUNT] [-t] LINES COMMAND..."""
import getopt
import os
import pty
import select
import sys

PROMPT = b'@@>'


def until_prompt(fd):
    seen = b''
    while PROMPT not in seen:
        if not select.select([fd], [], [], 20)[0]:
            sys.exit('no prompt, but: %r' % seen[-200:])
        seen += os.read(fd, 65536)


def type_lines(fd, lines):
    for line in lines:
        os.write(fd, line + b'\n')
        until_prompt(fd)


options, arguments = getopt.getopt(sys.argv[1:], 'c:t')
options = dict(options)
lines = open(arguments[0], 'rb').read().split(b'\n')[:-1]
shells = []
for i in range(int(options.get('-c', 1))):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(arguments[1], arguments[1:])
    shells.append((pid, fd))
for pid, fd in shells:
    until_prompt(fd)
    type_lines(fd, lines)
print(*(pid for pid, fd in shells), flush=True)
while '-t' in options:
    for line in lines:
        for pid, fd in shells:
            type_lines(fd, [line])
while True:
    for fd in select.select([fd for pid, fd in shells], [], [])[0]:
        try:
            os.read(fd, 65536)
        except OSError:
            sys.exit()
