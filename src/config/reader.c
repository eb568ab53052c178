#include "config/reader.h"

#include "config/convert.h"
#include "config/faults.h"

#include <stdlib.h>
#include <string.h>

#define FOUND_MAX 80

size_t
reader_line(const config_setting_t *setting)
{
	return setting != NULL ? config_setting_source_line(setting) : 0;
}

struct raw
reader_raw(config_setting_t *setting)
{
	struct raw raw = {.setting = setting, .line = reader_line(setting)};

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		raw.kind = RAW_INTEGER;
		raw.integer = config_setting_get_int64(setting);
		if (config_setting_type(setting) == CONFIG_TYPE_INT)
			raw.integer = config_setting_get_int(setting);
		break;
	case CONFIG_TYPE_FLOAT:
		raw.kind = RAW_FRACTION;
		break;
	case CONFIG_TYPE_BOOL:
		raw.kind = RAW_BOOL;
		raw.truth = config_setting_get_bool(setting);
		break;
	case CONFIG_TYPE_STRING:
		raw.kind = RAW_TEXT;
		raw.text = config_setting_get_string(setting);
		if (raw.text == NULL)
			raw.text = "";
		break;
	case CONFIG_TYPE_GROUP:
		raw.kind = RAW_GROUP;
		break;
	default:
		raw.kind = RAW_LIST;
		break;
	}
	return raw;
}

static struct raw
raw_from_preset(const char *preset)
{
	struct raw raw = {.kind = RAW_TEXT, .text = preset};

	if (strcmp(preset, "true") == 0 || strcmp(preset, "false") == 0) {
		raw.kind = RAW_BOOL;
		raw.truth = preset[0] == 't';
	} else if (preset[strspn(preset, "0123456789")] == '\0' && preset[0] != '\0' &&
		   (preset[0] != '0' || preset[1] == '\0')) {
		raw.kind = RAW_INTEGER;
		raw.integer = strtoll(preset, NULL, 10);
	}
	return raw;
}

size_t
reader_count(const struct raw *list)
{
	return list->kind == RAW_LIST ? (size_t)config_setting_length(list->setting) : 0;
}

struct raw
reader_element(const struct raw *list, size_t i)
{
	return reader_raw(config_setting_get_elem(list->setting, (unsigned)i));
}

config_setting_t *
reader_member(config_setting_t *group, const char *name)
{
	return group != NULL ? config_setting_get_member(group, name) : NULL;
}

config_setting_t *
reader_group(config_setting_t *group, const char *name)
{
	config_setting_t *member = reader_member(group, name);

	return member != NULL && config_setting_is_group(member) ? member : NULL;
}

static bool
has_secret(config_setting_t *group, enum key_group kind)
{
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (keys_is_secret(key) && keys_stands_in(key, kind) &&
		    reader_member(group, key->name) != NULL)
			return true;
	return false;
}

config_setting_t *
reader_find(const struct scope *scope, const char *name)
{
	const struct key *key = keys_find(scope->group, name);
	config_setting_t *own = reader_member(scope->own, name);

	if (own != NULL)
		return own;
	if (key != NULL && keys_is_secret(key) && has_secret(scope->own, scope->group))
		return NULL;
	return reader_member(scope->inherited, name);
}

void
reader_fault(struct reader *reader, const char *key, size_t line, const char *format, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	if (reader->silent)
		return;
	str_append_text(&text, reader->label);
	if (text.len > 0 && key != NULL)
		str_append_char(&text, '.');
	str_appendf(&text, "%s: ", key != NULL ? key : "");
	va_start(ap, format);
	str_vappendf(&text, format, ap);
	va_end(ap);
	faults_add(reader->faults, line, "%s", str_text(&text));
	str_clear(&text);
}

