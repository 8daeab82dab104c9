/* Asking for the vault's passphrase on the terminal, as a service_config has it. */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "base/err.h"
#include "base/secret.h"

enum err passphrase_ask(void *arg, struct secret **passphrase, struct error *error);

#endif
