/* CENTROIDS: those of this server's index. They may have gigabytes, so the builder copies them. */
#include <stdlib.h>

#include "base/memory.h"
#include "message/centroids.h"
#include "message/named.h"
#include "server/server_internal.h"
#include "shard/training.h"

typedef struct reading {
    job_t job;
    request_t *request;
    float *centroids;
    size_t bytes;
    message_centroids_t shape;
} reading_t;

static dfaiss_status_t read_centroids(void *context, dfaiss_error_t *err) {
    reading_t *reading = context;
    return shard_centroids(reading->job.hosted->shard, &reading->centroids, &reading->bytes, &reading->shape.lists, &reading->shape.dim, err);
}

static void centroids_read(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    reading_t *reading = job->context;
    bytes_writer_t body = {0};
    message_centroids_encode(&reading->shape, &body);
    request_answer(server, reading->request, status, error, &body, reading->centroids, reading->bytes);
    bytes_writer_destroy(&body);
    free(reading);
}

static dfaiss_status_t start(server_t *server, request_t *request, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    TRY(message_named_decode(MESSAGE_CENTROIDS, request->message.body, request->message.body_size, index, err));
    TRY(hosted_get(server, index, &hosted, err));
    TRY(shard_has_centroids(hosted->shard, err));
    reading_t *reading = calloc(1, sizeof *reading);
    if (!reading)
        return error_memory(err, sizeof *reading, "centroids");
    reading->request = request;
    reading->job = (job_t){.hosted = hosted, .work = read_centroids, .done = centroids_read, .context = reading};
    job_submit(server, &reading->job);
    return DFAISS_OK;
}

void request_centroids(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = start(server, request, &error);
    if (status != DFAISS_OK)
        request_answer(server, request, status, &error, NULL, NULL, 0);
}
