#include "base/crash.h"

#ifdef CRASH_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void crash_point(const char *name)
{
	const char *wanted = getenv("LOCKSTEP_CRASH");
	size_t len = strlen(name);

	if (wanted == NULL || strncmp(wanted, name, len) != 0)
		return;
	if (strcmp(wanted + len, "+parent") == 0)
		kill(getppid(), SIGKILL);
	else if (wanted[len] != '\0')
		return;
	kill(getpid(), SIGKILL);
}

#else

/* ISO C wants something here. */
typedef int crash_points_are_not_built;

#endif
