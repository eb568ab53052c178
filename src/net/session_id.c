#include "net/session_id.h"

#include <stdio.h>

const char *
session_id_next(char buf[SESSION_ID_SIZE])
{
	static unsigned last;

	snprintf(buf, SESSION_ID_SIZE, "%06u", ++last);
	return buf;
}
