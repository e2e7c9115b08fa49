#include "FirmwareStart.h"

/* Survives a reset: start.S clears only .bss. After power-on its content is chance, so it carries a mark and a sum. */
__attribute__((section(".noinit"))) static struct rt_trap_record last;

#define MARK 0x54524150u

static uint32_t sum(const struct rt_trap_record *r) {
    return r->mark ^ r->cause ^ r->address ^ r->value ^ 0x5bd1e995u;
}

/* A Swift precondition (overflow, index) is an illegal instruction: cause 2, address in the image's map. */
void rt_trap(uint32_t cause, uint32_t address, uint32_t value) {
    last.mark = MARK;
    last.cause = cause;
    last.address = address;
    last.value = value;
    last.sum = sum(&last);
    rt_reset();
}

int rt_take_trap(struct rt_trap_record *out) {
    int valid = last.mark == MARK && last.sum == sum(&last);
    if (valid) *out = last;
    last.mark = 0;
    return valid;
}

uint32_t rt_stack_used(void) {
    const uint32_t *p = (const uint32_t *)__stack_bottom;
    while (*p == 0xdeadbeef) p++;
    return (uint32_t)(__stack_top - (const char *)p);
}
