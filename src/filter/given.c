#include "filter/given.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "filter/columns_internal.h"

/* ---- to bytes ---- */

static dfaiss_status_t type_of(const attribute_arrays_t *arrays, attribute_type_t *type, dfaiss_error_t *err) {
    int count = (arrays->integers != NULL) + (arrays->floats != NULL) + (arrays->strings != NULL) + (arrays->booleans != NULL);
    if (!arrays->name || !attribute_name_valid(arrays->name))
        return error_set(err, DFAISS_ERR_ARG, "attributes", "\"%.80s\" is no name of an attribute", arrays->name ? arrays->name : "");
    if (count != 1)
        return error_set(err, DFAISS_ERR_ARG, arrays->name, "attribute \"%s\" has %d arrays; expected one of integers, floats, strings and booleans",
                         arrays->name, count);
    *type = arrays->integers ? ATTRIBUTE_INTEGER : arrays->floats ? ATTRIBUTE_FLOAT : arrays->strings ? ATTRIBUTE_STRING : ATTRIBUTE_BOOLEAN;
    return DFAISS_OK;
}

typedef bool row_bit_t(const attribute_arrays_t *arrays, int64_t row);

static bool is_true(const attribute_arrays_t *arrays, int64_t row) {
    return arrays->booleans[row];
}

static bool has_string(const attribute_arrays_t *arrays, int64_t row) {
    return arrays->strings[row] != NULL;
}

static void put_bitmap(const attribute_arrays_t *arrays, int64_t n, row_bit_t *bit, bytes_writer_t *out) {
    for (int64_t row = 0; row < n; row += 8) {
        unsigned byte = 0;
        for (int64_t i = row; i < n && i < row + 8; i++)
            byte |= (unsigned)bit(arrays, i) << (i - row);
        bytes_put_u8(out, (uint8_t)byte);
    }
}

static void put_strings(const char *const *strings, int64_t n, bytes_writer_t *out) {
    uint64_t end = 0;
    for (int64_t i = 0; i < n; i++) {
        end += strings[i] ? strlen(strings[i]) : 0;
        bytes_put_u64(out, end);
    }
    bytes_put_u64(out, end);
    for (int64_t i = 0; i < n; i++) {
        if (strings[i])
            bytes_put(out, strings[i], strlen(strings[i]));
    }
}

static void put_values(const attribute_arrays_t *arrays, attribute_type_t type, int64_t n, bytes_writer_t *out) {
    switch (type) {
    case ATTRIBUTE_INTEGER:
        for (int64_t i = 0; i < n; i++)
            bytes_put_i64(out, arrays->integers[i]);
        break;
    case ATTRIBUTE_FLOAT:
        for (int64_t i = 0; i < n; i++)
            bytes_put_f64(out, arrays->floats[i]);
        break;
    case ATTRIBUTE_STRING:
        put_strings(arrays->strings, n, out);
        break;
    default:
        put_bitmap(arrays, n, is_true, out);
    }
}

static void put_column(const attribute_arrays_t *arrays, attribute_type_t type, int64_t n, bytes_writer_t *out) {
    bool missing = false;
    for (int64_t i = 0; type == ATTRIBUTE_STRING && !missing && i < n; i++)
        missing = !arrays->strings[i];
    bytes_put_string(out, arrays->name);
    bytes_put_u8(out, (uint8_t)type);
    bytes_put_u8(out, missing);
    if (missing)
        put_bitmap(arrays, n, has_string, out);
    put_values(arrays, type, n, out);
}

dfaiss_status_t attribute_given_encode(const attribute_arrays_t *arrays, int count, int64_t n, bytes_writer_t *out, dfaiss_error_t *err) {
    attribute_type_t type = ATTRIBUTE_INTEGER;
    for (int i = 0; i < count; i++)
        TRY(type_of(&arrays[i], &type, err));
    bytes_put_u32(out, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        TRY(type_of(&arrays[i], &type, err));
        put_column(&arrays[i], type, n, out);
    }
    return out->failed ? error_memory(err, (size_t)n * sizeof(int64_t), "columns of attributes") : DFAISS_OK;
}

/* ---- from bytes ---- */

/* Numbers of 8 bytes lie anywhere among the bytes. */
static uint64_t load_u64(const uint8_t *numbers, int64_t i) {
    uint64_t number;
    memcpy(&number, numbers + (size_t)i * sizeof number, sizeof number);
    return le64toh(number);
}

