// What Swift cannot call itself: the system's password hashing (libxcrypt) and the bounds of its memory.
#ifndef PACKBRIDGE_CSERVICES_H
#define PACKBRIDGE_CSERVICES_H

#include <stdbool.h>
#include <stddef.h>

/// Hashes `password` with a fresh random salt by yescrypt, at `cost` 1...11 (5 needs 16 MiB). Writes a terminated string.
bool packbridge_hash_password(const char *password, unsigned cost, char *into, size_t capacity);

/// Keeps the C library from holding on to more memory than is in use. To be called once, before the first thread.
void packbridge_bound_memory(void);

/// Gives unused pages back to the system, and those of code that is not in use. Takes some tenths of a millisecond.
void packbridge_return_memory(void);

/// True when `password` belongs to `hash`. Takes the same time wherever a difference lies.
bool packbridge_password_matches(const char *password, const char *hash);

#endif
