#include "service/peer.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "service/unix.h"

/* Whoever is gone by now, or of whom the kernel tells nothing here, has none. */
static void caller_session(struct caller *caller, pid_t pid)
{
	pid_t session = pid > 0 ? getsid(pid) : -1;

	if (session > 0)
		snprintf(caller->session, sizeof(caller->session), "%ld", (long)session);
}

bool peer_identify(
    int fd, struct caller *caller, const struct policy *policy, char why[PEER_WHY_SIZE])
{
	char uid[16];
	pid_t pid;

	snprintf(why, PEER_WHY_SIZE, "the kernel does not say who you are");
	if (!unix_peer(fd, &caller->uid, &pid))
		return false;
	caller_session(caller, pid);
	caller->owner = caller->uid == 0 || caller->uid == geteuid();
	if (caller_is_known(caller, policy))
		return true;
	snprintf(uid, sizeof(uid), "%u", caller->uid);
	log_event(LOG_LEVEL_WARN, "peer_refused", "uid", uid, NULL);
	snprintf(why, PEER_WHY_SIZE,
	    "user id %u is not let in: only user id %u, who owns the vault, and root are%s",
	    caller->uid, geteuid(),
	    policy_user_count(policy) == 0
		? ""
		: ", and whom the policy declares: user \"NAME\" { uid = …, role = … }");
	return false;
}

bool peers_are_let_in(const struct policy *policy)
{
	for (size_t i = 0; i < policy_user_count(policy); i++)
		if (policy_user(policy, i)->uid >= 0)
			return true;
	return false;
}
