/*
 * Word lists: the files that passphrases are drawn from, a word a line.
 *
 * Owns reading them: those that ship with the program by name, a policy's own by their file. Never
 * draws.
 */
#ifndef POLICY_WORDLIST_H
#define POLICY_WORDLIST_H

#include <stddef.h>

#include "policy/loader.h"

#define WORD_LEN_MAX 64

struct wordlist {
	const char *name;   /* as the rule says it */
	const char **words; /* sorted and each once, whatever their case */
	size_t count;	    /* at least 2; 0 = it was reported as bad */
	STAILQ_ENTRY(wordlist) link;
};

/*
 * The list of that name, read once a load: "eff-large" as it ships, or a file of the policy such as
 * "words/mine.txt". NULL (and reported) when it cannot be used.
 */
const struct wordlist *wordlist_get(
    struct loader *, const struct statement *, const struct field_path *, const char *name);

#endif
