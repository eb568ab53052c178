#include "proto/rfc5322_domain.h"

#include "base/utf8.h"
#include "base/xalloc.h"

#include <idn2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool
rfc5322_is_8bit(const char *text, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)text[i];
	return all >= 0x80;
}

/* Names that hosts have, and the underscore that some have nevertheless. */
static bool
is_label_octet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* NULL, or what is wrong with an ASCII name without a final dot. */
static const char *
check_name(const char *name)
{
	size_t label = 0;

	if (strlen(name) > RFC5322_DOMAIN_MAX)
		return "its domain is too long";
	for (const char *p = name;; p++) {
		if (*p == '.' || *p == '\0') {
			if (label == 0)
				return "its domain has an empty label";
			if (label > RFC5322_LABEL_MAX)
				return "its domain has a label of more than 63 octets";
			label = 0;
			if (*p == '\0')
				return NULL;
		} else if (is_label_octet(*p)) {
			label++;
		} else {
			return "its domain holds a character that no domain has";
		}
	}
}

static const char *
check_literal(const char *literal)
{
	size_t len = strlen(literal);

	if (len > RFC5322_DOMAIN_MAX)
		return "its domain literal is too long";
	if (len < 3 || literal[len - 1] != ']')
		return "its domain literal is empty";
	for (size_t i = 1; i < len - 1; i++) {
		if (literal[i] <= ' ' || literal[i] == 0x7f || strchr("[]\\", literal[i]) != NULL)
			return "its domain literal holds a character that none may have";
	}
	return NULL;
}

char *
rfc5322_domain_to_ascii(const char *domain)
{
	char *found = NULL, *ascii;

	if (!rfc5322_is_8bit(domain, strlen(domain)))
		return xstrdup(domain);
	if (idn2_to_ascii_8z(domain, &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	ascii = xstrdup(found);
	idn2_free(found);
	return ascii;
}

char *
rfc5322_domain_address_to_ascii(const char *address)
{
	const char *at = strrchr(address, '@');
	char *domain, *ascii;

	if (at == NULL || at[1] == '\0' || strchr(at, '"') != NULL)
		return xstrdup(address);
	domain = rfc5322_domain_to_ascii(at + 1);
	if (domain == NULL)
		return NULL;
	ascii = xasprintf("%.*s@%s", (int)(at - address), address, domain);
	free(domain);
	return ascii;
}

/* By way of its A-labels, so that every spelling of a name ends as the same octets. */
static const char *
normalize_unicode(const char *domain, struct str *out)
{
	static const char invalid[] = "its domain is no valid internationalized name";
	char *ascii, *unicode = NULL;
	const char *why;

	if (!utf8_is_valid(domain, strlen(domain)))
		return "its domain is not in UTF-8";
	ascii = rfc5322_domain_to_ascii(domain);
	if (ascii == NULL)
		return invalid;
	why = check_name(ascii);
	if (why == NULL && idn2_to_unicode_8z8z(ascii, &unicode, 0) != IDN2_OK)
		why = invalid;
	if (why == NULL)
		str_append_text(out, unicode);
	idn2_free(unicode);
	free(ascii);
	return why;
}

static const char *
normalize_ascii(const char *domain, struct str *out)
{
	const char *why = check_name(domain);

	for (const char *p = domain; why == NULL && *p != '\0'; p++)
		str_append_char(out, (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p));
	return why;
}

const char *
rfc5322_domain_normalize(const char *domain, struct str *out)
{
	size_t len = strlen(domain);
	char *name;
	const char *why;

	if (domain[0] == '[') {
		why = check_literal(domain);
		if (why == NULL)
			str_append_text(out, domain);
		return why;
	}
	if (len > 4 * RFC5322_DOMAIN_MAX)
		return "its domain is too long";
	name = xstrndup(domain, len > 1 && domain[len - 1] == '.' ? len - 1 : len);
	why = rfc5322_is_8bit(name, strlen(name)) ? normalize_unicode(name, out)
						  : normalize_ascii(name, out);
	free(name);
	return why;
}
