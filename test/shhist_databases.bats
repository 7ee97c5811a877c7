#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Databases, as sqlite itself writes them, and what it selects from them.

# shellcheck disable=SC2154 # bats and the helper set these

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	T=$BATS_TEST_TMPDIR
	databases=$BATS_TEST_DIRNAME/shhist_databases.py
	writer=
	command -v sqlite3 >/dev/null || skip 'no sqlite3'
}

teardown() {
	[ -z "$writer" ] || kill "$writer" || :
}

# make_databases SEED COUNT: in $T; they stay open until the end of the test.
make_databases() {
	local made

	mkfifo "$T/fifo" "$T/made"
	"$databases" make "$T" "$1" "$2" <"$T/fifo" >"$T/made" 3>&- &
	writer=$!
	exec 9>"$T/fifo"
	read -r made <"$T/made"
	[ "$made" = made ]
}

@test "databases: all programs, page sizes and encodings, live writers" {
	make_databases "${SEED:-1}" 60
	run -0 --separate-stderr "$shhist" -H -o \
		time,line,duration,exit_status,cwd,command,history_file,format \
		"$T"/*.db
	same "$output" "$(cat "$T/rows")"
	[ "$stderr" = '' ]
	[ "${#lines[@]}" -gt 5000 ]
}

@test "databases: 100,000 rows, in the order of time and not" {
	local order

	for order in i 'i * 7919 % 100003'; do
		rm -f "$T/x.db"
		sqlite3 "$T/x.db" <<-END
			create table commands (id integer primary key,
				cmd text, when_run integer, exit_code integer,
				dir text);
			with recursive n(i) as (select 1 union all
				select i + 1 from n where i < 100000)
			insert into commands select i, 'echo ' || i,
				1600000000 + $order, i % 3, '/' || i % 7 from n;
		END
		"$shhist" -H -o time,line,exit_status,cwd,command "$T/x.db" |
			cmp - <(sqlite3 -tabs "$T/x.db" 'select when_run, id,
				exit_code, dir, cmd from commands
				order by when_run, id')
	done
}

@test "databases: their places, and with -a ipython's" {
	local f

	make_tree
	for f in .local/share/mcfly .mcfly; do
		mkdir -p "$ann/$f"
		sqlite3 "$ann/$f/history.db" "create table commands
			(cmd text, when_run integer, exit_code integer,
			dir text); insert into commands values
			('$f', 5, 1, '/tmp')"
	done
	mkdir -p "$ann/.ipython/profile_x" "$ann/.ipython/profile"
	sqlite3 "$ann/.ipython/profile_x/history.sqlite" "create table history
		(session integer, line integer, source text, source_raw text);
		insert into history values (1, 1, 'parsed', '%ls'),
		(1, 2, 'only', null)"
	cp "$ann/.ipython/profile_x/history.sqlite" "$ann/.ipython/profile"
	rows -o time,command,cwd,exit_status,format
	same "$output" "$(printf '5\t%s\t/tmp\t1\tmcfly\n' \
		.local/share/mcfly .mcfly)"
	rows -a -o time,command,cwd,exit_status,format
	same "$output" "$(printf '5\t%s\t/tmp\t1\tmcfly\n' \
		.local/share/mcfly .mcfly
		printf '0\t%s\t\t\tipython\n' %ls only)"
	[ "$warnings" = '' ]
}

@test "databases: unknown ones and cut transactions are reported" {
	sqlite3 "$T/x.db" 'create table history (command text, time integer);
		insert into history values (1, 2)'
	run -2 --separate-stderr "$shhist" -H "$T/x.db"
	[ "$output" = '' ]
	same "$stderr" "shhist: $T/x.db: is a database of no program that is \
known"
	sqlite3 "$T/y.db" "create table commands (cmd text, when_run integer);
		insert into commands values ('one', 2)"
	printf '\0\0\0\0' >"$T/y.db-journal"
	run -0 --separate-stderr "$shhist" -H -o command "$T/y.db"
	[ "$output$stderr" = one ]
	printf '\331\325\5\371' >"$T/y.db-journal"
	run -1 --separate-stderr "$shhist" -H -o command "$T/y.db"
	[ "$output" = one ]
	same "$stderr" "shhist: $T/y.db-journal: a transaction was cut: rows \
may be wrong"
	run -2 --separate-stderr "$shhist" -H -f sqlite - <"$databases"
	same "$stderr" 'shhist: -: cannot be read as a database'
	run -1 --separate-stderr "$shhist" -H -o command - <"$T/y.db"
	same "$output" one
	[[ $stderr = *y.db-journal:* ]]
}

# make_log DIRECTORY: y.db in it, with a row in its log.
make_log() {
	mkdir "$1"
	sqlite3 "$T/x.db" >"$T/modes" <<-END
		pragma journal_mode = wal;
		$mcfly;
		insert into commands values (1, 'in the file', 1, 0, '/');
		pragma wal_checkpoint(truncate);
		insert into commands values (2, 'in the log', 2, 0, '/');
		.shell cp '$T/x.db' '$1/y.db'; cp '$T/x.db-wal' '$1/y.db-wal'
	END
}

mcfly='create table commands (id integer primary key, cmd text,
	when_run integer, exit_code integer, dir text)'
logged=$'in the file\nin the log'

@test "databases: their logs, through links and on standard input" {
	make_log "$T/real"
	ln -s real/y.db "$T/link.db"
	ln -s link.db "$T/again.db"
	ln -s "$T/real" "$T/directory"
	for db in "$T"/{real/y,link,again,directory/y}.db; do
		run -0 "$shhist" -H -o command "$db"
		same "$output" "$logged"
	done
	run -0 "$shhist" -H -o command - <"$T/real/y.db"
	same "$output" "$logged"
	mkdir -p "$T/tree/etc" "$T/tree/home/ann/.local/share/mcfly"
	: >"$T/tree/etc/passwd"
	mv "$T/real" "$T/tree/real"
	ln -s /real/y.db "$T/tree/home/ann/.local/share/mcfly/history.db"
	run -0 --separate-stderr "$shhist" -H -o command -r "$T/tree"
	same "$stderr" ''
	same "$output" "$logged"
}

@test "databases: a log that cannot be read" {
	make_log "$T/real"
	cp "$T/real/y.db" "$T/y.db"
	# Reading there fails with EIO.
	ln -s /proc/self/mem "$T/y.db-wal"
	run -1 --separate-stderr "$shhist" -H -o command "$T/y.db"
	same "$output" 'in the file'
	same "$stderr" \
		"shhist: $T/y.db: the log beside it is damaged, and not read"
}

@test "databases: one that is refused for two reasons is one file" {
	sqlite3 "$T/x.db" 'create table x (y)'
	ln -s /proc/self/mem "$T/x.db-wal"
	echo x >"$T/plain"
	run -1 --separate-stderr "$shhist" -H -o command "$T/x.db" "$T/plain"
	same "$output" x
	run -2 "$shhist" -H "$T/x.db"
}

@test "databases: a log, and no memory for it" {
	[ -z "${ASAN_OPTIONS-}" ] || skip 'the sanitizer takes all of it'
	make_log "$T/real"
	ulimit -v 60000
	run --separate-stderr "$shhist" -H -o command "$T/real/y.db"
	[ "$status" -ne 0 ]
	[[ $stderr = *'Out of memory'* ]]
}

@test "databases: one that is written while it is read" {
	local s=0

	sqlite3 "$T/y.db" >"$T/modes" <<-END
		pragma journal_mode = wal;
		$mcfly;
		with recursive n(i) as (select 1 union all
			select i + 1 from n where i < 100000)
		insert into commands select i, 'a command of some length ' || i,
			i, 0, '/' from n;
	END
	mkfifo "$T/rows"
	"$shhist" -H "$T/y.db" >"$T/rows" 2>"$T/errors" 3>&- &
	exec 8<"$T/rows"
	read -r _ <&8
	sqlite3 "$T/y.db" "update commands set cmd = 'x' where id > 99000"
	cat <&8 >"$T/rest"
	exec 8<&-
	wait $! || s=$?
	same "$s" 1
	same "$(cat "$T/errors")" "shhist: $T/y.db: changed while it was read"
}

@test "databases: of a file that is lost, what its log has" {
	sqlite3 "$T/x.db" >"$T/out" <<-END
		pragma page_size = 512;
		pragma journal_mode = wal;
		create table commands (cmd text, when_run integer);
		with recursive n(i) as (select 1 union all
			select i + 1 from n where i < 300)
		insert into commands select 'echo ' || i, i from n;
		pragma wal_checkpoint(truncate);
		begin;
		pragma user_version = 1; -- it is on the first page
		with recursive n(i) as (select 301 union all
			select i + 1 from n where i < 350)
		insert into commands select 'echo ' || i, i from n;
		commit;
		.shell cp '$T/x.db-wal' '$T/y.db-wal'
	END
	: >"$T/y.db"
	run -1 --separate-stderr "$shhist" -H -f sqlite -o command "$T/y.db"
	[[ $stderr == *": damaged: pages or rows were not read"* ]]
	[[ $stderr != *changed* ]]
	same "$output" "$(seq -f 'echo %g' $((351 - ${#lines[@]})) 350)"
	[ "${#lines[@]}" -ge 50 ]
}

@test "databases: pages in circles, cells outside, endless lengths" {
	local f n=0

	"$databases" hostile "$T"
	"$shhist" -H -o line,command "$T/base" >"$T/want"
	[ "$(wc -l <"$T/want")" -eq 400 ]
	for f in "$T"/*.db; do
		run -1 --separate-stderr timeout 10 "$shhist" -H \
			-o line,command "$f"
		echo "$f: $stderr"
		[[ $stderr == "shhist: $f: damaged: "*" rows were not read" ]]
		! grep -vxFf "$T/want" <<<"${output:-$(head -1 "$T/want")}"
		[ -z "$(sort <<<"$output" | uniq -d)" ]
		case $f in
		*/chain.db | */free.db | */length*.db | */outside.db | */cells.db)
			[ "${#lines[@]}" -ge 385 ] ;;
		esac
		n=$((n + 1))
	done
	[ "$n" -eq 12 ]
	run -1 --separate-stderr "$shhist" -H -o line "$T/overlap"
	[[ $stderr == "shhist: $T/overlap: damaged: "* ]]
	[ "${#lines[@]}" -lt 50 ]
}

