/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files, or over all files of folders, without libFuzzer: what was once found stays found.
 * Exits with 1 when a file cannot be read or when there was none. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

/* The input has memory of exactly its size: a look beyond it is seen by AddressSanitizer. */
static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat status;

	if (!file || fstat(fileno(file), &status) < 0) {
		perror(path);
		exit(1);
	}
	size_t size = (size_t)status.st_size;
	uint8_t *data = malloc(size > 0 ? size : 1);
	if (!data || fread(data, 1, size, file) != size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_visible, alphasort);
	char path[4096];

	if (count < 0) {
		perror(folder);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		run_file(path);
		free(entries[i]);
	}
	free(entries);
	return count;
}

int main(int argc, char **argv)
{
	struct stat status;
	int count = 0;

	for (int i = 1; i < argc; i++) {
		bool folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
		count += folder ? run_folder(argv[i]) : run_file(argv[i]);
	}
	printf("%d files\n", count);
	return count > 0 ? 0 : 1;
}
