#include "ctl/ctl_call.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "ctl/ctl_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

int
ctl_call_usage(const char *name, const char *operands)
{
	fprintf(stderr, "usage: postriderctl [-c FILE] [--json] %s %s\n", name, operands);
	return EX_USAGE;
}

void
ctl_call_complain(const char *format, ...)
{
	struct str text = STR_INIT, safe = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&text, format, ap);
	va_end(ap);
	ctl_text_append(&safe, str_text(&text), false);
	fprintf(stderr, "postriderctl: %s\n", str_text(&safe));
	str_clear(&text);
	str_clear(&safe);
}

struct config *
ctl_call_config(const struct ctl_call *call, const char *name, int *code)
{
	struct config_faults faults = {0};
	bool unreadable = false;
	struct config *config;
	char *file;

	if (call->socket != NULL) {
		ctl_call_complain("%s reads the configuration and asks no socket: not with -s, "
				  "but perhaps with -c FILE",
		    name);
		*code = EX_USAGE;
		return NULL;
	}
	file = call->config != NULL ? xstrdup(call->config) : config_find();
	config = config_load_client(file, &faults, &unreadable);
	for (size_t i = 0; config == NULL && i < faults.count; i++)
		ctl_call_complain("%s", faults.text[i]);
	*code = config != NULL ? EX_OK : unreadable ? EX_NOINPUT : EX_CONFIG;
	config_faults_clear(&faults);
	free(file);
	return config;
}
