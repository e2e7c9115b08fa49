#include "BoardESP.h"
#include "FirmwareStart.h"

/* Addresses of the mask ROMs and of the interrupt controllers: ESP-IDF, components/esp_rom/<chip>/ld and components/soc/<chip>. */
#ifdef ESP32C6
RT_IDENTITY("esp32c6");
#define ROM_ERASE 0x40000144
#define ROM_WRITE 0x4000014c
#define ROM_READ 0x40000150
#define ROM_UNLOCK 0x40000154
#define SYSTIMER 0x6000A000
#define MAP_SYSTIMER 0x600100E4
#define INT_ENABLE 0x20001000
#define INT_PRIORITY_1 0x20001014
#define INT_THRESHOLD 0x20001090
#else
RT_IDENTITY("esp32c3");
#define ROM_ERASE 0x40000128
#define ROM_WRITE 0x4000012c
#define ROM_READ 0x40000130
#define ROM_UNLOCK 0x40000140
#define SYSTIMER 0x60023000
#define MAP_SYSTIMER 0x600C2094
#define INT_ENABLE 0x600C2104
#define INT_PRIORITY_1 0x600C2118
#define INT_THRESHOLD 0x600C2194
#endif
#define ROM_RESET_REASON 0x40000018
#define ROM_SOFTWARE_RESET 0x40000090

#define REG(address) (*(volatile uint32_t *)(address))

_Noreturn void rt_reset(void) {
    ((void (*)(void))ROM_SOFTWARE_RESET)();
    for (;;) {}
}

uint32_t board_reset_reason(void) { return ((uint32_t (*)(int))ROM_RESET_REASON)(0); }

void rt_pause(void) {}

/* The tick: comparator 0 of the system timer, 16 MHz, each half millisecond, on line 1 of the processor. */
void rt_board_next_tick(void) { REG(SYSTIMER + 0x6C) = 1; }

void rt_board_start_timer(void) {
    REG(SYSTIMER + 0x34) = 8000;
    REG(SYSTIMER + 0x50) = 1;
    REG(SYSTIMER + 0x34) = 8000 | 1u << 30;
    REG(SYSTIMER + 0x00) |= 1u << 24;
    REG(SYSTIMER + 0x6C) = 1;
    REG(SYSTIMER + 0x64) |= 1;
    REG(MAP_SYSTIMER) = 1;
    REG(INT_PRIORITY_1) = 15;
    REG(INT_THRESHOLD) = 1;
    REG(INT_ENABLE) |= 1u << 1;
#ifdef ESP32C6
    __asm__ volatile("csrs mie, %0" ::"r"(1 << 1));
#endif
}

/* Flash. Everything runs from RAM, so that nothing has to be thought of while the chip is busy. */
static uint32_t block[16];
static uint32_t block_address = 0xFFFFFFFF;

uint8_t board_flash_byte(uint32_t address) {
    if ((address & ~63u) != block_address) {
        block_address = address & ~63u;
        if (((int (*)(uint32_t, uint32_t *, int32_t))ROM_READ)(block_address, block, sizeof block) != 0) {
            block_address = 0xFFFFFFFF;
            return 0xFF;
        }
    }
    return ((const uint8_t *)block)[address & 63];
}

static int unlock(void) {
    block_address = 0xFFFFFFFF;
    return ((int (*)(void))ROM_UNLOCK)() == 0;
}

int board_flash_erase(uint32_t sector) { return unlock() && ((int (*)(uint32_t))ROM_ERASE)(sector) == 0; }

int board_flash_write(uint32_t address, const uint8_t *bytes, uint32_t count) {
    uint32_t words[4];
    if (!unlock()) return 0;
    for (uint32_t done = 0; done < count; done += sizeof words) {
        uint32_t piece = count - done < sizeof words ? count - done : sizeof words;
        for (uint32_t i = 0; i < piece; i++) ((uint8_t *)words)[i] = bytes[done + i];
        if (((int (*)(uint32_t, const uint32_t *, int32_t))ROM_WRITE)(address + done, words, (int32_t)piece) != 0) return 0;
    }
    return 1;
}
