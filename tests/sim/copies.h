/* Copies of the vault that someone makes and puts back. */
#ifndef SIM_COPIES_H
#define SIM_COPIES_H

#include <stdbool.h>
#include <stdint.h>

struct sim;

struct copies {
	bool there;	/* one was made */
	uint32_t named; /* the master key that the settings named then */
	bool used;	/* the file beside the vault tells of it */
	bool putting;	/* it is to take the vault's place when the engine is gone */
	bool put;	/* it did, and nobody looked yet */
};

/* A copy, if the seed says so. */
void copies_meddle(struct sim *);
/* The engine is stopped, and the copy takes the vault's place. */
void copies_put_back(struct sim *);
/* The engine is gone, and the next not there: where a copy is to be put back, it is. */
void copies_arrive(struct sim *);
/* The engine is there: what it knows no more nobody promised, and it says so. */
void copies_look(struct sim *);
/* All was looked at. */
void copies_settled(struct sim *);
/* A history is over: nothing beside the vault tells of it. */
void copies_end(struct sim *);

#endif
