#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Stands in for libFuzzer in ordinary builds: gives the target each seed, and each beginning of a
 * seed.  Arguments are files and directories; without any, the directory of this target's seeds
 * below $SRCDIR.
 */
enum { SEED_MAX = 64 * 1024 };
enum { CUT_MAX = 4096 }; /* longer seeds are only given whole */

static int
run_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	CHECK(copy != NULL);
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 1;
}

static int
run_file(const char *path)
{
	static uint8_t data[SEED_MAX];
	FILE *file = fopen(path, "rb");
	size_t size;
	int count = 0;

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	size = fread(data, 1, sizeof data, file);
	fclose(file);
	count += run_copy(data, size);
	for (size_t cut = 0; size <= CUT_MAX && cut < size; cut++)
		count += run_copy(data, cut);
	return count;
}

static int run_path(const char *path);

static int
run_directory(const char *path, DIR *directory)
{
	struct dirent *entry;
	char name[4096];
	int count = 0;

	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		count += run_path(name);
	}
	closedir(directory);
	return count;
}

static int
run_path(const char *path)
{
	DIR *directory = opendir(path);

	return directory != NULL ? run_directory(path, directory) : run_file(path);
}

int
main(int argc, char **argv)
{
	const char *top = getenv("SRCDIR");
	char seeds[4096];
	int count = 0;

	snprintf(seeds, sizeof seeds, "%s/tests/fuzz/seeds/%s", top != NULL ? top : ".",
	    program_invocation_short_name);
	for (int i = 1; i < argc; i++)
		count += run_path(argv[i]);
	if (argc == 1)
		count = run_path(seeds);
	printf("%s: %d inputs\n", program_invocation_short_name, count);
	return count > 0 ? 0 : 1;
}
