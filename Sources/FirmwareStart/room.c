#include "FirmwareStart.h"

/* Swift knows no memory on the stack that is not the value of a variable, and makes such a value elsewhere before it puts it there. */
void rt_with_room(uint32_t size, void (*body)(void *room, void *context), void *context) {
    uint64_t room[(size + 7) / 8];
    for (uint32_t i = 0; i < (size + 7) / 8; i++) room[i] = 0;
    body(room, context);
}