static void
describe_found(const struct key *key, const struct raw *raw, struct str *out)
{
	char buf[FOUND_MAX];

	switch (raw->kind) {
	case RAW_INTEGER:
		str_appendf(out, "%jd", (intmax_t)raw->integer);
		break;
	case RAW_BOOL:
		str_append_text(out, raw->truth ? "true" : "false");
		break;
	case RAW_FRACTION:
		str_append_text(out, "a number with a fraction");
		break;
	case RAW_GROUP:
		str_append_text(out, "a group");
		break;
	case RAW_LIST:
		str_append_text(out, reader_count(raw) == 0 ? "an empty list" : "a list");
		break;
	case RAW_TEXT:
		if (key->type == KEY_PASSWORD || key->type == KEY_PROXY)
			str_append_text(out, raw->text[0] == '\0' ? "\"\"" : "unfit text");
		else
			str_appendf(out, "\"%s\"",
			    str_escape(buf, sizeof buf, raw->text, strlen(raw->text)));
		break;
	}
}

static void
append_choice_hint(const struct key *key, const struct raw *raw, struct str *out)
{
	const char *words[16];
	const char *nearest;
	size_t count = 0;

	if (raw->kind != RAW_TEXT || key->choices == NULL)
		return;
	for (const struct key_choice *c = key->choices; c->word != NULL && count < 16; c++)
		words[count++] = c->word;
	nearest = faults_nearest(raw->text, words, count);
	if (nearest != NULL)
		str_appendf(out, "; did you mean \"%s\"?", nearest);
}

void
reader_wrong(struct reader *reader, const struct key *key, const struct raw *raw)
{
	struct str text = STR_INIT;

	str_append_text(&text, "found ");
	describe_found(key, raw, &text);
	str_append_text(&text, ", expected ");
	keys_describe(key, &text);
	append_choice_hint(key, raw, &text);
	reader_fault(reader, key->name, raw->line, "%s", str_text(&text));
	str_clear(&text);
}

/* A key that stands in the wrong group is told where it belongs. */
static const struct key *
find_elsewhere(const char *name)
{
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

static void
say_unknown(struct reader *reader, enum key_group group, config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	const struct key *elsewhere = find_elsewhere(name);
	const char *words[64];
	const char *nearest;
	size_t count = 0;

	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (keys_stands_in(key, group) && count < 64)
			words[count++] = key->name;
	nearest = faults_nearest(name, words, count);
	if (nearest != NULL)
		reader_fault(
		    reader, name, reader_line(setting), "unknown key; did you mean '%s'?", nearest);
	else if (elsewhere == NULL)
		reader_fault(reader, name, reader_line(setting), "unknown key");
	else if (elsewhere->group == KEYS_SERVER)
		reader_fault(reader, name, reader_line(setting),
		    "unknown key here; it belongs in an account's pop3 or smtp");
	else
		reader_fault(reader, name, reader_line(setting),
		    "unknown key here; it belongs %s%s",
		    elsewhere->group == KEYS_TOP ? "at the top of the file" : "in ",
		    keys_group_name(elsewhere->group));
}

static void
say_unknown_keys(struct reader *reader, const struct scope *scope)
{
	int count = scope->own != NULL ? config_setting_length(scope->own) : 0;

	for (int i = 0; i < count; i++) {
		config_setting_t *setting = config_setting_get_elem(scope->own, (unsigned)i);

		if (keys_find(scope->group, config_setting_name(setting)) == NULL)
			say_unknown(reader, scope->group, setting);
	}
}

static void
read_key(struct reader *reader, const struct scope *scope, const struct key *key, void *dest)
{
	config_setting_t *setting = reader_find(scope, key->name);
	bool was_silent = reader->silent;
	struct raw raw;

	if (setting == NULL && key->preset == NULL) {
		if (key->required && !scope->partial)
			reader_fault(
			    reader, key->name, reader_line(scope->own), "this key is missing");
		return;
	}
	raw = setting != NULL ? reader_raw(setting) : raw_from_preset(key->preset);
	reader->silent |= setting != NULL && setting != reader_member(scope->own, key->name);
	if (!convert_value(reader, key, &raw, dest != NULL ? (char *)dest + key->offset : NULL))
		reader_wrong(reader, key, &raw);
	reader->silent = was_silent;
}

void
reader_read_keys(struct reader *reader, const struct scope *scope, void *dest)
{
	const char *outer = reader->label;

	reader->label = scope->label;
	say_unknown_keys(reader, scope);
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (keys_stands_in(key, scope->group))
			read_key(reader, scope, key, dest);
	reader->label = outer;
}
