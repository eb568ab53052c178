#ifndef POSTRIDER_CONFIG_SERVER_H
#define POSTRIDER_CONFIG_SERVER_H

#include "config/config.h"
#include "config/reader.h"

/*
 * What the keys of a server mean together, after reader_read_keys(): port and tls default from one
 * another, keys that contradict one another are faults, and so is a secret that is missing,
 * useless, or would be sent in clear.
 */
void server_finish(
    struct reader *reader, const struct scope *scope, struct endpoint_config *endpoint);

#endif
