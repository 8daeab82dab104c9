/*
 * A wire that misbehaves: it does what the account of a job is called, and an open goes by the name
 * of the asset: "old" and "aged" are for the slow lane, of "liar" that is said there, too, and
 * "left" leaves wherever it is asked; "waits" is never begun, nor "aged" there, "begins" is and no
 * more, "twice" is begun twice. It never reaches an asset.
 */
#ifndef TESTS_BAD_WIRE_H
#define TESTS_BAD_WIRE_H

/* The whole of a program that was started as a wire; its exit status. */
int bad_wire_run(void);

#endif
