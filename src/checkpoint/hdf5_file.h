/* HDF5 as the checkpoint uses it: every call checked, texts that name file and object, nothing believed that a file says. Private to this room.
 *
 * Files are never locked, and written in the 1.10 format, whose own structures carry checksums. While a file is open HDF5's automatic error printing
 * is off in this thread; its innermost message, or why the device failed, goes into our error. One thread at a time.
 *
 * A file carries the error that all calls on it fill: they return a status and take no error of their own.
 */
#ifndef CHECKPOINT_HDF5_FILE_H
#define CHECKPOINT_HDF5_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/error.h"
#include "checkpoint/hdf5_device.h"

/* ---- files ---- */

typedef struct hdf5_file {
    hid_t id; /* negative: not open */
    const char *path;
    bool writing;
    hdf5_device_t *device; /* owned */
    uint64_t bytes;        /* of a file that is read: no dataset can hold more; of one that was written, when it is closed */
    content_sum_t sum;     /* of the latter: what it must hold */
    dfaiss_error_t *err;
    H5E_auto2_t print; /* the error printing of before, put back at the end */
    void *print_context;
} hdf5_file_t;

/* Creates a file (one that is there is removed first), or opens one to read; `path` and `err` (may be NULL) are borrowed until hdf5_close. */
CHECKED dfaiss_status_t hdf5_create(hdf5_file_t *file, const char *path, dfaiss_error_t *err);
CHECKED dfaiss_status_t hdf5_open(hdf5_file_t *file, const char *path, dfaiss_error_t *err);

/* Closes a file after work that ended with `status`, and returns the status of the whole. A file that was written is flushed, synced with its folder,
 * and removed where anything failed. */
CHECKED dfaiss_status_t hdf5_close(hdf5_file_t *file, dfaiss_status_t status);

/* Fills the file's error after a failed HDF5 call, before any other one: "cannot ACTION OBJECT of PATH: ...", OBJECT may be NULL. What HDF5 finds
 * wrong in a file that is read is ERR_CHECKPOINT. */
dfaiss_status_t hdf5_failed(hdf5_file_t *file, const char *action, const char *object);

