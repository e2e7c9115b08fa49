/* First instructions of every board: stack, trap vector, painted stack, cleared variables, main. */
    .section .text.start, "ax"
    .globl _start
_start:
    la   sp, __stack_top
    la   t0, trap_entry
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

    .balign 256
trap_entry:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    la   sp, __stack_top
    call rt_trap
6:  j    6b
