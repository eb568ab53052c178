#include "fetch/received.h"

#include "config/config.h"
#include "proto/rfc5322_date.h"

#include <stdio.h>
#include <unistd.h>

const char *
received_header(char buf[RECEIVED_SIZE], const struct endpoint_config *endpoint,
    const char *session, int64_t wall)
{
	char host[256] = "localhost";
	char date[RFC5322_DATE_SIZE];

	if (gethostname(host, sizeof host - 1) < 0)
		snprintf(host, sizeof host, "localhost");
	host[sizeof host - 1] = '\0';
	rfc5322_date_format(wall, 0, date);
	snprintf(buf, RECEIVED_SIZE,
	    "Received: from %s\n\tby %s (postrider) with %s id %s;\n\t%s\n", endpoint->host, host,
	    endpoint->tls == TLS_NONE ? "POP3" : "POP3S", session, date);
	return buf;
}
