# SPDX-License-Identifier: ISC
# shellcheck shell=bash

# Says first what this kernel is and lacks; what needs that is skipped.
setup_suite() {
	local features=$BATS_TEST_DIRNAME/bin/features
	[ ! -x "$features" ] || "$features" >&3
}
