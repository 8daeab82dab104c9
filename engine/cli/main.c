/* The program: a wire where it is told so, else a command. */
#include "cli/cli.h"
#include "cli/start.h"

int main(int argc, char **argv)
{
	int status;

	return start(argc, argv, &status) ? status : command_main(argc, argv);
}
