#include "fuzz.h"

#include "proto/pop3.h"

#include <stdlib.h>
#include <string.h>

static void
check_list(const char *line)
{
	struct pop3_listing_item item;

	if (!pop3_parse_list(line, &item))
		return;
	CHECK(item.number > 0 && item.uid == NULL);
	CHECK(strtoull(line, NULL, 10) == item.number);
}

static void
check_uidl(const char *line, size_t len)
{
	struct pop3_listing_item item;

	if (!pop3_parse_uidl(line, &item))
		return;
	CHECK(item.number > 0 && item.uid_len <= POP3_UID_LIMIT);
	CHECK(item.uid > line && item.uid + item.uid_len <= line + len);
	if (item.uid_len == 0)
		return;
	CHECK(item.uid[0] != ' ' && item.uid[item.uid_len - 1] != ' ');
	for (size_t i = 0; i < item.uid_len; i++)
		CHECK((unsigned char)item.uid[i] >= 0x20 && item.uid[i] != 0x7f);
}

/* Each line of the input is a line of a listing. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *all = strndup((const char *)data, size), *rest = all, *line;

	CHECK(all != NULL);
	while ((line = strsep(&rest, "\n")) != NULL) {
		check_list(line);
		check_uidl(line, strlen(line));
	}
	free(all);
	return 0;
}
