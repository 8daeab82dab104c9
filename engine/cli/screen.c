#include "cli/screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/terminal.h"

#define SHOWN_MS    30000
#define ENTER	    "\033[?1049h\033[H\033[2J"
#define LEAVE	    "\033[2J\033[?1049l"
#define COPY_BEGIN  "\033]52;c;"
#define COPY_END    "\007"
#define COPY_FORGET "\033]52;c;!\007"

static void put(const char *text)
{
	fflush(stdout);
	(void)!write(STDOUT_FILENO, text, strlen(text));
}

bool screen_can_hide(void)
{
	const char *term = getenv("TERM");

	return terminal_is(STDIN_FILENO) && terminal_is(STDOUT_FILENO) && term != NULL &&
	       term[0] != '\0' && strcmp(term, "dumb") != 0;
}

/* Until a line is typed, or so long; a signal comes when it is over. */
static void wait_until_seen(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[64];

	fprintf(stderr, "gone in %d s, or with Enter ", SHOWN_MS / 1000);
	if (poll(&in, 1, SHOWN_MS) > 0)
		(void)!read(STDIN_FILENO, line, sizeof(line));
}

static sigset_t before;

static void hold_signals(void)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_BLOCK, &held, &before);
}

void screen_enter(void)
{
	hold_signals();
	put(ENTER);
}

void screen_leave(void)
{
	wait_until_seen();
	put(LEAVE);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

bool screen_copy(const char *secret)
{
	size_t len = strlen(secret);
	char *text = mem_alloc(TEXT_BASE64_SIZE(len));

	if (text == NULL)
		return false;
	text_base64(text, secret, len);
	hold_signals();
	put(COPY_BEGIN);
	put(text);
	put(COPY_END);
	mem_free(text);
	fprintf(stderr, "in the terminal's clipboard (where it takes OSC 52): ");
	wait_until_seen();
	put(COPY_FORGET);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return true;
}
