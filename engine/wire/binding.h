/*
 * What the scheduler of scripts and the functions that scripts call share: the script in work.
 *
 * One script of a snapshot runs at a time, on its coroutine; everything that it waits with lives in
 * struct script and not on a Lua stack, so that it can be dropped at any moment.
 */
#ifndef WIRE_BINDING_H
#define WIRE_BINDING_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/dialogue.h"
#include "wire/script.h"

/* Outputs that one script keeps as secrets. */
#define SCRIPT_OUTPUTS_MAX 16

struct scripts {
	lua_State *lua;
	uint64_t jobs; /* numbered so far */
	const struct wire_script *loading;
	struct script *running; /* NULL between steps */
};

/* How a script came to its end. */
enum script_end {
	SCRIPT_IN_WORK,
	SCRIPT_RETURNED,
	SCRIPT_REFUSED, /* by refused() */
	SCRIPT_SKIPPED, /* by skip() */
	SCRIPT_FAILED,	/* an error of its own, or a fault that it may not survive: see outcome */
};

struct script {
	struct scripts *scripts;
	uint64_t job; /* its number: handles are good for no other */
	enum script_call call;
	uint32_t limit_ms;
	const struct secret *new_secret, *old_secret;
	struct secret
	    *key_line; /* public, and a secret to the script: so it is known when it left */
	struct shell *shell;

	lua_State *lua; /* the coroutine; NULL when it could not be made */
	int args;	/* for the next resume */
	bool busy;	/* it yielded only to let others run */
	uint64_t instructions;
	size_t memory_bytes; /* what the state grew by while it ran */
	size_t memory_mark;  /* what the state held at the last look */

	struct command command;	   /* in work, or the last one */
	struct dialogue *dialogue; /* of that command; NULL until there is one */
	bool command_opaque;
	struct secret *outputs[SCRIPT_OUTPUTS_MAX];
	size_t output_count;
	struct secret *hash; /* what read_hash returned */

	bool gave_secret; /* the asset was given a secret: what it says is redacted from here on */
	bool sent;    /* of what it was given, something that holds the new secret may have left */
	bool unended; /* … and there is one such command whose end was not seen */

	/* What refused() and skip() said last; it counts if the script ends by it. */
	enum script_end verdict;
	enum wire_finding verdict_finding;
	char verdict_text[WIRE_TEXT_SIZE];

	enum script_end end;
	struct outcome outcome; /* FAILED */
};

/* The script that runs in this state; NULL while platforms load. */
struct script *script_running(lua_State *);

/*
 * Ends the script from within a function that it called: `return script_fail(…)`. Not an error of
 * Lua, which a pcall would survive: it yields and is never resumed. Where nothing can yield it
 * raises.
 */
int script_fail(lua_State *, struct script *, enum fault, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same, where the outcome is filled. */
int script_abandon(lua_State *, struct script *);

/* Takes the job's secrets out of a buffer. */
void script_redact(const struct script *, struct buf *);

/* Text of an asset or a script, for people: without secrets, escaped, cut. Any length. */
void script_text(const struct script *, char out[WIRE_TEXT_SIZE], const char *text, size_t len);

/* The light userdata that refused() and skip() raise. */
void *script_verdict_mark(void);

/* Each fills a state with its functions. They raise. */
void binding_job_open(lua_State *);
void binding_shell_open(lua_State *);

/* job.admin:dialogue */
int binding_dialogue(lua_State *);

/* A new command of the script, with the words that stand at an index. Raises. */
void binding_command_begin(lua_State *, struct script *, int words);

/* Appends a text or secret at an index to what a command reads; true when it holds the new secret.
 * A text may end in a newline where `lines` says so, nothing else may hold one. Raises. */
bool binding_part_take(lua_State *, struct script *, struct buf *out, int index, const char *what,
    lua_Integer number, bool lines);

/* Pushes what a command said, without the job's secrets. Raises. */
void binding_output_push(lua_State *, struct script *, struct buf *output);

/* What is certain of a command that runs is known here, whatever the script makes of it. */
void binding_command_note(struct script *, enum err);

/* Pushes the job's handle. Raises. */
void binding_job_push(lua_State *, const struct script *, const struct script_config *);

/* Each pushes a field of the job that is a table, read-only. Raises. */
void binding_params_push(lua_State *, const char *json);
void binding_key_push(lua_State *, const struct script *, const struct wire_ssh_key *);

/* Pushes the function of a platform, or nil. False when there is no such platform. Raises. */
bool script_function_push(lua_State *, const char *platform, const char *name);

#endif
