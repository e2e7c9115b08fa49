// The files of the web page, inside the binary.
#ifndef PACKBRIDGE_WEB_FILES_H
#define PACKBRIDGE_WEB_FILES_H

#include <stddef.h>

typedef struct {
    /// The path under which it is served, without the slash in front.
    const char *name;
    const unsigned char *bytes;
    size_t size;
} packbridge_web_file;

size_t packbridge_web_file_count(void);
packbridge_web_file packbridge_web_file_at(size_t index);

#endif
