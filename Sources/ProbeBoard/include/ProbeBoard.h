#pragma once
#include <stdint.h>

// The outside world of the link probes. Defined in another object file, so that the optimiser can neither foresee what
// comes in nor drop what goes out.
uint32_t probe_read(void);
void probe_write(uint32_t word);
