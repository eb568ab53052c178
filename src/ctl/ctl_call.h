#ifndef POSTRIDER_CTL_CTL_CALL_H
#define POSTRIDER_CTL_CTL_CALL_H

#include <stdbool.h>

struct config;

/* What stood before the command. */
struct ctl_call {
	const char *config; /* -c FILE, or NULL */
	const char *socket; /* -s SOCKET, or NULL */
	bool json;
};

/* Says how the command is used; returns EX_USAGE. */
int ctl_call_usage(const char *name, const char *operands);

/* On standard error, escaped for a terminal: "postriderctl: ", the text, and a line end. */
void ctl_call_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The configuration that was named, or the usual one: a new reference, or NULL with *code set
 * after saying what is wrong with it.
 */
struct config *ctl_call_config(const struct ctl_call *call, const char *name, int *code);

#endif
