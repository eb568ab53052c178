#ifndef POSTRIDER_FETCH_RECEIVED_H
#define POSTRIDER_FETCH_RECEIVED_H

#include <stdint.h>

struct endpoint_config;

enum { RECEIVED_SIZE = 1024 };

/*
 * A Received field (RFC 5321 section 4.4) for `received_header = true`: where and when the message
 * was fetched, with its line end (LF).  Returns buf.
 */
const char *received_header(char buf[RECEIVED_SIZE], const struct endpoint_config *endpoint,
    const char *session, int64_t wall);

#endif
