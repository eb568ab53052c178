#include "fuzz.h"

#include "proto/pop3.h"

#include <stdlib.h>
#include <string.h>

static void
check_reply(const char *line, size_t len)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	CHECK(reply.text >= line && reply.text <= line + len);
	CHECK(reply.code == POP3_CODE_NONE || reply.status == POP3_ERR);
	CHECK(reply.status != POP3_GARBAGE || reply.text == line);
}

static void
check_timestamp(const char *line, size_t len)
{
	const char *timestamp;
	size_t n;

	if (!pop3_parse_timestamp(line, &timestamp, &n))
		return;
	CHECK(n >= 5 && timestamp >= line && timestamp + n <= line + len);
	CHECK(timestamp[0] == '<' && timestamp[n - 1] == '>');
	CHECK(memchr(timestamp, '@', n) != NULL && memchr(timestamp, ' ', n) == NULL);
}

static void
check_capability(const char *line)
{
	struct pop3_capabilities c;

	pop3_capabilities_init(&c);
	pop3_parse_capability(&c, line);
	CHECK(c.login_delay >= -1 && c.expire >= -1);
	CHECK(strnlen(c.implementation, sizeof c.implementation) < sizeof c.implementation);
	for (const char *p = c.implementation; *p != '\0'; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = strndup((const char *)data, size);
	uint64_t count, octets;

	CHECK(line != NULL);
	check_reply(line, strlen(line));
	check_timestamp(line, strlen(line));
	check_capability(line);
	pop3_parse_stat(line, &count, &octets);
	free(line);
	return 0;
}
