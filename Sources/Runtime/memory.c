#include "Runtime.h"

#include <stddef.h>
#include <stdint.h>

// Compiled with -fno-builtin, so that the loops are not turned into calls of the very functions they define.

// Eight words at a time: the state of the bridge is copied and cleared in pieces of some hundred bytes.
#define WORDS(statement) statement statement statement statement statement statement statement statement

static int are_words(const void *a, const void *b) { return (((uintptr_t)a | (uintptr_t)b) & 3) == 0; }

// Upwards, so that a block may overlap the place below it.
static void *copy(void *to, const void *from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if (are_words(to, from)) {
        uint32_t *words = to;
        const uint32_t *first = from;
        for (; count >= 32; count -= 32) { WORDS(*words++ = *first++;) }
        for (; count >= 4; count -= 4) *words++ = *first++;
        target = (uint8_t *)words;
        source = (const uint8_t *)first;
    }
    while (count--) *target++ = *source++;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) { return copy(to, from, count); }

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if (target <= source || target >= source + count) return copy(to, from, count);
    while (count--) target[count] = source[count];
    return to;
}

void *memset(void *block, int value, size_t count) {
    uint8_t *target = block;
    if (are_words(block, block)) {
        uint32_t *words = block;
        uint32_t word = (uint8_t)value * 0x01010101u;
        for (; count >= 32; count -= 32) { WORDS(*words++ = word;) }
        for (; count >= 4; count -= 4) *words++ = word;
        target = (uint8_t *)words;
    }
    while (count--) *target++ = (uint8_t)value;
    return block;
}

int memcmp(const void *a, const void *b, size_t count) {
    const uint8_t *x = a, *y = b;
    for (; count; count--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
