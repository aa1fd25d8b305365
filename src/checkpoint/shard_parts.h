/* The parts of a shard's file, as they are written; what reads them goes by the names and types here. Private to this room. */
#ifndef CHECKPOINT_SHARD_PARTS_H
#define CHECKPOINT_SHARD_PARTS_H

#include "checkpoint/hdf5_file.h"
#include "checkpoint/kept_rows.h"
#include "checkpoint/shard_file.h"
#include "filter/stored.h"

#define SHARD_FORMAT "dfaiss shard"
enum { SHARD_FORMAT_VERSION = 3 };

/* The indexed vectors, /codes, /vectors, /lists or /graphs by the template's class. */
CHECKED dfaiss_status_t shard_store_write(hdf5_file_t *file, const shard_content_t *content);

/* Where codes lie, and in which form. */
typedef struct shard_code_form {
    const char *name;
    hdf5_type_t type;
    int64_t width;
} shard_code_form_t;
shard_code_form_t shard_code_form(const shard_content_t *content);

/* What belongs to rows: /ids, /metadata, and /buffered, the vectors of rows from `indexed` on. */
CHECKED dfaiss_status_t shard_rows_write(hdf5_file_t *file, const shard_content_t *content, int64_t indexed);

/* Which rows are there, /living. */
CHECKED dfaiss_status_t shard_living_write(hdf5_file_t *file, const shard_content_t *content);

/* The attributes of rows, /attributes. */
CHECKED dfaiss_status_t shard_attributes_write(hdf5_file_t *file, const shard_content_t *content);
/* The name of an array of a field, or of the field's group (ATTRIBUTE_ARRAYS), and its type. */
void shard_attribute_name(const attribute_schema_t *schema, int field, attribute_array_t array, char name[HDF5_NAME]);
hdf5_type_t shard_attribute_type(const attribute_schema_t *schema, int field, attribute_array_t array);

/* Which rows of which input these are, /inputs. */
CHECKED dfaiss_status_t shard_inputs_write(hdf5_file_t *file, const shard_content_t *content);

#endif
