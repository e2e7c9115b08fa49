// Prologues and epilogues that all functions share (-msave-restore): register s0 and so on are saved here, and t0 is the way back.
// The names and the frame are those of the RISC-V toolchain conventions; 16-byte frames keep the stack aligned.
    .macro ENTRY name
    .globl \name
    .type \name, @function
\name:
    .endm

    .section .text.riscv_save, "ax", @progbits
    .align 1
ENTRY __riscv_save_12
    addi sp, sp, -64
    mv t1, zero
    sw s11, 12(sp)
    j .Lsave_11_8
ENTRY __riscv_save_11
ENTRY __riscv_save_10
ENTRY __riscv_save_9
ENTRY __riscv_save_8
    addi sp, sp, -64
    li t1, 16
.Lsave_11_8:
    sw s10, 16(sp)
    sw s9, 20(sp)
    sw s8, 24(sp)
    sw s7, 28(sp)
    j .Lsave_7_4
ENTRY __riscv_save_7
ENTRY __riscv_save_6
ENTRY __riscv_save_5
ENTRY __riscv_save_4
    addi sp, sp, -64
    li t1, 32
.Lsave_7_4:
    sw s6, 32(sp)
    sw s5, 36(sp)
    sw s4, 40(sp)
    sw s3, 44(sp)
    sw s2, 48(sp)
    sw s1, 52(sp)
    sw s0, 56(sp)
    sw ra, 60(sp)
    add sp, sp, t1
    jr t0
ENTRY __riscv_save_3
ENTRY __riscv_save_2
ENTRY __riscv_save_1
ENTRY __riscv_save_0
    addi sp, sp, -16
    sw s2, 0(sp)
    sw s1, 4(sp)
    sw s0, 8(sp)
    sw ra, 12(sp)
    jr t0

    .section .text.riscv_restore, "ax", @progbits
    .align 1
ENTRY __riscv_restore_12
    lw s11, 12(sp)
    addi sp, sp, 16
ENTRY __riscv_restore_11
ENTRY __riscv_restore_10
ENTRY __riscv_restore_9
ENTRY __riscv_restore_8
    lw s10, 0(sp)
    lw s9, 4(sp)
    lw s8, 8(sp)
    lw s7, 12(sp)
    addi sp, sp, 16
ENTRY __riscv_restore_7
ENTRY __riscv_restore_6
ENTRY __riscv_restore_5
ENTRY __riscv_restore_4
    lw s6, 0(sp)
    lw s5, 4(sp)
    lw s4, 8(sp)
    lw s3, 12(sp)
    addi sp, sp, 16
ENTRY __riscv_restore_3
ENTRY __riscv_restore_2
ENTRY __riscv_restore_1
ENTRY __riscv_restore_0
    lw s2, 0(sp)
    lw s1, 4(sp)
    lw s0, 8(sp)
    lw ra, 12(sp)
    addi sp, sp, 16
    ret
