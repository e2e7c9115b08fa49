#pragma once
// Start-up and traps of every board: what runs before the first line of Swift and after the last.
#include <stdint.h>

// From the linker script of the board.
extern char __stack_top[], __stack_bottom[];

/// What stopped the run before this one.
struct rt_trap_record {
    uint32_t mark, cause, address, value, sum;
};

/// Bytes of stack that were used at most since the start.
uint32_t rt_stack_used(void);

/// Hands out the record of the last trap once; 0 when the last run did not end in a trap.
int rt_take_trap(struct rt_trap_record *out);

/// Restarts the board. Each board has its own.
_Noreturn void rt_reset(void);
