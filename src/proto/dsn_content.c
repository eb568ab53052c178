#include "proto/dsn.h"

#include "proto/smtp_data.h"

/*
 *	UTF8-2 = %xC2-DF UTF8-tail                                  (RFC 3629 section 4)
 *	UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *	         %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 *	UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
 *	         %xF4 %x80-8F 2( UTF8-tail )
 */
static void
begin_sequence(struct dsn_content *c, uint8_t octet)
{
	c->await = octet >= 0xf0 ? 3 : octet >= 0xe0 ? 2 : octet >= 0xc2 ? 1 : 0;
	c->low = octet == 0xe0 ? 0xa0 : octet == 0xf0 ? 0x90 : 0x80;
	c->high = octet == 0xed ? 0x9f : octet == 0xf4 ? 0x8f : 0xbf;
	if (octet >= 0x80 && (c->await == 0 || octet > 0xf4))
		c->header_not_utf8 = true;
}

static void
check_utf8(struct dsn_content *c, uint8_t octet)
{
	if (c->await == 0) {
		begin_sequence(c, octet);
	} else if (octet >= c->low && octet <= c->high) {
		c->await--;
		c->low = 0x80;
		c->high = 0xbf;
	} else {
		c->header_not_utf8 = true;
		begin_sequence(c, octet);
	}
}

static void
scan_header(struct dsn_content *c, uint8_t octet)
{
	check_utf8(c, octet);
	c->header_8bit |= octet >= 0x80;
	c->header_binary |= octet == '\0' || c->line > SMTP_TEXT_LINE_MAX;
}

static void
scan_body(struct dsn_content *c, uint8_t octet)
{
	c->body_8bit |= octet >= 0x80;
	c->body_binary |= octet == '\0' || c->line > SMTP_TEXT_LINE_MAX;
}

void
dsn_content_scan(struct dsn_content *content, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t octet = (uint8_t)data[i];

		if (octet == '\r')
			continue;
		if (octet == '\n') {
			content->in_body |= content->line == 0;
			content->line = 0;
		} else {
			content->line++;
		}
		if (content->in_body)
			scan_body(content, octet);
		else
			scan_header(content, octet);
	}
}
