/* What can be told of a generation from its files without loading it. */
#include <limits.h>

#include "checkpoint/generation.h"

/* The newest file of a part says it for all of the part. */
static dfaiss_status_t add_inputs(const char *storage, const char *index, const manifest_generation_t *generation, inputs_t *inputs,
                                  dfaiss_error_t *err) {
    for (int64_t i = 0; i < generation->part_count; i++) {
        char path[PATH_MAX];
        const manifest_part_t *part = &generation->parts[i];
        TRY(manifest_file_path(storage, index, &part->files[part->file_count - 1], path, sizeof path, err));
        TRY(shard_file_read_inputs(path, inputs, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t generation_inputs(const char *storage, const char *index, const manifest_generation_t *generation, inputs_t *inputs,
                                  dfaiss_error_t *err) {
    inputs_t found = {0};
    dfaiss_status_t status = add_inputs(storage, index, generation, &found, err);
    if (status == DFAISS_OK)
        *inputs = found;
    else
        inputs_clear(&found);
    return status;
}

dfaiss_status_t generation_is_there(const char *storage, const char *index, const manifest_generation_t *generation, dfaiss_error_t *err) {
    for (int64_t i = 0; i < generation->part_count; i++)
        for (int64_t j = 0; j < generation->parts[i].file_count; j++)
            TRY(manifest_check_size(storage, index, &generation->parts[i].files[j], err));
    return DFAISS_OK;
}
