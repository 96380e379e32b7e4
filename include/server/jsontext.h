/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_JSONTEXT_H
#define SERVER_JSONTEXT_H
/* Texts as JSON strings, whatever octets they hold: paths, names and what came from the environment need not be UTF-8, and jansson takes
 * nothing else, but drops the member in silence. */

struct json_t;

/* A string; octets that are no UTF-8 stand in it as \xHH. JSON's null for NULL. The caller gives it back; NULL without memory. */
struct json_t *jsontext_new(const char *from);

#endif
