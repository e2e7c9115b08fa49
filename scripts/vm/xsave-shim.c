// Lets User-Mode Linux 6.1 start on processors with AMX. It keeps 2696 bytes of XSAVE state; where the processor's area is larger
// (11008 bytes with AMX), PTRACE_SETREGSET with that short buffer fails with EFAULT and init dies. Widens the buffer and drops the
// AMX bits. On other processors it changes nothing.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEKTEXT = 1, PEEKUSER = 3, SETREGSET = 0x4205, XSTATE_HEADER = 512, KEPT_STATES = 0x2ff };

long ptrace(int request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    long pid = va_arg(arguments, int), address = va_arg(arguments, long), data = va_arg(arguments, long);
    va_end(arguments);
    if (request == SETREGSET && address == NT_X86_XSTATE) {
        static unsigned char wide[32768] __attribute__((aligned(64)));
        struct iovec *given = (struct iovec *)data, widened = { wide, sizeof wide };
        size_t count = given->iov_len < sizeof wide ? given->iov_len : sizeof wide;
        uint64_t states;
        memcpy(wide, given->iov_base, count);
        memset(wide + count, 0, sizeof wide - count);
        memcpy(&states, wide + XSTATE_HEADER, sizeof states);
        states &= KEPT_STATES;
        memcpy(wide + XSTATE_HEADER, &states, sizeof states);
        return syscall(SYS_ptrace, request, pid, address, &widened);
    }
    if (request >= PEEKTEXT && request <= PEEKUSER) { // the C library returns the word, the system call stores it
        long word;
        if (syscall(SYS_ptrace, request, pid, address, &word) < 0) return -1;
        errno = 0;
        return word;
    }
    return syscall(SYS_ptrace, request, pid, address, data);
}
