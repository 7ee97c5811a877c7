#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
#
# Databases of shell histories, written by sqlite itself, and the rows that
# it selects from them.
#
#	shhist_databases.py make DIRECTORY SEED COUNT
#
# writes COUNT databases and, in DIRECTORY/rows, what shhist must print of
# them, -o time,line,duration,exit_status,cwd,command,history_file,format.
#
#	shhist_databases.py hostile DIRECTORY
#
# writes databases whose pages and cells lie, and base, which does not.
#
#	shhist_databases.py damage SHHIST DIRECTORY PROGRAM
#
# has SHHIST read copies of a small database with a byte changed, or cut: of
# those that it says nothing about, its rows must be those that sqlite selects,
# unless that finds a fault.

import itertools
import os
import random
import re
import sqlite3
import struct
import subprocess
import sys

SCHEMAS = {
    'atuin': '''create table if not exists history (
	id text primary key,
	timestamp integer not null, -- in ns, (since the epoch)
	duration integer not null,
	exit integer not null,
	command text not null,
	cwd text not null,
	session text not null,
	hostname text not null,

	unique(timestamp, cwd, command)
);
create index if not exists idx_history_timestamp on history(timestamp);
alter table history add column deleted_at integer;''',
    'nushell': '''CREATE TABLE history (
	id integer primary key autoincrement,
	command_line text not null,
	start_timestamp integer,
	session_id integer,
	hostname text,
	cwd text,
	duration_ms integer,
	exit_status integer,
	more_info text
) strict;
create index idx_history_time on history(start_timestamp);''',
    'mcfly': '''CREATE TABLE commands(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	"cmd" TEXT NOT NULL, cmd_tpl TEXT,
	[session_id] TEXT NOT NULL,
	`when_run` INTEGER NOT NULL,
	'exit_code' INTEGER NOT NULL,
	selected INTEGER NOT NULL /* dir, */, dir TEXT, old_dir TEXT);''',
    'histdb': '''create table commands (id integer primary key autoincrement,
	argv text, unique(argv) on conflict ignore);
create table places (id integer primary key autoincrement, host text,
	dir text, unique(host, dir) on conflict ignore);
create table history (id integer primary key autoincrement, session int,
	command_id int references commands (id),
	place_id int references places (id), exit_status int,
	start_time int, duration int);''',
    'xonsh': '''CREATE TABLE IF NOT EXISTS xonsh_history
	(inp TEXT, rtn INTEGER, tsb REAL, tse REAL, sessionid TEXT,
	out TEXT, info TEXT, frequency INTEGER DEFAULT 1);''',
    'ipython': '''CREATE TABLE IF NOT EXISTS sessions (session integer
	primary key autoincrement, start timestamp, end timestamp,
	num_cmds integer, remark text);
CREATE TABLE IF NOT EXISTS history (session integer, line integer,
	source text, source_raw text, PRIMARY KEY (session, line));''',
}

# Time, id, duration, status, directory, command: text as bytes of UTF-8.
SELECTS = {
    'atuin': '''select cast(timestamp / 1000000000 as integer), rowid,
	iif(duration < 0, '', iif(abs(duration) > 9e18, 0,
	cast(duration / 1000000000 as integer))),
	iif(duration < 0 and exit = -1, '', exit), cwd, command
	from history not indexed order by timestamp, rowid''',
    'nushell': '''select coalesce(start_timestamp, 0) / 1000, id,
	iif(duration_ms < 0, '', duration_ms / 1000), exit_status, cwd,
	command_line
	from history not indexed order by coalesce(start_timestamp, 0), id''',
    'mcfly': '''select when_run, id, '', exit_code, dir, cmd
	from commands not indexed order by when_run, id''',
    'histdb': '''select start_time, history.rowid,
	iif(duration < 0, '', duration), exit_status, dir, argv
	from history not indexed
	cross join commands not indexed on command_id = commands.rowid
	left join places on place_id = places.rowid
	order by start_time, history.rowid''',
    'xonsh': '''select cast(tsb as integer), rowid, iif(tse < tsb or
	abs(tse) > 9e12, '', cast(tse - tsb as integer)), rtn, cwd, inp
	from (select rowid, iif(abs(tsb) > 9e12, 0, tsb) tsb, tse, rtn, cwd,
	inp from xonsh_history) order by tsb, rowid''',
    'ipython': '''select 0, rowid, '', '', '', coalesce(source_raw, source)
	from history not indexed order by rowid''',
}

