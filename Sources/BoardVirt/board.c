#include "FirmwareStart.h"

RT_IDENTITY("virt");

/* The test device of -M virt: 0x7777 resets the machine. */
void rt_reset(void) {
    *(volatile uint32_t *)0x100000 = 0x7777;
    for (;;) {}
}

#define MTIME ((volatile uint32_t *)0x0200BFF8)
#define MTIMECMP ((volatile uint32_t *)0x02004000)

/* 10 MHz: half a millisecond. */
void rt_board_next_tick(void) {
    uint32_t low = MTIME[0], high = MTIME[1];
    uint32_t next = low + 5000;
    MTIMECMP[1] = 0xFFFFFFFF;
    MTIMECMP[0] = next;
    MTIMECMP[1] = high + (next < low);
}

void rt_board_start_timer(void) {
    rt_board_next_tick();
    __asm__ volatile("csrs mie, %0" ::"r"(1 << 7));
}

void rt_pause(void) {
    for (volatile int i = 0; i < 400; i++) {}
}
