/*
 * Crash points: named places where a test build dies on request, to prove that nothing is lost
 * there.
 *
 * Owns nothing. In a build without --enable-crash-points it is nothing at all, and no environment
 * is read.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#if defined(CRASH_POINTS_SEEN)
/* The simulator's: it decides whether the core is dead from here on (tests/sim). */
void crash_point_seen(const char *name);
#define CRASH_POINT(name) crash_point_seen(name)
#define CRASH_VARIABLE	  NULL
#elif defined(CRASH_POINTS)
/*
 * Dies by SIGKILL when the environment's LOCKSTEP_CRASH is `name`; where it is `name+parent`, the
 * process that started it dies first.
 */
void crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
/* "LOCKSTEP_CRASH=…" for the environment of a process that is started, or NULL. */
char *crash_variable(void);
#define CRASH_VARIABLE	  crash_variable()
#else
#define CRASH_POINT(name) ((void)0)
#define CRASH_VARIABLE	  NULL
#endif

#endif
