#include "FirmwareStart.h"

/* Survives a reset: start.S clears only .bss. After power-on its content is chance, so it carries a mark and a sum. */
__attribute__((section(".noinit"))) static struct rt_stop last;

#define MARK 0x53544F50u

static uint32_t sum(const struct rt_stop *s) {
    return s->mark ^ s->kind ^ s->cause ^ s->address ^ s->value ^ 0x5bd1e995u;
}

static _Noreturn void end(uint32_t kind, uint32_t cause, uint32_t address, uint32_t value) {
    last.mark = MARK;
    last.kind = kind;
    last.cause = cause;
    last.address = address;
    last.value = value;
    last.sum = sum(&last);
    rt_reset();
}

/* A Swift precondition (overflow, index) is an illegal instruction: cause 2, address in the image's map. */
_Noreturn void rt_trap(uint32_t cause, uint32_t address, uint32_t value) { end(RT_TRAP, cause, address, value); }

_Noreturn void rt_restart(void) { end(RT_PLANNED, 0, 0, 0); }

int rt_take_stop(struct rt_stop *out) {
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
