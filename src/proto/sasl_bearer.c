#include "proto/sasl_bearer.h"

#include "base/str.h"

#include <jansson.h>
#include <string.h>

static void
append_escaped(struct str *remark, const char *text)
{
	char shown[160];

	str_append_text(remark, str_escape(shown, sizeof shown, text, strlen(text)));
}

/* "invalid_token"; some servers send an HTTP status as a number. */
static bool
append_status(struct str *remark, const json_t *status)
{
	if (json_is_integer(status))
		str_appendf(remark, "%lld", (long long)json_integer_value(status));
	else if (json_is_string(status))
		append_escaped(remark, json_string_value(status));
	return remark->len > 0;
}

static void
append_member(struct str *remark, const json_t *object, const char *key, const char *before)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || *text == '\0')
		return;
	str_append_text(remark, before);
	append_escaped(remark, text);
}

void
sasl_bearer_remark(const char *challenge, struct str *remark)
{
	json_t *object = json_loads(challenge, 0, NULL);

	if (json_is_object(object) && append_status(remark, json_object_get(object, "status"))) {
		append_member(remark, object, "error_description", ": ");
		append_member(remark, object, "scope", ", it wants the scope ");
	} else
		append_escaped(remark, challenge);
	json_decref(object);
}
