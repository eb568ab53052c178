#include "proto/smtp_command.h"

#include "proto/smtp_address.h"

#include <inttypes.h>
#include <string.h>

#define LACKS_UTF8 "needs SMTPUTF8, which the server lacks"

static bool
refuse(const char **why, const char *text)
{
	if (why != NULL)
		*why = text;
	return false;
}

/* Gives back what was appended since mark. */
static bool
withdraw(struct str *out, size_t mark, const char **why, const char *text)
{
	str_truncate(out, mark);
	return refuse(why, text);
}

static const char *
find_name_fault(const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return "is empty";
	if (len > SMTP_DOMAIN_MAX)
		return "is longer than 255 octets";
	for (; *name != '\0'; name++)
		if (*name <= ' ' || *name >= 0x7f || *name == '<' || *name == '>')
			return "is no domain in ASCII";
	return NULL;
}

static bool
append_greeting(struct str *out, const char *verb, const char *name, const char **why)
{
	const char *fault = find_name_fault(name);

	if (fault != NULL)
		return refuse(why, fault);
	str_appendf(out, "%s %s", verb, name);
	return true;
}

bool
smtp_command_ehlo(struct str *out, const char *name, const char **why)
{
	return append_greeting(out, "EHLO", name, why);
}

bool
smtp_command_helo(struct str *out, const char *name, const char **why)
{
	return append_greeting(out, "HELO", name, why);
}

/* Plain printable ASCII, and not more than fits: what RFC 3461 section 4.4 takes for an ENVID. */
static bool
append_envid(struct str *out, const char *envid)
{
	size_t begin;

	if (*envid == '\0')
		return false;
	for (const char *p = envid; *p != '\0'; p++)
		if (*p < ' ' || *p >= 0x7f)
			return false;
	str_append_text(out, " ENVID=");
	begin = out->len;
	smtp_append_xtext(out, envid);
	return out->len - begin <= SMTP_ENVID_MAX;
}

static bool
is_ret(const char *ret)
{
	return strcmp(ret, "FULL") == 0 || strcmp(ret, "HDRS") == 0;
}

static const char *
find_sender_fault(const struct smtp_mail *mail, const struct smtp_capabilities *capabilities)
{
	if (mail->utf8 && !capabilities->utf8)
		return LACKS_UTF8;
	return *mail->sender != '\0' ? smtp_address_fault(mail->sender, mail->utf8) : NULL;
}

bool
smtp_command_mail(struct str *out, const struct smtp_mail *mail,
    const struct smtp_capabilities *capabilities, const char **why)
{
	const char *fault = find_sender_fault(mail, capabilities);
	size_t mark = out->len;

	if (fault != NULL)
		return refuse(why, fault);
	str_appendf(out, "MAIL FROM:<%s>", mail->sender);
	if (mail->size != 0 && capabilities->size)
		str_appendf(out, " SIZE=%" PRIu64, mail->size);
	if (mail->eight_bit && capabilities->eight_bit)
		str_append_text(out, " BODY=8BITMIME");
	if (mail->utf8)
		str_append_text(out, " SMTPUTF8");
	if (!capabilities->dsn)
		return true;
	if (mail->ret != NULL && !is_ret(mail->ret))
		return withdraw(out, mark, why, "has a RET that is neither FULL nor HDRS");
	if (mail->ret != NULL)
		str_appendf(out, " RET=%s", mail->ret);
	if (mail->envid != NULL && !append_envid(out, mail->envid))
		return withdraw(out, mark, why, "has an unfit envelope id");
	return true;
}

/* The bit of a word of NOTIFY; 0 when it is none. */
static unsigned
notify_bit(const char *word, size_t len)
{
	static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
			return 1u << i;
	return 0;
}

/*	notify-esmtp-value = "NEVER" / 1#notify-list-element     (RFC 3461 section 4.1) */
static bool
is_notify(const char *list)
{
	unsigned seen = 0;

	for (;;) {
		size_t len = strcspn(list, ",");
		unsigned bit = notify_bit(list, len);

		if (bit == 0 || (seen & bit) != 0)
			return false;
		seen |= bit;
		if (list[len] == '\0')
			return (seen & 1) == 0 || seen == 1;
		list += len + 1;
	}
}

static void
append_original(struct str *out, const char *original)
{
	size_t mark = out->len, begin;

	if (*original == '\0')
		return;
	str_append_text(out, " ORCPT=");
	begin = out->len;
	smtp_append_orcpt(out, original);
	if (out->len - begin > SMTP_ORCPT_MAX)
		str_truncate(out, mark);
}

static const char *
find_recipient_fault(const struct smtp_rcpt *rcpt, const struct smtp_capabilities *capabilities)
{
	const char *fault = smtp_address_fault(rcpt->recipient, true);

	if (fault != NULL || smtp_is_ascii(rcpt->recipient))
		return fault;
	if (!capabilities->utf8)
		return LACKS_UTF8;
	return rcpt->utf8 ? NULL : "is not ASCII";
}

bool
smtp_command_rcpt(struct str *out, const struct smtp_rcpt *rcpt,
    const struct smtp_capabilities *capabilities, const char **why)
{
	const char *fault = find_recipient_fault(rcpt, capabilities);

	if (fault != NULL)
		return refuse(why, fault);
	if (capabilities->dsn && rcpt->notify != NULL && !is_notify(rcpt->notify))
		return refuse(why, "has a NOTIFY that cannot be read");
	str_appendf(out, "RCPT TO:<%s>", rcpt->recipient);
	if (!capabilities->dsn)
		return true;
	if (rcpt->notify != NULL)
		str_appendf(out, " NOTIFY=%s", rcpt->notify);
	if (rcpt->original != NULL)
		append_original(out, rcpt->original);
	return true;
}

void
smtp_command_bdat(struct str *out, uint64_t size, bool last)
{
	str_appendf(out, "BDAT %" PRIu64 "%s", size, last ? " LAST" : "");
}
