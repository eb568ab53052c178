#ifndef POSTRIDER_FETCH_FEATURES_H
#define POSTRIDER_FETCH_FEATURES_H

struct pop3_config;
struct poll_result;
struct record;

/*
 * Servers that cannot do what they say, or break when they are asked what they can: a session that
 * breaks on a feature (enum pop3_feature) is tried again at once without it.  When that one goes
 * well, the server lacks the feature for 30 days, or until settings have changed; when it fails
 * too, the feature was not to blame.
 *
 * Networks break more often than servers do: a feature that has worked is not suspected any more,
 * or, with pipelining, only from the third failure in a row on.  Going without CAPA can mean a
 * weaker login, and without UIDL messages that were only marked as seen would be fetched and
 * deleted.
 */

/* What the next session goes without; trial: what features_note() has put to the proof. */
unsigned features_without(
    const struct record *record, const struct pop3_config *config, unsigned trial);

/* "CAPA", "PIPELINING" ...; static. */
const char *features_name(unsigned feature);

enum features_step {
	FEATURES_SAME,
	FEATURES_CHANGED, /* the record has changed */
	FEATURES_TRIAL,   /* *trial was set: the session is to be held again, without that */
};

/*
 * A session without *trial has come to this result, which is not in the record yet.  *trial begins
 * as 0, and is the account's.
 */
enum features_step features_note(struct record *record, const char *account,
    const struct pop3_config *config, unsigned *trial, const struct poll_result *result);

#endif