CHARACTERS = 'abc  \t\n\\-/|äß€\u4e2d\u6587\U0001f600\U0010ffff\x7f\u202e'


def text(rnd, longest):
    length = rnd.randrange(longest) if rnd.random() < .1 else 40
    return 'x' + ''.join(rnd.choices(CHARACTERS, k=rnd.randrange(1 + length)))


def row(rnd, program, number, disorder, longest):
    """The values of the history's columns but its id."""
    time = 1600000000 + number * 3 + rnd.randrange(-disorder, disorder + 1)
    nanoseconds = rnd.randrange(10**9)
    command = text(rnd, longest)
    cwd = rnd.choice((None, '/', '/home/' + text(rnd, 300)))
    status = rnd.choice((0, 0, 1, 127, 255))
    took = rnd.choice((0, 1, 2, 59, 60, 86400, 2**33))
    if program == 'atuin':
        running = rnd.random() < .1
        return (('id', '%x-%d' % (rnd.getrandbits(64), number)),
                ('timestamp', time * 10**9 + nanoseconds),
                ('duration', -1 if running else
                 min(took, 2**33) * 10**9 + nanoseconds),
                ('exit', -1 if running else status), ('command', command),
                ('cwd', cwd or 'unknown'), ('session', 's'),
                ('hostname', 'h:u'),
                ('deleted_at', rnd.choice((None, None, time))))
    if program == 'nushell':
        return (('command_line', command),
                ('start_timestamp', rnd.choice((None, time * 1000 + 7))
                 if disorder else time * 1000 + 7),
                ('session_id', rnd.getrandbits(62)), ('cwd', cwd),
                ('duration_ms', took * 1000 + 999), ('exit_status', status))
    if program == 'mcfly':
        return (('cmd', command), ('cmd_tpl', text(rnd, 100)),
                ('session_id', 's'), ('when_run', time),
                ('exit_code', status), ('selected', 0), ('dir', cwd))
    if program == 'xonsh':
        begin = time + rnd.choice((0, nanoseconds / 1e9))
        return (('inp', command), ('rtn', rnd.choice((status, -9))),
                ('tsb', begin), ('tse', begin + took + .5),
                ('out', rnd.choice((None, text(rnd, 5000)))), ('cwd', cwd))
    if program == 'ipython':
        return (('session', number // 100), ('line', number),
                ('source', text(rnd, 50)),
                ('source_raw', rnd.choice((None, command))))
    return (command, cwd, (('session', 1), ('exit_status', status),
                           ('start_time', time), ('duration', took)))


def insert(db, table, values):
    db.execute('insert into %s (%s) values (%s)' % (
        table, ', '.join(name for name, value in values),
        ', '.join('?' * len(values))), [value for name, value in values])


def insert_row(db, rnd, program, number, disorder, longest):
    values = row(rnd, program, number, disorder, longest)
    if program == 'histdb':
        command, cwd, values = values
        db.execute('insert into commands (argv) values (?)', (command,))
        db.execute('insert into places (host, dir) values ("h", ?)', (cwd,))
        ids = (('command_id', db.execute(
            'select id from commands where argv is ?',
            (command,)).fetchone()[0]),
               ('place_id', db.execute(
                   'select id from places where dir is ? limit 1',
                   (cwd,)).fetchone()[0]))
        values += ids
    insert(db, {'mcfly': 'commands', 'xonsh': 'xonsh_history'}.get(
        program, 'history'), values)


def fill(db, rnd, program, numbers, disorder, longest):
    table = {'mcfly': 'commands', 'xonsh': 'xonsh_history'}.get(
        program, 'history')
    for number in numbers:
        insert_row(db, rnd, program, number, disorder, longest)
    if rnd.random() < .5:
        db.execute('delete from %s where abs(random()) %% 5 = 0' % table)
    if rnd.random() < .3:
        db.execute('delete from %s where rowid between 10 and 10 + %d' % (
            table, len(numbers) // 2))


ESCAPES = {'\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r',
           '\x7f': '\\x7f', '\u202e': '\\xe2\\x80\\xae'}


def field(value):
    if value is None:
        return ''
    return ''.join(ESCAPES.get(c, c) for c in str(value))


def rows(db, program, name):
    """What shhist must print."""
    for values in db.execute(SELECTS[program]):
        if values[-1]:
            yield '\t'.join(map(field, values + (name, program))) + '\n'


def make_database(name, rnd, program, count):
    """Leaves the database open if its last rows are in the log alone."""
    db = sqlite3.connect(name, isolation_level=None)
    db.execute('pragma synchronous = off')
    page_size = 512 << rnd.randrange(8)
    db.execute('pragma page_size = %d' % page_size)
    db.execute('pragma encoding = "%s"' % rnd.choice(
        ('UTF-8', 'UTF-16le', 'UTF-16be')))
    db.execute('pragma auto_vacuum = %d' % rnd.randrange(3))
    wal = rnd.random() < .5
    if wal:
        db.execute('pragma journal_mode = wal')
        db.execute('pragma wal_autocheckpoint = %d' % rnd.choice((0, 4, 1000)))
    db.executescript(SCHEMAS[program])
    disorder = rnd.choice((0, 0, 5, 1000))
    longest = rnd.choice((50, 2000, 3 * page_size))
    if program == 'xonsh':
        numbers = range(count // 4)
        db.execute('begin')
        for number in numbers:
            values = row(rnd, program, number, disorder, longest)
            insert(db, 'xonsh_history', values[:-1])
        db.execute('commit')
        db.execute('alter table xonsh_history add column cwd TEXT')
    db.execute('begin')
    fill(db, rnd, program, range(count // 2), disorder, longest)
    db.execute('commit')
    if rnd.random() < .3:
        db.execute('vacuum')
    if wal and rnd.random() < .3:
        db.execute('pragma wal_checkpoint(restart)')
    db.execute('begin')
    fill(db, rnd, program, range(count // 2, count), disorder, longest)
    db.execute('commit')
    if wal and rnd.random() < .5:
        db.execute('pragma cache_size = 1')
        db.execute('begin')
        found = list(rows(db, program, name))
        fill(db, rnd, program, range(count, count + 50), disorder, longest)
    else:
        found = list(rows(db, program, name))
        if not wal:
            db.close()
    return db, found


def make(directory, seed, count):
    rnd = random.Random(seed)
    open_ones = []
    with open(directory + '/rows', 'w', encoding='utf-8') as out:
        for number in range(count):
            name = '%s/%03d.db' % (directory, number)
            program = list(SCHEMAS)[number % len(SCHEMAS)]
            size = rnd.choice((0, 1, 30, 300, 1000))
            db, found = make_database(name, rnd, program, size)
            open_ones.append(db)
            out.writelines(found)
    print('made', flush=True)
    sys.stdin.read()	# the databases stay open until then
    os._exit(0)


def small(name, program):
    """A database of small pages; its last rows may be in the log."""
    rnd = random.Random(program)
    db = sqlite3.connect(name, isolation_level=None)
    db.execute('pragma page_size = 512')
    db.execute('pragma journal_mode = wal')
    db.execute('pragma wal_autocheckpoint = 0')
    db.executescript(re.sub('create.index.*', '',
                            SCHEMAS[program].replace(' autoincrement', '')))
    if program == 'xonsh':
        db.execute('alter table xonsh_history add column cwd TEXT')
    for numbers in range(10), range(10, 13):
        db.execute('begin')
        for number in numbers:
            insert_row(db, rnd, program, number, 3, 400)
        db.execute('commit')
        if numbers[0] == 0:
            db.execute('pragma wal_checkpoint(restart)')
    images = []
    for name in name, name + '-wal':
        with open(name, 'rb') as file:
            images.append(file.read())
    return images


def damaged(image, log):
    """Each byte changed, and the file cut at each 64th."""
    rnd = random.Random(len(image) + len(log))
    # In make check, and with a sanitizer, which has fuzzers as well, every
    # eighth.
    few = os.environ.get('FILTER') or 'ASAN_OPTIONS' in os.environ
    step = 8 if few else 1
    for at in range(0, len(image), step):
        copy = bytearray(image)
        copy[at] ^= rnd.choice((1, 128, 255, rnd.randrange(1, 256)))
        yield 'changed%06d' % at, copy, log
    for at in range(0, len(log), step):
        copy = bytearray(log)
        copy[at] ^= rnd.choice((1, 128, 255, rnd.randrange(1, 256)))
        yield 'log%06d' % at, image, copy
    for at in range(0, len(image), 64):
        yield 'cut%06d' % at, image[:at], log
    for at in range(0, len(log), 64):
        yield 'logcut%06d' % at, image, log[:at]


def unescape(field):
    return re.sub(rb'\\(x..|.)', lambda m: bytes((int(m[1][1:], 16),))
                  if m[1][:1] == b'x' else
                  {b't': b'\t', b'n': b'\n', b'r': b'\r'}.get(m[1], m[1]),
                  field)


def selected(name, program):
    """The rows that sqlite selects; None if it finds a fault."""
    db = sqlite3.connect(name)
    db.text_factory = bytes
    try:
        # It moves the log into the file when it closes, and waits for that.
        db.execute('PRAGMA synchronous = OFF')
        return [[b'' if value is None else value if isinstance(value, bytes)
                 else str(value).encode() for value in values]
                for values in db.execute(SELECTS[program]) if values[-1]]
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    finally:
        db.close()


def damage(shhist, directory, program):
    names = []
    for name, image, log in damaged(*small(directory + '/whole', program)):
        names.append('%s/%s.db' % (directory, name))
        for path, content in (names[-1], image), (names[-1] + '-wal', log):
            with open(path, 'wb') as file:
                file.write(content)
    run = subprocess.run(
        [shhist, '-H', '-f', 'sqlite', '-o', 'history_file,time,line,duration,exit_status,'
         'cwd,command', '--'] + names, capture_output=True, check=False)
    errors = run.stderr.decode()
    if run.returncode != 1 or 'reader' in errors:
        sys.exit('status %d\n%s' % (run.returncode, errors[-2000:]))
    warned = {line.split(': ')[1].removesuffix('-wal')
              for line in errors.splitlines()}
    found = {}
    for line in run.stdout.splitlines():
        name, *values = line.split(b'\t')
        found.setdefault(name.decode(), []).append(
            list(map(unescape, values)))
    whole = checked = wrong = 0
    for name in names:
        if name in warned:
            continue
        whole += 1
        want = selected(name, program)
        if want is None:
            continue
        checked += 1
        if want != found.get(name, []):
            wrong += 1
            print('%s: not %s, but %s' % (name, *next(
                (pair for pair in itertools.zip_longest(
                    want, found.get(name, [])) if pair[0] != pair[1]))))
    print('%s: %d files, %d without a warning, %d of them selected, %d wrong'
          % (program, len(names), whole, checked, wrong))
    sys.exit(wrong > 0 or checked == 0)


def hostile(directory):
    """Databases whose pages, cells and logs lie; ids say what may be read."""
    path = directory + '/base'
    db = sqlite3.connect(path, isolation_level=None)
    db.execute('pragma page_size = 512')
    db.executescript(SCHEMAS['mcfly'])
    for number in range(400):
        db.execute('insert into commands (cmd, cmd_tpl, session_id, when_run, '
                   'exit_code, selected) values (?, "", "", ?, 0, 0)',
                   ('x' * (3000 if number == 7 else 20) + str(number),
                    1600000000 + number))
    root, = db.execute('select rootpage from sqlite_schema '
                       'where name = "commands"').fetchone()
    db.close()
    with open(path, 'rb') as file:
        image = file.read()

    def write(name, *changes):
        copy = bytearray(image)
        for at, content in changes:
            copy[at:at + len(content)] = content
        with open('%s/%s.db' % (directory, name), 'wb') as file:
            file.write(copy)

    at = (root - 1) * 512
    assert image[at] == 5	# an interior page
    count = int.from_bytes(image[at + 3:at + 5], 'big')
    cells = [at + int.from_bytes(image[i:i + 2], 'big') for i in range(
        at + 12, at + 12 + 2 * count, 2)]
    leaf = (int.from_bytes(image[cells[1]:cells[1] + 4], 'big') - 1) * 512
    assert image[leaf] == 13
    cell = leaf + int.from_bytes(image[leaf + 8:leaf + 10], 'big')
    page = root.to_bytes(4, 'big')
    write('circle', *((i, page) for i in cells), (at + 8, page))
    write('twice', *((i, image[cells[0]:cells[0] + 4]) for i in cells))
    write('self', (at + 8, page))
    write('outside', (leaf + 8, b'\xff\xff'), (leaf + 10, b'\0\0'))
    write('cells', (leaf + 3, b'\xff\xff'))
    write('length', (cell, b'\xff' * 9))
    write('length63', (cell, b'\xbf' + b'\xff' * 8))
    write('far', *((i, b'\xff' * 4) for i in cells))
    write('zero', *((i, b'\0' * 4) for i in cells))
    write('free', (leaf, b'\0' * 512))
    chain = next(i for i in range(0, len(image), 512)
                 if image[i + 4:i + 500] == b'x' * 496)
    write('chain', (chain, (chain // 512 + 1).to_bytes(4, 'big')))
    write_slow(directory + '/slow.db')
    write_overlap(directory + '/overlap')


def create(name):
    """The second of its pages of 64 KiB is to be overwritten."""
    db = sqlite3.connect(name, isolation_level=None)
    db.execute('pragma page_size = 65536')
    db.execute('create table commands (cmd text, when_run integer)')
    db.close()


def varint(number):
    return bytes((128 | number >> 14, 128 | number >> 7 & 127, number & 127))


def write_overlap(name):
    """Cells that begin 11 bytes one after the other, and have 30,000."""
    create(name)
    with open(name, 'r+b') as file:
        file.seek(65536)
        file.write(struct.pack('>B2xH3x2700H', 13, 2700, *range(
            5408, 5408 + 2700 * 11, 11)))
        for number in range(2700):
            file.write(varint(30006) + varint(number) + b'\5' +
                       varint(60013) + b'\1')


def interior(pages, ids, right):
    """A page of 64 KiB above others."""
    offsets = range(65536 - 8 * len(ids), 65536, 8)
    page = struct.pack('>B2xH3xI%dH' % len(ids), 5, len(ids), right, *offsets)
    return page.ljust(offsets[0], b'\0') + b''.join(
        struct.pack('>I4B', page, 128 | i >> 21, 128 | i >> 14 & 127,
                    128 | i >> 7 & 127, i & 127)
        for page, i in zip(pages, ids))


def write_slow(name):
    """Below it are a million times a page, and that is none of a tree."""
    create(name)
    last, most = 152, 6500
    with open(name, 'r+b') as file:
        file.seek(65536)
        file.write(interior(range(3, last), range(most, 149 * most + 1, most),
                            last))
        for page in range(3, last):
            ids = range((page - 3) * most + 1, (page - 2) * most + 1)
            file.write(interior([last] * most, ids, last))
        file.write(bytes(65536))


if sys.argv[1] == 'hostile':
    hostile(sys.argv[2])
elif sys.argv[1] == 'make':
    make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    damage(*sys.argv[2:])
