#ifndef POSTRIDER_PROTO_POP3_H
#define POSTRIDER_PROTO_POP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * POP3 (RFC 1939, extensions RFC 2449, 2595, 3206, 5034, 6856): octets to meaning, without I/O.
 * A line is passed without its line end, NUL-terminated; every pointer is borrowed for the call.
 */

enum { POP3_LINE_MAX = 8192 }; /* RFC 2449 says 512; servers with long SASL challenges say more */
enum { POP3_UID_MAX = 70 };    /* RFC 1939 section 7; longer ones are taken up to POP3_UID_LIMIT */
enum { POP3_UID_LIMIT = 255 };

enum pop3_status { POP3_OK, POP3_ERR, POP3_CONTINUE, POP3_GARBAGE };

/* A response code in brackets after -ERR (RFC 2449 section 8, RFC 3206, RFC 6856). */
enum pop3_code {
	POP3_CODE_NONE,
	POP3_CODE_IN_USE,
	POP3_CODE_LOGIN_DELAY,
	POP3_CODE_SYS_TEMP,
	POP3_CODE_SYS_PERM,
	POP3_CODE_AUTH,
	POP3_CODE_UTF8,
	POP3_CODE_OTHER
};

struct pop3_reply {
	enum pop3_status status;
	enum pop3_code code;
	/* Behind the status, the code (unless it is POP3_CODE_OTHER) and blanks, in the line. */
	const char *text;
};

/*
 * RFC 1939 section 3: "+OK"/"-ERR" in any case; RFC 5034: "+ " continues a SASL exchange.  Codes
 * are hierarchical: [AUTH/X] is AUTH, and what else is below [SYS] counts as SYS_TEMP.
 */
void pop3_parse_reply(const char *line, struct pop3_reply *reply);

struct pop3_listing_item {
	uint32_t number; /* 1.. */
	uint64_t size;   /* octets, LIST */
	const char *uid; /* UIDL; in the caller's line, not NUL-terminated */
	size_t uid_len;
};

/* "nn mm" of STAT: count and octets.  False when it cannot be read. */
bool pop3_parse_stat(const char *text, uint64_t *count, uint64_t *octets);

/* One line of LIST: "n size", anything may follow (RFC 1939 section 5, LIST). */
bool pop3_parse_list(const char *line, struct pop3_listing_item *item);

/*
 * One line of UIDL: "n uid", uid of 1 to POP3_UID_LIMIT octets 0x21 to 0x7e (RFC 1939 section 7).
 * Servers that put 8-bit octets or blanks inside a uid are tolerated: the rest of the line, less
 * trailing blanks, is the uid; control characters are not.  Where nothing follows the number,
 * uid_len is 0: the message has no uid.
 */
bool pop3_parse_uidl(const char *line, struct pop3_listing_item *item);

/* Capabilities (RFC 2449 section 6).  Zeroed memory is "no CAPA". */
struct pop3_capabilities {
	bool known; /* CAPA was answered +OK: set by who sees that answer */
	bool top, user, uidl, stls, pipelining, resp_codes, auth_resp_code, utf8;
	bool per_user;            /* LOGIN-DELAY or EXPIRE differ by user: CAPA tells after login */
	uint32_t sasl;            /* 1u << enum auth_mechanism of config.h, see proto/sasl.h */
	int64_t login_delay;      /* seconds, -1: not said */
	int64_t expire;           /* days, -1: not said, POP3_EXPIRE_NEVER */
	char implementation[128]; /* escaped */
};

#define POP3_EXPIRE_NEVER INT64_MAX

void pop3_capabilities_init(struct pop3_capabilities *capabilities);

/* One line of the CAPA answer; unknown ones are ignored, as is what cannot be read. */
void pop3_parse_capability(struct pop3_capabilities *capabilities, const char *line);

/* The timestamp "<...@...>", with its brackets, of the greeting for APOP; false when there is none.
 */
bool pop3_parse_timestamp(const char *greeting, const char **timestamp, size_t *len);

/*
 * The multi-line answer to RETR and TOP, decoded as it arrives, cut anywhere: byte-stuffing undone
 * (RFC 1939 section 3), CRLF stored as LF.  Only CRLF ends a line: a bare LF or CR is content, and
 * the end is CRLF "." CRLF (or "." CRLF as the very first line) and nothing else.
 */
struct pop3_body {
	int state;       /* internal */
	uint64_t octets; /* decoded so far */
};

void pop3_body_init(struct pop3_body *body);

struct pop3_slice {
	const char *data;
	size_t len;
};

enum pop3_body_result { POP3_BODY_MORE, POP3_BODY_END };

/*
 * Decodes in[0..len).  Decoded octets are appended to out, which must have room for len + 2
 * octets; *out_len says how many.  *used says how many octets of in were taken: len with
 * POP3_BODY_MORE, up to the end of the terminator with POP3_BODY_END.  in and out do not overlap.
 */
enum pop3_body_result pop3_body_decode(
    struct pop3_body *body, const char *in, size_t len, size_t *used, char *out, size_t *out_len);

#endif
