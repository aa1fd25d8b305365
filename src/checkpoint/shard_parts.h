/* The parts of a shard's file: each written beside where it is read. Private to this room. */
#ifndef CHECKPOINT_SHARD_PARTS_H
#define CHECKPOINT_SHARD_PARTS_H

#include "checkpoint/hdf5_file.h"
#include "checkpoint/kept_rows.h"
#include "checkpoint/shard_file.h"

/* The indexed vectors, /codes, /vectors, /lists or /graphs by the template's class. Reading makes the store for content->config and
 * content->template, which must hold `indexed` rows, but for those that content->living says were removed. */
CHECKED dfaiss_status_t shard_store_write(hdf5_file_t *file, const shard_content_t *content);
CHECKED dfaiss_status_t shard_store_read(hdf5_file_t *file, shard_content_t *content, int64_t indexed);

/* What belongs to rows: /ids, /metadata, and /buffered, the vectors of rows from `indexed` on. Reading makes content->batches. */
CHECKED dfaiss_status_t shard_rows_write(hdf5_file_t *file, const shard_content_t *content, int64_t indexed);
CHECKED dfaiss_status_t shard_rows_read(hdf5_file_t *file, shard_content_t *content, int64_t indexed);

/* Which rows are there, /living. Reading makes content->living. */
CHECKED dfaiss_status_t shard_living_write(hdf5_file_t *file, const shard_content_t *content);
CHECKED dfaiss_status_t shard_living_read(hdf5_file_t *file, shard_content_t *content);

/* The attributes of rows, /attributes. Reading makes content->schema and content->attributes, after content->batches. */
CHECKED dfaiss_status_t shard_attributes_write(hdf5_file_t *file, const shard_content_t *content);
CHECKED dfaiss_status_t shard_attributes_read(hdf5_file_t *file, shard_content_t *content, int64_t version);

/* Which rows of which input these are, /inputs. Reading adds them, as inputs_merge. */
CHECKED dfaiss_status_t shard_inputs_write(hdf5_file_t *file, const shard_content_t *content);
CHECKED dfaiss_status_t shard_inputs_read(hdf5_file_t *file, inputs_t *inputs);

/* A failure of the engine while it takes in what a file holds is the file's fault, unless memory ran out. */
dfaiss_status_t shard_blame(hdf5_file_t *file, const char *what, dfaiss_status_t status);

#endif
