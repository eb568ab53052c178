#ifndef POSTRIDER_PROTO_RFC5322_FIELD_H
#define POSTRIDER_PROTO_RFC5322_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fields of a header (RFC 5322 section 3.6) that mean something to a courier. */
enum rfc5322_field_kind {
	RFC5322_OTHER,
	RFC5322_FROM,
	RFC5322_SENDER,
	RFC5322_REPLY_TO,
	RFC5322_TO,
	RFC5322_CC,
	RFC5322_BCC,
	RFC5322_DATE,
	RFC5322_MESSAGE_ID,
	RFC5322_RECEIVED,
	RFC5322_RETURN_PATH,
	RFC5322_RESENT_FROM,
	RFC5322_RESENT_SENDER,
	RFC5322_RESENT_REPLY_TO,
	RFC5322_RESENT_TO,
	RFC5322_RESENT_CC,
	RFC5322_RESENT_BCC,
	RFC5322_RESENT_DATE,
	RFC5322_RESENT_MESSAGE_ID,
	RFC5322_RESENT_OTHER,
	RFC5322_STEER_ACCOUNT,
	RFC5322_STEER_SENDER,
	RFC5322_STEER_RECIPIENT,
	RFC5322_STEER_NOT_BEFORE,
	RFC5322_STEER_OTHER /* another X-Postrider- */
};

/* A field as it was read; every pointer is borrowed until the reader is fed again. */
struct rfc5322_field {
	enum rfc5322_field_kind kind;
	const char *name; /* without blanks before the colon; not NUL-terminated */
	size_t name_len;
	const char
	    *value; /* behind the colon; folded with LF, without CR and without the last LF */
	size_t value_len;
	const char *raw; /* the whole of it: name, colon, value and the last LF, without CR */
	size_t raw_len;
	uint64_t offset; /* where it begins, in the octets fed */
	uint64_t length; /* in the octets fed, with line ends */
	unsigned line;   /* 1.. */
};

/* By name, in any case of letters. */
enum rfc5322_field_kind rfc5322_field_kind(const char *name, size_t len);

/* Bcc, Resent-Bcc, Return-Path and X-Postrider-*: never leave the machine. */
bool rfc5322_field_is_private(enum rfc5322_field_kind kind);

/* Fields that leave the machine and hold an address list. */
bool rfc5322_field_has_addresses(enum rfc5322_field_kind kind);

/* Received and Return-Path: what stands below was written before the message came here. */
bool rfc5322_field_is_trace(enum rfc5322_field_kind kind);

bool rfc5322_field_is_resent(enum rfc5322_field_kind kind);
bool rfc5322_field_is_steering(enum rfc5322_field_kind kind);

#endif
