#include "proto/smtp_data.h"

#include <string.h>

void
smtp_data_init(struct smtp_data *data, bool stuffs)
{
	*data = (struct smtp_data){.stuffs = stuffs};
}

/* Octets of one line, without CR and LF. */
static char *
put_text(struct smtp_data *data, const char *in, size_t len, char *out)
{
	if (len == 0)
		return out;
	if (data->stuffs && data->line == 0 && *in == '.')
		*out++ = '.';
	memcpy(out, in, len);
	data->line += len;
	data->octets += len;
	if (data->line > data->longest)
		data->longest = data->line;
	return out + len;
}

static char *
put_line_end(struct smtp_data *data, char *out)
{
	*out++ = '\r';
	*out++ = '\n';
	data->line = 0;
	data->octets += 2;
	return out;
}

/* What is there of one line, less every CR. */
static char *
put_without_cr(struct smtp_data *data, const char *p, const char *end, char *out)
{
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));

		if (cr == NULL)
			return put_text(data, p, (size_t)(end - p), out);
		out = put_text(data, p, (size_t)(cr - p), out);
		p = cr + 1;
	}
	return out;
}

size_t
smtp_data_encode(struct smtp_data *data, const char *in, size_t len, char *out)
{
	const char *p = in, *end = in + len;
	char *o = out;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		o = put_without_cr(data, p, lf != NULL ? lf : end, o);
		if (lf == NULL)
			break;
		o = put_line_end(data, o);
		p = lf + 1;
	}
	return (size_t)(o - out);
}

size_t
smtp_data_end(struct smtp_data *data, char out[SMTP_DATA_END_SIZE])
{
	char *o = out;

	if (data->line > 0)
		o = put_line_end(data, o);
	if (data->stuffs) {
		memcpy(o, ".\r\n", 3);
		o += 3;
	}
	return (size_t)(o - out);
}
