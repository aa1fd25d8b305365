/* Inside the engine room: a faiss index as bytes, as faiss writes it and plain faiss reads it, with a checksum of ours behind.
 *
 * faiss's reader trusts what it reads (it divides by numbers and allocates sizes that come from the bytes), so it only gets to see bytes that are
 * as they were written.
 */
#ifndef ENGINE_BLOB_H
#define ENGINE_BLOB_H

#include <faiss/c_api/Index_c.h>

#include "engine/engine.h"

CHECKED dfaiss_status_t blob_write(const FaissIndex *index, engine_sink_t *sink, void *context, dfaiss_error_t *err);

/* ERR_CHECKPOINT where the bytes are not those of one whole index, ERR_MEMORY where there is no memory for it; `what` names it in the text. */
CHECKED dfaiss_status_t blob_read(const void *bytes, size_t size, const char *what, FaissIndex **out, dfaiss_error_t *err);

#endif
