#include "CServices.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

bool packbridge_hash_password(const char *password, unsigned cost, char *into, size_t capacity) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    // Without bytes of our own libxcrypt takes them from the kernel.
    if (!crypt_gensalt_rn("$y$", cost, NULL, 0, setting, sizeof setting)) return false;
    struct crypt_data *data = calloc(1, sizeof *data);
    if (!data) return false;
    const char *hash = crypt_r(password, setting, data);
    // A failure is told by a string that begins with an asterisk.
    bool good = hash && hash[0] == '$' && strlen(hash) < capacity;
    if (good) strcpy(into, hash);
    explicit_bzero(data, sizeof *data);
    free(data);
    return good;
}

bool packbridge_password_matches(const char *password, const char *hash) {
    if (hash[0] != '$') return false;
    struct crypt_data *data = calloc(1, sizeof *data);
    if (!data) return false;
    const char *found = crypt_r(password, hash, data);
    size_t length = strlen(hash);
    bool same = found && found[0] == '$' && strlen(found) == length;
    if (same) {
        unsigned char difference = 0;
        for (size_t i = 0; i < length; i++) difference |= (unsigned char)(found[i] ^ hash[i]);
        same = difference == 0;
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return same;
}
