#include "ProbeBoard.h"

static volatile uint32_t port;

uint32_t probe_read(void) { return port; }
void probe_write(uint32_t word) { port = word; }
