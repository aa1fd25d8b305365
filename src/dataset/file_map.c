#include "dataset/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static dfaiss_status_t map_opened(int descriptor, const char *path, file_map_t *out, dfaiss_error_t *err) {
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return error_system(err, "read", path, errno);
    if (!S_ISREG(info.st_mode))
        return error_set(err, DFAISS_ERR_DATA, path, "%s is not a regular file", path);
    if (info.st_size == 0)
        return error_set(err, DFAISS_ERR_DATA, path, "%s is empty", path);
    size_t size = (size_t)info.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED)
        return error_system(err, "map", path, errno);
    (void)madvise(bytes, size, MADV_SEQUENTIAL);
    *out = (file_map_t){.bytes = bytes, .size = size, .modified = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec};
    return DFAISS_OK;
}

dfaiss_status_t file_map_open(const char *path, file_map_t *out, dfaiss_error_t *err) {
    /* Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return error_system(err, "open", path, errno);
    dfaiss_status_t status = map_opened(descriptor, path, out, err);
    close(descriptor);
    return status;
}

void file_map_close(file_map_t *map) {
    if (map->bytes)
        munmap((void *)map->bytes, map->size);
    *map = (file_map_t){0};
}

void file_map_release(const file_map_t *map, size_t offset, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (offset + page - 1) / page * page;
    /* The file's last page is whole when the range reaches the end of the file. */
    size_t end = offset + size == map->size ? map->size : (offset + size) / page * page;
    if (begin < end)
        (void)madvise((void *)(map->bytes + begin), end - begin, MADV_DONTNEED);
}

void file_map_prefetch(const file_map_t *map, size_t offset, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = offset / page * page;
    if (size > 0)
        (void)madvise((void *)(map->bytes + begin), offset + size - begin, MADV_WILLNEED);
}
