#pragma once
// The C functions that compiled Swift and C code call on a bare riscv32: memory blocks and 64-bit arithmetic, for which the
// toolchain has no library there. There is deliberately no allocator: an allocation in the core is a link error.
