#include "config/value.h"

#include "base/xalloc.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_OCTETS       64
#define DOMAIN_MAX_OCTETS     253
#define LABEL_MAX_OCTETS      63
#define LOCAL_PART_MAX_OCTETS 256
#define SOCKS_TEXT_MAX        255 /* RFC 1929: a length is one octet */

/* Digits at the start of text; false without one, or when it does not fit in 63 bits. */
static bool
take_number(const char **text, int64_t *number)
{
	const char *p = *text;
	int64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return false;
	*text = p;
	*number = n;
	return true;
}

/* A number and one unit letter; the product of both. */
static bool
number_with_unit(const char *text, const char *letters, const int64_t *units, int64_t *out)
{
	const char *unit;
	int64_t n;

	if (!take_number(&text, &n) || text[0] == '\0' || text[1] != '\0')
		return false;
	unit = strchr(letters, text[0]);
	if (unit == NULL || __builtin_mul_overflow(n, units[unit - letters], &n))
		return false;
	*out = n;
	return true;
}

bool
value_duration(const char *text, int64_t *ms)
{
	static const int64_t units[] = {1000, 60000, 3600000, 86400000};

	return number_with_unit(text, "smhd", units, ms);
}

bool
value_size(const char *text, uint64_t *octets)
{
	static const int64_t units[] = {1 << 10, 1 << 20, 1 << 30, 1 << 10, 1 << 20, 1 << 30};
	int64_t n;

	if (!number_with_unit(text, "KMGkmg", units, &n))
		return false;
	*octets = (uint64_t)n;
	return true;
}

bool
value_mode(const char *text, mode_t *mode)
{
	size_t len = strlen(text);

	if (len < 1 || len > 4 || strspn(text, "01234567") != len)
		return false;
	*mode = (mode_t)strtoul(text, NULL, 8);
	return true;
}

bool
value_name(const char *text)
{
	size_t len = strlen(text);

	if (len > NAME_MAX_OCTETS || !isascii(text[0]) || !isalnum((unsigned char)text[0]))
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if (!isascii(*p) || (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL))
			return false;
	return true;
}

