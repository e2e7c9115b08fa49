#include "FirmwareStart.h"

static void (*on_tick)(void *);
static void *context;

void rt_start_ticking(void (*tick)(void *), void *with) {
    on_tick = tick;
    context = with;
    rt_board_start_timer();
    rt_release_ticks();
}

void rt_interrupt(void) {
    rt_board_next_tick();
    on_tick(context);
}

/* Bit 3 of mstatus: interrupts on. */
void rt_hold_ticks(void) { __asm__ volatile("csrci mstatus, 8" ::: "memory"); }
void rt_release_ticks(void) { __asm__ volatile("csrsi mstatus, 8" ::: "memory"); }
