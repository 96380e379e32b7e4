/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_LIMITER_H
#define CORE_LIMITER_H
/* rate-limit: how much one client may ask over UDP, where anybody can ask in anybody's name. A client is an IPv4 address, or
 * an IPv6 network of 64 bits, since that is what one host may choose from. One table for all workers, of a fixed size: a stranger
 * who invents addresses cannot make it grow, nor drive anybody out of it. */

#include "base/addr.h"

struct limiter;

/* Whose table: those outside allow-from have one of their own, so that forged strangers cost clients nothing. */
enum limiter_side { LIMITER_CLIENTS, LIMITER_STRANGERS, LIMITER_SIDES };

/* NULL without memory. */
NODISCARD struct limiter *limiter_new(void);
struct limiter *limiter_ref(struct limiter *l);
void limiter_unref(struct limiter *l);

/* Whether one more query of `client` is within `qps` (at least 1) a second, of which one second's worth may come at once. One that is not
 * costs the client nothing. Any thread. */
bool limiter_passes(struct limiter *l, enum limiter_side side, const struct addr *client, uint32_t qps, uint64_t now_us);

#endif
