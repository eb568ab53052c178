#ifndef POSTRIDER_NET_CONNECT_H
#define POSTRIDER_NET_CONNECT_H

#include "base/verdict.h"
#include "config/config.h"
#include "net/address.h"
#include "net/resolve.h"

struct event_base;
struct resolver;
struct table;
struct connector;

/*
 * From a host and port to a connected socket, by RFC 8305: both families are asked at once, the
 * addresses tried in turn, alternating between the families, each CONNECT_STAGGER ms after the one
 * before or as soon as it failed, and the first that answers wins.  The address that won is tried
 * first the next time.
 */
#define CONNECT_STAGGER          250 /* RFC 8305 section 5 */
#define CONNECT_RESOLUTION_DELAY 50  /* RFC 8305 section 3: how long A waits for AAAA */

enum connector_event {
	CONNECTOR_STARTED, /* the name is known, the first attempt follows */
	CONNECTOR_DONE,    /* connect_take() gives the socket */
	CONNECTOR_FAILED,  /* connect_why() says why: FAIL_NETWORK, FAIL_CONFIG or FAIL_LOCAL */
};

/* Never runs inside a call of this header.  The connector must not be freed inside. */
typedef void connector_cb(struct connector *connector, enum connector_event event, void *arg);

struct connector_settings {
	struct event_base *base; /* all of these are borrowed until the connector is freed */
	struct resolver *resolver;
	struct table *winners; /* struct address by server, of connect_winners_new() */
	const char *host;      /* as configured */
	uint16_t port;
	enum address_family family;
	const char *bind; /* a local literal address, or NULL; its family excludes the other */
	int64_t budget;   /* ms for everything */
};

struct connector *connect_new(
    const struct connector_settings *settings, connector_cb *cb, void *arg);

/* Closes what is still being tried.  Sets the pointer to NULL; NULL inside is fine. */
void connect_free(struct connector **connector);

/*
 * After CONNECTOR_DONE: the socket (non-blocking, close-on-exec, TCP_NODELAY, SO_KEEPALIVE), now
 * the caller's, and the peer's address.
 */
int connect_take(struct connector *connector, struct address *peer);

/* After CONNECTOR_FAILED; borrowed until the connector is freed. */
const struct verdict *connect_why(const struct connector *connector);

/*
 * How it went, address by address, whatever it came to: for people.  In the order in which they
 * were found; times in ms.
 */
#define CONNECT_ADDRESSES (2 * RESOLVE_ADDRESSES)

enum connect_outcome {
	CONNECT_UNTRIED,
	CONNECT_WON,
	CONNECT_REFUSED, /* error says why */
	CONNECT_SILENT   /* no answer while there was time */
};

struct connect_course {
	bool literal;     /* host is an address: no name service was asked */
	int64_t resolved; /* the name service took as long */
	int64_t tried;    /* and the attempts, all of them */
	size_t count;
	struct connect_course_item {
		struct address address;
		enum connect_outcome outcome;
		int error; /* errno */
	} list[CONNECT_ADDRESSES];
};

/* After CONNECTOR_DONE or CONNECTOR_FAILED. */
void connect_describe_course(const struct connector *connector, struct connect_course *course);

/* What is remembered from one connection to the next, bounded. */
struct table *connect_winners_new(void);

#endif
