/* The vault's keys, which someone changes while the engine is at work. */
#ifndef SIM_MASTERS_H
#define SIM_MASTERS_H

#include <stdint.h>

#define MASTER_KEYS 3

struct ground;
struct sim;

struct masters {
	uint32_t named;	   /* the key that the settings name, by its number */
	uint32_t made;	   /* the newest that the vault was told to open by; `named` = that one */
	const char *doing; /* what the next commit is for; NULL = something else */
};

/* Their files, beside the vault. */
void masters_make(const struct ground *);
/* The file that the settings name now. */
const char *masters_path(const struct sim *);
/* A new key, settings that follow, or some values sealed anew, if the seed says so. */
void masters_meddle(struct sim *);

#endif
