#ifndef POSTRIDER_CTL_SENDMAIL_OPTIONS_H
#define POSTRIDER_CTL_SENDMAIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The command line; every string is borrowed from it. */
struct sendmail_options {
	const char *config;    /* -C */
	const char *sender;    /* -f, -r; NULL: not given, "" or "<>": the null sender */
	const char *name;      /* -F */
	bool use_header;       /* -t */
	bool ignore_dots;      /* -i, -oi */
	bool is_done;          /* nothing is left to do */
	char *const *operands; /* each may name several recipients */
	size_t operand_count;
};

/* Returns EX_OK, or an exit code after saying on standard error what is wrong. */
int sendmail_options_parse(struct sendmail_options *options, int argc, char **argv);

#endif
