#ifndef POSTRIDER_TESTS_FUZZ_H
#define POSTRIDER_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry; run_seeds.c calls it as well. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the process in every build, where assert(3) may be compiled away. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

#endif
