#include "wire.h"

struct wire_session *wire_session_new(struct wires *wires, const struct wire_target *target)
{
	return wires->ops->session_new(wires, target);
}

void wire_submit(
    struct wire_session *session, const struct wire_job *job, wire_done_fn done, void *arg)
{
	session->wires->ops->submit(session, job, done, arg);
}

void wire_session_free(struct wire_session *session)
{
	if (session != NULL)
		session->wires->ops->session_free(session);
}
