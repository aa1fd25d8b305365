/* Bytes that travel or are stored: a growing buffer that is written to, and a bounded reader that never runs past the end.
 *
 * Numbers are little-endian whatever the machine. A writer remembers a failed allocation, a reader a read past the end, and both then do
 * nothing more: a message is written or read straight through and checked once at the end.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bytes_writer {
    uint8_t *data; /* owned; bytes_writer_destroy frees it */
    size_t size;
    size_t capacity;
    bool failed; /* out of memory at some point: the content is not whole */
} bytes_writer_t;

void bytes_writer_destroy(bytes_writer_t *writer);
void bytes_put(bytes_writer_t *writer, const void *data, size_t size);
void bytes_put_u8(bytes_writer_t *writer, uint8_t value);
void bytes_put_u32(bytes_writer_t *writer, uint32_t value);
void bytes_put_u64(bytes_writer_t *writer, uint64_t value);
void bytes_put_i64(bytes_writer_t *writer, int64_t value);
void bytes_put_f64(bytes_writer_t *writer, double value);
/* A u32 length, then the characters without the final zero. NULL is written as "". */
void bytes_put_string(bytes_writer_t *writer, const char *text);
/* A u64 length, then the bytes. */
void bytes_put_block(bytes_writer_t *writer, const void *data, size_t size);

typedef struct bytes_reader {
    const uint8_t *next; /* borrowed */
    size_t left;
    bool failed; /* something was read past the end or did not fit */
} bytes_reader_t;

static inline bytes_reader_t bytes_reader(const void *data, size_t size) {
    return (bytes_reader_t){.next = data, .left = size};
}
/* Reads past the end give 0. */
uint8_t bytes_get_u8(bytes_reader_t *reader);
uint32_t bytes_get_u32(bytes_reader_t *reader);
uint64_t bytes_get_u64(bytes_reader_t *reader);
int64_t bytes_get_i64(bytes_reader_t *reader);
double bytes_get_f64(bytes_reader_t *reader);
/* Copies a string of less than `capacity` characters into `text`, zero-terminated; a longer one, or one with a zero inside, fails. */
void bytes_get_string(bytes_reader_t *reader, char *text, size_t capacity);
/* A pointer to the next `size` bytes (borrowed), NULL past the end. */
const void *bytes_get(bytes_reader_t *reader, size_t size);
/* A pointer to the bytes of a block, whose length goes to *size; NULL and 0 past the end. */
const void *bytes_get_block(bytes_reader_t *reader, size_t *size);
/* Nothing failed and nothing is left over. */
bool bytes_reader_done(const bytes_reader_t *reader);

#endif
