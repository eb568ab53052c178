#include "proto/rfc5322_token.h"

#include <string.h>

static const char unclosed_comment[] = "a comment \"(\" without its \")\"";
static const char deep_comment[] = "comments nested too deeply";

bool
rfc5322_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

bool
rfc5322_is_atext(char c)
{
	if ((unsigned char)c >= 0x80)
		return true;
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

void
rfc5322_token_begin(struct rfc5322_tokens *tokens, const char *text, size_t len)
{
	tokens->at = text;
	tokens->end = text + len;
}

/* The cursor stands on "(" and goes behind the matching ")". */
static const char *
skip_comment(struct rfc5322_tokens *tokens)
{
	const char *p = tokens->at;
	int depth = 0;

	for (; p < tokens->end; p++) {
		if (*p == '(' && ++depth > RFC5322_COMMENT_DEPTH)
			return deep_comment;
		if (*p == ')' && --depth == 0) {
			tokens->at = p + 1;
			return NULL;
		}
		if (*p == '\\')
			p++;
	}
	return unclosed_comment;
}

const char *
rfc5322_token_skip_cfws(struct rfc5322_tokens *tokens)
{
	const char *why = NULL;

	while (why == NULL && tokens->at < tokens->end) {
		char c = *tokens->at;

		if (rfc5322_is_wsp(c) || c == '\n')
			tokens->at++;
		else if (c == '(')
			why = skip_comment(tokens);
		else
			break;
	}
	return why;
}

/* Behind the closing delimiter, NULL when it is missing. */
static const char *
find_close(const char *p, const char *end, char close)
{
	for (p++; p < end; p++) {
		if (*p == close)
			return p + 1;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

static const char *
find_atom_end(const char *p, const char *end)
{
	while (p < end && rfc5322_is_atext(*p))
		p++;
	return p;
}

/*
 * "=?" charset "?" encoding "?" encoded-text "?=" (RFC 2047 section 2).  Section 5 forbids most
 * of the specials in a phrase, but mailers write them.  NULL when it is none.
 */
static const char *
find_encoded_end(const char *p, const char *end)
{
	int questions = 0;

	if (end - p < 8 || p[0] != '=' || p[1] != '?')
		return NULL;
	for (p += 2; p < end && (unsigned char)*p > ' ' && *p != '"'; p++) {
		if (*p == '?' && ++questions == 3)
			return p + 1 < end && p[1] == '=' ? p + 2 : NULL;
	}
	return NULL;
}

static void
take(struct rfc5322_token *token, enum rfc5322_token_kind kind, const char *end)
{
	token->kind = kind;
	token->len = (size_t)(end - token->start);
}

static void
refuse(struct rfc5322_token *token, const char *why)
{
	token->kind = RFC5322_TOKEN_BAD;
	token->len = 0;
	token->why = why;
}

static void
take_delimited(struct rfc5322_token *token, const char *end)
{
	bool quoted = *token->start == '"';
	const char *close = find_close(token->start, end, quoted ? '"' : ']');

	if (close != NULL)
		take(token, quoted ? RFC5322_TOKEN_QUOTED : RFC5322_TOKEN_LITERAL, close);
	else
		refuse(token,
		    quoted ? "a quotation mark without its partner" : "a \"[\" without its \"]\"");
}

static void
take_word(struct rfc5322_token *token, const char *end)
{
	const char *atom = find_atom_end(token->start, end);
	const char *encoded = find_encoded_end(token->start, end);

	if (encoded != NULL && encoded > atom)
		take(token, RFC5322_TOKEN_ENCODED, encoded);
	else if (atom > token->start)
		take(token, RFC5322_TOKEN_ATOM, atom);
	else if (*token->start == '\\')
		refuse(token, "a backslash outside of quotation marks");
	else if (*token->start == ')' || *token->start == ']')
		refuse(token, "a closing bracket that was not opened");
	else
		refuse(token, "a control character");
}

static enum rfc5322_token_kind
special_kind(char c)
{
	switch (c) {
	case '.':
		return RFC5322_TOKEN_DOT;
	case '@':
		return RFC5322_TOKEN_AT;
	case ',':
		return RFC5322_TOKEN_COMMA;
	case ';':
		return RFC5322_TOKEN_SEMICOLON;
	case ':':
		return RFC5322_TOKEN_COLON;
	case '<':
		return RFC5322_TOKEN_LESS;
	case '>':
		return RFC5322_TOKEN_GREATER;
	default:
		return RFC5322_TOKEN_BAD;
	}
}

struct rfc5322_token
rfc5322_token_next(struct rfc5322_tokens *tokens)
{
	const char *before = tokens->at;
	const char *why = rfc5322_token_skip_cfws(tokens);
	struct rfc5322_token token = {.start = tokens->at, .gap = tokens->at > before};
	enum rfc5322_token_kind special;

	if (why != NULL) {
		refuse(&token, why);
		return token;
	}
	if (tokens->at == tokens->end)
		return token;
	special = special_kind(*token.start);
	if (special != RFC5322_TOKEN_BAD)
		take(&token, special, token.start + 1);
	else if (*token.start == '"' || *token.start == '[')
		take_delimited(&token, tokens->end);
	else
		take_word(&token, tokens->end);
	tokens->at += token.len;
	return token;
}

static void
append_quoted(const char *p, const char *end, struct str *out)
{
	for (; p < end; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		if (*p != '\n')
			str_append_char(out, *p);
	}
}

static void
append_literal(const char *p, const char *end, struct str *out)
{
	for (; p < end; p++) {
		if (*p != '\n' && !rfc5322_is_wsp(*p))
			str_append_char(out, *p);
	}
}

void
rfc5322_token_append(const struct rfc5322_token *token, struct str *out)
{
	const char *end = token->start + token->len;

	if (token->kind == RFC5322_TOKEN_QUOTED)
		append_quoted(token->start + 1, end - 1, out);
	else if (token->kind == RFC5322_TOKEN_LITERAL)
		append_literal(token->start, end, out);
	else
		str_append(out, token->start, token->len);
}