static double load_f64(const uint8_t *numbers, int64_t i) {
    uint64_t bits = load_u64(numbers, i);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static bool load_bit(const uint8_t *bitmap, int64_t i) {
    return bitmap[i / 8] >> (i % 8) & 1;
}

static dfaiss_status_t check_column(const attribute_schema_t *schema, const attribute_given_t *given, int before, const char *name,
                                    dfaiss_error_t *err) {
    const attribute_given_t *column = &given[before];
    if (column->field < 0)
        return attribute_schema_unknown(schema, name, err);
    for (int i = 0; i < before; i++) {
        if (given[i].field == column->field)
            return error_set(err, DFAISS_ERR_ARG, name, "attribute \"%s\" is given twice", name);
    }
    attribute_type_t declared = schema->fields[column->field].type;
    bool fits = column->type == declared || (column->type == ATTRIBUTE_INTEGER && declared == ATTRIBUTE_FLOAT);
    if (!fits)
        return error_set(err, DFAISS_ERR_ARG, name, "attribute \"%s\" is given as %s; expected %s", name, attribute_type_name(column->type),
                         attribute_type_name(declared));
    return DFAISS_OK;
}

static void read_strings(bytes_reader_t *reader, int64_t n, attribute_given_t *column) {
    size_t size;
    column->ends = bytes_get(reader, (size_t)n * sizeof(uint64_t));
    column->bytes = bytes_get_block(reader, &size);
    uint64_t end = 0;
    for (int64_t i = 0; !reader->failed && i < n; i++) {
        uint64_t next = load_u64(column->ends, i);
        if (next < end || next > size)
            reader->failed = true;
        end = next;
    }
    if (end != size)
        reader->failed = true;
}

static void read_values(bytes_reader_t *reader, int64_t n, attribute_given_t *column) {
    size_t bitmap = ((size_t)n + 7) / 8;
    uint8_t missing = bytes_get_u8(reader);
    if (missing > 1)
        reader->failed = true;
    if (missing == 1)
        column->present = bytes_get(reader, bitmap);
    if (column->type == ATTRIBUTE_STRING)
        read_strings(reader, n, column);
    else
        column->values = bytes_get(reader, column->type == ATTRIBUTE_BOOLEAN ? bitmap : (size_t)n * sizeof(uint64_t));
}

static dfaiss_status_t malformed(dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_PEER, "", "columns of attributes that came from another process are damaged");
}

static dfaiss_status_t read_columns(const attribute_schema_t *schema, bytes_reader_t *reader, int64_t n, attribute_given_t *given, int count,
                                    dfaiss_error_t *err) {
    for (int i = 0; i < count; i++) {
        char name[ATTRIBUTE_NAME];
        bytes_get_string(reader, name, sizeof name);
        uint8_t type = bytes_get_u8(reader);
        if (reader->failed || type >= ATTRIBUTE_TYPES)
            return malformed(err);
        given[i].type = (attribute_type_t)type;
        given[i].field = attribute_schema_find(schema, name);
        TRY(check_column(schema, given, i, name, err));
        read_values(reader, n, &given[i]);
    }
    return bytes_reader_done(reader) ? DFAISS_OK : malformed(err);
}

dfaiss_status_t attribute_given_decode(const attribute_schema_t *schema, int64_t n, const void *data, size_t size, attribute_given_t **out,
                                       int *count_out, dfaiss_error_t *err) {
    bytes_reader_t reader = bytes_reader(data, size);
    uint32_t count = bytes_get_u32(&reader);
    /* A column has a name, a type and at least a bit a row, so that this also bounds the products that follow. */
    if (reader.failed || count > size || n < 0 || (uint64_t)n / 8 > size || (count == 0 && reader.left > 0))
        return malformed(err);
    int most = (int)(count < ATTRIBUTE_MOST + 1 ? count : ATTRIBUTE_MOST + 1); /* one too many comes twice or is unknown */
    attribute_given_t *given = count ? calloc((size_t)most, sizeof *given) : NULL;
    if (count && !given)
        return error_memory(err, (size_t)most * sizeof *given, "columns of attributes");
    dfaiss_status_t status = read_columns(schema, &reader, n, given, most, err);
    if (status != DFAISS_OK) {
        free(given);
        return status;
    }
    *out = given;
    *count_out = (int)count;
    return DFAISS_OK;
}

/* ---- into columns ---- */

static bool take_value(attribute_part_t *part, int64_t row, const attribute_given_t *given, int64_t i) {
    uint64_t begin;
    switch (part->type) {
    case ATTRIBUTE_INTEGER:
        attribute_put_integer(part, row, (int64_t)load_u64(given->values, i));
        return true;
    case ATTRIBUTE_FLOAT:
        attribute_put_float(part, row, given->type == ATTRIBUTE_INTEGER ? (double)(int64_t)load_u64(given->values, i) : load_f64(given->values, i));
        return true;
    case ATTRIBUTE_BOOLEAN:
        attribute_put_boolean(part, row, load_bit(given->values, i));
        return true;
    default:
        begin = i > 0 ? load_u64(given->ends, i - 1) : 0;
        return attribute_put_string(part, row, given->bytes + begin, (size_t)(load_u64(given->ends, i) - begin));
    }
}

bool attribute_take_given(attribute_part_t *part, int64_t row, const attribute_given_t *given, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if ((!given->present || load_bit(given->present, first + i)) && !take_value(part, row + i, given, first + i))
            return false;
    }
    return true;
}
