/*
 * Crash points: named places where a test build dies on request, to prove that nothing is lost
 * there.
 *
 * Owns nothing. In a build without --enable-crash-points it is nothing at all, and no environment
 * is read.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#ifdef CRASH_POINTS
/*
 * Dies by SIGKILL, or stops the process that started it too, when the environment's LOCKSTEP_CRASH
 * is `name`, or `name+parent`.
 */
void crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
