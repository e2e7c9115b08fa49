#include "CServices.h"

#include <malloc.h>

void packbridge_bound_memory(void) {
    // Each thread would get an arena of its own, and keep what a moment of many streams needed.
    mallopt(M_ARENA_MAX, 2);
    // Fixed, or the library raises them by itself: an answer of some megabytes goes back when it is sent.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 512 * 1024);
}

void packbridge_return_memory(void) { malloc_trim(0); }
