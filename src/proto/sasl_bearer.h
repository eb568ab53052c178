#ifndef POSTRIDER_PROTO_SASL_BEARER_H
#define POSTRIDER_PROTO_SASL_BEARER_H

struct str;

/*
 * Why a server refuses a token, for people: of its JSON (RFC 7628 section 3.2.2, and XOAUTH2, which
 * it comes from) the status, what is said of it, and the scope that would do; anything else as it
 * is.  Escaped.
 */
void sasl_bearer_remark(const char *challenge, struct str *remark);

#endif