bool
value_text(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

/* Well-formed UTF-8 in which nothing is invisible or deceives a reader. */
static bool
is_honest_utf8(const char *text)
{
	struct str escaped = STR_INIT;
	bool same;

	str_append_escaped(&escaped, text, strlen(text));
	same = strstr(str_text(&escaped), "\\x") == NULL;
	str_clear(&escaped);
	return same;
}

static bool
is_label_char(unsigned char c)
{
	return isalnum(c) || c == '-' || c == '_' || c >= 0x80;
}

bool
value_domain(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > DOMAIN_MAX_OCTETS || !is_honest_utf8(text))
		return false;
	for (const char *label = text;;) {
		size_t n = strcspn(label, ".");

		if (n == 0 || n > LABEL_MAX_OCTETS || label[0] == '-' || label[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!is_label_char((unsigned char)label[i]))
				return false;
		if (label[n] == '\0')
			return true;
		label += n + 1;
	}
}

bool
value_ip(const char *text, enum address_family *family)
{
	char bare[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "%");
	uint8_t address[16];

	if (inet_pton(AF_INET, text, address) == 1) {
		*family = FAMILY_IPV4;
		return true;
	}
	if (len >= sizeof bare ||
	    (text[len] == '%' && !value_text(text + len + 1, IF_NAMESIZE - 1)))
		return false;
	memcpy(bare, text, len);
	bare[len] = '\0';
	if (inet_pton(AF_INET6, bare, address) != 1)
		return false;
	*family = FAMILY_IPV6;
	return true;
}

/* Dots and digits alone are a mistyped IPv4 address, no name (RFC 1123 section 2.1). */
static bool
is_numeric(const char *text)
{
	return strspn(text, "0123456789.") == strlen(text);
}

bool
value_host(const char *text)
{
	enum address_family family;
	size_t len = strlen(text);
	char *name;
	bool good;

	if (value_ip(text, &family))
		return true;
	if (len < 1 || is_numeric(text))
		return false;
	name = xstrndup(text, text[len - 1] == '.' ? len - 1 : len);
	good = value_domain(name);
	free(name);
	return good;
}

bool
value_host_is_loopback(const char *text)
{
	struct in6_addr six;
	struct in_addr four;

	if (strcasecmp(text, "localhost") == 0 || strcasecmp(text, "localhost.") == 0)
		return true;
	if (inet_pton(AF_INET, text, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* atext of RFC 5322 section 3.2.3, and UTF-8 (RFC 6532). */
static bool
is_atext(unsigned char c)
{
	return isalnum(c) || c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_dot_atom(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_atext((unsigned char)text[i]) &&
		    (text[i] != '.' || i == 0 || i + 1 == len || text[i + 1] == '.'))
			return false;
	return len > 0;
}

static bool
is_quoted_string(const char *text, size_t len)
{
	if (len < 2 || text[0] != '"' || text[len - 1] != '"')
		return false;
	for (size_t i = 1; i < len - 1; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return false;
		if (i == len - 1 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	}
	return true;
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). */
static bool
is_address_literal(const char *text)
{
	size_t len = strlen(text);
	enum address_family family;
	char *inner;
	bool six, good;

	if (len < 2 || text[0] != '[' || text[len - 1] != ']')
		return false;
	inner = xstrndup(text + 1, len - 2);
	six = strncasecmp(inner, "IPv6:", 5) == 0;
	good = strchr(inner, '%') == NULL && value_ip(inner + (six ? 5 : 0), &family) &&
	       family == (six ? FAMILY_IPV6 : FAMILY_IPV4);
	free(inner);
	return good;
}

bool
value_mailbox(const char *text, bool domain_alone)
{
	const char *at = strrchr(text, '@');
	size_t len = at != NULL ? (size_t)(at - text) : 0;

	if (at == NULL || len > LOCAL_PART_MAX_OCTETS || !is_honest_utf8(text))
		return false;
	if (len == 0)
		return domain_alone && value_domain(at + 1);
	if (!is_dot_atom(text, len) && !is_quoted_string(text, len))
		return false;
	return value_domain(at + 1) || is_address_literal(at + 1);
}

bool
value_helo(const char *text)
{
	return value_domain(text) || is_address_literal(text);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
value_pin(const char *text, struct tls_pin *pin)
{
	bool of_key = strncasecmp(text, "spki-", 5) == 0;
	struct tls_pin out = {of_key ? PIN_KEY : PIN_CERTIFICATE, {0}};
	bool colons;

	text += of_key ? 5 : 0;
	if (strncasecmp(text, "sha256:", 7) != 0)
		return false;
	text += 7;
	colons = strlen(text) == 3 * sizeof out.sha256 - 1;
	for (size_t i = 0; i < sizeof out.sha256; i++) {
		if (i > 0 && colons && *text++ != ':')
			return false;
		if (hex_digit(text[0]) < 0 || hex_digit(text[1]) < 0)
			return false;
		out.sha256[i] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
		text += 2;
	}
	if (*text != '\0')
		return false;
	*pin = out;
	return true;
}

static bool
take_port(const char *text, uint16_t *port)
{
	int64_t n;

	if (!take_number(&text, &n) || *text != '\0' || n < 1 || n > 65535)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* "host:port" or "[address]:port".  *host is the caller's to free when it is true. */
static bool
take_host_port(const char *text, char **host, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[';
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	enum address_family family;
	char *name;

	if (len == 0 || !take_port(colon + 1, port) || (bracketed && text[len - 1] != ']'))
		return false;
	name = bracketed ? xstrndup(text + 1, len - 2) : xstrndup(text, len);
	if (bracketed ? value_ip(name, &family) && family == FAMILY_IPV6
		      : value_host(name) && strchr(name, ':') == NULL) {
		*host = name;
		return true;
	}
	free(name);
	return false;
}

/* The octet at *text, %XX undone; moves behind it.  0 for a NUL or what is no %XX. */
static char
take_octet(const char **text, const char *end)
{
	const char *p = *text;

	*text = p + 1;
	if (*p != '%')
		return *p;
	if (end - p < 3 || hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
		return '\0';
	*text = p + 3;
	return (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
}

/* Undoes %XX in len octets.  NULL for a bad one, a NUL, nothing at all, or too much. */
static char *
percent_decode(const char *text, size_t len)
{
	const char *end = text + len;
	char *out = xcalloc(1, len + 1);
	bool good = len > 0;
	size_t n = 0;

	while (good && text < end) {
		out[n] = take_octet(&text, end);
		good = out[n++] != '\0';
	}
	if (good && n <= SOCKS_TEXT_MAX)
		return out;
	explicit_bzero(out, len);
	free(out);
	return NULL;
}

/* "user:password" before the last "@" of the authority; both of at least one octet (RFC 1929). */
static bool
take_userinfo(const char *text, size_t len, struct proxy_config *proxy)
{
	const char *colon = memchr(text, ':', len);

	if (colon == NULL)
		return false;
	proxy->user = percent_decode(text, (size_t)(colon - text));
	proxy->password = percent_decode(colon + 1, len - (size_t)(colon + 1 - text));
	return proxy->user != NULL && proxy->password != NULL;
}

bool
value_proxy(const char *text, struct proxy_config *proxy)
{
	struct proxy_config out = {NULL, 0, NULL, NULL};
	const char *at;
	bool good;

	if (strncasecmp(text, "socks5://", 9) != 0)
		return false;
	text += 9;
	at = strrchr(text, '@');
	good = at == NULL || take_userinfo(text, (size_t)(at - text), &out);
	good = good && take_host_port(at != NULL ? at + 1 : text, &out.host, &out.port);
	if (good) {
		*proxy = out;
		return true;
	}
	if (out.password != NULL)
		explicit_bzero(out.password, strlen(out.password));
	free(out.user);
	free(out.password);
	return false;
}

bool
value_loopback_port(const char *text)
{
	char *host = NULL;
	uint16_t port;
	enum address_family family;
	bool good;

	good = take_host_port(text, &host, &port) && value_ip(host, &family) &&
	       value_host_is_loopback(host);
	free(host);
	return good;
}

bool
value_notify(const char *text)
{
	static const char *const words[] = {"success", "failure", "delay"};
	unsigned seen = 0;

	if (strcasecmp(text, "never") == 0)
		return true;
	for (;;) {
		size_t len = strcspn(text, ",");
		unsigned i = 0;

		while (i < 3 && !(strlen(words[i]) == len && strncasecmp(text, words[i], len) == 0))
			i++;
		if (i == 3 || (seen & 1u << i) != 0)
			return false;
		seen |= 1u << i;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}
