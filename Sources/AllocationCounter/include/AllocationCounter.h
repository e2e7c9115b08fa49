#pragma once
#include <stdint.h>

// Counts the allocations of the process it is in: linked into a program, or loaded before the C library with LD_PRELOAD.
//
// Preloaded, it counts into the first 8 bytes of the file that ALLOCATION_COUNTER names, so that another process can watch.
uint64_t allocation_count(void);
