#include "config/path.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The home directory of a user, or of the caller for NULL, from the password database. */
static char *
home_of(const char *user)
{
	struct passwd entry, *found = NULL;
	size_t size = 1024;
	char *buf = NULL;
	char *home = NULL;
	int error;

	do {
		size *= 2;
		buf = xrealloc(buf, size);
		error = user != NULL ? getpwnam_r(user, &entry, buf, size, &found)
				     : getpwuid_r(geteuid(), &entry, buf, size, &found);
	} while (error == ERANGE && size < 1024 * 1024);
	if (error == 0 && found != NULL && found->pw_dir[0] == '/')
		home = xstrdup(found->pw_dir);
	free(buf);
	return home;
}

char *
path_home(void)
{
	const char *home = getenv("HOME");

	return home != NULL && home[0] == '/' ? xstrdup(home) : home_of(NULL);
}

/* "~" or "~user" at the start of *text: appends the directory and moves *text behind it. */
static bool
substitute_tilde(struct str *out, const char **text, char **why)
{
	size_t len = strcspn(*text, "/");
	char *user = xstrndup(*text + 1, len - 1);
	char *home = user[0] == '\0' ? path_home() : home_of(user);

	if (home != NULL)
		str_append_text(out, home);
	else if (user[0] == '\0')
		*why = xstrdup("'~' does not expand: no home directory is known");
	else
		*why = xasprintf("'~%s' does not expand: no such user", user);
	*text += len;
	free(user);
	free(home);
	return *why == NULL;
}

/* "${VAR}" at the start of *text. */
static bool
substitute_variable(struct str *out, const char **text, char **why)
{
	const char *end = strchr(*text, '}');
	const char *value;
	char *name;

	if (end == NULL || end == *text + 2) {
		*why = xstrdup("'${' does not begin a ${VARIABLE}");
		return false;
	}
	name = xstrndup(*text + 2, (size_t)(end - *text - 2));
	value = getenv(name);
	if (str_empty(value))
		*why = xasprintf("the environment variable '%s' is not set", name);
	else
		str_append_text(out, value);
	*text = end + 1;
	free(name);
	return *why == NULL;
}

char *
path_substitute(const char *text, char **why)
{
	struct str out = STR_INIT;
	bool good = true;

	*why = NULL;
	if (text[0] == '~')
		good = substitute_tilde(&out, &text, why);
	while (good && *text != '\0') {
		if (text[0] == '$' && text[1] == '{')
			good = substitute_variable(&out, &text, why);
		else
			str_append_char(&out, *text++);
	}
	if (good && out.len == 0)
		*why = xstrdup("the path is empty");
	else if (good && out.len >= PATH_MAX)
		*why = xasprintf("the path is longer than %d octets", PATH_MAX - 1);
	else if (good)
		return str_take(&out);
	str_clear(&out);
	return NULL;
}

/* Appends the components of path, each behind a slash, without the empty ones and ".". */
static void
append_components(struct str *out, const char *path)
{
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len > 0 && !(len == 1 && path[0] == '.')) {
			str_append_char(out, '/');
			str_append(out, path, len);
		}
		path += len + (path[len] == '/');
	}
}

static char *
make_absolute(const char *path, const char *base)
{
	struct str out = STR_INIT;

	if (path[0] != '/')
		append_components(&out, base);
	append_components(&out, path);
	if (out.len == 0)
		str_append_char(&out, '/');
	return str_take(&out);
}

char *
path_expand(const char *text, const char *base, char **why)
{
	char *plain = path_substitute(text, why);
	char *path;

	if (plain == NULL)
		return NULL;
	path = make_absolute(plain, base);
	free(plain);
	if (strlen(path) < PATH_MAX)
		return path;
	*why = xasprintf("the path is longer than %d octets", PATH_MAX - 1);
	free(path);
	return NULL;
}

char *
path_directory(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return xstrdup(".");
	return slash == file ? xstrdup("/") : xstrndup(file, (size_t)(slash - file));
}

char *
path_base(const char *file)
{
	char *directory = path_directory(file);
	char *working = getcwd(NULL, 0);
	char *base = make_absolute(directory, working != NULL ? working : "/");

	free(directory);
	free(working);
	return base;
}

char *
path_xdg(const char *variable, const char *fallback, const char *name)
{
	const char *value = getenv(variable);
	char *home, *path;

	if (value != NULL && value[0] == '/')
		return xasprintf("%s/%s", value, name);
	home = fallback != NULL ? path_home() : NULL;
	path = home != NULL ? xasprintf("%s/%s/%s", home, fallback, name) : NULL;
	free(home);
	return path;
}

bool
path_is_system(const char *file)
{
	char *base = path_base(file);
	bool system = strcmp(base, "/etc") == 0 || strncmp(base, "/etc/", 5) == 0;

	free(base);
	return system;
}
