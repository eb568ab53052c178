#include "proto/rfc5322_field.h"

#include <string.h>
#include <strings.h>

enum trait { PRIVATE = 1, ADDRESSES = 2, TRACE = 4, RESENT = 8, STEERING = 16 };

static const char *const names[] = {
    [RFC5322_FROM] = "From",
    [RFC5322_SENDER] = "Sender",
    [RFC5322_REPLY_TO] = "Reply-To",
    [RFC5322_TO] = "To",
    [RFC5322_CC] = "Cc",
    [RFC5322_BCC] = "Bcc",
    [RFC5322_DATE] = "Date",
    [RFC5322_MESSAGE_ID] = "Message-ID",
    [RFC5322_RECEIVED] = "Received",
    [RFC5322_RETURN_PATH] = "Return-Path",
    [RFC5322_RESENT_FROM] = "Resent-From",
    [RFC5322_RESENT_SENDER] = "Resent-Sender",
    [RFC5322_RESENT_REPLY_TO] = "Resent-Reply-To",
    [RFC5322_RESENT_TO] = "Resent-To",
    [RFC5322_RESENT_CC] = "Resent-Cc",
    [RFC5322_RESENT_BCC] = "Resent-Bcc",
    [RFC5322_RESENT_DATE] = "Resent-Date",
    [RFC5322_RESENT_MESSAGE_ID] = "Resent-Message-ID",
    [RFC5322_STEER_ACCOUNT] = "X-Postrider-Account",
    [RFC5322_STEER_SENDER] = "X-Postrider-Sender",
    [RFC5322_STEER_RECIPIENT] = "X-Postrider-Recipient",
    [RFC5322_STEER_NOT_BEFORE] = "X-Postrider-Not-Before",
    [RFC5322_STEER_OTHER] = NULL,
};

static const unsigned char traits[] = {
    [RFC5322_FROM] = ADDRESSES,
    [RFC5322_SENDER] = ADDRESSES,
    [RFC5322_REPLY_TO] = ADDRESSES,
    [RFC5322_TO] = ADDRESSES,
    [RFC5322_CC] = ADDRESSES,
    [RFC5322_BCC] = PRIVATE,
    [RFC5322_RECEIVED] = TRACE,
    [RFC5322_RETURN_PATH] = TRACE | PRIVATE,
    [RFC5322_RESENT_FROM] = RESENT | ADDRESSES,
    [RFC5322_RESENT_SENDER] = RESENT | ADDRESSES,
    [RFC5322_RESENT_REPLY_TO] = RESENT | ADDRESSES,
    [RFC5322_RESENT_TO] = RESENT | ADDRESSES,
    [RFC5322_RESENT_CC] = RESENT | ADDRESSES,
    [RFC5322_RESENT_BCC] = RESENT | PRIVATE,
    [RFC5322_RESENT_DATE] = RESENT,
    [RFC5322_RESENT_MESSAGE_ID] = RESENT,
    [RFC5322_RESENT_OTHER] = RESENT,
    [RFC5322_STEER_ACCOUNT] = STEERING | PRIVATE,
    [RFC5322_STEER_SENDER] = STEERING | PRIVATE,
    [RFC5322_STEER_RECIPIENT] = STEERING | PRIVATE,
    [RFC5322_STEER_NOT_BEFORE] = STEERING | PRIVATE,
    [RFC5322_STEER_OTHER] = STEERING | PRIVATE,
};

static bool
has_prefix(const char *name, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && strncasecmp(name, prefix, n) == 0;
}

enum rfc5322_field_kind
rfc5322_field_kind(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (names[i] != NULL && strlen(names[i]) == len &&
		    strncasecmp(name, names[i], len) == 0)
			return (enum rfc5322_field_kind)i;
	}
	if (has_prefix(name, len, "X-Postrider-"))
		return RFC5322_STEER_OTHER;
	return has_prefix(name, len, "Resent-") ? RFC5322_RESENT_OTHER : RFC5322_OTHER;
}

bool
rfc5322_field_is_private(enum rfc5322_field_kind kind)
{
	return (traits[kind] & PRIVATE) != 0;
}

bool
rfc5322_field_has_addresses(enum rfc5322_field_kind kind)
{
	return (traits[kind] & ADDRESSES) != 0;
}

bool
rfc5322_field_is_trace(enum rfc5322_field_kind kind)
{
	return (traits[kind] & TRACE) != 0;
}

bool
rfc5322_field_is_resent(enum rfc5322_field_kind kind)
{
	return (traits[kind] & RESENT) != 0;
}

bool
rfc5322_field_is_steering(enum rfc5322_field_kind kind)
{
	return (traits[kind] & STEERING) != 0;
}
