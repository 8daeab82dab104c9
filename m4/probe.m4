# Flags that the compiler may not know: each is tried alone, and the ones that work are kept.

# PROBE_CFLAGS(VARIABLE, FLAGS): appends to VARIABLE those of FLAGS that compile without a word.
AC_DEFUN([PROBE_CFLAGS], [
	AC_REQUIRE([AC_PROG_CC])
	for probe_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC takes $probe_flag])
		probe_saved=$CFLAGS
		CFLAGS="$CFLAGS -Werror $probe_flag"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
			[AC_MSG_RESULT([yes]); $1="$$1 $probe_flag"], [AC_MSG_RESULT([no])])
		CFLAGS=$probe_saved
	done
	AC_SUBST([$1])
])

# PROBE_LDFLAGS(VARIABLE, FLAGS): the same for linking; of position-independent code, as -pie asks.
AC_DEFUN([PROBE_LDFLAGS], [
	AC_REQUIRE([AC_PROG_CC])
	for probe_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC links with $probe_flag])
		probe_saved_c=$CFLAGS
		probe_saved_ld=$LDFLAGS
		CFLAGS="$CFLAGS -Werror $HARDEN_CFLAGS"
		LDFLAGS="$LDFLAGS $probe_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM()],
			[AC_MSG_RESULT([yes]); $1="$$1 $probe_flag"], [AC_MSG_RESULT([no])])
		CFLAGS=$probe_saved_c
		LDFLAGS=$probe_saved_ld
	done
	AC_SUBST([$1])
])

# PROBE_FORTIFY(VARIABLE): without optimisation glibc's headers warn, so one of them is read.
AC_DEFUN([PROBE_FORTIFY], [
	AC_MSG_CHECKING([whether _FORTIFY_SOURCE=2 works])
	probe_saved=$CFLAGS
	CFLAGS="$CFLAGS -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]])],
		[AC_MSG_RESULT([yes]); $1="$$1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"],
		[AC_MSG_RESULT([no])])
	CFLAGS=$probe_saved
])

# PROBE_SANITIZERS(FLAGS): they were asked for, so a compiler without them is an error.
AC_DEFUN([PROBE_SANITIZERS], [
	AC_MSG_CHECKING([whether $CC has the sanitizers])
	probe_saved_c=$CFLAGS
	probe_saved_ld=$LDFLAGS
	CFLAGS="$CFLAGS $1"
	LDFLAGS="$LDFLAGS $1"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no]); AC_MSG_ERROR([$CC cannot link with $1])])
	CFLAGS=$probe_saved_c
	LDFLAGS=$probe_saved_ld
])
