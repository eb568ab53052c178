#ifndef POSTRIDER_DELIVER_SENDING_INTERNAL_H
#define POSTRIDER_DELIVER_SENDING_INTERNAL_H

/* Of one sending: sending.c has the session's beginning and end, sending_parcels.c its messages. */
#include "base/queue.h"
#include "deliver/sending.h"
#include "deliver/settle.h"
#include "deliver/smtp_session.h"
#include "net/transcript.h"
#include "queue/outqueue.h"

enum parcel_state {
	PARCEL_READING, /* its first piece is being read */
	PARCEL_READY,
	PARCEL_SENT /* given to the session, one behind the other */
};

/* A message in hand.  Owned by the sending. */
struct parcel {
	TAILQ_ENTRY(parcel) link;
	struct sending *sending;
	struct outmessage *message;
	struct settlement settlement;
	enum parcel_state state;

	size_t *open; /* recipients to be tried, by index; those to be tried again come behind */
	size_t open_count, open_cap;
	size_t first, count; /* of `open`: the transaction under way */
	const char **addresses;
	struct smtp_message smtp;

	struct outreader *reader;
	char *piece; /* the first one, NULL once it is given away */
	size_t piece_len;
	bool piece_is_last;
};

TAILQ_HEAD(parcel_list, parcel);

/* One owner: the outbox. */
struct sending {
	struct sending_settings settings;
	struct config *config; /* our reference */
	const struct smtp_config *smtp;
	char id[16];
	char server[300]; /* "host:port" */
	const struct sending_handler *handler;
	sending_cb *cb;
	void *arg;
	struct event *ended;

	int64_t since, since_mono;
	struct vault_request *secret_request;
	struct secret *secret;
	unsigned long held; /* generation of the secret, when it was there before; 0: fetched now */
	struct transcript *transcript;
	struct smtp_session *session;
	bool session_closed;
	bool stopping;
	struct parcel_list parcels;
	size_t ahead_count; /* of the parcels: not given to the session */
	unsigned taken;     /* messages, since the beginning */
	struct sending_result result;
};

/* What the session asks and tells of its messages; arg is the sending. */
void sending_on_ready(void *arg);
bool sending_on_next(const struct smtp_message **message, void *arg);
void sending_on_body(const struct smtp_message *message, void *arg);
void sending_on_done(
    const struct smtp_message *message, const struct smtp_result *results, void *arg);
void sending_on_falls_short(
    enum smtp_shortcoming what, const struct smtp_result *result, void *arg);
void sending_on_idle(void *arg);

/* Every message in hand goes back to its owner, with what is known by now. */
void sending_return_all(struct sending *sending, const struct verdict *trouble);

#endif
