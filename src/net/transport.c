/* SPDX-License-Identifier: Apache-2.0 */
/* What every transport does alike: an attempt belongs to its transport from an accepted send to its end. */

#include "net/transport.h"

int transport_send(struct transport *t, struct transport_attempt *a)
{
	ASSERT(a->transport == NULL);
	int r = t->ops->send(t, a);
	if (r < 0)
		return r;
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
