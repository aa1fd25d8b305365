#include "cli/raw_options.h"

enum { MOST_DIM = 1 << 20 };

static dfaiss_status_t set_element(raw_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    const char *names[ELEMENT_COUNT];
    int choice;
    for (int element = 0; element < ELEMENT_COUNT; element++)
        names[element] = element_name((element_t)element);
    TRY(argument_choice(argument, names, ELEMENT_COUNT, &choice, err));
    options->given = true;
    options->raw.element = (element_t)choice;
    return DFAISS_OK;
}

dfaiss_status_t raw_options_set(raw_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    switch (argument->key) {
    case KEY_RAW:
        return set_element(options, argument, err);
    case KEY_RAW_DIM:
        return argument_integer(argument, 1, MOST_DIM, &options->raw.dim, err);
    default:
        return argument_integer(argument, 1, INT64_MAX, &options->raw.rows, err);
    }
}

dfaiss_status_t raw_options_check(const raw_options_t *options, dfaiss_error_t *err) {
    if (options->given && options->raw.dim == 0)
        return error_set(err, DFAISS_ERR_ARG, "--dim", "--raw needs --dim D: a file without a header does not tell its dimension");
    if (!options->given && (options->raw.dim != 0 || options->raw.rows != 0)) {
        const char *option = options->raw.dim != 0 ? "--dim" : "--rows";
        return error_set(err, DFAISS_ERR_ARG, option, "%s is only for files without a header: give --raw TYPE, too", option);
    }
    return DFAISS_OK;
}
