#!/usr/bin/env bash
#
# Rotates real accounts once more with the build that ASan and UBSan watch, and under valgrind: core
# and wires. The wires' sandbox is off there, for these tools make system calls of their own.
#
# time limit: 600

set -eu

here=$(dirname "$(readlink -f "$0")")
export LOCKSTEP_SANDBOX=false

sanitized()
{
	local report program=$BUILD/../sanitized/lockstep

	if [ ! -x "$program" ]; then
		echo "there is no build with --enable-sanitizers"
		exit 77
	fi
	mkdir -p "$WORK/sanitized"
	# A process that may not be looked at is not searched for leaks; valgrind does that below.
	env ASAN_OPTIONS="detect_leaks=0:log_path=$WORK/asan" \
		UBSAN_OPTIONS="print_stacktrace=1:log_path=$WORK/ubsan" \
		LOCKSTEP="$program" WORK="$WORK/sanitized" "$here/20_rotate.py"
	"$FLEET" stop
	# Each process that has something to say writes a file.
	for report in "$WORK"/asan.* "$WORK"/ubsan.*; do
		[ ! -e "$report" ] || { cat "$report" && exit 1; }
	done
}

under_valgrind()
{
	mkdir -p "$WORK/valgrind"
	cat >"$WORK/lockstep" <<-END
		#!/bin/sh
		exec valgrind -q --trace-children=yes --error-exitcode=99 \\
			--log-file=$WORK/valgrind.%p --suppressions=$SRC/tests/valgrind.supp \\
			--leak-check=full --errors-for-leak-kinds=definite "$BUILD/lockstep" "\$@"
	END
	chmod +x "$WORK/lockstep"
	env LOCKSTEP="$WORK/lockstep" WORK="$WORK/valgrind" "$here/20_rotate.py" \
		test_ping test_every_way_in_succeeds
	# Findings begin with ==; other lines tell of system calls that valgrind does not know.
	! grep -h '^==' "$WORK"/valgrind.* || exit 1
}

sanitized
under_valgrind
