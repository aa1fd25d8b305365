/* Inside the engine room: a template opened up, and how faiss's failures become ours. */
#ifndef ENGINE_TEMPLATE_H
#define ENGINE_TEMPLATE_H

#include <faiss/c_api/Index_c.h>

#include "engine/engine.h"
#include "engine/shim.h"

struct engine_template {
    FaissIndex *index;    /* owned; holds no vectors */
    shim_layout_t layout; /* of that index; layout.inner points into it */
    int64_t dim;          /* of the vectors that come */
    int64_t inner_dim;    /* of what the transforms in front make of them */
    bool normalizes;      /* metric cosine */
    bool larger_is_better;
    int cancelled; /* read and written atomically */
};

/* Wraps an index, which is taken over, also on failure. */
CHECKED dfaiss_status_t template_wrap(const index_config_t *config, FaissIndex *index, engine_template_t **out, dfaiss_error_t *err);
/* In what a template that was read differs from what the configuration makes; NULL: in nothing. */
CHECKED dfaiss_status_t template_difference(const index_config_t *config, const engine_template_t *read, const char **differs, dfaiss_error_t *err);

/* What a call of the shim (or, with from_c_api, of the C API) said, as a status: `action` is what could not be done. Call it on failure only. */
CHECKED dfaiss_status_t engine_failure(int code, dfaiss_status_t status, const char *action, dfaiss_error_t *err);
CHECKED dfaiss_status_t engine_failure_c(int code, dfaiss_status_t status, const char *action, dfaiss_error_t *err);

/* Vectors as the index behind the transforms wants them: `to` float[n][inner_dim] is used where there are transforms, and x itself returned
 * otherwise. */
CHECKED dfaiss_status_t engine_transform(const engine_template_t *template, int64_t n, const float *x, float *to, const float **transformed,
                                         dfaiss_error_t *err);

#endif
