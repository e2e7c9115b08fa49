/* First instructions of every board: stack, trap vector, painted stack, cleared variables, main. */
    .section .text.start, "ax"
    .globl _start
_start:
    la   sp, __stack_top
    la   t0, vectors
    ori  t0, t0, 1
    csrw mtvec, t0
    /* The paint lets the high-water mark be read (rt_stack_used). */
    la   t0, __stack_bottom
    li   t1, 0xdeadbeef
1:  bgeu t0, sp, 2f
    sw   t1, 0(t0)
    addi t0, t0, 4
    j    1b
2:  la   t0, __bss_start
    la   t1, __bss_end
3:  bgeu t0, t1, 4f
    sw   zero, 0(t0)
    addi t0, t0, 4
    j    3b
4:  li   a0, 0
    li   a1, 0
    call main
5:  j    5b

    /* One entry for each cause of an interrupt; exceptions take the first. The ESP32-C3 has no other way than a table. */
    .balign 256
    .option push
    .option norvc
vectors:
    .rept 32
    j    trap_entry
    .endr
    .option pop

trap_entry:
    addi sp, sp, -64
    sw   ra, 0(sp)
    sw   t0, 4(sp)
    sw   t1, 8(sp)
    sw   t2, 12(sp)
    sw   a0, 16(sp)
    sw   a1, 20(sp)
    sw   a2, 24(sp)
    sw   a3, 28(sp)
    sw   a4, 32(sp)
    sw   a5, 36(sp)
    sw   a6, 40(sp)
    sw   a7, 44(sp)
    sw   t3, 48(sp)
    sw   t4, 52(sp)
    sw   t5, 56(sp)
    sw   t6, 60(sp)
    csrr a0, mcause
    bgez a0, fault
    call rt_interrupt
    lw   ra, 0(sp)
    lw   t0, 4(sp)
    lw   t1, 8(sp)
    lw   t2, 12(sp)
    lw   a0, 16(sp)
    lw   a1, 20(sp)
    lw   a2, 24(sp)
    lw   a3, 28(sp)
    lw   a4, 32(sp)
    lw   a5, 36(sp)
    lw   a6, 40(sp)
    lw   a7, 44(sp)
    lw   t3, 48(sp)
    lw   t4, 52(sp)
    lw   t5, 56(sp)
    lw   t6, 60(sp)
    addi sp, sp, 64
    mret

fault:
    csrr a1, mepc
    csrr a2, mtval
    la   sp, __stack_top
    call rt_trap
6:  j    6b
