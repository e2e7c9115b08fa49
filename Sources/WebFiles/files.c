// Every file of Sources/Services/Web that the server hands out. One block and one line of the table for each.
#include "WebFiles.h"

// `#embed` is C23; clang has it in every mode and would warn.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char app_js[] = {
#embed "../Services/Web/app.js"
};

static const unsigned char bus_js[] = {
#embed "../Services/Web/bus.js"
};

static const unsigned char chart_js[] = {
#embed "../Services/Web/chart.js"
};

static const unsigned char control_js[] = {
#embed "../Services/Web/control.js"
};

static const unsigned char de_json[] = {
#embed "../Services/Web/de.json"
};

static const unsigned char en_json[] = {
#embed "../Services/Web/en.json"
};

static const unsigned char events_js[] = {
#embed "../Services/Web/events.js"
};

static const unsigned char history_js[] = {
#embed "../Services/Web/history.js"
};

static const unsigned char icon_svg[] = {
#embed "../Services/Web/icon.svg"
};

static const unsigned char index_html[] = {
#embed "../Services/Web/index.html"
};

static const unsigned char overview_js[] = {
#embed "../Services/Web/overview.js"
};

static const unsigned char packs_js[] = {
#embed "../Services/Web/packs.js"
};

static const unsigned char sentences_js[] = {
#embed "../Services/Web/sentences.js"
};

static const unsigned char server_js[] = {
#embed "../Services/Web/server.js"
};

static const unsigned char style_css[] = {
#embed "../Services/Web/style.css"
};

static const unsigned char text_js[] = {
#embed "../Services/Web/text.js"
};

static const unsigned char theme_js[] = {
#embed "../Services/Web/theme.js"
};

static const unsigned char openapi_yaml[] = {
#embed "../../docs/openapi.yaml"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const packbridge_web_file files[] = {
    FILE("app.js", app_js),
    FILE("bus.js", bus_js),
    FILE("chart.js", chart_js),
    FILE("control.js", control_js),
    FILE("de.json", de_json),
    FILE("en.json", en_json),
    FILE("events.js", events_js),
    FILE("history.js", history_js),
    FILE("icon.svg", icon_svg),
    FILE("index.html", index_html),
    FILE("overview.js", overview_js),
    FILE("packs.js", packs_js),
    FILE("sentences.js", sentences_js),
    FILE("server.js", server_js),
    FILE("style.css", style_css),
    FILE("text.js", text_js),
    FILE("theme.js", theme_js),
    FILE("api/v1/openapi.yaml", openapi_yaml),
};

size_t packbridge_web_file_count(void) { return sizeof files / sizeof files[0]; }

packbridge_web_file packbridge_web_file_at(size_t index) { return files[index]; }
