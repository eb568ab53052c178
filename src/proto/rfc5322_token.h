#ifndef POSTRIDER_PROTO_RFC5322_TOKEN_H
#define POSTRIDER_PROTO_RFC5322_TOKEN_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The lexical tokens of a structured field (RFC 5322 sections 3.2 and 4.1, with RFC 6532 section
 * 3.2: octets beyond ASCII belong to atoms).  White space, folds and comments between tokens are
 * skipped.  A field is given unfolded or folded (LF and white space); CR is not expected.
 *
 *	atom           1*atext                            quoted-string  DQUOTE *qcontent DQUOTE
 *	domain-literal "[" *dtext "]"                     comment        "(" *ccontent ")"
 */
enum rfc5322_token_kind {
	RFC5322_TOKEN_END,
	RFC5322_TOKEN_BAD, /* why says what; the cursor stays there */
	RFC5322_TOKEN_ATOM,
	RFC5322_TOKEN_ENCODED, /* an encoded-word that holds octets which an atom may not */
	RFC5322_TOKEN_QUOTED,
	RFC5322_TOKEN_LITERAL,
	RFC5322_TOKEN_DOT,
	RFC5322_TOKEN_AT,
	RFC5322_TOKEN_COMMA,
	RFC5322_TOKEN_SEMICOLON,
	RFC5322_TOKEN_COLON,
	RFC5322_TOKEN_LESS,
	RFC5322_TOKEN_GREATER
};

struct rfc5322_token {
	enum rfc5322_token_kind kind;
	const char *start; /* with quotes and brackets, in the field */
	size_t len;
	bool gap;        /* white space or a comment stands before it */
	const char *why; /* RFC5322_TOKEN_BAD: static */
};

/* A cursor, copied freely to look ahead. */
struct rfc5322_tokens {
	const char *at;
	const char *end;
};

enum { RFC5322_COMMENT_DEPTH = 64 };

void rfc5322_token_begin(struct rfc5322_tokens *tokens, const char *text, size_t len);

/* The next one; RFC5322_TOKEN_END and RFC5322_TOKEN_BAD repeat for ever. */
struct rfc5322_token rfc5322_token_next(struct rfc5322_tokens *tokens);

/* Skips white space and comments.  NULL, or a static text that says what is wrong with them. */
const char *rfc5322_token_skip_cfws(struct rfc5322_tokens *tokens);

/*
 * Appends what a token means: a quoted-string without quotes, backslashes and folds, a literal
 * without white space, everything else as it is.
 */
void rfc5322_token_append(const struct rfc5322_token *token, struct str *out);

/* atext of RFC 5322 section 3.2.3 and RFC 6532 section 3.2. */
bool rfc5322_is_atext(char c);

/* SP and HTAB. */
bool rfc5322_is_wsp(char c);

#endif
