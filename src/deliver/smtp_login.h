#ifndef POSTRIDER_DELIVER_SMTP_LOGIN_H
#define POSTRIDER_DELIVER_SMTP_LOGIN_H

#include "base/verdict.h"
#include "proto/smtp_capability.h"
#include "proto/smtp_reply.h"

struct conn;
struct deriver;
struct endpoint_config;
struct secret;
struct transcript;

/* AUTH (RFC 4954): chooses the mechanism and speaks it. */
enum smtp_login_step {
	SMTP_LOGIN_MORE, /* something was sent, or will be: a reply is awaited */
	SMTP_LOGIN_DONE, /* mail may be sent */
	SMTP_LOGIN_FAILED
};

struct smtp_login_settings {
	struct conn *conn;             /* borrowed for the login's life, as all of these */
	struct transcript *transcript; /* may be NULL */
	const struct endpoint_config *endpoint;
	const struct smtp_capabilities *capabilities;
	struct secret *secret;
	struct deriver *deriver; /* for SCRAM; NULL leaves it out */
};

struct smtp_login;

struct smtp_login *smtp_login_new(const struct smtp_login_settings *settings);

/* To be freed before the connection is.  Sets the pointer to NULL; NULL inside is fine. */
void smtp_login_free(struct smtp_login **login);

/* Sends AUTH, or says why no mechanism fits. */
enum smtp_login_step smtp_login_start(struct smtp_login *login, struct verdict *why);

/*
 * A whole reply of the server.  On failure why->code is the reply code, 0 when the cause is not in
 * the reply.
 */
enum smtp_login_step smtp_login_reply(
    struct smtp_login *login, const struct smtp_reply *reply, struct verdict *why);

/*
 * Has the transcript hide the secret from the first line on, for a server may say it in its
 * greeting; in the form of SASL PLAIN (RFC 4616), too, whatever the mechanism will be.
 */
void smtp_login_hide_secret(
    struct transcript *transcript, const char *user, const struct secret *secret);

#endif
