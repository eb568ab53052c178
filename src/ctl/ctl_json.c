#include "ctl/ctl_json.h"

#include "ctl/ctl_time.h"

const char *
ctl_json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_int_t
ctl_json_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? number : 0;
}

bool
ctl_json_time(const json_t *object, const char *key, int64_t *wall)
{
	const char *text = ctl_json_text(object, key);

	return text != NULL && ctl_time_parse(text, wall);
}
