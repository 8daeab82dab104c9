/*
 * Clients' certificates in a policy: by the SHA-256 of the whole certificate, as OpenSSL prints it.
 *
 * Owns how one is written, and whose it is. A name in a certificate says nothing here: whoever can
 * have the CA sign one could bear another's.
 */
#ifndef POLICY_CERTIFICATE_H
#define POLICY_CERTIFICATE_H

struct loader;

/* As names.h: what is wrong with "SHA256:AB:CD:…", or NULL. */
const char *certificate_fault(const char *text);

/* One that two users have is an error; one without a listener that asks for it a warning. */
void certificates_check(struct loader *);

#endif
