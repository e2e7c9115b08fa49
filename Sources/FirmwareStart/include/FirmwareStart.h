#pragma once
// Start-up and traps of every board: what runs before the first line of Swift and after the last.
#include <stdint.h>

// From the linker script of the board.
extern char __stack_top[], __stack_bottom[];

enum { RT_PLANNED = 1, RT_TRAP = 2 };

/// How the run before this one ended, when it ended itself.
struct rt_stop {
    uint32_t mark, kind, cause, address, value, sum;
};

/// Bytes of stack that were used at most since the start.
uint32_t rt_stack_used(void);

/// Calls `body` with so much of the stack, cleared.
void rt_with_room(uint32_t size, void (*body)(void *room, void *context), void *context);

/// Hands out once how the last run ended; 0 when it did not end itself: power, watchdog, reset button.
int rt_take_stop(struct rt_stop *out);

/// Notes that this is planned and restarts.
_Noreturn void rt_restart(void);

/// Calls `tick` with `context` each half millisecond, in between whatever else is done. It must be short.
void rt_start_ticking(void (*tick)(void *), void *context);

/// Around what the tick must not see half done.
void rt_hold_ticks(void);
void rt_release_ticks(void);

/// Each board has its own: the first tick, and the next one after a tick.
void rt_board_start_timer(void);
void rt_board_next_tick(void);

/// Some 100 microseconds of nothing.
void rt_pause(void);

/// Restarts the board. Each board has its own.
_Noreturn void rt_reset(void);

/// What an image says about itself to `packbridge firmware info`. The revision is an absolute symbol of the linker's command line.
struct rt_identity {
    char mark[20];
    uint32_t revision;
    char board[16];
};

#define RT_IDENTITY(name)                                                                              \
    extern const char packbridge_revision[];                                                           \
    __attribute__((section(".identity"), used)) const struct rt_identity rt_identity = {                \
        "PackBridge firmware", (uint32_t)packbridge_revision, name}
