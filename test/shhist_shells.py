# SPDX-License-Identifier: ISC
"""Types lines from a file into a shell that runs in a pty, one after each
prompt, and waits for its end.  usage: shhist_shells.py FILE COMMAND..."""
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
        part = os.read(fd, 65536)
        if not part:
            sys.exit('the shell ended')
        seen += part


lines = open(sys.argv[1], 'rb').read().splitlines()
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
for line in lines:
    until_prompt(fd)
    os.write(fd, line + b'\n')
until_prompt(fd)
os.write(fd, b'exit\n')
try:
    while os.read(fd, 65536):
        pass
except OSError:
    pass
os.waitpid(pid, 0)
