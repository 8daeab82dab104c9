#define _GNU_SOURCE /* ppoll */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

bool terminal_is(int fd)
{
	return isatty(fd) == 1;
}

size_t terminal_width(int fd)
{
	struct winsize size;

	if (!terminal_is(fd) || ioctl(fd, TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col > 0 ? size.ws_col : 80;
}

size_t terminal_height(int fd)
{
	struct winsize size;

	if (!terminal_is(fd) || ioctl(fd, TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_row > 0 ? size.ws_row : 24;
}

bool terminal_has_colour(int fd)
{
	const char *no = getenv("NO_COLOR");

	return terminal_is(fd) && (no == NULL || no[0] == '\0');
}

bool terminal_ask(const char *question)
{
	char answer[16];

	fprintf(stderr, "%s [y/N] ", question);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		return false;
	answer[strcspn(answer, "\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

/* ── Secrets ─────────────────────────────────────────────────────────────────────────────── */

enum line_end { LINE_WHOLE, LINE_BAD, LINE_INTERRUPTED };

/* Waits for input with these signals let in: one that comes at any time is seen. */
static bool wait_input(const sigset_t *let_in)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return ppoll(&input, 1, NULL, let_in) >= 0 || errno != EINTR;
}

/* Byte by byte and past stdio, whose buffer would keep it. */
static enum line_end read_line(struct buf *line, const sigset_t *let_in)
{
	char c;

	for (;;) {
		ssize_t n;

		if (let_in != NULL && !wait_input(let_in))
			return LINE_INTERRUPTED;
		n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 && line->len > 0 ? LINE_WHOLE : LINE_BAD;
		if (c == '\n')
			return LINE_WHOLE;
		if (!buf_add(line, &c, 1))
			return LINE_BAD;
	}
}

static void wake(int signo)
{
	(void)signo;
}

/* Prompts only once the terminal hides what is typed. */
static enum line_end read_unseen(const char *prompt, struct buf *line, const sigset_t *let_in)
{
	struct termios shown, hidden;
	enum line_end end;

	if (tcgetattr(STDIN_FILENO, &shown) != 0)
		return LINE_BAD;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	fputs(prompt, stderr);
	end = read_line(line, let_in);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	fputc('\n', stderr);
	return end;
}

/* An interrupt ends the reading, so that the terminal shows again what is typed; then it counts. */
static bool read_hidden(const char *prompt, struct buf *line)
{
	struct sigaction waking = {.sa_handler = wake}, before;
	sigset_t interrupt, let_in;
	enum line_end end;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &let_in);
	sigaction(SIGINT, &waking, &before);
	end = read_unseen(prompt, line, &let_in);
	sigaction(SIGINT, &before, NULL);
	sigprocmask(SIG_SETMASK, &let_in, NULL);
	if (end == LINE_INTERRUPTED)
		(void)raise(SIGINT);
	return end == LINE_WHOLE;
}

bool terminal_goes_on(void)
{
	ssize_t n;
	char c;

	do
		n = read(STDIN_FILENO, &c, 1);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

bool terminal_read_secret(const char *prompt, struct buf *line)
{
	if (!terminal_is(STDIN_FILENO))
		return read_line(line, NULL) == LINE_WHOLE;
	return read_hidden(prompt, line);
}
