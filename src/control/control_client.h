#ifndef POSTRIDER_CONTROL_CONTROL_CLIENT_H
#define POSTRIDER_CONTROL_CONTROL_CLIENT_H

#include "control/control.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * One connection to the control socket: lines in, one answer a line out, in order.  A request
 * holds the later ones until it is answered, now or later.
 */
struct control_client;

struct control_client_calls {
	/*
	 * A whole request, without its line end; UTF-8 without NUL; the text may be changed.  Must
	 * lead to exactly one control_client_answer(), within the call or later.
	 */
	void (*request)(struct control_client *client, char *line, void *arg);
	/* The connection is over: the owner frees the client in this call. */
	void (*closed)(struct control_client *client, void *arg);
};

/* Takes fd (non-blocking).  The limits (all set) and the calls are borrowed until it is freed. */
struct control_client *control_client_new(struct event_base *base, int fd,
    const struct control_limits *limits, const struct control_client_calls *calls, void *arg);

/* Sends what goes out at once, and closes.  Sets the pointer to NULL. */
void control_client_free(struct control_client **client);

/* Takes the reference of answer. */
void control_client_answer(struct control_client *client, json_t *answer);

/*
 * An answer too long for one piece: text as it goes out, the JSON of one line in the end.  more()
 * is called in a later turn when there is room for the next part, that is when no more than
 * output_high octets are unread; never when the client is freed before.
 */
void control_client_answer_part(struct control_client *client, const char *text, size_t len,
    void (*more)(void *arg), void *arg);

/* The last part, without the line end: the request is answered. */
void control_client_answer_end(struct control_client *client, const char *text, size_t len);

/*
 * From now on there may be lines that nobody asked for, and the client may be silent for as long as
 * it likes.  Its requests are still served.
 */
void control_client_watch(struct control_client *client);
bool control_client_is_watching(const struct control_client *client);

/*
 * Such a line (JSON, without its end), never in the middle of an answer.  When more than output_max
 * octets are unread the client is told so in its place, and let go in a later turn.
 */
void control_client_push(struct control_client *client, const char *line, size_t len);

/* Answers {"ok":false,"error":text}, takes no more requests, and closes when that is sent. */
void control_client_refuse(struct control_client *client, const char *text);

/* Borrowed: to ask the kernel who it is. */
int control_client_fd(const struct control_client *client);

/* {"ok":false,"error":text} and {"ok":true}, new references.  The text is made UTF-8 if need be. */
json_t *control_client_error(const char *text);
json_t *control_client_ok(void);

/* A string of any octets: what is not UTF-8 is escaped; NULL is null.  A new reference. */
json_t *control_client_text(const char *text);

#endif
