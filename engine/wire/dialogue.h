/*
 * A command that asks, answered on the privileged shell.
 *
 * Owns the order of questions and answers, and that an answer which the command did not take
 * reaches no other reader: it goes through a relay that reads lines until it is told to stop. Never
 * knows what an answer means.
 *
 * Steps are as in link.h.
 */
#ifndef WIRE_DIALOGUE_H
#define WIRE_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/shell.h"

#define DIALOGUE_STEPS_MAX   8
#define DIALOGUE_EXPECTS_MAX 16
#define DIALOGUE_EXPECT_SIZE 64

/* One answer, and the endings of the questions that it answers (blanks behind them do not count).
 */
struct dialogue_step {
	char expects[DIALOGUE_EXPECTS_MAX][DIALOGUE_EXPECT_SIZE];
	size_t expect_count;
	struct buf send; /* one whole line. Wiped memory: may hold secrets */
	bool holds_new;	 /* a part of it is the new secret */
};

struct dialogue {
	/* In: */
	struct dialogue_step steps[DIALOGUE_STEPS_MAX];
	size_t step_count;
	/* Out: */
	size_t answered; /* so many of the steps, in their order */
	bool unanswered; /* it asked something else, and was given the end of its input */
	/* private: */
	int phase;
	size_t written;
	size_t from; /* where in the command's output what was said since the last answer begins */
	char stop[33];
};

void dialogue_clear(struct dialogue *);

/*
 * Runs a command whose `line` is set and whose input is empty, and answers it; both its outputs
 * come in `out`. `command->sent` and `ended` tell of the steps that hold the new secret as
 * shell_run_step does of its input. After an error, or when freed before its end, nothing may
 * follow on this shell.
 */
enum err shell_dialogue_step(
    struct shell *, struct command *, struct dialogue *, struct outcome *) MUST_CHECK;

#endif
