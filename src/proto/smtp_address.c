#include "proto/smtp_address.h"

#include "base/utf8.h"
#include "proto/rfc5322_token.h"

#include <string.h>

/*
 *	Mailbox       = Local-part "@" ( Domain / address-literal )      (RFC 5321 section 4.1.2)
 *	Local-part    = Dot-string / Quoted-string
 *	Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE
 *
 * Stricter than what servers take in one thing only: nothing that could end the path or begin
 * another argument.  Dots may stand where the grammar does not want them; such addresses exist.
 */

bool
smtp_is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* What must not stand anywhere, quoted or not. */
static const char *
find_octet_fault(const char *p, size_t len, bool utf8)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code = 0;

		n = utf8_sequence(p + i, len - i, &code);
		if (n == 0)
			return "is neither ASCII nor UTF-8";
		if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			return "holds a control character";
		if (n > 1 && !utf8)
			return "is not ASCII";
	}
	return NULL;
}

/* The end of a quoted string that begins at p; NULL when it does not end. */
static const char *
skip_quoted(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (*p == '\0')
			return NULL;
	}
	return p + 1;
}

/* The end of the local part; NULL when it is none. */
static const char *
skip_local(const char *p)
{
	const char *begin = p;

	if (*p == '"')
		return skip_quoted(p);
	while (rfc5322_is_atext(*p) || *p == '.')
		p++;
	return p > begin ? p : NULL;
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]": what is in the brackets is the server's to judge. */
static bool
is_literal(const char *p)
{
	size_t len = strcspn(p + 1, "[]<>\\ \"");

	return len > 0 && strcmp(p + 1 + len, "]") == 0;
}

static bool
is_domain(const char *p)
{
	if (*p == '[')
		return is_literal(p);
	if (*p == '\0' || *p == '.')
		return false;
	while (rfc5322_is_atext(*p) || *p == '.')
		p++;
	return *p == '\0';
}

const char *
smtp_address_fault(const char *address, bool utf8)
{
	size_t len = strlen(address);
	const char *end, *fault;

	if (len == 0)
		return "is empty";
	if (len > SMTP_ADDRESS_MAX)
		return "is longer than 320 octets";
	fault = find_octet_fault(address, len, utf8);
	if (fault != NULL)
		return fault;
	end = skip_local(address);
	if (end == NULL || (*end != '\0' && *end != '@'))
		return "has a local part that cannot be read";
	if (*end == '@' && !is_domain(end + 1))
		return "has a domain that cannot be read";
	if (*end == '@' && strlen(end + 1) > SMTP_DOMAIN_MAX)
		return "has a domain longer than 255 octets";
	return NULL;
}

void
smtp_append_xtext(struct str *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text > ' ' && *text < 0x7f && *text != '+' && *text != '=')
			str_append_char(out, *text);
		else
			str_appendf(out, "+%02X", (unsigned char)*text);
	}
}

/*
 *	utf-8-addr-xtext    = 1*(QCHAR / EmbeddedUnicodeChar)       (RFC 6533 section 3)
 *	QCHAR               = printable ASCII but "+", "=" and "\"
 *	EmbeddedUnicodeChar = "\x" "{" HEXPOINT "}"
 *
 * An octet that is no UTF-8 is shown as the character of that number.
 */
static void
append_utf8_address(struct str *out, const char *address)
{
	size_t len = strlen(address);

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code = 0;

		n = utf8_sequence(address + i, len - i, &code);
		if (n == 0) {
			code = (unsigned char)address[i];
			n = 1;
		}
		if (code > ' ' && code < 0x7f && strchr("+=\\", (int)code) == NULL)
			str_append_char(out, (char)code);
		else
			str_appendf(out, "\\x{%02X}", (unsigned)code);
	}
}

void
smtp_append_orcpt(struct str *out, const char *address)
{
	if (smtp_is_ascii(address)) {
		str_append_text(out, "rfc822;");
		smtp_append_xtext(out, address);
	} else {
		str_append_text(out, "utf-8;");
		append_utf8_address(out, address);
	}
}

void
smtp_append_typed_address(struct str *out, const char *address)
{
	if (smtp_is_ascii(address)) {
		str_append_text(out, "rfc822; ");
		str_append_text(out, address);
	} else {
		str_append_text(out, "utf-8; ");
		append_utf8_address(out, address);
	}
}
