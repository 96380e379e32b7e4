/* SPDX-License-Identifier: Apache-2.0 */
/* What every transport does alike: an attempt belongs to its transport from an accepted send to its end. */

#include "net/transport.h"

#include <errno.h>

bool transport_is_shortage(int error)
{
	switch (-error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:     /* epoll's watches of this user (fs.epoll.max_user_watches) */
	case EADDRINUSE: /* no port is left to bind */
	case EAGAIN:
	case EINTR:
	case EBUSY:      /* a bound of ours */
		return true;
	default:
		return false;
	}
}

bool transport_is_full(int error)
{
	return error == -EBUSY;
}

int transport_send(struct transport *t, struct transport_attempt *a)
{
	ASSERT(a->transport == NULL);
	int r = t->ops->send(t, a);
	if (r < 0) {
		t->env->shortages += transport_is_shortage(r) && !transport_is_full(r);
		return r;
	}
	a->transport = t;
	t->open_attempts++;
	return 0;
}

void transport_cancel(struct transport_attempt *a)
{
	struct transport *t = a->transport;
	if (t == NULL)
		return;
	t->ops->cancel(t, a);
	a->transport = NULL;
	t->open_attempts--;
}
