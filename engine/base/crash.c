#define _GNU_SOURCE /* environ */

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

char *crash_variable(void)
{
	static const char name[] = "LOCKSTEP_CRASH=";

	for (char **entry = environ; *entry != NULL; entry++)
		if (strncmp(*entry, name, sizeof(name) - 1) == 0)
			return *entry;
	return NULL;
}

#else

/* ISO C wants something here. */
typedef int crash_points_are_not_built;

#endif