/* ERR_CHECKPOINT: "PATH: WHAT: expected ..., found ...". */
dfaiss_status_t hdf5_unexpected(hdf5_file_t *file, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Is there an object of this absolute name, reached without symbolic or external links? */
bool hdf5_exists(hdf5_file_t *file, const char *name);

CHECKED dfaiss_status_t hdf5_make_group(hdf5_file_t *file, const char *name);

/* ---- attributes of an object ("/" is the root), and texts ---- */

CHECKED dfaiss_status_t hdf5_put_integer(hdf5_file_t *file, const char *object, const char *name, int64_t value);
CHECKED dfaiss_status_t hdf5_put_text(hdf5_file_t *file, const char *object, const char *name, const char *text);
CHECKED dfaiss_status_t hdf5_get_integer(hdf5_file_t *file, const char *object, const char *name, int64_t least, int64_t most, int64_t *value);
CHECKED dfaiss_status_t hdf5_get_text(hdf5_file_t *file, const char *object, const char *name, char *text, size_t capacity);

/* A dataset that is one text. The text that is read is zero-terminated, malloc'ed and the caller's. */
CHECKED dfaiss_status_t hdf5_write_text(hdf5_file_t *file, const char *name, const char *text);
CHECKED dfaiss_status_t hdf5_read_text(hdf5_file_t *file, const char *name, char **text, size_t *size);

/* ---- datasets: rows of `width` components ---- */

typedef enum hdf5_type {
    HDF5_F32, /* the first four as element_t */
    HDF5_F16,
    HDF5_U8,
    HDF5_I8,
    HDF5_I64,
    HDF5_U64,
    HDF5_U16,
    HDF5_F64,
    HDF5_TYPES
} hdf5_type_t;

enum { HDF5_NAME = 128, HDF5_ANY = -1, HDF5_CHUNK = 1 << 20 };

typedef struct hdf5_dataset {
    hdf5_file_t *file;
    hid_t id; /* negative: not open */
    char name[HDF5_NAME];
    hdf5_type_t type;
    int rank; /* 1: width is 1 */
    int64_t rows;
    int64_t width;
    size_t row_bytes;
    bool growing;
} hdf5_dataset_t;

/* Makes a contiguous dataset [rows] or, with width > 0, [rows][width]. */
CHECKED dfaiss_status_t hdf5_dataset_create(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width,
                                            hdf5_dataset_t *dataset);

/* Makes a dataset of bytes that grows as it is written, in chunks of HDF5_CHUNK. */
CHECKED dfaiss_status_t hdf5_dataset_create_growing(hdf5_file_t *file, const char *name, hdf5_dataset_t *dataset);

/* Opens a dataset and checks type and shape; rows or width may be HDF5_ANY, width 0 is [rows]. */
CHECKED dfaiss_status_t hdf5_dataset_open(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width,
                                          hdf5_dataset_t *dataset);
/* Closes after writing: what HDF5 held back is written now. */
CHECKED dfaiss_status_t hdf5_dataset_finish(hdf5_dataset_t *dataset);
/* Closes after reading or a failure; fine on one that is closed. */
void hdf5_dataset_close(hdf5_dataset_t *dataset);

CHECKED dfaiss_status_t hdf5_dataset_grow(hdf5_dataset_t *dataset, int64_t rows);
CHECKED dfaiss_status_t hdf5_dataset_write(hdf5_dataset_t *dataset, int64_t first, int64_t rows, const void *data);
CHECKED dfaiss_status_t hdf5_dataset_read(hdf5_dataset_t *dataset, int64_t first, int64_t rows, void *data);

/* A whole dataset at once. Reading expects `rows` rows. */
CHECKED dfaiss_status_t hdf5_write_all(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, const void *data);
CHECKED dfaiss_status_t hdf5_read_all(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, void *data);

/* ---- streams: a dataset from its first row to its last, small pieces gathered in a buffer, large ones passed by ---- */

typedef struct hdf5_stream {
    hdf5_dataset_t dataset; /* owned */
    uint8_t *buffer;
    int64_t capacity; /* rows */
    int64_t held;     /* rows in the buffer */
    int64_t taken;    /* reading: of these, rows that were handed out */
    int64_t next;     /* row of the dataset at which the next transfer begins */
} hdf5_stream_t;

/* Takes over an open dataset. On failure the dataset is closed. */
CHECKED dfaiss_status_t hdf5_stream_start(hdf5_stream_t *stream, hdf5_dataset_t *dataset);
CHECKED dfaiss_status_t hdf5_stream_put(hdf5_stream_t *stream, const void *data, int64_t rows);
CHECKED dfaiss_status_t hdf5_stream_get(hdf5_stream_t *stream, void *data, int64_t rows);
/* Reading goes on with this row of the dataset, at most the one behind its last; nothing was read yet. */
void hdf5_stream_skip_to(hdf5_stream_t *stream, int64_t row);
/* Ends writing: what is held goes to the file, the dataset must be full then, and is closed. */
CHECKED dfaiss_status_t hdf5_stream_finish(hdf5_stream_t *stream);
/* Frees and closes; fine on a stream that was never started but zeroed. */
void hdf5_stream_destroy(hdf5_stream_t *stream);

/* Create, or open, and start in one. */
CHECKED dfaiss_status_t hdf5_stream_create(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width, hdf5_stream_t *stream);
CHECKED dfaiss_status_t hdf5_stream_open(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width, hdf5_stream_t *stream);
/* A stream of bytes whose number shows only when it is finished: contiguous where they fit into the buffer, else in chunks. */
CHECKED dfaiss_status_t hdf5_stream_create_growing(hdf5_file_t *file, const char *name, hdf5_stream_t *stream);

#endif
