/*
 * Pages of a list: an answer looks at so many rows and no more, so that nothing else waits for it
 * long; the next one goes on behind them, with the parameter "after".
 */
#ifndef SERVICE_PAGE_H
#define SERVICE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "service/engine.h"

#define PAGE_ROWS    1000
#define PAGE_AT_SIZE 320

struct page {
	uint64_t left;		  /* how much the list may have yet */
	size_t rows;		  /* that this answer may look at yet */
	char after[PAGE_AT_SIZE]; /* what the page before ended with; "" = this is the first */
};

/* Reads "limit" (else `otherwise`) or "after". False, and the request fails, where one is bad. */
bool page_read(struct request *, uint64_t otherwise, struct page *);

/* An id that a page ended with. False, and the request fails, where it is none. */
bool page_read_id(struct request *, const char *text, struct id *);

/* One more row was looked at, and is in the list or not. False when the page ends with it. */
bool page_take(struct page *, bool listed);

/* The page has ended: where it was full, the list goes on behind `at`. */
void page_end(struct request *, const struct page *, const char *at);

#endif
