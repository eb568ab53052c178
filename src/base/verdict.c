#include "base/verdict.h"

#include "base/str.h"

#include <stdio.h>

bool
verdict_vfail(struct verdict *v, enum fail kind, const char *stage, const char *format, va_list ap)
{
	v->kind = kind;
	v->hint = HINT_NONE;
	v->code = 0;
	v->stage = stage;
	vsnprintf(v->text, sizeof v->text, format, ap);
	str_trim_partial(v->text);
	return false;
}

bool
verdict_fail(struct verdict *v, enum fail kind, const char *stage, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verdict_vfail(v, kind, stage, format, ap);
	va_end(ap);
	return false;
}

const char *
verdict_kind_name(enum fail kind)
{
	switch (kind) {
	case FAIL_NONE:
		return "ok";
	case FAIL_CONFIG:
		return "config";
	case FAIL_NETWORK:
		return "network";
	case FAIL_TLS:
		return "tls";
	case FAIL_AUTH:
		return "auth";
	case FAIL_PROTOCOL:
		return "protocol";
	case FAIL_SERVER:
		return "server";
	case FAIL_LOCAL:
		return "local";
	}
	return "local";
}
