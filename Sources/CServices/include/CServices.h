// What Swift cannot call itself: the system's password hashing (libxcrypt).
#ifndef PACKBRIDGE_CSERVICES_H
#define PACKBRIDGE_CSERVICES_H

#include <stdbool.h>
#include <stddef.h>

/// Hashes `password` with a fresh random salt by yescrypt, at `cost` 1...11 (5 needs 16 MiB). Writes a terminated string.
bool packbridge_hash_password(const char *password, unsigned cost, char *into, size_t capacity);

/// True when `password` belongs to `hash`. Takes the same time wherever a difference lies.
bool packbridge_password_matches(const char *password, const char *hash);

#endif
