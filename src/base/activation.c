#include "base/activation.h"

#ifdef HAVE_SYSTEMD

#include "base/log.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static void
refuse(int fd, const char *name)
{
	char shown[128];

	log_warning("the service manager hands over a socket named \"%s\": nothing here serves it, "
		    "or it is the second of that name; see FileDescriptorName= of its unit",
	    str_escape(shown, sizeof shown, name, strlen(name)));
	close(fd);
}

int
activation_take(const char *name)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	int taken = -1;

	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (taken < 0 && strcmp(names[i], name) == 0)
			taken = fd;
		else
			refuse(fd, names[i]);
		free(names[i]);
	}
	free(names);
	return taken;
}

#else

int
activation_take(const char *name)
{
	(void)name;
	return -1;
}

#endif
