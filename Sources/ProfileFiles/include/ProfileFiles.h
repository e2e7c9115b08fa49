// The profiles of inverters, inside the binary.
#ifndef PACKBRIDGE_PROFILE_FILES_H
#define PACKBRIDGE_PROFILE_FILES_H

#include <stddef.h>

typedef struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
} packbridge_profile_file;

size_t packbridge_profile_file_count(void);
packbridge_profile_file packbridge_profile_file_at(size_t index);

#endif
