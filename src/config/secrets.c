#include "config/secrets.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "config/convert.h"
#include "config/guard.h"
#include "config/lists.h"
#include "config/source.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#define PASSWORD_MAX   16384
#define CREDENTIAL_MAX 255

/* Whole pages for a text and its NUL. */
static size_t
mapped_size(const char *text)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (strlen(text) + 1 + page - 1) / page * page;
}

/* A copy in pages of its own, locked and kept out of core dumps as far as the system lets us. */
static char *
copy_locked(const char *text)
{
	size_t size = mapped_size(text);
	char *copy;

	copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		_exit(EX_OSERR);
	(void)mlock(copy, size);
	(void)madvise(copy, size, MADV_DONTDUMP);
	strcpy(copy, text);
	return copy;
}

static void
free_locked(char *text)
{
	size_t size = mapped_size(text);

	secret_wipe(text, size);
	munmap(text, size);
}

/* Says so when the group names a second source. */
static bool
is_second(struct reader *reader, const struct key *key, const struct raw *raw,
    const struct secret_source *source)
{
	static const char *const names[] = {
	    [SECRET_PASSWORD] = "password",
	    [SECRET_PASSWORD_FILE] = "password_file",
	    [SECRET_PASSWORD_COMMAND] = "password_command",
	    [SECRET_CREDENTIAL] = "credential",
	    [SECRET_TOKEN_COMMAND] = "token_command",
	};

	if (source->kind == SECRET_NONE)
		return false;
	reader_fault(reader, key->name, raw->line,
	    "found a second source of the secret beside %s, expected only one",
	    names[source->kind]);
	return true;
}

bool
secrets_read_password(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct secret_source *source = dest;

	if (raw->kind != RAW_TEXT || raw->text[0] == '\0' || strlen(raw->text) > PASSWORD_MAX ||
	    strpbrk(raw->text, "\r\n") != NULL)
		return false;
	guard_check_literal(reader, key, raw);
	if (is_second(reader, key, raw, source))
		return true;
	source->kind = SECRET_PASSWORD;
	source->value = copy_locked(raw->text);
	source->place = xstrdup(source_place(reader->source, raw->line).file);
	return true;
}

bool
secrets_read_file(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct secret_source *source = dest;
	char *path;

	if (raw->kind != RAW_TEXT)
		return false;
	if (is_second(reader, key, raw, source) || (path = convert_path(reader, key, raw)) == NULL)
		return true;
	guard_check_secret(reader, key, raw, path);
	source->kind = SECRET_PASSWORD_FILE;
	source->path = path;
	return true;
}

bool
secrets_read_command(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct secret_source *source = dest;
	char **argv = NULL;

	if (!lists_read_command(reader, key, raw, &argv))
		return false;
	if (argv == NULL || is_second(reader, key, raw, source)) {
		lists_free(&argv);
		return true;
	}
	source->kind =
	    key->type == KEY_TOKEN_COMMAND ? SECRET_TOKEN_COMMAND : SECRET_PASSWORD_COMMAND;
	source->argv = argv;
	return true;
}

/* Outside the service manager there is no directory to look into. */
static void
check_credential(struct reader *reader, const struct key *key, const struct raw *raw)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (directory == NULL || directory[0] != '/')
		return;
	path = xasprintf("%s/%s", directory, raw->text);
	guard_check_readable(reader, key, raw, path);
	free(path);
}

bool
secrets_read_credential(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct secret_source *source = dest;

	if (raw->kind != RAW_TEXT || !value_text(raw->text, CREDENTIAL_MAX) ||
	    strchr(raw->text, '/') != NULL || strcmp(raw->text, ".") == 0 ||
	    strcmp(raw->text, "..") == 0)
		return false;
	if (is_second(reader, key, raw, source))
		return true;
	check_credential(reader, key, raw);
	source->kind = SECRET_CREDENTIAL;
	source->value = xstrdup(raw->text);
	return true;
}

void
secrets_clear(struct secret_source *source)
{
	if (source->kind == SECRET_PASSWORD && source->value != NULL)
		free_locked(source->value);
	else
		free(source->value);
	free(source->path);
	free(source->place);
	lists_free(&source->argv);
	*source = (struct secret_source){.kind = SECRET_NONE};
}