@test "databases: what is longer than 16 MiB is cut, but never in silence" {
	local cut="shhist: $T/x.db: line 1: command longer than 16 MiB is cut"

	sqlite3 "$T/x.db" "pragma encoding = 'UTF-16';
		create table commands (cmd text, when_run integer, dir text);
		insert into commands values (replace(hex(zeroblob(3500000)),
			'0', char(20013)), 1, '/')"
	run -1 --separate-stderr bash -c '"$1" -H -o command "$2" | wc -c
		exit ${PIPESTATUS[0]}' - "$shhist" "$T/x.db"
	same "$output $stderr" "16777220 $cut"
	sqlite3 "$T/x.db" "update commands set cmd = 'ls',
		dir = hex(zeroblob(1000000))"
	run -0 --separate-stderr bash -c '"$1" -H -o cwd,command "$2" | wc -c
		exit ${PIPESTATUS[0]}' - "$shhist" "$T/x.db"
	same "$output$stderr" 2000004
}

@test "databases: a small one of many rows that have one long command" {
	sqlite3 "$T/x.db" <<-END
		pragma page_size = 512;
		create table commands (id integer primary key, argv text);
		create table places (id integer primary key, dir text);
		create table history (start_time int, command_id int,
			place_id int);
		insert into commands values (1, hex(zeroblob(50000)));
		with recursive n(i) as (select 1 union all
			select i + 1 from n where i < 2000)
		insert into history select i, 1, null from n;
	END
	run -1 --separate-stderr bash -c '"$1" -H -o time,command "$2" | wc -l
		exit ${PIPESTATUS[0]}' - "$shhist" "$T/x.db"
	same "$stderr" "shhist: $T/x.db: damaged: pages or rows were not read"
	[ "$output" -gt 1024 ]
	[ "$output" -lt 1900 ]
}

# Whatever shhist says nothing about is what sqlite selects.
damage_each() {
	run -0 "$databases" damage "$shhist" "$T" "$1"
}

@test "databases: each byte of nushell's changed, and cut" {
	damage_each nushell
}

@test "databases: each byte of mcfly's changed, and cut" {
	damage_each mcfly
}

@test "databases: each byte of zsh-histdb's changed, and cut" {
	damage_each histdb
}

@test "databases: each byte of xonsh's changed, and cut" {
	damage_each xonsh
}
