/*
 * Completion: what may stand at the end of a command line that is being typed.
 *
 * Owns no words: commands and options are the command table's, names the policy's.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

/* The first argument that asks for it; after it the line's words, without the program's. */
#define COMPLETE_ARGUMENT "--complete"

/* Printed instead of words where the shell is to complete the names of files. */
#define COMPLETE_FILES ":files"

/*
 * Prints each word that may stand in place of the last of `words`, and behind a tab what it is. The
 * last one is the word that is being typed; it may be empty. Returns the exit status.
 */
int complete_main(int count, char **words);

#endif
