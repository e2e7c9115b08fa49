#pragma once
// What the mask ROM of the ESP32-C3 and ESP32-C6 does for the firmware.
#include <stdint.h>

/// One byte of the flash chip, read in blocks.
uint8_t board_flash_byte(uint32_t address);
/// Both return 0 when the chip refuses.
int board_flash_erase(uint32_t sector);
int board_flash_write(uint32_t address, const uint8_t *bytes, uint32_t count);

/// The ROM's number for why the chip started.
uint32_t board_reset_reason(void);
