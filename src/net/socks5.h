#ifndef POSTRIDER_NET_SOCKS5_H
#define POSTRIDER_NET_SOCKS5_H

#include "base/str.h"
#include "base/verdict.h"
#include "net/address.h"

#include <stddef.h>
#include <stdint.h>

/*
 * SOCKS5 CONNECT (RFC 1928) with the name resolved by the proxy, and user name and password
 * (RFC 1929).  Bytes to meaning only: the owner carries them.  Embedded in its owner.
 */
enum socks5_state { SOCKS5_METHOD, SOCKS5_AUTHENTICATE, SOCKS5_REQUEST, SOCKS5_CONNECTED };

struct socks5 {
	enum socks5_state state;
	const char *host; /* all borrowed until the negotiation is over */
	uint16_t port;
	const char *user; /* NULL: no authentication */
	const char *password;
};

enum socks5_result { SOCKS5_MORE, SOCKS5_DONE, SOCKS5_FAILED };

/* Appends the first message.  False, with a FAIL_CONFIG verdict, when a field is too long. */
bool socks5_start(struct socks5 *s, struct str *send, struct verdict *why);

/*
 * Takes what the proxy sent so far; *used says how much of it is done with, the rest must be given
 * again with more behind it.  Appends to send what is to be sent now (it may hold the password).
 * SOCKS5_DONE: what follows comes from the server.  SOCKS5_FAILED: the verdict has no server name
 * in its text yet, the owner puts it in front.
 */
enum socks5_result socks5_feed(struct socks5 *s, const uint8_t *data, size_t len, size_t *used,
    struct str *send, struct verdict *why);

#endif
