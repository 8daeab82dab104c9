#include "cli/start.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "service.h"
#include "wire.h"

/* What is opened later must never be taken for stdin, stdout or stderr. */
static bool standard_files_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0 && close(fd) == 0;
}

static void pipes_ignore(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGPIPE, &ignore, NULL);
}

bool start(int argc, char **argv, int *status)
{
	if (argc == 2 && strcmp(argv[1], WIRE_ARGUMENT) == 0) {
		*status = wire_main();
		return true;
	}
	*status = SERVICE_NO_ENGINE;
	if (!standard_files_open())
		return true;
	pipes_ignore();
	json_init();
	return false;
}
