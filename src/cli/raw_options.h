/* --raw, --dim and --rows: vector files without a header. */
#ifndef CLI_RAW_OPTIONS_H
#define CLI_RAW_OPTIONS_H

#include "cli/arguments.h"
#include "dataset/dataset.h"

typedef struct raw_options {
    bool given; /* --raw: `raw` says how to read the files */
    dataset_raw_t raw;
} raw_options_t;

enum { KEY_RAW = 9000, KEY_RAW_DIM, KEY_RAW_ROWS };

/* Rows of a command's option table. */
#define RAW_OPTION_ROWS                                                                           \
    {"raw", KEY_RAW, "TYPE", 0, "The files have no header, only rows of f32, f16, u8 or i8", 20}, \
        {"dim", KEY_RAW_DIM, "D", 0, "With --raw: components of a row", 20}, {                    \
        "rows", KEY_RAW_ROWS, "N", 0, "With --raw: rows to read of each file (default: all)", 20  \
    }

/* Takes one of the three options. */
CHECKED dfaiss_status_t raw_options_set(raw_options_t *options, const argument_t *argument, dfaiss_error_t *err);

/* After the last option: --raw needs --dim, and the others need --raw. */
CHECKED dfaiss_status_t raw_options_check(const raw_options_t *options, dfaiss_error_t *err);

#endif
