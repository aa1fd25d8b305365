#include "gateway/listen_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"

enum { FILE_LIMIT = 1 << 16, PORT_LAST = 65535, PATH_BESIDE = PATH_MAX + 16 };

static const char format_name[] = "dfaiss listen";

dfaiss_status_t listen_file_make_token(uint8_t *token, dfaiss_error_t *err) {
    ssize_t got = getrandom(token, LISTEN_TOKEN, 0);
    if (got == LISTEN_TOKEN)
        return DFAISS_OK;
    return error_system(err, "read", "the system's random numbers", got < 0 ? errno : EIO);
}

/* ---- writing ---- */

static char *print_file(const listen_file_t *file) {
    char token[2 * LISTEN_TOKEN + 1];
    for (int i = 0; i < LISTEN_TOKEN; i++)
        snprintf(token + 2 * (size_t)i, 3, "%02x", file->token[i]);
    json_t *object = json_pack("{s:s, s:s, s:i, s:s}", "format", format_name, "host", file->host, "port", file->port, "token", token);
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    return text;
}

static dfaiss_status_t write_all(int descriptor, const char *path, const char *text, dfaiss_error_t *err) {
    for (size_t left = strlen(text); left > 0;) {
        ssize_t written = write(descriptor, text, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_system(err, "write", path, errno);
        text += written;
        left -= (size_t)written;
    }
    return fsync(descriptor) == 0 ? DFAISS_OK : error_system(err, "sync", path, errno);
}

/* mkostemp makes a file of the owner's own, whatever the umask. */
static dfaiss_status_t write_beside(const char *path, const char *text, char *beside, dfaiss_error_t *err) {
    int length = snprintf(beside, PATH_BESIDE, "%s.XXXXXX", path);
    if (length < 0 || length >= PATH_MAX)
        return error_set(err, DFAISS_ERR_ARG, path, "the path %s is too long", path);
    int descriptor = mkostemp(beside, O_CLOEXEC);
    if (descriptor < 0)
        return error_system(err, "write", path, errno);
    dfaiss_status_t status = write_all(descriptor, path, text, err);
    if (close(descriptor) != 0 && status == DFAISS_OK)
        status = error_system(err, "close", path, errno);
    if (status != DFAISS_OK)
        (void)unlink(beside);
    return status;
}

dfaiss_status_t listen_file_check_replaceable(const char *path, dfaiss_error_t *err) {
    listen_file_t found;
    struct stat info;
    if (stat(path, &info) != 0 && errno == ENOENT)
        return DFAISS_OK;
    if (listen_file_read(path, &found, NULL) == DFAISS_OK)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_EXISTS, path, "%s exists and is no listen file; it would be lost", path);
}

dfaiss_status_t listen_file_write(const char *path, const listen_file_t *file, dfaiss_error_t *err) {
    char beside[PATH_BESIDE];
    TRY(listen_file_check_replaceable(path, err));
    char *text = print_file(file);
    if (!text)
        return error_memory(err, FILE_LIMIT, "a listen file");
    dfaiss_status_t status = write_beside(path, text, beside, err);
    free(text);
    TRY(status);
    if (rename(beside, path) == 0)
        return DFAISS_OK;
    status = error_system(err, "rename to", path, errno);
    (void)unlink(beside);
    return status;
}

/* ---- reading ---- */

static bool read_token(const char *text, uint8_t *token) {
    if (strlen(text) != 2 * LISTEN_TOKEN || strspn(text, "0123456789abcdef") != 2 * LISTEN_TOKEN)
        return false;
    for (int i = 0; i < LISTEN_TOKEN; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        token[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool read_object(json_t *object, listen_file_t *file) {
    const char *format, *host, *token;
    if (json_unpack(object, "{s:s, s:s, s:i, s:s}", "format", &format, "host", &host, "port", &file->port, "token", &token) != 0)
        return false;
    if (strcmp(format, format_name) != 0 || !host[0] || strlen(host) >= sizeof file->host || file->port < 1 || file->port > PORT_LAST)
        return false;
    memcpy(file->host, host, strlen(host) + 1);
    return read_token(token, file->token);
}

dfaiss_status_t listen_file_read(const char *path, listen_file_t *file, dfaiss_error_t *err) {
    char *text = NULL;
    size_t size = 0;
    listen_file_t found = {0};
    TRY(file_read_whole(path, FILE_LIMIT, &text, &size, err));
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool good = object && read_object(object, &found);
    json_decref(object);
    free(text);
    if (!good)
        return error_set(err, DFAISS_ERR_DATA, path, "%s is no listen file; expected what dfaiss serve --listen has written", path);
    *file = found;
    return DFAISS_OK;
}

void listen_file_remove(const char *path, const listen_file_t *file) {
    listen_file_t found;
    if (listen_file_read(path, &found, NULL) == DFAISS_OK && memcmp(found.token, file->token, LISTEN_TOKEN) == 0)
        (void)unlink(path);
}
