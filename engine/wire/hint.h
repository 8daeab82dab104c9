/*
 * What an asset's own words most likely mean: English texts of sshd, PAM, sudo and their kin.
 *
 * Never decides that something worked: these only give a failure its name.
 */
#ifndef WIRE_HINT_H
#define WIRE_HINT_H

#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

/* A prompt or message of a forced change of password. */
bool hint_change(const char *text, size_t len);

/* A disconnection that means a refused attempt. */
bool hint_refused(const char *text, size_t len);

/* Why a login or an elevation ended without doing its work; FAULT_NONE when nothing tells. */
enum fault hint_login(const char *text, size_t len);
enum fault hint_sudo(const char *text, size_t len);
enum fault hint_su(const char *text, size_t len); /* doas too */

/* sudo wants a new password, and waits for it. */
enum fault hint_sudo_asks(const char *text, size_t len);

/* sudo wants a terminal; it allows commands, and not this one. FAULT_BECOME_DENIED, or NONE. */
enum fault hint_sudo_terminal(const char *text, size_t len);
enum fault hint_sudo_command(const char *text, size_t len);

/* What the last line, which has no end, asks for. */
enum prompt { PROMPT_NONE, PROMPT_PASSWORD, PROMPT_CHANGE, PROMPT_OTHER };
enum prompt hint_prompt(const char *text, size_t len);

#endif
