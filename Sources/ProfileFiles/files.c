// Every file of Sources/packbridge/Profiles, inside the binary. One block and one line of the table for each.
#include "ProfileFiles.h"

// `#embed` is C23; clang has it in every mode and would warn.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char deye[] = {
#embed "../packbridge/Profiles/deye.yaml"
};

static const unsigned char goodwe[] = {
#embed "../packbridge/Profiles/goodwe.yaml"
};

static const unsigned char growatt[] = {
#embed "../packbridge/Profiles/growatt.yaml"
};

static const unsigned char luxpower[] = {
#embed "../packbridge/Profiles/luxpower.yaml"
};

static const unsigned char others[] = {
#embed "../packbridge/Profiles/others.yaml"
};

static const unsigned char sma[] = {
#embed "../packbridge/Profiles/sma.yaml"
};

static const unsigned char sofar[] = {
#embed "../packbridge/Profiles/sofar.yaml"
};

static const unsigned char solark[] = {
#embed "../packbridge/Profiles/solark.yaml"
};

static const unsigned char solis[] = {
#embed "../packbridge/Profiles/solis.yaml"
};

static const unsigned char srne[] = {
#embed "../packbridge/Profiles/srne.yaml"
};

static const unsigned char victron[] = {
#embed "../packbridge/Profiles/victron.yaml"
};

static const unsigned char voltronic[] = {
#embed "../packbridge/Profiles/voltronic.yaml"
};

static const packbridge_profile_file files[] = {
    {"deye.yaml", deye, sizeof deye},
    {"goodwe.yaml", goodwe, sizeof goodwe},
    {"growatt.yaml", growatt, sizeof growatt},
    {"luxpower.yaml", luxpower, sizeof luxpower},
    {"others.yaml", others, sizeof others},
    {"sma.yaml", sma, sizeof sma},
    {"sofar.yaml", sofar, sizeof sofar},
    {"solark.yaml", solark, sizeof solark},
    {"solis.yaml", solis, sizeof solis},
    {"srne.yaml", srne, sizeof srne},
    {"victron.yaml", victron, sizeof victron},
    {"voltronic.yaml", voltronic, sizeof voltronic},
};

size_t packbridge_profile_file_count(void) { return sizeof files / sizeof files[0]; }

packbridge_profile_file packbridge_profile_file_at(size_t index) { return files[index]; }
