/* dfaiss drop: removes an index with all its generations. */
#include <stdio.h>

#include "checkpoint/generation.h"
#include "cli/arguments.h"
#include "cli/report.h"
#include "config/index_name.h"

static const arguments_t arguments = {
    .command = "drop", .help = "Removes an index and all its files.", .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX};

dfaiss_status_t command_drop(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, NULL, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.storage != NULL, "drop", "--storage DIR", err));
    TRY(argument_require(common.index != NULL, "drop", "--index NAME", err));
    TRY(index_name_check(common.index, err));
    TRY(generation_remove_all(common.storage, common.index, err));
    if (program->json)
        return report_json(program, json_pack("{s:s, s:b}", "index", common.index, "dropped", 1), err);
    printf("index %s is removed from %s\n", common.index, common.storage);
    return DFAISS_OK;
}
