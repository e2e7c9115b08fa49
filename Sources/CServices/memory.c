#define _GNU_SOURCE
#include "CServices.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

void packbridge_bound_memory(void) {
    // Each thread would get an arena of its own, and keep what a moment of many streams needed.
    mallopt(M_ARENA_MAX, 2);
    // Fixed, or the library raises them by itself: an answer of some megabytes goes back when it is sent.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 512 * 1024);
}

// The code of the program itself, which comes first: what only the start needed would stay mapped. What is needed again comes from the
// system's cache. Nothing was ever written there.
static int unmap_code(struct dl_phdr_info *program, size_t size, void *context) {
    (void)size, (void)context;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &program->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) || !(part->p_flags & PF_X)) continue;
        uintptr_t start = (program->dlpi_addr + part->p_vaddr) & ~(page - 1);
        madvise((void *)start, program->dlpi_addr + part->p_vaddr + part->p_memsz - start, MADV_DONTNEED);
    }
    return 1;
}

void packbridge_return_memory(void) {
    malloc_trim(0);
    dl_iterate_phdr(unmap_code, NULL);
}
