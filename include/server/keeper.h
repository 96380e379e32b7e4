/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_KEEPER_H
#define SERVER_KEEPER_H
/* r53fwd-http at our side, as `http` of zones.conf wants it: started, kept alive, started anew when a reload changes what concerns it,
 * ended with us. The process that does so is forked off before there are threads and before anything is given up; see sys/child.h. */

#include "config/config.h"
#include "sys/child.h"

/* What that process may be told, and asks of each value. */
enum { KEEPER_LISTEN, KEEPER_HOST, KEEPER_LOG_FORMAT, KEEPER_LOG_LEVEL, KEEPER_VALUES };

extern const struct child_field keeper_fields[KEEPER_VALUES];

struct keeper;

/* Of `c` (lent) it takes for good: the control socket that the program asks, and `user`, whom both become. NULL without memory; if the
 * process cannot be made, that is said once it would be needed. Before there are threads. */
NODISCARD struct keeper *keeper_new(const struct config *c);

/* Sees to it that what runs is what `c` says, and says in the log what became of the program, if there is news. At the start, at a reload,
 * and each second: the control socket may come later, from whoever is taken over from. `served`: it is there; else there is nothing to
 * show, which is said once it has lasted. That the process has died is said once as well: then nothing is started any more. */
void keeper_look(struct keeper *k, const struct config *c, bool served);

/* Is this process r53fwd-http, as it was started from here? NULL is nobody. */
bool keeper_is_program(struct keeper *k, pid_t pid);

/* Who that is now; 0: nobody. NULL is nobody. */
pid_t keeper_program(struct keeper *k);

/* Ends the program. Waits for it, some seconds at most. NULL is nobody. */
void keeper_free(struct keeper *k);

#endif
