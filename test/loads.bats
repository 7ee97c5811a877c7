#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# The rows go into sqlite3, PostgreSQL, Miller and jq as they are, by the
# commands of psock(7).

# bats file_tags=live

load psock_helper
load manual_helper

# A server of our own below $BATS_FILE_TMPDIR; root may not run one.
setup_file() {
	local dir=$BATS_FILE_TMPDIR/postgres
	programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
	as=()
	[ -x "$programs/postgres" ] || return 0
	export PGHOST=$dir PGUSER=postgres programs as
	mkdir "$dir"
	if [ "$(id -u)" -eq 0 ]; then
		as=(setpriv --reuid postgres --regid postgres --clear-groups)
		chown postgres "$dir"
		chmod a+rx "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	fi
	cd "$dir" || return
	"${as[@]}" "$programs/initdb" -N -A trust -U postgres db >/dev/null
	"${as[@]}" "$programs/pg_ctl" -w -s -D db -l log \
		-o "-F -k '$dir' -c listen_addresses=''" start 3>&-
}

teardown_file() {
	local pid
	[ -n "${PGHOST-}" ] || return 0
	read -r pid <"$PGHOST/db/postmaster.pid"
	kill -QUIT "$pid"
	while kill -0 "$pid" 2>/dev/null; do
		:
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	PATH=$PWD/bin:$PATH
	export LC_ALL=C.UTF-8
}

is_installed() {
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

need_postgres() {
	[ -n "${PGHOST-}" ] || skip 'postgresql is not installed'
}

# block PATTERN: the command of psock(7) that has a line like this, alone.
block() {
	commands psock.7
	grep -L -- "$1" run/* | xargs rm
}

@test "sqlite3: who has a connection, the last commands" {
	is_installed sqlite3
	make_host
	block :memory:
	bash run/* >got
	diff got - <<-'END'
		1337	/tmp/.x	sh -i	203.0.113.9
		root	1700000120	echo "
		root	1700000060	"/opt/a b/c" -x
		alice	1700000000	id
	END
}

@test "sqlite3: the histories of an image" {
	is_installed sqlite3
	make_host
	block image.db
	here
	bash run/* >got
	diff got - <<-'END'
		alice	1
		root	2
	END
}

@test "sqlite3: .mode tabs, where no field begins with a quote" {
	is_installed sqlite3
	make_host
	sqlite3 >got <<-'END'
		.mode tabs
		.import "|psock" process_open_sockets
		.import "|shhist -u alice" shell_history
		select fd, local_port, state from process_open_sockets
			where pid = '812';
		select * from shell_history;
	END
	diff got - <<-'END'
		3	22	LISTEN
		1000	1700000000	id	/home/alice/.bash_history
	END
}

# Every byte but NUL in a command, then what looks like an escape.
every_byte() {
	local i
	for i in {1..255}; do
		printf "\\x$(printf %x "$i")"
	done
	printf '\\n\\t\\\\\\x41\\101\\N\n\\.'
}

@test "PostgreSQL: COPY gives every byte back" {
	need_postgres
	make_host
	every_byte >"$root/proc/1337/cmdline"
	{
		echo '#1700000000'
		every_byte
		echo
	} >"$root/root/.bash_history"
	block '^createdb'
	bash run/*
	psql -q -c 'create table processes (pid int, cmdline text)' hosts
	psock -H -p 1337 -o pid,cmdline | psql -q -c 'copy processes from stdin' \
		hosts
	shhist -H -u root | sed 's/^/web1\t/' |
		psql -q -c 'copy shell_history from stdin' hosts
	psql -Atq hosts >got <<-'END'
		select distinct encode(convert_to(text, 'SQL_ASCII'), 'hex')
		from (select cmdline as text from processes
			union select command from shell_history) as all_of_them;
	END
	[ "$(cat got)" = "$(every_byte | od -An -v -tx1 | tr -d ' \n')" ]
}

@test "Miller: as many rows, the columns by name" {
	is_installed mlr
	make_host
	block 'mlr .*--ojson'
	bash run/* | tr -d ' \n' >got
	grep -q '"pid":812,"fd":3,"socket":18201,' got
	# Its own escapes are the same but for \xHH.
	shhist -o command | mlr --itsv --ojson cat | grep -F '"echo \""'
}

@test "Miller: a table to look at" {
	is_installed mlr
	make_host
	block --barred
	bash run/* >got
	grep -Fx '| 0.0.0.0       | 22         |                | 812 | root | sshd |' got
	[ "$(grep -c '^| ' got)" -eq 3 ]
}

@test "jq: a row is an object, escaped as it was" {
	is_installed jq
	make_host
	block '| jq '
	bash run/* >got
	diff got - <<-'END'
		{"uid":"0","time":"1700000060","command":"\"/opt/a b/c\" -x","history_file":"/root/.bash_history"}
		{"uid":"0","time":"1700000120","command":"echo \"","history_file":"/root/.bash_history"}
		{"uid":"1000","time":"1700000000","command":"id","history_file":"/home/alice/.bash_history"}
	END
}

@test "three hosts by ssh: their rows with their names, and who is away" {
	need_postgres
	is_installed sshd
	need_namespaces
	mkdir bin
	# Copies: this may all be below /root.
	cp "$psock" bin/psock
	cp "${SHHIST:-$BATS_TEST_DIRNAME/../shhist}" bin/shhist
	printf '%s\n' web1 away web2 db1 >hosts
	block '^createdb'
	dropdb --if-exists hosts
	bash run/*
	block '^xargs'
	mkdir histories
	sed '/mkdir/s/^/cd histories; /; s/psock -H/shhist -H -u root/
		s/copy [a-z_]*/copy shell_history/; s/<hosts/<..\/hosts/' run/* \
		>again
	PATH=/usr/sbin:$PATH bash "$BATS_TEST_DIRNAME/hosts.bash" \
		bash -c 'bash run/*; bash again' >printed
	[ "$(grep -c '^away: exit status 255$' printed)" -eq 2 ]
	psql -Atq hosts >got <<-'END'
		select host, local_address, local_port from process_open_sockets
			where state = 'LISTEN' and family = 2 order by host;
		select host, command from shell_history order by host;
	END
	diff got - <<-'END'
		db1|0.0.0.0|22
		web1|0.0.0.0|22
		web2|0.0.0.0|22
		db1|hostname db1
		web1|hostname web1
		web2|hostname web2
	END
}
