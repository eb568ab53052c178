#include "proto/dsn.h"

#include "proto/smtp_data.h"

static void
scan_header(struct dsn_content *c, uint8_t octet)
{
	c->header_not_utf8 |= utf8_read(&c->utf8, octet) == UTF8_BAD;
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
