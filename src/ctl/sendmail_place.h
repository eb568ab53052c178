#ifndef POSTRIDER_CTL_SENDMAIL_PLACE_H
#define POSTRIDER_CTL_SENDMAIL_PLACE_H

struct config;

/* Where the spool is.  Owned; sendmail_place_clear() ends it. */
struct sendmail_place {
	char *spool;
	struct config *config; /* NULL: none could be read */
};

/*
 * The spool of the configuration named (NULL: of $POSTRIDER_CONFIG, the user's, the system's; the
 * first of them that can be read), else $POSTRIDER_SPOOL, else the compiled-in one.  The spool of a
 * configuration that is not the system's is created where it is missing, as the daemon would.
 * Returns EX_OK, or an exit code after saying on standard error what is wrong.
 */
int sendmail_place_find(struct sendmail_place *place, const char *config);
void sendmail_place_clear(struct sendmail_place *place);

#endif
