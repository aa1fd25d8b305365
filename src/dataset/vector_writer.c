#include "dataset/vector_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { BUFFER = 1 << 20 };

struct vector_writer {
    char path[PATH_MAX];
    char beside[PATH_MAX]; /* what is written until it is complete */
    int descriptor;        /* -1: closed, nothing is left to remove */
    int64_t rows;
    int64_t written; /* rows that came */
    size_t row_bytes;
    size_t buffered;
    uint8_t buffer[BUFFER]; /* small appends go out together */
};

static dfaiss_status_t write_out(vector_writer_t *writer, const void *data, size_t size, dfaiss_error_t *err) {
    for (size_t done = 0; done < size;) {
        ssize_t put = write(writer->descriptor, (const uint8_t *)data + done, size - done);
        if (put >= 0)
            done += (size_t)put;
        else if (errno != EINTR)
            return error_system(err, "write", writer->path, errno);
    }
    return DFAISS_OK;
}

static dfaiss_status_t flush(vector_writer_t *writer, dfaiss_error_t *err) {
    size_t size = writer->buffered;
    writer->buffered = 0;
    return write_out(writer, writer->buffer, size, err);
}

static dfaiss_status_t put(vector_writer_t *writer, const void *data, size_t size, dfaiss_error_t *err) {
    if (size > BUFFER - writer->buffered)
        TRY(flush(writer, err));
    if (size > BUFFER)
        return write_out(writer, data, size, err);
    memcpy(writer->buffer + writer->buffered, data, size);
    writer->buffered += size;
    return DFAISS_OK;
}

static dfaiss_status_t check_shape(const char *path, int64_t rows, int64_t columns, size_t component_bytes, dfaiss_error_t *err) {
    if (rows < 0 || rows > UINT32_MAX || columns < 1 || columns > UINT32_MAX || component_bytes < 1 || component_bytes > 8)
        return error_set(err, DFAISS_ERR_ARG, path, "%s cannot hold %lld rows of %lld: a .bin file counts both in 32 bits", path, (long long)rows,
                         (long long)columns);
    return DFAISS_OK;
}

dfaiss_status_t vector_writer_create(const char *path, int64_t rows, int64_t columns, size_t component_bytes, vector_writer_t **out,
                                     dfaiss_error_t *err) {
    TRY(check_shape(path, rows, columns, component_bytes, err));
    vector_writer_t *writer = malloc(sizeof *writer);
    if (!writer)
        return error_memory(err, sizeof *writer, "writing a file");
    writer->descriptor = -1;
    writer->rows = rows;
    writer->written = 0;
    writer->row_bytes = (size_t)columns * component_bytes;
    writer->buffered = 0;
    snprintf(writer->path, sizeof writer->path, "%s", path);
    int length = snprintf(writer->beside, sizeof writer->beside, "%s.new", path);
    dfaiss_status_t status = DFAISS_OK;
    if (length < 0 || (size_t)length >= sizeof writer->beside)
        status = error_set(err, DFAISS_ERR_ARG, path, "the path %s is too long", path);
    if (status == DFAISS_OK) {
        writer->descriptor = open(writer->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (writer->descriptor < 0)
            status = error_system(err, "create", path, errno);
    }
    if (status != DFAISS_OK) {
        vector_writer_abort(writer);
        return status;
    }
    uint32_t header[2] = {(uint32_t)rows, (uint32_t)columns};
    memcpy(writer->buffer, header, sizeof header);
    writer->buffered = sizeof header;
    *out = writer;
    return DFAISS_OK;
}

dfaiss_status_t vector_writer_append(vector_writer_t *writer, const void *rows, int64_t n, dfaiss_error_t *err) {
    if (n < 0 || n > writer->rows - writer->written)
        return error_set(err, DFAISS_ERR_ARG, writer->path, "%s was to hold %lld rows; %lld came, and now %lld more", writer->path,
                         (long long)writer->rows, (long long)writer->written, (long long)n);
    TRY(put(writer, rows, (size_t)n * writer->row_bytes, err));
    writer->written += n;
    return DFAISS_OK;
}

static dfaiss_status_t complete(vector_writer_t *writer, dfaiss_error_t *err) {
    if (writer->written != writer->rows)
        return error_set(err, DFAISS_ERR_ARG, writer->path, "%s was to hold %lld rows; only %lld came", writer->path, (long long)writer->rows,
                         (long long)writer->written);
    TRY(flush(writer, err));
    if (fsync(writer->descriptor) != 0)
        return error_system(err, "sync", writer->path, errno);
    return DFAISS_OK;
}

static dfaiss_status_t sync_folder_of(char *path, dfaiss_error_t *err) {
    char *slash = strrchr(path, '/');
    if (!slash)
        return file_sync_directory(".", err);
    /* "/name" lies in "/". */
    slash[slash == path] = 0;
    return file_sync_directory(path, err);
}

dfaiss_status_t vector_writer_finish(vector_writer_t *writer, dfaiss_error_t *err) {
    dfaiss_status_t status = complete(writer, err);
    if (status != DFAISS_OK) {
        vector_writer_abort(writer);
        return status;
    }
    /* Some file systems report a failed write only here. */
    if (close(writer->descriptor) != 0)
        status = error_system(err, "close", writer->path, errno);
    writer->descriptor = -1;
    if (status == DFAISS_OK && rename(writer->beside, writer->path) != 0)
        status = error_system(err, "rename to", writer->path, errno);
    if (status != DFAISS_OK)
        unlink(writer->beside);
    else
        status = sync_folder_of(writer->path, err);
    free(writer);
    return status;
}

void vector_writer_abort(vector_writer_t *writer) {
    if (!writer)
        return;
    if (writer->descriptor >= 0) {
        close(writer->descriptor);
        unlink(writer->beside);
    }
    free(writer);
}
