#include "ctl/ctl_dump.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_snapshot.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <sysexits.h>

static json_t *
hex_json(const unsigned char *octets, size_t len)
{
	struct str s = STR_INIT;
	json_t *json;

	for (size_t i = 0; i < len; i++)
		str_appendf(&s, "%02x", octets[i]);
	json = json_string(str_text(&s));
	str_clear(&s);
	return json;
}

/* Text is UTF-8; a server's that is not comes escaped. */
static json_t *
text_json(const char *text, size_t len)
{
	json_t *json = json_stringn(text, len);
	struct str s = STR_INIT;

	if (json != NULL)
		return json;
	str_append_escaped(&s, text, len);
	json = json_string(str_text(&s));
	str_clear(&s);
	return json;
}

static json_t *
column_json(sqlite3_stmt *query, int column)
{
	switch (sqlite3_column_type(query, column)) {
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(query, column));
	case SQLITE_FLOAT:
		return json_real(sqlite3_column_double(query, column));
	case SQLITE_TEXT:
		return text_json((const char *)sqlite3_column_text(query, column),
		    (size_t)sqlite3_column_bytes(query, column));
	case SQLITE_BLOB:
		return hex_json(sqlite3_column_blob(query, column),
		    (size_t)sqlite3_column_bytes(query, column));
	default:
		return json_null();
	}
}

/* In ASCII alone, so that no terminal is misled by what a server called its messages. */
static void
write_row(sqlite3_stmt *query, const char *table, FILE *out)
{
	json_t *row = json_object();
	char *text;

	json_object_set_new(row, "table", json_string(table));
	for (int i = 0; i < sqlite3_column_count(query); i++)
		json_object_set_new(row, sqlite3_column_name(query, i), column_json(query, i));
	text = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text != NULL)
		fprintf(out, "%s\n", text);
	free(text);
	json_decref(row);
}

static bool
write_table(sqlite3 *db, const char *table, FILE *out)
{
	char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", table);
	sqlite3_stmt *query = NULL;
	bool good = sqlite3_prepare_v2(db, sql, -1, &query, NULL) == SQLITE_OK;

	sqlite3_free(sql);
	while (good && !ferror(out) && sqlite3_step(query) == SQLITE_ROW)
		write_row(query, table, out);
	return sqlite3_finalize(query) == SQLITE_OK && good;
}

bool
ctl_dump_write(sqlite3 *db, FILE *out)
{
	static const char sql[] = "SELECT name FROM sqlite_master WHERE type = 'table'"
				  "  AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
	sqlite3_stmt *query = NULL;
	bool good = sqlite3_prepare_v2(db, sql, -1, &query, NULL) == SQLITE_OK;

	while (good && sqlite3_step(query) == SQLITE_ROW)
		good = write_table(db, (const char *)sqlite3_column_text(query, 0), out);
	return sqlite3_finalize(query) == SQLITE_OK && good;
}

static int
dump(const struct config *config)
{
	int code = EX_OK;
	sqlite3 *db = ctl_snapshot_open(config->state, &code);

	if (db != NULL && !ctl_dump_write(db, stdout)) {
		ctl_call_complain(
		    "cannot read the state database in %s: %s", config->state, sqlite3_errmsg(db));
		code = EX_DATAERR;
	}
	sqlite3_close(db);
	return code;
}

int
ctl_dump_run(const struct ctl_call *call, int argc, char **argv)
{
	static const struct option none[] = {{NULL, 0, NULL, 0}};
	struct config *config;
	int code = EX_OK;

	if (getopt_long(argc, argv, "", none, NULL) != -1 || optind < argc)
		return ctl_call_usage("dump", CTL_DUMP_OPERANDS);
	config = ctl_call_config(call, "dump", &code);
	if (config != NULL)
		code = dump(config);
	config_unref(&config);
	return code;
}
