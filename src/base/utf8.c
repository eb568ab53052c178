#include "base/utf8.h"

/*
 *	UTF8-2 = %xC2-DF UTF8-tail                                  (RFC 3629 section 4)
 *	UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *	         %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 *	UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
 *	         %xF4 %x80-8F 2( UTF8-tail )
 */
static enum utf8_result
begin(struct utf8_reader *r, uint8_t octet)
{
	r->code = octet;
	if (octet < 0x80)
		return UTF8_WHOLE;
	if (octet < 0xc2 || octet > 0xf4)
		return UTF8_BAD;
	r->await = octet >= 0xf0 ? 3 : octet >= 0xe0 ? 2 : 1;
	r->low = octet == 0xe0 ? 0xa0 : octet == 0xf0 ? 0x90 : 0x80;
	r->high = octet == 0xed ? 0x9f : octet == 0xf4 ? 0x8f : 0xbf;
	r->code &= 0x3fu >> r->await;
	return UTF8_MORE;
}

enum utf8_result
utf8_read(struct utf8_reader *r, uint8_t octet)
{
	if (r->await == 0)
		return begin(r, octet);
	if (octet < r->low || octet > r->high) {
		r->await = 0;
		return UTF8_BAD;
	}
	r->low = 0x80;
	r->high = 0xbf;
	r->code = r->code << 6 | (octet & 0x3fu);
	return --r->await > 0 ? UTF8_MORE : UTF8_WHOLE;
}

size_t
utf8_sequence(const void *p, size_t len, uint32_t *code)
{
	const uint8_t *octets = p;
	struct utf8_reader r = {0};

	for (size_t i = 0; i < len; i++) {
		enum utf8_result result = utf8_read(&r, octets[i]);

		if (result == UTF8_BAD)
			return 0;
		if (result == UTF8_MORE)
			continue;
		*code = r.code;
		return i + 1;
	}
	return 0;
}

bool
utf8_is_valid(const void *text, size_t len)
{
	const uint8_t *octets = text;
	struct utf8_reader r = {0};

	for (size_t i = 0; i < len; i++)
		if (utf8_read(&r, octets[i]) == UTF8_BAD)
			return false;
	return r.await == 0;
}
