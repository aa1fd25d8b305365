/* What the input of a build consists of, so that a later one knows it again: each file's path, size, time of modification, rows, and a checksum of
 * its two ends. As text it is a JSON array that goes into the index's files. */
#ifndef CLI_INPUT_IDENTITY_H
#define CLI_INPUT_IDENTITY_H

#include "base/inputs.h"
#include "dataset/dataset.h"

/* ids and metadata may be NULL. *text is malloc'ed and the caller's. */
CHECKED dfaiss_status_t input_identity_make(const dataset_t *dataset, const char *ids, const char *metadata, char **text, dfaiss_error_t *err);

/* The input of an index with which a build of `identity` goes on: one that is not complete, or else the last one that is; *found is borrowed from
 * held. A file is known by its name, in whatever folder. ERR_DATA names a file that is not what it was, and how it was; ERR_ARG: the index was built
 * from other files. */
CHECKED dfaiss_status_t input_identity_find(const char *index, const inputs_t *held, const char *identity, const input_t **found,
                                            dfaiss_error_t *err);

/* Does the index hold a part of this very input, and not all of it? NULL: no. */
const input_t *input_identity_begun(const inputs_t *held, const char *identity);

#endif
