# SPDX-License-Identifier: ISC
#
# kill_workers RUNS PSOCK: runs psock beside some hundred processes, kills one
# of its children at a random moment of each run, and looks at what is left:
# everything, or all but one job, which is reported.  Says how often it is
# otherwise and how; the exit status says whether it never is.  It must be alone
# in its namespaces of processes and network.

import collections
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROCESSES = 300
COLUMNS = 'pid,fd,socket,family,protocol,local_port,path,state,net_namespace'
# A job of a table: the rows of these families and protocols.
TABLES = {'tcp': '2 6', 'tcp6': '10 6', 'udp': '2 17', 'udp6': '10 17',
          'unix': '1 0', 'netlink': '16', 'packet': '17', 'raw': '2 255',
          'raw6': '10 255', 'icmp': '2 1', 'icmp6': '10 58'}


def open_sockets():
    """In one process: some in tables, one that is in none."""
    kept = list(socket.socketpair())
    for family in socket.AF_INET, socket.AF_INET6:
        s = socket.socket(family)
        s.bind(('127.0.0.1' if family == socket.AF_INET else '::1', 0))
        s.listen()
        kept.append(s)
    kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    return kept


def start_processes():
    for _ in range(PROCESSES):
        ready, done = os.pipe()
        if os.fork() == 0:
            kept = open_sockets()
            os.close(ready)
            os.close(done)
            while kept:
                signal.pause()
        os.close(done)
        os.read(ready, 1)
        os.close(ready)


class Run:
    """psock, of which a child is killed after so many seconds."""

    def __init__(self, command, moment=None):
        self.killed = False
        with tempfile.TemporaryFile() as rows, \
                tempfile.TemporaryFile() as errors:
            start = time.monotonic()
            self.process = subprocess.Popen(command, stdout=rows,
                                            stderr=errors)
            if moment is not None:
                while time.monotonic() < start + moment:
                    pass
                self.kill_child()
            try:
                self.status = self.process.wait(100)
            except subprocess.TimeoutExpired:
                self.status = 'hangs'
                self.process.kill()
            self.seconds = time.monotonic() - start
            rows.seek(0)
            errors.seek(0)
            self.rows = rows.read().decode().splitlines()
            self.errors = errors.read().decode()

    def kill_child(self):
        pid = self.process.pid
        while self.process.poll() is None:
            with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
                children = f.read().split()
            if children:
                try:
                    os.kill(int(random.choice(children)), signal.SIGKILL)
                except ProcessLookupError:
                    continue    # it has just ended
                self.killed = True
                return


def belongs(row, subject):
    """Whether a row can be missing, or other, without this job."""
    kind, name = subject
    fields = row.split('\t')
    if kind == 'process':
        return fields[2] in held[name]
    what = TABLES[name].split()
    return fields[3:3 + len(what)] == what


def subjects(errors):
    """What is reported, each as (kind, name)."""
    for line in errors.splitlines():
        if 'pid namespace' in line:     # where the tests are
            continue
        m = re.search(r'\b(process|table) (\w+)', line)
        yield m.groups() if m else ('unknown', line)


def complaint(run):
    """What is wrong with a run, if anything is."""
    changed = set(whole.rows) ^ set(run.rows)
    lost = list(subjects(run.errors))
    if run.status not in (0, 1):
        return 'status %s' % run.status
    if len(set(run.rows)) != len(run.rows):
        return 'a row twice'
    if run.status == 0:
        return changed and '%d rows differ, status 0' % len(changed)
    if len(lost) != 1:
        return '%d things are reported' % len(lost)
    if lost[0][0] == 'unknown':
        return 'no job is reported'
    strange = [row for row in changed if not belongs(row, lost[0])]
    return strange and '%d rows differ, like %r' % (len(strange), strange[0])


runs = int(sys.argv[1])
command = sys.argv[2:] + ['-H', '-o', COLUMNS]
random.seed(os.environ.get('SEED', '1'))
start_processes()
whole = Run(command)
if whole.status != 0 or Run(command).rows != whole.rows:
    sys.exit('no whole answer without a kill: %s %s' %
             (whole.status, whole.errors))
held = collections.defaultdict(set)
for row in whole.rows:
    held[row.split('\t')[0]].add(row.split('\t')[2])
seconds = Run(command).seconds
counts = collections.Counter()
complaints = collections.Counter()
while counts['killed'] < runs and counts['all'] < 20 * runs:
    run = Run(command, random.random() * seconds)
    counts['all'] += 1
    if not run.killed:
        continue
    counts['killed'] += 1
    counts['reported'] += run.status == 1
    wrong = complaint(run)
    if wrong:
        counts['wrong'] += 1
        complaints['%s: %s' % (wrong, run.errors.strip())] += 1
    if run.status == 'hangs':
        break
for text, n in complaints.most_common(20):
    print('%d times %s' % (n, text))
print(dict(counts), '%.3f seconds a run' % seconds)
sys.exit(counts['wrong'] > 0 or counts['killed'] < runs)
