/* What `dfaiss build` reads, opened and checked: before mpirun starts, and again by the rank that sends it. */
#ifndef CLI_BUILD_INPUT_H
#define CLI_BUILD_INPUT_H

#include "base/inputs.h"
#include "cli/build_options.h"
#include "config/index_config.h"
#include "dataset/dataset.h"

typedef struct build_input {
    index_config_t *config; /* owned; dim is that of the data */
    dataset_t *dataset;     /* owned */
    int64_t *ids;           /* int64_t[rows of the dataset], NULL without --ids; owned, free() */
    char *identity;         /* of the data, ids and metadata (cli/input_identity.h); owned */
    bool loads;             /* an index that is there: the next four tell of its newest generation */
    int64_t generation;
    int64_t servers;
    int64_t vectors;
    uint64_t bytes;
    bool complete; /* it has all of this input, and there is nothing left to do */
} build_input_t;

/* Opens and checks everything that can be told without servers: configuration, data, number of ids and of metadata lines (`every_line`: reads the
 * whole file for that), the index's being there or not, that the storage can be written, and that faiss makes an index of the configuration. On
 * failure *input is untouched and nothing was changed. */
CHECKED dfaiss_status_t build_input_open(const build_options_t *options, bool every_line, build_input_t *input, dfaiss_error_t *err);
void build_input_close(build_input_t *input);

/* With which input of those that the index holds this build goes on: *chosen is borrowed from held, NULL where it begins one. With --resume ERR_DATA
 * and ERR_ARG as input_identity_find; with --append ERR_EXISTS where a part of this input is there. */
CHECKED dfaiss_status_t build_input_choose(const build_options_t *options, const build_input_t *input, const inputs_t *held, const input_t **chosen,
                                           dfaiss_error_t *err);

/* Where the index lies: char storage[capacity] receives the configuration's index_storage_dir or, where there is none or no configuration that can be
 * read (which build_input_open then tells), --storage. */
void build_storage(const build_options_t *options, char *storage, size_t capacity);

#endif
