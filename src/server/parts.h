/* A part of a generation, the chain of one server's files, between servers. */
#ifndef SERVER_PARTS_H
#define SERVER_PARTS_H

#include "base/bytes.h"
#include "checkpoint/manifest.h"

void parts_put(bytes_writer_t *out, const manifest_part_t *part);
/* The part becomes the caller's. What it says is only looked at when a manifest is made of it, or a file is read. */
CHECKED dfaiss_status_t parts_get(bytes_reader_t *in, manifest_part_t *part, dfaiss_error_t *err);

#endif
