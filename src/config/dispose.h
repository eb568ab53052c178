#ifndef POSTRIDER_CONFIG_DISPOSE_H
#define POSTRIDER_CONFIG_DISPOSE_H

#include "config/config.h"

/*
 * Each releases what it points to, overwrites secrets first, and sets the pointer to NULL; NULL
 * inside is fine, and so is what was read only in part.
 */
void dispose_pop3(struct pop3_config **pop3);
void dispose_smtp(struct smtp_config **smtp);
void dispose_config(struct config **config);

#endif
