/* Accounts and their secrets from CSV: columns asset, account, password, key_file, passphrase. */
#ifndef CLI_ACCOUNTS_CSV_H
#define CLI_ACCOUNTS_CSV_H

#include <jansson.h>

#include "base/err.h"

/*
 * Reads the file (`-` = stdin; `source` is its name in messages) into an array of {line, asset,
 * account, password, key, passphrase}, empty fields left out; key files are read, from the working
 * directory where they are relative. What the rows mean is the service's to check.
 */
enum err accounts_csv_read(
    const char *path, const char *source, json_t **rows, struct error *error) MUST_CHECK;

#endif
