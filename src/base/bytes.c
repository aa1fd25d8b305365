#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

void bytes_writer_destroy(bytes_writer_t *writer) {
    free(writer->data);
    *writer = (bytes_writer_t){0};
}

static bool reserve(bytes_writer_t *writer, size_t more) {
    if (writer->failed || more > SIZE_MAX - writer->size) {
        writer->failed = true;
        return false;
    }
    size_t wanted = writer->size + more;
    if (wanted <= writer->capacity)
        return true;
    size_t capacity = writer->capacity < 256 ? 256 : writer->capacity;
    while (capacity < wanted)
        capacity = capacity > SIZE_MAX / 2 ? wanted : capacity * 2;
    uint8_t *data = realloc(writer->data, capacity);
    if (!data) {
        writer->failed = true;
        return false;
    }
    writer->data = data;
    writer->capacity = capacity;
    return true;
}

void bytes_put(bytes_writer_t *writer, const void *data, size_t size) {
    if (size == 0 || !reserve(writer, size))
        return;
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

static void put_little_endian(bytes_writer_t *writer, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    bytes_put(writer, bytes, size);
}

void bytes_put_u8(bytes_writer_t *writer, uint8_t value) {
    put_little_endian(writer, value, 1);
}

void bytes_put_u32(bytes_writer_t *writer, uint32_t value) {
    put_little_endian(writer, value, 4);
}

void bytes_put_u64(bytes_writer_t *writer, uint64_t value) {
    put_little_endian(writer, value, 8);
}

void bytes_put_i64(bytes_writer_t *writer, int64_t value) {
    put_little_endian(writer, (uint64_t)value, 8);
}

void bytes_put_f64(bytes_writer_t *writer, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_little_endian(writer, bits, 8);
}

void bytes_put_string(bytes_writer_t *writer, const char *text) {
    size_t length = text ? strlen(text) : 0;
    if (length > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    bytes_put_u32(writer, (uint32_t)length);
    bytes_put(writer, text, length);
}

void bytes_put_block(bytes_writer_t *writer, const void *data, size_t size) {
    bytes_put_u64(writer, size);
    bytes_put(writer, data, size);
}

const void *bytes_get(bytes_reader_t *reader, size_t size) {
    if (reader->failed || size > reader->left) {
        reader->failed = true;
        return NULL;
    }
    const void *data = reader->next;
    reader->next += size;
    reader->left -= size;
    return data;
}

static uint64_t get_little_endian(bytes_reader_t *reader, size_t size) {
    const uint8_t *bytes = bytes_get(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t bytes_get_u8(bytes_reader_t *reader) {
    return (uint8_t)get_little_endian(reader, 1);
}

uint32_t bytes_get_u32(bytes_reader_t *reader) {
    return (uint32_t)get_little_endian(reader, 4);
}

uint64_t bytes_get_u64(bytes_reader_t *reader) {
    return get_little_endian(reader, 8);
}

int64_t bytes_get_i64(bytes_reader_t *reader) {
    return (int64_t)get_little_endian(reader, 8);
}

double bytes_get_f64(bytes_reader_t *reader) {
    uint64_t bits = get_little_endian(reader, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void bytes_get_string(bytes_reader_t *reader, char *text, size_t capacity) {
    uint32_t length = bytes_get_u32(reader);
    const char *characters = length < capacity ? bytes_get(reader, length) : NULL;
    if (!characters || memchr(characters, 0, length)) {
        reader->failed = true;
        text[0] = 0;
        return;
    }
    memcpy(text, characters, length);
    text[length] = 0;
}

const void *bytes_get_block(bytes_reader_t *reader, size_t *size) {
    uint64_t length = bytes_get_u64(reader);
    const void *data = length <= reader->left ? bytes_get(reader, (size_t)length) : NULL;
    if (!data)
        reader->failed = true;
    *size = data ? (size_t)length : 0;
    return data;
}

bool bytes_reader_done(const bytes_reader_t *reader) {
    return !reader->failed && reader->left == 0;
}
