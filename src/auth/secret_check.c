#include "auth/secret_check.h"

#include "base/secret.h"

#include <string.h>

static size_t
cut_line_end(const char *data, size_t len)
{
	if (len > 0 && data[len - 1] == '\n')
		len--;
	else
		return len;
	return len > 0 && data[len - 1] == '\r' ? len - 1 : len;
}

static const char *
find_fault(const char *data, size_t len)
{
	if (len == 0)
		return "gave nothing: the secret is empty";
	if (len > SECRET_MAX)
		return "gave more than 64 KiB, which is no password or token";
	if (memchr(data, '\0', len) != NULL)
		return "gave a NUL octet, which no password or token can hold";
	if (memchr(data, '\n', len) != NULL || memchr(data, '\r', len) != NULL)
		return "gave more than one line; only the secret itself may be there "
		       "(for a command: pipe it through \"head -n 1\")";
	return NULL;
}

struct secret *
secret_check(const char *data, size_t len, const char *origin, struct verdict *why)
{
	const char *fault;

	len = cut_line_end(data, len);
	fault = find_fault(data, len);
	if (fault == NULL)
		return secret_new(data, len);
	verdict_fail(why, FAIL_LOCAL, SECRET_STAGE, "%s %s", origin, fault);
	return NULL;
}
