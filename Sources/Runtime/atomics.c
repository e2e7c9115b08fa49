#include <stdint.h>

// The ESP32-C3 has no atomic instructions, and the compiler turns Swift's volatile access of 32 bits into these calls. One aligned
// access is indivisible there, and there is one core.
#ifndef __riscv_atomic
uint32_t load(const volatile uint32_t *from, int order) __asm__("__atomic_load_4");
uint32_t load(const volatile uint32_t *from, int order) { return (void)order, *from; }

void store(volatile uint32_t *to, uint32_t value, int order) __asm__("__atomic_store_4");
void store(volatile uint32_t *to, uint32_t value, int order) { (void)order, *to = value; }
#endif
