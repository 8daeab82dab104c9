#include <stdarg.h>
#include <stdio.h>

#include "wire/link.h"

static const struct {
	const char *name;
	enum fault_class class;
} faults[] = {
    [FAULT_NONE] = {"", FAULT_CLASS_NONE},
    [FAULT_RESOLVE] = {"resolve", FAULT_CLASS_RETRY},
    [FAULT_CONNECT] = {"connect", FAULT_CLASS_RETRY},
    [FAULT_TIMEOUT] = {"timeout", FAULT_CLASS_RETRY},
    [FAULT_LOST] = {"lost", FAULT_CLASS_RETRY},
    /* A server with too many logins in work says so without a banner. */
    [FAULT_BANNER] = {"banner", FAULT_CLASS_RETRY},
    [FAULT_ALGORITHM] = {"algorithm", FAULT_CLASS_PERMANENT},
    [FAULT_HOST_KEY] = {"host_key", FAULT_CLASS_PERMANENT},
    [FAULT_HOST_UNKNOWN] = {"host_unknown", FAULT_CLASS_PERMANENT},
    [FAULT_GATEWAY] = {"gateway", FAULT_CLASS_PERMANENT},
    [FAULT_GATEWAY_AWAY] = {"gateway", FAULT_CLASS_RETRY},
    [FAULT_AUTH] = {"auth", FAULT_CLASS_PERMANENT},
    [FAULT_NO_METHOD] = {"no_method", FAULT_CLASS_PERMANENT},
    [FAULT_EXPIRED] = {"expired", FAULT_CLASS_PERMANENT},
    [FAULT_KEY] = {"key", FAULT_CLASS_PERMANENT},
    [FAULT_NO_SHELL] = {"no_shell", FAULT_CLASS_PERMANENT},
    [FAULT_BECOME_PASSWORD] = {"become_password", FAULT_CLASS_PERMANENT},
    [FAULT_BECOME_DENIED] = {"become_denied", FAULT_CLASS_PERMANENT},
    [FAULT_REFUSED] = {"refused", FAULT_CLASS_PERMANENT},
    [FAULT_OUTPUT] = {"output", FAULT_CLASS_PERMANENT},
    [FAULT_SCRIPT] = {"script", FAULT_CLASS_PERMANENT},
    [FAULT_LIMIT] = {"limit", FAULT_CLASS_PERMANENT},
    [FAULT_WIRE] = {"wire", FAULT_CLASS_RETRY},
};

static const char *const findings[] = {
    [FINDING_OK] = "",
    [FINDING_ABSENT] = "absent",
    [FINDING_LOCKED] = "locked",
    [FINDING_EXPIRED] = "expired",
    [FINDING_NO_PROOF] = "no_proof",
};

const char *fault_name(enum fault fault)
{
	return faults[fault].name;
}

enum fault_class fault_class(enum fault fault)
{
	return faults[fault].class;
}

const char *finding_name(enum wire_finding finding)
{
	return findings[finding];
}

/* The code that callers above the wire's words act on. */
static enum err fault_code(enum fault fault)
{
	switch (fault) {
	case FAULT_RESOLVE:
	case FAULT_CONNECT:
	case FAULT_TIMEOUT:
	case FAULT_LOST:
	case FAULT_GATEWAY_AWAY:
	case FAULT_WIRE: return ERR_LINK;
	case FAULT_LIMIT: return ERR_LIMIT;
	case FAULT_SCRIPT:
	case FAULT_KEY: return ERR_INVALID;
	case FAULT_AUTH:
	case FAULT_BECOME_PASSWORD:
	case FAULT_BECOME_DENIED:
	case FAULT_HOST_KEY:
	case FAULT_GATEWAY:
	case FAULT_HOST_UNKNOWN: return ERR_DENIED;
	case FAULT_REFUSED: return ERR_REFUSED;
	default: return ERR_PROTOCOL;
	}
}

enum err outcome_set(struct outcome *outcome, enum fault fault, const char *fmt, ...)
{
	va_list args;

	outcome->fault = fault;
	va_start(args, fmt);
	vsnprintf(outcome->text, sizeof(outcome->text), fmt, args);
	va_end(args);
	return fault_code(fault);
}
