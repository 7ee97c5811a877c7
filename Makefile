# psock and shhist: two small static binaries.
# SPDX-License-Identifier: ISC
#
# musl-gcc where it is installed, for its size; otherwise, and with a CC of
# yours (gcc or clang), that compiler's own libc.  `make STATIC=` links
# dynamically.  In a static program tables of pointers are constants
# (-fno-pie), and nothing is left to be made read-only after its start: norelro
# saves a page, and data that need not begin at one as much as one.

RELEASE = 0.1
PREFIX ?= /usr/local
TO = $(DESTDIR)$(PREFIX)
CC != echo "$${CC:-$$(command -v musl-gcc >/dev/null && echo musl-gcc || echo cc)}"
CFLAGS ?= -Os
LDFLAGS ?= -s
STATIC = -static -fno-pie -Wl,-z,norelro,-z,common-page-size=16
HOSTCC = cc
SANITIZECC = gcc
BATS = bats

# The kernel's headers, which musl does not bring, behind musl's own.
KERNEL != case "$(CC)" in *musl*) echo -idirafter /usr/include \
	-idirafter /usr/include/$$($(CC) -print-multiarch 2>/dev/null) ;; esac
# The commit: by git, or as git archive wrote it.
VERSION != c=$$(if [ -e .git ]; then git describe --always --exclude '*' \
	--dirty --abbrev=7 2>/dev/null; else \
	sed -n 's/^\([0-9a-f]\{7\}\).*/\1/p' .commit; fi); \
	echo "$(RELEASE)$${c:+ ($$c)}"
# Changes with each commit, which -V names.
HEAD != ls .git/logs/HEAD 2>/dev/null || :

FLAGS = -std=c11 -Wall -Wextra -Wpedantic -DVERSION='"$(VERSION)"'
# What gcc does for speed at the cost of size even with -Os: 350 bytes.
GCC != $(CC) -v 2>&1 | grep -q '^gcc version' && \
	echo -fno-caller-saves -fno-if-conversion -fno-tree-loop-im \
	-fno-move-loop-invariants -fno-shrink-wrap -fno-partial-inlining || :
SMALL = $(GCC) -fstack-protector-strong -ffunction-sections -fdata-sections \
	-fno-unwind-tables -fno-asynchronous-unwind-tables \
	-fno-jump-tables \
	-Wl,--gc-sections,-z,relro,-z,now,-z,noseparate-code
SANITIZE = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
BUILD = $(CC) $(FLAGS) $(KERNEL) $(SMALL) $(CPPFLAGS) $(CFLAGS) \
	$(LDFLAGS) $(STATIC)

# A directory, with its slash, for the two binaries.
O =

all: $(O)psock $(O)shhist

$(O)psock: psock.c common.c common.h Makefile $(HEAD)
	$(BUILD) -o $@ psock.c common.c

$(O)shhist: shhist.c common.c common.h Makefile $(HEAD)
	$(BUILD) -o $@ shhist.c common.c

# Programs that tests use: test/NAME.c becomes test/bin/NAME.
helpers:
	@mkdir -p test/bin
	@for c in test/*.c; do \
		p=$${c##*/}; p=test/bin/$${p%.c}; \
		[ ! -e "$$c" ] || [ "$$p" -nt "$$c" ] || \
		$(HOSTCC) -std=gnu11 -O1 -Wall -pthread -o "$$p" "$$c" || exit; \
	done

# All tests; those that need neither root nor a live system.
test: all helpers
	BATS="$(BATS)" test/run

check: all helpers
	BATS="$(BATS)" test/run check

sanitize: all helpers
	@mkdir -p .sanitize
	for p in psock shhist; do $(SANITIZECC) $(FLAGS) $(SANITIZE) \
		-o .sanitize/$$p $$p.c common.c || exit; done
	PSOCK=$$PWD/.sanitize/psock SHHIST=$$PWD/.sanitize/shhist \
	HARNESS_CC="$(SANITIZECC) $(SANITIZE)" INPUTS=5000 \
	ASAN_OPTIONS=detect_leaks=0:exitcode=99 UBSAN_OPTIONS=exitcode=99 \
	BATS="$(BATS)" test/run

