#ifndef POSTRIDER_CONFIG_ACCOUNTS_H
#define POSTRIDER_CONFIG_ACCOUNTS_H

#include "config/config.h"
#include "config/reader.h"

/* Reads "defaults" and "accounts" of the file's top group into the settings. */
void accounts_read(struct reader *reader, config_setting_t *root, struct config *config);

/*
 * Looks for what two accounts must not share: name, default, an address, a Maildir, a mailbox on a
 * server.  For settings that accounts_read() has read from the same group.
 */
void accounts_compare(struct reader *reader, config_setting_t *root, const struct config *config);

#endif
