#include "net/address.h"

#include "base/xalloc.h"

#include <idn2.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
address_from_sockaddr(const struct sockaddr *from, socklen_t len, struct address *a)
{
	socklen_t want = from->sa_family == AF_INET    ? sizeof a->in
			 : from->sa_family == AF_INET6 ? sizeof a->in6
						       : 0;

	if (want == 0 || len < want)
		return false;
	memset(a, 0, sizeof *a);
	memcpy(&a->any, from, want);
	a->len = want;
	return true;
}

void
address_set_port(struct address *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
	else
		a->in.sin_port = htons(port);
}

bool
address_parse(const char *text, uint16_t port, struct address *a)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	bool good;

	if (getaddrinfo(text, NULL, &hints, &found) != 0)
		return false;
	good = address_from_sockaddr(found->ai_addr, found->ai_addrlen, a);
	freeaddrinfo(found);
	if (good)
		address_set_port(a, port);
	return good;
}

const char *
address_format(const struct address *a, bool with_port, char buf[ADDRESS_TEXT_SIZE])
{
	char host[ADDRESS_TEXT_SIZE - 16] = "?";
	bool v6 = a->any.sa_family == AF_INET6;
	unsigned port = ntohs(v6 ? a->in6.sin6_port : a->in.sin_port);

	getnameinfo(&a->any, a->len, host, sizeof host, NULL, 0, NI_NUMERICHOST);
	if (with_port)
		snprintf(buf, ADDRESS_TEXT_SIZE, v6 ? "[%s]:%u" : "%s:%u", host, port);
	else
		snprintf(buf, ADDRESS_TEXT_SIZE, v6 ? "[%s]" : "%s", host);
	return buf;
}

bool
address_is_loopback(const struct address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	if (a->any.sa_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return a->in6.sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

bool
address_same_host(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0 &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

char *
address_server_name(const char *host, uint16_t port)
{
	return xasprintf(strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

const char *
address_server_text(char *buf, size_t size, const char *host, uint16_t port)
{
	snprintf(buf, size, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
	return buf;
}

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s >= 0x80)
			return false;
	}
	return true;
}

char *
address_ascii_host(const char *host)
{
	char *ascii = NULL, *name;
	size_t len;

	if (!is_ascii(host)) {
		if (idn2_to_ascii_8z(host, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
		    IDN2_OK)
			return NULL;
		name = xstrdup(ascii);
		idn2_free(ascii);
	} else {
		name = xstrdup(host);
	}
	len = strlen(name);
	if (len > 1 && name[len - 1] == '.')
		name[--len] = '\0';
	/* A leading dot would make a name check accept every name below. */
	if (len == 0 || name[0] == '.') {
		free(name);
		return NULL;
	}
	return name;
}
