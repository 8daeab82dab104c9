/*
 * A secret that comes later than the asset takes it, by a plain sh.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/command.h"

/* The input comes so much later than the line. */
static void run_late(const char *sh, const char *pause, struct buf *said)
{
	struct command command;
	struct buf text;
	char *line, piece[4096];
	size_t len;
	FILE *pipe;

	command_init(&command);
	buf_init(&text, 4096);
	strcpy(command.nonce, "NONCE");
	command_word(&command, "cat", 3);
	buf_add_text(&command.input, "secret\n");
	command.holds_secret = true;
	command.limit_ms = 3000;
	assert_true(command_waits(&command));
	command_render(&command, (struct manner){.timeout = true}, &text);
	line = xasprintf("{ cat <<'END'\n%sEND\n sleep %s; echo secret; } | "
			 "%s -c 'e=$(echo .; echo .); e=${e#.}; e=${e%%.}; "
			 "while IFS= read -r c; do eval \"$c\"; done' 2>&1",
	    buf_text(&text), pause, sh);
	pipe = popen(line, "r");
	while ((len = fread(piece, 1, sizeof(piece), pipe)) > 0)
		buf_add(said, piece, len);
	pclose(pipe);
	free(line);
	buf_clear(&text);
	command_clear(&command);
}

/* What a hung gateway, or a hung asset, delivers after its time is not applied any more. */
static void takes_a_secret_only_in_time(void **state)
{
	static const char *const shells[] = {"dash", "bash"};

	(void)state;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		struct buf said;

		buf_init(&said, 65536);
		run_late(shells[i], "0.1", &said);
		assert_string_equal(buf_text(&said), "go-NONCE\nsecret\nNONCE 0\nNONCE\n");
		buf_reset(&said);
		run_late(shells[i], "2.1", &said);
		assert_string_equal(buf_text(&said), "go-NONCE\n");
		buf_clear(&said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_a_secret_only_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
