/* What both programs do first. */
#ifndef CLI_START_H
#define CLI_START_H

#include <stdbool.h>

/*
 * A process whose descriptors and signals are as the rest takes them to be. True where it is told
 * to be a wire, whose exit status is then in `*status`; or where it cannot begin.
 */
bool start(int argc, char **argv, int *status);

#endif
