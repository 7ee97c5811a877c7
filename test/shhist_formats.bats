#!/usr/bin/env bats
# SPDX-License-Identifier: ISC
#
# Files as crashes, other systems and clients leave them, where people move
# them to, and what is no history.

# shellcheck disable=SC2030,SC2031,SC2154,SC2086 # the helper sets them

bats_require_minimum_version 1.5.0

setup() {
	load shhist_helper
	T=$BATS_TEST_TMPDIR
}

# shown FORMAT TEXT ROWS...: the text, as for printf, gives these rows of time
# and command; the messages, without the file, in $said.
shown() {
	local name=$1 text=$2

	shift 2
	# shellcheck disable=SC2059 # the text is a format
	printf -- "$text" >"$T/file"
	run --separate-stderr "$shhist" -H -f "$name" -o time,command "$T/file"
	same "$output" "$(printf '%s\n' "$@")"
	said=${stderr//shhist: $T\/file: /}
}

nuls() {
	local n

	for ((n = 0; n < $1; n++)); do printf '\\0'; done
}

block='NUL bytes: a block that was never written'

@test "NULs of a crash: fish" {
	shown fish "- cmd: reboot\n  when: 1726778950\n$(nuls 37)- cmd: b\n\
  when: 1726828048\n" $'1726778950\treboot' $'1726828048\tb'
	same "$status $said" "1 line 3: $block"
	shown fish "- cmd: a\n$(nuls 512)  when: 5\n- cmd: b\n  when: 6\n" \
		$'0\ta' $'6\tb'
	[[ $status == 1 && $said == *"line 2: $block"* ]]
	shown fish "$(nuls 4096)- cmd: a\n  when: 5\n" $'5\ta'
	same "$status $said" "1 line 1: $block"
}

@test "NULs of a crash: bash" {
	shown bash "#1700000000\na\n$(nuls 37)#1700000001\nb\n" \
		$'1700000000\ta' $'1700000001\tb'
	same "$status $said" "1 line 3: $block"
	# What follows is no part of the entry before, nor has its time.
	shown bash "#1700000000\na\n$(nuls 4096)b\n#1700000001\nc\n" \
		$'1700000000\ta' $'0\tb' $'1700000001\tc'
	shown bash "$(nuls 512)#1700000000\na\n" $'1700000000\ta'
	shown bash "a\n$(nuls 5)b\n" $'0\ta' $'0\tb'
	same "$status $said" "1 line 2: $block"
}

@test "NULs of a crash: zsh and tcsh" {
	shown zsh ": 1700000000:0;a\n$(nuls 37): 1700000001:0;b\n" \
		$'1700000000\ta' $'1700000001\tb'
	same "$status $said" "1 line 2: $block"
	shown zsh ": 1700000000:0;a \\\\\n$(nuls 37): 1700000001:0;b\n" \
		$'1700000000\ta \\\\' $'1700000001\tb'
	shown zsh "$(nuls 512): 1700000000:0;a\n" $'1700000000\ta'
	shown tcsh "#+1700000000\na\n$(nuls 37)#+1700000001\nb\n" \
		$'1700000000\ta' $'1700000001\tb'
	shown tcsh "#+1700000000\na\\\\\n$(nuls 37)b\n" \
		$'1700000000\ta\\\\' $'0\tb'
}

@test "fish: what is passed over is reported, and gives no time" {
	shown fish '- cmd: a\n  when: 5\noops\n  when: 6\n- cmd: b\n' \
		$'5\ta' $'0\tb'
	same "$status $said" '1 line 3: a line that belongs to no entry'
	shown fish '\n- cmd: a\n\n- cmd: b\n' $'0\ta' $'0\tb'
	same "$status$said" 0
}

@test "vim: what is passed over is reported" {
	shown vim ':a\noops\n:b\n' $'0\ta' $'0\tb'
	same "$status $said" '1 line 2: a line that belongs to no entry'
	shown vim ':\02620\n:b\n' $'0\tb'
	same "$status $said" '1 line 2: malformed entry'
	shown vim '# c\n*encoding=utf-8\n?/x\n"0\tCHAR\t0\n\tx\n-'"'"'  1\n|1,4\n' ''
	same "$status$said" 0
}

@test "powershell: of Windows, with CR LF and a byte order mark" {
	shown powershell '\357\273\277dir\r\na `\r\nb\r\n' $'0\tdir' $'0\ta \\nb'
	same "$status$said" 0
	printf '\357\273\277dir\r\n' >"$T/ConsoleHost_history.txt"
	same "$("$shhist" -H -o format,command "$T/ConsoleHost_history.txt")" \
		$'powershell\tdir'
	# As people name a copy of another shell's.
	printf '#1700000000\nls\n' >"$T/bash_history.txt"
	same "$("$shhist" -H -o format,time,command "$T/bash_history.txt")" \
		$'bash\t1700000000\tls'
}

@test "a mark of continuation at the end of the file stays" {
	shown powershell 'a`\n' $'0\ta`'
	shown powershell 'a`' $'0\ta`'
	shown zsh 'a\\\n' $'0\ta\\\\'
	shown irb 'a\\\n' $'0\ta\\\\'
}

@test "node: the lines of a command are turned, in mongosh as well" {
	shown node '}\rreturn 2;\rfunction f() {\n1 + 1\n' \
		$'0\tfunction f() {\\nreturn 2;\\n}' $'0\t1 + 1'
	mkdir -p "$T/x/.mongodb/mongosh"
	for f in .node_repl_history .mongodb/mongosh/mongosh_repl_history; do
		printf '}\rif (1) {\n' >"$T/x/$f"
		same "$("$shhist" -H -o format,command "$T/x/$f")" \
			$'node\tif (1) {\\n}'
	done
}

@test "libedit's header in any client's file; raw blanks are not its own" {
	local format

	for format in plain mysql psql python node irb; do
		shown $format '_HiStOrY_V2_\na\\040b\\134\na b\\040c\n' \
			$'0\ta b\\\\' $'0\ta b\\\\040c'
	done
}

# As libedit itself saves them: control characters, and all bytes in locale C.
@test "libedit: escapes that are not octal" {
	shown mysql '_HiStOrY_V2_\ncaf\\M-C\\M-)\\040\\^[\\^?\n\\M^@\\M^?x\n
\\M\n\\M-\n\\^\n\\-a\n\\134^A\n' $'0\tcafé \\x1b\\x7f' $'0\t\\x80\\xffx' \
		$'0\t\\\\M' $'0\t\\\\M-' $'0\t\\\\^' $'0\t\\\\-a' \
		$'0\t\\\\^A'
}

@test "bash: a blank behind the digits of a stamp" {
	shown bash '#1650000000 \nls\n#1650000001\t\nid\n#1650000002x\n' \
		$'1650000000\tls' $'1650000001\tid\\n#1650000002x'
}

@test "prompt_toolkit: dates and lines" {
	shown prompt_toolkit '\n# 2024-02-29 12:00:00.123456\n+select 1\n+;\n
# 2000-03-01 00:00:00\n+\\\\d\n\n# yesterday\n+x\n' \
		$'1709208000\tselect 1\\n;' $'951868800\t\\\\\\\\d' $'0\tx'
	same "$status$said" 0
}

@test "operands that are no histories are refused by name" {
	local f

	cd "$T"
	cp /bin/ls program
	gzip -c program >program.gz
	echo one >some
	for f in program program.gz; do
		run -2 --separate-stderr "$shhist" -H "$f"
		same "$output" ''
		[[ $stderr == "shhist: $f: is "* ]]
		[ "$(wc -l <<<"$stderr")" -eq 1 ]
		run -1 --separate-stderr "$shhist" -H -o command "$f" some
		same "$output" one
		run -2 --separate-stderr "$shhist" -H - <"$f"
	done
	run -0 --separate-stderr "$shhist" -H -f plain -o line program.gz
	[ "${#lines[@]}" -gt 1 ]
}

@test "kinds of warnings are counted: 30,000 FIFOs are one line" {
	make_tree
	mkdir "$ann/.bash_sessions"
	(cd "$ann/.bash_sessions" && seq -f '%g.history' 30000 | xargs mkfifo)
	echo one >"$ann/.bash_history"
	rows -o command
	same "$status $output" '1 one'
	[[ $warnings == "shhist: 30000 files (first: /home/ann/.bash_sessions/"*\
".history): is a FIFO, not a regular file" ]]
}

@test "one file for many users is printed once, for its owner if he is one" {
	local i

	need_root
	make_tree
	mkdir "$tree/h"
	echo shared >"$tree/h/.bash_history"
	chown -R 4100 "$tree/h"
	chmod a+rx "$tree/h"
	for i in 4101 4102 4100 4103; do
		echo "u$i:x:$i:$i::/h$(printf '/./%.0s' $(seq "$i" 4104)):"
	done >"$tree/etc/passwd"
	# Who reads it before its owner shows it once, and so does he.
	rows -o user,command
	same "$status $output" $'0 u4101\tshared\nu4100\tshared'
	sed -i /u4100/d "$tree/etc/passwd"
	rows -o user,command
	same "$output" $'u4101\tshared'
	# The same where homes are others, and the file is linked.
	for i in $(seq 5000 5100); do
		mkdir "$tree/home/$i"
		ln "$tree/h/.bash_history" "$tree/home/$i"
		echo "u$i:x:$i:$i::/home/$i:"
	done >"$tree/etc/passwd"
	chmod a+r "$tree/h/.bash_history"
	rows -o user,command
	same "$status $output" $'0 u5000\tshared'
}

@test "places: those that people move histories to, and clients' new ones" {
	local f moved='.local/state/bash/history .config/zsh/.zsh_history
		.config/zsh/.zhistory .cache/zsh/history
		.local/share/zsh/history .local/state/zsh/history'
	local clients='.dbshell .mongodb/mongosh/mongosh_repl_history
		.msf4/history .php_history .duckdb_history
		.valkeycli_history .config/irb/irb_history'
	local prompts='.config/pgcli/history .mycli-history
		.local/share/litecli/history'

	make_tree
	for f in $moved $clients $prompts .local/state/lesshst; do
		mkdir -p "$(dirname "$ann/$f")"
		echo "in $f" >"$ann/$f"
	done
	for f in $prompts; do
		printf '\n# 2024-02-29 12:00:00.1\n+in %s\n' "$f" >"$ann/$f"
	done
	printf '.less-history-file:\n.shell\n"in .local/state/lesshst\n' \
		>"$ann/.local/state/lesshst"
	rows -o command
	same "$status $output" "0 $(printf 'in %s\n' $moved)"
	rows -a -o command
	same "$status $output" "0 $(printf 'in %s\n' $moved $clients $prompts \
		.local/state/lesshst)"
	rows -a -o time,command
	[[ $output == *$'\n1709208000\tin .mycli-history\n'* ]]
}

# As xonsh 0.19 writes it, with the outputs that it may keep.
@test "xonsh: its JSON, in its place and as an operand" {
	local text place file=$T/xonsh-1.json

	cat >"$file" <<'END'
{"locs": [        69,        123,        203,        400],
 "index": {"offsets": {"cmds": [{"inp": 20, "ts": [60, 64, 59]}]}},
 "data": {"cmds": [{"cwd": "/home/\u00e4", "inp": "ls -l\n", "out": "\"inp\": \"x\", \"ts\": [7, 8]", "rtn": 0, "ts": [1464652800.75, 1464652803.5]
}
, {"cwd": "/tmp", "inp": "echo \"\u00fc \ud83d\ude00\"\\\n\tx \\udc\u0007\udcff\/\n", "rtn": -1, "ts": [1464652810, null]
}
, {"inp": "half\ud83d", "rtn": null}
]
, "env": {"HOME": "/home/a"}
, "locked": false, "sessionid": "1", "ts": [1464652790.5, 1464652900.5]
}

}
END
	run -0 --separate-stderr "$shhist" -H -o \
		time,line,duration,exit_status,cwd,command,format "$file"
	same "$stderr$output" "$(printf '%s\t%s\t%s\t%s\t%s\t%s\txonsh\n' \
		1464652800 3 3 0 /home/ä 'ls -l' \
		1464652810 5 '' -1 /tmp \
		'echo "ü 😀"\\\n\tx \\udc\x07\xff/' \
		0 7 '' '' '' 'half\xed\xa0\xbd')"
	# A file that was cut, and one that is something else.
	text=$(<"$file")
	printf '%s' "${text%%-l*}" >"$T/cut"
	run -0 "$shhist" -H -f xonsh -o command "$T/cut"
	same "$output" ls
	echo '{"inp": 1}' >"$T/other"
	run -1 --separate-stderr "$shhist" -H -f xonsh "$T/other"
	same "$output$stderr" "shhist: $T/other: line 1: malformed entry"
	make_tree
	for place in .local/share/xonsh .local/share/xonsh/history_json; do
		mkdir -p "$ann/$place"
		cp "$file" "$ann/$place"
	done
	rows -o format,history_file
	same "$warnings$(sort -u <<<"$output")" "$(printf \
		'xonsh\t/home/ann/.local/share/xonsh/%sxonsh-1.json\n' \
		history_json/ '')"
}

@test "places: what is known and not read" {
	local f

	make_tree
	for f in .local/state/elvish/db.bolt \
	    .local/{share,state}/nvim/shada/main.shada; do
		mkdir -p "$(dirname "$ann/$f")"
		echo x >"$ann/$f"
	done
	rows -a
	[ "$status" -eq 1 ]
	same "$warnings" "shhist: 3 files (first: /home/ann/.local/state/elvish/\
db.bolt): is a history of a format that is not read"
}

@test "backups: beside each file, as its format; compressed ones are reported" {
	make_tree
	mkdir -p "$ann/.local/share/fish" "$ann/.bash_history.d"
	echo '#1700000000' | tee "$ann"/.bash_history{~,.1,.bak} >/dev/null
	for f in '~' .1 .bak; do
		echo "old$f" >>"$ann/.bash_history$f"
	done
	echo ': 1700000000:0;zsh' >"$ann/.zsh_history.old"
	printf -- '- cmd: fish\n' >"$ann/.local/share/fish/fish_history.bak"
	echo 'left by bash' >"$ann/.bash_history-04711.tmp"
	mkdir "$ann/.mcfly"
	echo none | tee "$ann/.mcfly/history.db-"{wal,shm,journal} >/dev/null
	echo new >"$ann/.bash_history"
	echo none >"$ann/.bash_historyx"
	rows -o format,time,command
	same "$status $output" "0 $(printf '%s\t%s\t%s\n' bash 0 new \
		bash 0 'left by bash' bash 1700000000 old.1 bash 1700000000 old.bak \
		bash 1700000000 'old~' zsh 1700000000 zsh fish 0 fish)"
	gzip "$ann/.bash_history.1"
	# As bzip2 -1 begins.
	printf 'BZh11AY&SY\24e' >"$ann/.bash_history.2.bz2"
	rows -o command
	same "$status $warnings" "1 shhist: 2 files (first: /home/ann/\
.bash_history.1.gz): is compressed, and not read"
}

# histfile FILE LINE PATH: the history that this line of a startup file names.
histfile() {
	make_tree tree$((trees++))
	mkdir -p "$(dirname "$ann/$1")" "$(dirname "$tree$3")"
	printf '%s\n' 'x=1' "$2" >"$ann/$1"
	[ -z "$3" ] || echo "in $3" >"$tree$3"
	rows -o history_file,command
	[ -z "$3" ] || same "$output" "$3	in $3"
}

@test "HISTFILE= in startup files: what can be worked out" {
	local h=/home/ann trees=0

	histfile .bashrc 'HISTFILE=~/x' $h/x
	histfile .bashrc 'export HISTFILE="$HOME/.x y" # why' "$h/.x y"
	histfile .bash_profile "HISTFILE='/srv/\$x'; y" '/srv/$x'
	histfile .profile '[ -n "$a" ] && HISTFILE=${HOME}/x\ y' "$h/x y"
	histfile .zshrc 'HISTFILE=$ZDOTDIR/x' $h/x
	histfile .config/zsh/.zshrc 'HISTFILE="${ZDOTDIR:-$HOME}/x"' \
		$h/.config/zsh/x
	histfile .zshenv 'HISTFILE=$XDG_STATE_HOME/zsh/x' $h/.local/state/zsh/x
	histfile .zshenv 'ZDOTDIR=~/.config/zsh; HISTFILE=$ZDOTDIR/x' \
		$h/.config/zsh/x
	histfile .zshrc 'HISTFILE="${XDG_STATE_HOME:-${HOME}/.state}/x"' \
		$h/.state/x
	histfile .mkshrc 'HISTFILE=${OTHER:-$HOME}/x' $h/x
	histfile .kshrc '	typeset -x HISTFILE=$HOME/x' $h/x
	histfile .bashrc 'export "HISTFILE=$HOME/x"; ls' $h/x
	histfile .bashrc '[ -n "$A" ] && HISTFILE=~/no || HISTFILE=~/x' $h/x
	histfile .bashrc "echo 'a #b'; HISTFILE=~/x # HISTFILE=\$(x)" $h/x
	histfile .bashrc ': ${HISTFILE:=~/x}' $h/x
	histfile .bashrc ': "${HISTFILE=$HOME/x}"; y' $h/x
	histfile .bashrc 'HISTFILE=${XDG_STATE_HOME:=$HOME/y}/x' $h/y/x
	histfile .bashrc 'export "A=${#B}" "HISTFILE=$HOME/x"' $h/x
	histfile .zshrc 'a=(*(#qN)); case x in x)HISTFILE=~/x;; esac' $h/x
	same "$status$warnings" 0
	histfile .config/yash/rc 'HISTFILE=~/x' ''
	echo '1:5 yash' >"$ann/x"
	rows -o format,time,command
	same "$output" $'yash\t5\tyash'
}

@test "HISTFILE= in startup files: what is none, or cannot be worked out" {
	local line trees=0

	for line in '# HISTFILE=$(x)' 'ls # HISTFILE=$(x)' 'HISTFILE=' 'HISTFILE=/dev/null' \
	    'MYHISTFILE=$(x)' 'unset HISTFILE' 'HISTFILE=~/missing' \
	    ': ${HISTFILE:=~/missing} # HISTFILE=$(x)' \
	    'echo "of HISTFILE=$(x)"'; do
		histfile .bashrc "$line" ''
		same "$status$output$warnings" 0
	done
	for line in 'HISTFILE=$(tty)' 'HISTFILE=~/x.$$' 'HISTFILE=~bob/x' \
	    'HISTFILE=`tty`' 'HISTFILE="$HOME' 'HISTFILE=${A%b}' \
	    'HISTFILE=$OTHER/x' 'HISTFILE=relative' 'HISTFILE=${HOME' \
	    'HISTFILE=~/x\' ': ${HISTFILE:=$(x)}' 'HISTFILE=~/x${HOST:l}' \
	    'HISTFILE=~/x${SSH_TTY:+s}'; do
		histfile .bashrc "$line" ''
		same "$status $warnings" "1 shhist: file /home/ann/.bashrc: \
line 2: HISTFILE is set to what cannot be worked out"
	done
}

@test "HISTFILE= in startup files: directories that are moved" {
	local line name trees=0

	for line in 'ZDOTDIR=~/.config/zsh/' 'export ZDOTDIR=$HOME' \
	    'XDG_STATE_HOME=${XDG_STATE_HOME:-$HOME/.local/state}' \
	    'XDG_DATA_HOME=' 'unset ZDOTDIR' 'MYZDOTDIR=/x' \
	    'ZDOTDIR=${ZDOTDIR:-"$HOME/.config/zsh"}'; do
		histfile .zshenv "$line" ''
		same "$line $status$output$warnings" "$line 0"
	done
	sed -i s,/home/ann,/, "$tree/etc/passwd"
	echo 'ZDOTDIR=$HOME/.config/zsh' >"$tree/.zshenv"
	rows
	same "$status$warnings" 0
	for line in 'ZDOTDIR=~/.zsh' 'export ZDOTDIR="$HOME/.zsh/.config/zsh"' \
	    'ZDOTDIR=${ZDOTDIR:-$HOME/.zsh}' 'ZDOTDIR=$(x)' \
	    'XDG_STATE_HOME=/srv' 'XDG_DATA_HOME=$HOME/.data; x' \
	    'XDG_CONFIG_HOME=~/.local/state' 'XDG_CACHE_HOME=relative'; do
		histfile .zshenv "$line" ''
		name=${line#export }
		same "$line $status $warnings" "$line 1 shhist: file \
/home/ann/.zshenv: line 2: ${name%%=*} is set to what is not followed"
	done
}

@test "HISTFILE= in startup files: words in words, a file without end" {
	local trees=0 word='`' i

	for ((i = 0; i < 60; i++)); do
		word='${X:-'$word'}'
	done
	histfile .bashrc "HISTFILE=$word" ''
	same "$status $warnings" "1 shhist: file /home/ann/.bashrc: \
line 2: HISTFILE is set to what cannot be worked out"
	truncate -s 20M "$ann/.bashrc"
	rows
	same "$status $warnings" "1 shhist: file /home/ann/.bashrc: \
line 2: HISTFILE is set to what cannot be worked out
shhist: file /home/ann/.bashrc: \
File too large"
}

@test "HISTFILE= in startup files: one that cannot be read" {
	local unread=/sys/class/net/lo/speed

	[ -r "$unread" ] || skip "needs $unread"
	make_tree
	ln -s "$unread" "$ann/.bashrc"
	echo "ann:x:$(id -u):$(id -g)::$ann:" >"$tree/list"
	run -1 --separate-stderr "$shhist" -H -p "$tree/list" -u ann
	same "$output$stderr" "shhist: file $ann/.bashrc: Invalid argument"
}

@test "files of two batches, the first of them all refused" {
	local i

	make_tree tree
	echo bash | gzip >"$ann/.bash_history.0.gz"
	for ((i = 1; i < 1100; i++)); do
		cp "$ann/.bash_history.0.gz" "$ann/.bash_history.$i.gz"
	done
	echo zsh >"$ann/.zsh_history.bak"
	rows -o history_file,command
	same "$status $output" $'1 /home/ann/.zsh_history.bak\tzsh'
}

@test "HISTFILE= is read as its user, and its parser is confined" {
	local trees=0

	need_root
	histfile .bashrc 'HISTFILE=/etc/secret' ''
	echo secret >"$tree/etc/secret"
	chmod 600 "$tree/etc/secret"
	rows -o command
	same "$status $output" '1 '
	[[ $warnings == *'/etc/secret, as uid 4001): Permission denied'* ||
		$warnings == *'/etc/secret, as uid 4001: Permission denied'* ]]
}
