#include "Runtime.h"

#include <stdint.h>

// 64-bit shifts, division and remainder for a 32-bit processor, under the names that the compiler calls.

typedef union {
    uint64_t whole;
    struct {
        uint32_t low, high;
    };
} Halves;

uint64_t __ashldi3(uint64_t value, int count) {
    Halves v = {value}, r = {0};
    if (count == 0) return value;
    if (count >= 32) {
        r.high = v.low << (count - 32);
    } else {
        r.low = v.low << count;
        r.high = (v.high << count) | (v.low >> (32 - count));
    }
    return r.whole;
}

uint64_t __lshrdi3(uint64_t value, int count) {
    Halves v = {value}, r = {0};
    if (count == 0) return value;
    if (count >= 32) {
        r.low = v.high >> (count - 32);
    } else {
        r.high = v.high >> count;
        r.low = (v.low >> count) | (v.high << (32 - count));
    }
    return r.whole;
}

int64_t __ashrdi3(int64_t value, int count) {
    Halves v = {(uint64_t)value}, r = {0};
    int32_t high = (int32_t)v.high;
    if (count == 0) return value;
    if (count >= 32) {
        r.low = (uint32_t)(high >> (count - 32));
        r.high = (uint32_t)(high >> 31);
    } else {
        r.high = (uint32_t)(high >> count);
        r.low = (v.low >> count) | (v.high << (32 - count));
    }
    return (int64_t)r.whole;
}

// Long division, one bit at a time; both operands within 32 bits take the processor's own instruction.
static uint64_t divide(uint64_t dividend, uint64_t divisor, uint64_t *remainder) {
    Halves a = {dividend}, d = {divisor}, quotient = {0}, rest = {0};
    if (a.high == 0 && d.high == 0) {
        *remainder = a.low % d.low;
        return a.low / d.low;
    }
    int bit = 63;
    while (bit >= 32 && !(a.high >> (bit - 32))) bit--;
    for (; bit >= 0; bit--) {
        uint32_t next = bit >= 32 ? (a.high >> (bit - 32)) & 1 : (a.low >> bit) & 1;
        uint32_t carry = rest.high >> 31;
        rest.high = (rest.high << 1) | (rest.low >> 31);
        rest.low = (rest.low << 1) | next;
        if (carry || rest.whole >= divisor) {
            rest.whole -= divisor;
            if (bit >= 32)
                quotient.high |= 1u << (bit - 32);
            else
                quotient.low |= 1u << bit;
        }
    }
    *remainder = rest.whole;
    return quotient.whole;
}

static uint64_t magnitude(int64_t value) { return value < 0 ? 0 - (uint64_t)value : (uint64_t)value; }

uint64_t __udivdi3(uint64_t a, uint64_t b) {
    uint64_t remainder;
    return divide(a, b, &remainder);
}

uint64_t __umoddi3(uint64_t a, uint64_t b) {
    uint64_t remainder;
    divide(a, b, &remainder);
    return remainder;
}

int64_t __divdi3(int64_t a, int64_t b) {
    uint64_t remainder, quotient = divide(magnitude(a), magnitude(b), &remainder);
    return (int64_t)((a < 0) != (b < 0) ? 0 - quotient : quotient);
}

int64_t __moddi3(int64_t a, int64_t b) {
    uint64_t remainder;
    divide(magnitude(a), magnitude(b), &remainder);
    return (int64_t)(a < 0 ? 0 - remainder : remainder);
}
