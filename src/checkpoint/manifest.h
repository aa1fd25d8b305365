/* STORAGE/INDEX/manifest.json: which generations of an index are complete, and the size and checksum of every file's bytes.
 *
 * A generation is written beside the older ones, synced and verified by all servers; only then is the manifest replaced, atomically. Whatever
 * moment a job dies, the manifest names complete generations alone.
 *
 * A generation consists of parts, one a server that saved it; a part is a chain of files, of which only the last is new where the others are those of
 * earlier generations. So a file goes when no generation that is kept names it, and its folder with the last of them.
 */
#ifndef CHECKPOINT_MANIFEST_H
#define CHECKPOINT_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"

enum { MANIFEST_FILE_NAME = 64 };

/* One file of a chain: it holds rows first_row to rows - 1 of the part, and the index of rows first_indexed to indexed - 1. */
typedef struct manifest_file {
    char name[MANIFEST_FILE_NAME]; /* below STORAGE/INDEX: "g000001/shard-0003.h5" */
    uint64_t bytes;
    uint64_t checksum; /* XXH3, 64 bits; written as 16 hexadecimal digits */
    int64_t first_row, rows;
    int64_t first_indexed, indexed;
    int64_t held; /* vectors that its index has: removed ones may have been dropped */
} manifest_file_t;

/* One server's share when the generation was saved. */
typedef struct manifest_part {
    int64_t vectors;  /* without those that were removed */
    int64_t buffered; /* those of them not indexed yet */
    int64_t file_count;
    manifest_file_t *files; /* the first one from row 0 on, each other from where the one before ended; owned */
} manifest_part_t;

typedef struct manifest_generation {
    int64_t number;
    int servers;
    int64_t vectors;  /* all */
    int64_t buffered; /* those of them not indexed yet */
    int64_t next_id;  /* ids below were given out */
    bool own_ids;     /* ids came from the caller, not from row numbers */
    json_t *config;   /* owned */
    int64_t part_count;
    manifest_part_t *parts; /* one a server, number r being server r's; owned */
} manifest_generation_t;

typedef struct manifest {
    char index[256];
    int64_t count;
    manifest_generation_t *generations; /* ascending numbers; owned */
} manifest_t;

/* STORAGE/INDEX, STORAGE/INDEX/gNNNNNN, and a shard's file in it. */
CHECKED dfaiss_status_t manifest_index_path(const char *storage, const char *index, char *path, size_t capacity, dfaiss_error_t *err);
CHECKED dfaiss_status_t manifest_generation_path(const char *storage, const char *index, int64_t generation, char *path, size_t capacity,
                                                 dfaiss_error_t *err);
CHECKED dfaiss_status_t manifest_shard_path(const char *storage, const char *index, int64_t generation, int server, char *path, size_t capacity,
                                            dfaiss_error_t *err);

/* The path of a file of a chain. */
CHECKED dfaiss_status_t manifest_file_path(const char *storage, const char *index, const manifest_file_t *file, char *path, size_t capacity,
                                           dfaiss_error_t *err);

/* ERR_NOT_FOUND where the storage or the index does not exist (text names both), ERR_CHECKPOINT where the manifest is damaged. */
CHECKED dfaiss_status_t manifest_read(const char *storage, const char *index, manifest_t *out, dfaiss_error_t *err);
void manifest_clear(manifest_t *manifest);
bool manifest_exists(const char *storage, const char *index);

/* The newest generation; NULL where there is none. Borrowed. */
const manifest_generation_t *manifest_newest(const manifest_t *manifest);

/* A copy with its own files; frees what a part, or a generation, owns. */
CHECKED dfaiss_status_t manifest_copy_part(const manifest_part_t *from, manifest_part_t *to, dfaiss_error_t *err);
void manifest_clear_part(manifest_part_t *part);
void manifest_clear_generation(manifest_generation_t *generation);

/* The generation in whose folder a file lies. */
int64_t manifest_file_generation(const manifest_file_t *file);
/* The index of a part's file number `file` counts for rows first_indexed to before this one: what lies behind is in later files. */
int64_t manifest_file_until(const manifest_part_t *part, int64_t file);
/* Some generation has files in the folder of this one. */
bool manifest_names_folder(const manifest_t *manifest, int64_t generation);
/* Some generation has the file of this name in it. */
bool manifest_names_file(const manifest_t *manifest, int64_t generation, const char *name);
/* Bytes of all files of a part; of a generation, where files that it shares with older ones are counted, too. */
uint64_t manifest_part_bytes(const manifest_part_t *part);
uint64_t manifest_generation_bytes(const manifest_generation_t *generation);

/* What an index in memory came from, by which it is seen what the storage has got since. */
typedef struct manifest_basis {
    int64_t generation; /* that was loaded or saved last; 0: none */
    int64_t newest;     /* that the manifest named then; what lies between the two was damaged */
} manifest_basis_t;

/* ERR_STATE where the newest generation is not the one that the basis knows as such: somebody else has saved the index. */
CHECKED dfaiss_status_t manifest_check_basis(const manifest_t *manifest, const manifest_basis_t *basis, dfaiss_error_t *err);

/* Adds a generation (copied; its number is above those that are there), keeps the newest `keep` >= 1 of them without those that were found damaged,
 * replaces the manifest, and then removes the files of older generations that are no longer named; what cannot be removed is a warning in the log.
 * Files of older folders must be those of the generation that the basis says (ERR_ARG). `replace` drops all older generations whatever keep and basis
 * say (the index was overwritten), even those of a manifest that is damaged. */
CHECKED dfaiss_status_t manifest_commit(const char *storage, const char *index, const manifest_generation_t *generation,
                                        const manifest_basis_t *basis, int64_t keep, bool replace, dfaiss_error_t *err);

/* The highest number of the folders gNNNNNN of an index, named by its manifest or not; 0 where there is none. */
CHECKED dfaiss_status_t manifest_highest_folder(const char *storage, const char *index, int64_t *number, dfaiss_error_t *err);

/* Removes an index: the manifest first, so that nothing half-removed is ever named, then its files; also what is left of a removal that was cut off.
 * Files that dfaiss did not write stay where they are, and so does the folder then. */
CHECKED dfaiss_status_t manifest_drop(const char *storage, const char *index, dfaiss_error_t *err);

/* Compares a file with the size, or with size and checksum, that the manifest names: ERR_CHECKPOINT where they differ or there is no such file. */
CHECKED dfaiss_status_t manifest_check_size(const char *storage, const char *index, const manifest_file_t *file, dfaiss_error_t *err);
CHECKED dfaiss_status_t manifest_verify_file(const char *storage, const char *index, const manifest_file_t *file, dfaiss_error_t *err);

/* Names of the indexes in a storage, sorted: *names is malloc'ed, as is each; the caller frees. ERR_NOT_FOUND where there is no such storage. */
CHECKED dfaiss_status_t manifest_list(const char *storage, char ***names, int64_t *count, dfaiss_error_t *err);

#endif
