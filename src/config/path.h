#ifndef POSTRIDER_CONFIG_PATH_H
#define POSTRIDER_CONFIG_PATH_H

#include <stdbool.h>

/*
 * Paths as people write them: a leading "~" is the home directory ($HOME, else the password
 * database), a leading "~user" that user's, and ${VAR} anywhere is the environment's.  What comes
 * out of a variable is not expanded again; a "$" without "{" is itself.
 */

/*
 * Returns the text with both expanded, to free(3), or NULL with *why saying what is wrong (to
 * free(3) as well).
 */
char *path_substitute(const char *text, char **why);

/*
 * The same, made absolute below base (an absolute directory), without doubled slashes, "."
 * components and a slash at the end; ".." stays, since a symbolic link may stand before it.
 */
char *path_expand(const char *text, const char *base, char **why);

/* The directory of a file's name: "." without a slash in it.  To free(3). */
char *path_directory(const char *file);

/* The absolute directory of the file, from the working directory when relative.  To free(3). */
char *path_base(const char *file);

/* The caller's home directory, to free(3); NULL when there is none. */
char *path_home(void);

/*
 * A directory of the XDG Base Directory Specification with name below it, to free(3): $variable
 * when that is absolute, else fallback below the home directory; NULL when neither is to be had
 * (fallback may be NULL).
 */
char *path_xdg(const char *variable, const char *fallback, const char *name);

/* True when the file (its name made absolute) lies somewhere below /etc. */
bool path_is_system(const char *file);

#endif
