#include "Runtime.h"

#include <stddef.h>
#include <stdint.h>

// Compiled with -fno-builtin, so that the loops are not turned into calls of the very functions they define.

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((((uintptr_t)target | (uintptr_t)source) & 3) == 0)
        for (; count >= 4; count -= 4, target += 4, source += 4) *(uint32_t *)target = *(const uint32_t *)source;
    while (count--) *target++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if (target <= source || target >= source + count) {
        for (size_t i = 0; i < count; i++) target[i] = source[i];
    } else {
        while (count--) target[count] = source[count];
    }
    return to;
}

void *memset(void *block, int value, size_t count) {
    uint8_t *target = block;
    while (count--) *target++ = (uint8_t)value;
    return block;
}

int memcmp(const void *a, const void *b, size_t count) {
    const uint8_t *x = a, *y = b;
    for (; count; count--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
