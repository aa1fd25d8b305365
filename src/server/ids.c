/* GET_IDS: the ids of all vectors of an index that are on this server, collected in slices. With `custom_meta_id_idx`, where a vector's metadata are
 * a JSON array with an integer at that place, that integer is its id to those who ask. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/memory.h"
#include "message/named.h"
#include "server/server_internal.h"

/* Between two looks at the clock: so many rows, or so many bytes of metadata that were read for their ids. */
enum { SLICE_NANOSECONDS = 2000000, ROWS_A_LOOK = 256, BYTES_A_LOOK = 1 << 16 };

struct id_list {
    id_list_t *next;
    request_t *request;
    hosted_t *hosted;
    int64_t rows; /* that were there when it began */
    int64_t row;  /* the next one */
    int64_t count;
    int64_t *ids; /* memory_map */
    size_t bytes;
};

static dfaiss_status_t begin(server_t *server, request_t *request, id_list_t **out, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    TRY(message_named_decode(MESSAGE_GET_IDS, request->message.body, request->message.body_size, index, err));
    TRY(hosted_get(server, index, &hosted, err));
    id_list_t *list = calloc(1, sizeof *list);
    if (!list)
        return error_memory(err, sizeof *list, "the ids of an index");
    list->rows = shard_rows(hosted->shard);
    list->bytes = (size_t)shard_living(hosted->shard) * sizeof *list->ids;
    list->ids = memory_map(list->bytes);
    if (list->bytes > 0 && !list->ids) {
        free(list);
        return error_memory(err, (size_t)shard_living(hosted->shard) * sizeof(int64_t), "the ids of an index");
    }
    list->request = request;
    list->hosted = hosted;
    *out = list;
    return DFAISS_OK;
}

void request_get_ids(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    id_list_t *list = NULL;
    dfaiss_status_t status = begin(server, request, &list, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    list->hosted->users++;
    list->next = server->id_lists;
    server->id_lists = list;
}

static bool is_array(const uint8_t *metadata, size_t size) {
    size_t begin = 0;
    while (begin < size && (metadata[begin] == ' ' || metadata[begin] == '\t' || metadata[begin] == '\n' || metadata[begin] == '\r'))
        begin++;
    return begin < size && metadata[begin] == '[';
}

/* The integer at a place of a JSON array; false where there is none. */
static bool custom_id(const uint8_t *metadata, size_t size, int64_t place, int64_t *id) {
    json_t *array = json_loadb((const char *)metadata, size, 0, NULL);
    const json_t *value = json_array_get(array, (size_t)place);
    bool found = json_is_integer(value);
    if (found)
        *id = json_integer_value(value);
    json_decref(array);
    return found;
}

static void take_rows(id_list_t *list, int64_t end) {
    const shard_t *shard = list->hosted->shard;
    int64_t place = shard_config(shard)->custom_meta_id_idx;
    size_t bytes = 0;
    for (; list->row < end && bytes < BYTES_A_LOOK; list->row++) {
        int64_t id = -1;
        const uint8_t *metadata = NULL;
        size_t size = 0;
        if (!shard_lives(shard, list->row))
            continue;
        if (shard_row(shard, list->row, &id, &metadata, &size) && is_array(metadata, size)) {
            (void)custom_id(metadata, size, place, &id);
            bytes += size;
        }
        list->ids[list->count++] = id;
    }
}

/* Where vectors were removed meanwhile there are fewer ids than there is room. */
static dfaiss_status_t shrink(id_list_t *list, dfaiss_error_t *err) {
    size_t bytes = (size_t)list->count * sizeof *list->ids;
    if (bytes == list->bytes)
        return DFAISS_OK;
    int64_t *ids = memory_map(bytes);
    if (bytes > 0 && !ids)
        return error_memory(err, bytes, "the ids of an index");
    if (bytes > 0)
        memcpy(ids, list->ids, bytes);
    memory_unmap(list->ids, list->bytes);
    list->ids = ids;
    list->bytes = bytes;
    return DFAISS_OK;
}

static void end_list(server_t *server, id_list_t *list) {
    dfaiss_error_t error = {0};
    LIST_REMOVE(server->id_lists, list);
    list->hosted->users--;
    dfaiss_status_t status = shrink(list, &error);
    if (status != DFAISS_OK)
        memory_unmap(list->ids, list->bytes);
    request_answer(server, list->request, status, &error, NULL, status == DFAISS_OK ? list->ids : NULL, status == DFAISS_OK ? list->bytes : 0);
    free(list);
}

bool id_lists_advance(server_t *server) {
    id_list_t *list = server->id_lists;
    if (!list)
        return false;
    int64_t deadline = clock_nanoseconds() + SLICE_NANOSECONDS;
    while (list->row < list->rows && clock_nanoseconds() < deadline)
        take_rows(list, list->rows - list->row < ROWS_A_LOOK ? list->rows : list->row + ROWS_A_LOOK);
    if (list->row == list->rows)
        end_list(server, list);
    return true;
}

void id_lists_clear(server_t *server) {
    while (server->id_lists) {
        id_list_t *list = server->id_lists;
        server->id_lists = list->next;
        memory_unmap(list->ids, list->bytes);
        transport_message_clear(&list->request->message);
        free(list->request);
        free(list);
    }
}
