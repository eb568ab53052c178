#ifndef POSTRIDER_PROTO_RFC5322_ADDRESS_H
#define POSTRIDER_PROTO_RFC5322_ADDRESS_H

#include "base/str.h"
#include "base/verdict.h"
#include "proto/rfc5322_token.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Address lists (RFC 5322 section 3.4, obsolete forms section 4.4, RFC 6532, RFC 6854):
 *
 *	address      = mailbox / group            group      = display-name ":" [list] ";"
 *	mailbox      = [display-name] angle-addr / addr-spec
 *	angle-addr   = "<" [route ":"] addr-spec ">"
 *	addr-spec    = local-part "@" domain      local-part = word *("." word)
 *
 * Beyond it: a display name may hold dots, one "@" and encoded-words with specials; a semicolon
 * separates as a comma does; a comma may be missing between addresses that have a domain; the last
 * group may lack its ";"; local parts may have dots in any place (and are quoted then).
 */
enum { RFC5322_LOCAL_PART_MAX = 256 }; /* RFC 5321 says 64; mailing lists say more */

/*
 * One mailbox.  Strings are owned; rfc5322_address_clear() ends it.  Zeroed memory is "none": local
 * is NULL.  Offsets count from the beginning of the field's value.
 */
struct rfc5322_address {
	char *local;  /* as on the wire: quoted where it needs to be; "" with is_null */
	char *domain; /* normalized (rfc5322_domain.h); NULL for a bare address, or with is_null */
	char *name;   /* display name, unquoted, encoded-words left alone; NULL: none */
	bool is_null; /* "<>" */
	bool is_utf8; /* the local part is beyond ASCII: needs SMTPUTF8 (RFC 6531) */
	size_t name_start; /* the display name as it was written, name_start == name_end: none */
	size_t name_end;
	size_t local_end; /* where a bare address is to be completed with "@domain" */
};

void rfc5322_address_clear(struct rfc5322_address *address);
void rfc5322_address_copy(struct rfc5322_address *to, const struct rfc5322_address *from);

/* Appends "local@domain", "local" for a bare one, nothing for the null address. */
void rfc5322_address_append(const struct rfc5322_address *address, struct str *out);

/* The same mailbox: the domain's case and spelling (U-labels, A-labels) do not matter. */
bool rfc5322_address_equal(const struct rfc5322_address *a, const struct rfc5322_address *b);

/* Where the reader of a list stands.  A plain value; the field is borrowed until it ends. */
struct rfc5322_address_list {
	const char *value;
	size_t len;
	struct rfc5322_tokens tokens; /* behind token */
	struct rfc5322_token token;   /* to be looked at */
	struct rfc5322_token run_end; /* the delimiter behind the words ahead */
	size_t run_ats;               /* how many "@" are among them */
	const char *element;          /* where the present mailbox begins */
	bool in_group;
	bool is_glued; /* no comma stands between the last mailbox and this token */
};

enum rfc5322_address_result { RFC5322_ADDRESS_GOT, RFC5322_ADDRESS_END, RFC5322_ADDRESS_BAD };

void rfc5322_address_begin(struct rfc5322_address_list *list, const char *value, size_t len);

/*
 * The next mailbox into *address, which the caller clears.  RFC5322_ADDRESS_BAD with why
 * (FAIL_LOCAL, stage "header"): the text quotes the address and says what is wrong; the list ends
 * there, and *address is empty.
 */
enum rfc5322_address_result rfc5322_address_next(
    struct rfc5322_address_list *list, struct rfc5322_address *address, struct verdict *why);

#endif
