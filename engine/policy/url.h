/*
 * Places on the network: which texts may name one. Each function returns NULL for a good one, else
 * what is wrong with it ("must be …").
 */
#ifndef POLICY_URL_H
#define POLICY_URL_H

/* "smtps://HOST" or "smtp://HOST:PORT". */
const char *server_fault(const char *server);
/* "https://HOST/PATH"; to this machine itself "http://" too. */
const char *url_fault(const char *url);
/* An IP address and a port. */
const char *listen_fault(const char *text);

/* What stands behind a scheme ("https://"); NULL = it is another. */
const char *url_after(const char *url, const char *scheme);

#endif
