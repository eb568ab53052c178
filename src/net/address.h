#ifndef POSTRIDER_NET_ADDRESS_H
#define POSTRIDER_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 socket address, a plain value. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

/* "[" + an address with its scope + "]:65535". */
#define ADDRESS_TEXT_SIZE 96

/*
 * Reads a literal address ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"); never asks the network.
 * False when it is anything else, which leaves *a alone.
 */
bool address_parse(const char *text, uint16_t port, struct address *a);

/* Copies an AF_INET or AF_INET6 address; false for any other family or length. */
bool address_from_sockaddr(const struct sockaddr *from, socklen_t len, struct address *a);

void address_set_port(struct address *a, uint16_t port);

/* "192.0.2.1" and "[2001:db8::1]"; with_port adds ":995".  Returns buf. */
const char *address_format(const struct address *a, bool with_port, char buf[ADDRESS_TEXT_SIZE]);

/* 127.0.0.0/8, ::1, and the former mapped into IPv6. */
bool address_is_loopback(const struct address *a);

/* The same host, whatever the port. */
bool address_same_host(const struct address *a, const struct address *b);

/* "pop.example.org:995", "[2001:db8::1]:995": what a user calls the server.  free(3) it. */
char *address_server_name(const char *host, uint16_t port);

/* The same into a buffer, cut to fit.  Returns buf. */
const char *address_server_text(char *buf, size_t size, const char *host, uint16_t port);

/*
 * The form of a configured host that goes to the name service, into SNI and to the check of a
 * certificate: A-labels for an internationalized name (RFC 5891), without a final dot.  NULL when
 * it is no possible name.  free(3) it.
 */
char *address_ascii_host(const char *host);

#endif
