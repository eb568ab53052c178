#ifndef POSTRIDER_CONFIG_VALUE_H
#define POSTRIDER_CONFIG_VALUE_H

#include "config/config.h"

/*
 * The texts that values are written as.  Pure: each returns whether the text is one, and touches
 * its result only then.
 */

/* "90s" "5m" "2h" "14d", in milliseconds. */
bool value_duration(const char *text, int64_t *ms);

/* "64K" "50M" "2G" (powers of 1024, either case), in octets. */
bool value_size(const char *text, uint64_t *octets);

/* "0640": one to four octal digits. */
bool value_mode(const char *text, mode_t *mode);

/* An account's name: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 octets. */
bool value_name(const char *text);

/* No control characters and not empty; at most max octets. */
bool value_text(const char *text, size_t max);

/* A domain name of letters (UTF-8 ones too), digits, "-" and "_" (RFC 1034 section 3.5). */
bool value_domain(const char *text);

/* A domain name, with a dot at the end or without, or an IP address without brackets. */
bool value_host(const char *text);

/* "localhost", 127.0.0.0/8 or ::1, as it is spelt; no name is looked up. */
bool value_host_is_loopback(const char *text);

/* An IP address (an IPv6 one with "%zone" or without).  *family: FAMILY_IPV4 or FAMILY_IPV6. */
bool value_ip(const char *text, enum address_family *family);

/* local-part@domain (RFC 5321 section 4.1.2; UTF-8 as RFC 6531 allows), or @domain if allowed. */
bool value_mailbox(const char *text, bool domain_alone);

/* What EHLO may say: a domain name or an address literal in brackets. */
bool value_helo(const char *text);

/* "sha256:…" or "spki-sha256:…": 64 hexadecimal digits, with colons between the octets or not. */
bool value_pin(const char *text, struct tls_pin *pin);

/*
 * "socks5://[user:password@]host:port"; user and password may hold %XX (RFC 3986 section 2.1).
 * The strings of the result are the caller's to free.
 */
bool value_proxy(const char *text, struct proxy_config *proxy);

/* "127.0.0.1:2525" or "[::1]:2525": a loopback address and a port. */
bool value_loopback_port(const char *text);

/* RFC 3461 section 4.1: "never", or a list of "success", "failure", "delay"; each once. */
bool value_notify(const char *text);

#endif