# Besides the linters: lines of at most 80 columns, functions of at most 50,
# and of 60 for main.
lint:
	cppcheck -q --std=c11 --enable=warning,style,performance,portability \
		--suppress=variableScope --suppress=unusedStructMember \
		--suppress=shadowFunction --suppress=ctunullpointer \
		--inline-suppr --error-exitcode=1 psock.c shhist.c common.c
	mandoc -Tlint -W warning man/*.[17]
	shellcheck .ci/run test/run test/capture test/peers test/*/run test/fuzz/build test/cross/fetch \
		test/cross/cc test/cross/swap
	shellcheck -s bats -S warning -e SC2034,SC2154,SC2258 \
		test/*.bats test/*.bash
	expand psock.c shhist.c common.c common.h | awk \
		'length > 80 { print "longer than 80: " $$0; bad = 1 } \
		/^\{/ { start = NR; most = before ~ /^main\(/ ? 60 : 50 } \
		/^}$$/ && start && NR - start - 1 > most { \
			print "function of " NR - start - 1 " lines: " name; \
			bad = 1 } \
		/^[a-z_]+\(/ { name = $$0 } \
		{ before = $$0 } \
		END { exit bad }'

# ROUNDS and MB for bench, and test/bench/run WORK... for some of it;
# SECONDS_EACH and JOBS for fuzz.
bench: all helpers
	test/bench/run

fuzz:
	test/fuzz/run

install: all
	install -d "$(TO)/bin" "$(TO)/share/man/man1" "$(TO)/share/man/man7" \
		"$(TO)/share/doc/psock/examples"
	install -m 755 psock shhist "$(TO)/bin"
	install -m 644 man/*.1 "$(TO)/share/man/man1"
	install -m 644 man/*.7 "$(TO)/share/man/man7"
	install -m 644 README "$(TO)/share/doc/psock"
	install -m 755 man/nightly "$(TO)/share/doc/psock/examples"

uninstall:
	cd "$(TO)" && rm -f bin/psock bin/shhist share/man/man1/psock.1 \
		share/man/man1/shhist.1 share/man/man7/psock.7 \
		share/doc/psock/README share/doc/psock/examples/nightly
	cd "$(TO)/share/doc/psock" && rmdir examples "$$PWD" 2>/dev/null || :

# The binaries for every machine in test/cross/machines, and their tests, with
# Debian's gcc-aarch64-linux-gnu and the like, and its qemu-user and faketime.
BIN = .cross/bin

cross: binaries helpers
	test/cross/run $(BIN)

binaries: .cross/usr
	for m in $$(cut -f 1 test/cross/machines); do \
		mkdir -p $(BIN)/$$m && $(MAKE) O=$(BIN)/$$m/ \
			CC="test/cross/cc $$m" || exit; done

.cross/usr:
	test/cross/fetch

# The same bytes for the same commit, wherever and whenever: the archive of
# the sources, and the binaries that these sources give.
dist: .cross/usr
	rm -rf dist
	mkdir dist
	git archive --prefix=psock-$(RELEASE)/ HEAD | gzip -n9 \
		>dist/psock-$(RELEASE).tar.gz
	tar -x -C dist -f dist/psock-$(RELEASE).tar.gz
	ln -s "$(CURDIR)/.cross" dist/psock-$(RELEASE)
	$(MAKE) -C dist/psock-$(RELEASE) BIN=.. binaries
	rm -r dist/psock-$(RELEASE)
	cd dist && sha256sum *.tar.gz */* >SHA256SUMS

clean:
	rm -rf psock shhist dist test/bin .sanitize .fuzz .cross/bin

.PHONY: all check test lint sanitize fuzz bench install uninstall clean \
	helpers cross binaries dist
