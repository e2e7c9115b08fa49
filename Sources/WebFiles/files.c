// Every file of Sources/Services/Web that the server hands out. One block and one line of the table for each.
#include "WebFiles.h"

// `#embed` is C23; clang has it in every mode and would warn.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "../Services/Web/index.html"
};

static const unsigned char openapi_yaml[] = {
#embed "../../docs/openapi.yaml"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const packbridge_web_file files[] = {
    FILE("index.html", index_html),
    FILE("api/v1/openapi.yaml", openapi_yaml),
};

size_t packbridge_web_file_count(void) { return sizeof files / sizeof files[0]; }

packbridge_web_file packbridge_web_file_at(size_t index) { return files[index]; }
