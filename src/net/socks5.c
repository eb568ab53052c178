#include "net/socks5.h"

#include <string.h>

#define VERSION          5
#define FIELD_MAX        255
#define METHOD_NONE      0
#define METHOD_PASSWORD  2
#define METHOD_REFUSED   0xff
#define PASSWORD_VERSION 1
#define COMMAND_CONNECT  1
#define ADDRESS_IPV4     1
#define ADDRESS_NAME     3
#define ADDRESS_IPV6     4

static bool
fits(const char *s)
{
	return s == NULL || strlen(s) <= FIELD_MAX;
}

bool
socks5_start(struct socks5 *s, struct str *send, struct verdict *why)
{
	s->state = SOCKS5_METHOD;
	if (!fits(s->host) || !fits(s->user) || !fits(s->password) ||
	    (s->user != NULL && (*s->user == '\0' || str_empty(s->password))))
		return verdict_fail(why, FAIL_CONFIG, "proxy",
		    "a name, user or password is empty or too long for SOCKS5");
	if (s->user != NULL)
		str_append(send, (const char[]){VERSION, 2, METHOD_NONE, METHOD_PASSWORD}, 4);
	else
		str_append(send, (const char[]){VERSION, 1, METHOD_NONE}, 3);
	return true;
}

static void
append_field(struct str *send, const char *field)
{
	str_append_char(send, (char)strlen(field));
	str_append_text(send, field);
}

static void
append_request(const struct socks5 *s, struct str *send)
{
	const char port[] = {(char)(s->port >> 8), (char)(s->port & 0xff)};
	struct address a;

	str_append(send, (const char[]){VERSION, COMMAND_CONNECT, 0}, 3);
	if (!address_parse(s->host, s->port, &a)) {
		str_append_char(send, ADDRESS_NAME);
		append_field(send, s->host);
	} else if (a.any.sa_family == AF_INET) {
		str_append_char(send, ADDRESS_IPV4);
		str_append(send, &a.in.sin_addr, 4);
	} else {
		str_append_char(send, ADDRESS_IPV6);
		str_append(send, &a.in6.sin6_addr, 16);
	}
	str_append(send, port, sizeof port);
}

static enum socks5_result
failed(struct verdict *why, enum fail kind, const char *text)
{
	verdict_fail(why, kind, "proxy", "%s", text);
	return SOCKS5_FAILED;
}

static enum socks5_result
on_method(struct socks5 *s, const uint8_t *data, struct str *send, struct verdict *why)
{
	if (data[0] != VERSION)
		return failed(why, FAIL_PROTOCOL, "the proxy does not speak SOCKS5");
	if (data[1] == METHOD_PASSWORD && s->user != NULL) {
		str_append_char(send, PASSWORD_VERSION);
		append_field(send, s->user);
		append_field(send, s->password);
		s->state = SOCKS5_AUTHENTICATE;
		return SOCKS5_MORE;
	}
	if (data[1] == METHOD_REFUSED)
		return failed(why, FAIL_NETWORK,
		    s->user != NULL ? "the proxy accepts neither user and password nor none"
				    : "the proxy wants a user and password");
	if (data[1] != METHOD_NONE)
		return failed(why, FAIL_PROTOCOL, "the proxy chose a method that was not offered");
	append_request(s, send);
	s->state = SOCKS5_REQUEST;
	return SOCKS5_MORE;
}

static enum socks5_result
on_authenticate(struct socks5 *s, const uint8_t *data, struct str *send, struct verdict *why)
{
	if (data[1] != 0)
		return failed(why, FAIL_NETWORK, "the proxy refused its user and password");
	append_request(s, send);
	s->state = SOCKS5_REQUEST;
	return SOCKS5_MORE;
}

/* RFC 1928 section 6, REP. */
static const char *
reply_text(uint8_t reply)
{
	static const char *const texts[] = {
	    [1] = "the proxy failed",
	    [2] = "the proxy's rules forbid the connection",
	    [3] = "the proxy says: network unreachable",
	    [4] = "the proxy says: host unreachable (or its name does not resolve)",
	    [5] = "the proxy says: connection refused",
	    [6] = "the proxy says: TTL expired",
	    [7] = "the proxy does not know CONNECT",
	    [8] = "the proxy does not know this type of address",
	};

	if (reply >= sizeof texts / sizeof *texts || texts[reply] == NULL)
		return "the proxy gave an unknown answer";
	return texts[reply];
}

/* The whole length of the reply, 0 while that is unknown, -1 for an unknown address type. */
static int
reply_len(const uint8_t *data, size_t len)
{
	if (len < 5)
		return 0;
	switch (data[3]) {
	case ADDRESS_IPV4:
		return 4 + 4 + 2;
	case ADDRESS_IPV6:
		return 4 + 16 + 2;
	case ADDRESS_NAME:
		return 4 + 1 + data[4] + 2;
	}
	return -1;
}

static enum socks5_result
on_reply(struct socks5 *s, const uint8_t *data, size_t len, size_t *used, struct verdict *why)
{
	int whole;

	if (data[0] != VERSION)
		return failed(why, FAIL_PROTOCOL, "the proxy does not speak SOCKS5");
	if (data[1] != 0)
		return failed(why, FAIL_NETWORK, reply_text(data[1]));
	whole = reply_len(data, len);
	if (whole < 0)
		return failed(why, FAIL_PROTOCOL, "the proxy's answer is not SOCKS5");
	if (whole == 0 || len < (size_t)whole)
		return SOCKS5_MORE;
	*used += (size_t)whole;
	s->state = SOCKS5_CONNECTED;
	return SOCKS5_DONE;
}

enum socks5_result
socks5_feed(struct socks5 *s, const uint8_t *data, size_t len, size_t *used, struct str *send,
    struct verdict *why)
{
	enum socks5_result result = SOCKS5_MORE;

	*used = 0;
	while (result == SOCKS5_MORE && len - *used >= 2) {
		const uint8_t *at = data + *used;

		if (s->state == SOCKS5_REQUEST)
			return on_reply(s, at, len - *used, used, why);
		*used += 2;
		if (s->state == SOCKS5_METHOD)
			result = on_method(s, at, send, why);
		else if (s->state == SOCKS5_AUTHENTICATE)
			result = on_authenticate(s, at, send, why);
	}
	return result;
}
