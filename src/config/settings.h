#ifndef POSTRIDER_CONFIG_SETTINGS_H
#define POSTRIDER_CONFIG_SETTINGS_H

#include "config/reader.h"

struct config;

/*
 * The settings of the whole file, one reference, to dispose_config(): useful only when no fault
 * was found.  root is the top group; file is its name as it was given.
 */
struct config *settings_read(struct reader *reader, config_setting_t *root, const char *file);

#endif
