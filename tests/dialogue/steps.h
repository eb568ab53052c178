#ifndef POSTRIDER_TESTS_DIALOGUE_STEPS_H
#define POSTRIDER_TESTS_DIALOGUE_STEPS_H

#include "config/config.h"
#include "script.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The steps that are the same whatever is spoken:
 *
 *   CONFIG key=value ...   tls=none|starttls|implicit pipelining=auto|on|off user=NAME timeout=MS,
 *                          and what the player has besides
 *   EVENT connecting|connected|secured|failed
 *   S: text                the server sends a line (CRLF is added)
 *   S+ text                the server sends just these octets
 *   C: text                the client must have sent this line
 *   O: text                the client must have sent these octets of a message
 *   H: text                the owner must have been told this
 *   T: text                the text of the oldest outcome not looked at yet
 *   TIME +MS               so much time passes in silence
 */

/* S:, S+, what is expected, TIME; false when the step is another. */
bool steps_play(const struct script_step *step);

/* True when it is one of the four that every connection has. */
bool steps_play_event(const struct script_step *step);

void steps_receive_line(const char *text, size_t len);

/* Calls set for each key=value; false from it is complained of. */
typedef bool steps_set_key(const char *key, const char *value, void *arg);
void steps_play_config(const struct script_step *step, steps_set_key *set, void *arg);

/* The keys above; false when it is none of them.  endpoint->user is to be freed with free(3). */
bool steps_set_endpoint_key(struct endpoint_config *endpoint, enum pipelining *pipelining,
    const char *key, const char *value);

/* Plays one file and says whether it went well. */
typedef bool steps_play_file(const char *file);

/* The file that is named on the command line, or all of tests/dialogue/PROTOCOL-*.txt. */
int steps_main(int argc, char **argv, const char *protocol, steps_play_file *play);

/* At the end of a file: what was left over, and the result for people. */
bool steps_finish(const char *file, bool ok);

#endif
