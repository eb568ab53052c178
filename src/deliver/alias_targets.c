#include "deliver/alias_targets.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "deliver/aliases.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The right-hand side of an alias: one target after the other, and what may be one.
 */

struct alias_targets
alias_targets_begin(const struct alias *alias)
{
	return (struct alias_targets){alias->targets, alias->line};
}

/* The end of a quoted string, a comment or a route address that begins at p. */
static const char *
skip_enclosed(const char *p)
{
	char close = *p == '"' ? '"' : *p == '(' ? ')' : '>';
	unsigned depth = 1;

	for (p++; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == close && --depth == 0)
			return p + 1;
		else if (*p == '(' && close == ')')
			depth++;
	}
	return p;
}

/* The comma that ends the target at p, or the end. */
static const char *
find_comma(const char *p)
{
	while (*p != '\0' && *p != ',') {
		if (*p == '"' || *p == '(' || *p == '<')
			p = skip_enclosed(p);
		else
			p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	}
	return p;
}

static bool
refuse(struct verdict *why, unsigned line, const char *target, const char *problem)
{
	char shown[160];

	return verdict_fail(why, FAIL_LOCAL, "aliases", "line %u of the aliases, %s: %s", line,
	    str_escape(shown, sizeof shown, target, strlen(target)), problem);
}

/* Exactly one mailbox, perhaps behind a backslash. */
static bool
parse_address(
    const char *target, unsigned line, struct rfc5322_address *address, struct verdict *why)
{
	const char *text = target + (*target == '\\');
	struct rfc5322_address_list list;
	struct rfc5322_address second;
	struct verdict problem = VERDICT_OK;
	enum rfc5322_address_result result;

	rfc5322_address_begin(&list, text, strlen(text));
	result = rfc5322_address_next(&list, address, &problem);
	if (result == RFC5322_ADDRESS_END)
		return refuse(why, line, target, "no address");
	if (result == RFC5322_ADDRESS_GOT) {
		result = rfc5322_address_next(&list, &second, &problem);
		rfc5322_address_clear(&second);
		if (result == RFC5322_ADDRESS_GOT)
			return refuse(why, line, target, "a comma is missing between addresses");
	}
	if (result == RFC5322_ADDRESS_BAD)
		return verdict_fail(
		    why, FAIL_LOCAL, "aliases", "line %u of the aliases, %s", line, problem.text);
	return !address->is_null || refuse(why, line, target, "<> is nobody's address");
}

/* NULL, or why a courier cannot deliver to a target that is no address, quoted or not. */
static const char *
find_special(const char *target)
{
	const char *p = target + (*target == '"');

	if (*p == '|')
		return "a command; a courier starts none for mail, expected an address";
	if (strncasecmp(p, ":include:", 9) == 0)
		return "a list in a file; a courier does not read it, expected its addresses here";
	if (*p == ':')
		return "a special target; a courier has none, expected an address";
	return NULL;
}

static bool
is_file(const char *target, const struct rfc5322_address *address)
{
	return address->domain == NULL && target[*target == '"'] == '/';
}

static bool
parse_target(char *target, unsigned line, struct rfc5322_address *address, struct verdict *why)
{
	const char *special = find_special(target);

	if (special != NULL)
		return refuse(why, line, target, special);
	if (!parse_address(target, line, address, why))
		return false;
	return !is_file(target, address) ||
	       refuse(
		   why, line, target, "a file; a courier writes mail to none, expected an address");
}

enum alias_target
alias_targets_next(
    struct alias_targets *targets, struct rfc5322_address *address, struct verdict *why)
{
	enum alias_target kind;
	const char *end;
	char *target;

	*address = (struct rfc5322_address){0};
	targets->at += strspn(targets->at, " \t,");
	if (*targets->at == '\0')
		return ALIAS_TARGET_END;
	end = find_comma(targets->at);
	target = xstrndup(targets->at, (size_t)(end - targets->at));
	kind = *target == '\\' ? ALIAS_TARGET_FINAL : ALIAS_TARGET_ADDRESS;
	targets->at = end;
	if (!parse_target(target, targets->line, address, why)) {
		rfc5322_address_clear(address);
		kind = ALIAS_TARGET_BAD;
	}
	free(target);
	return kind;
}
