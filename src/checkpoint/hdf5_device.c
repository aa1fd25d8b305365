#include "checkpoint/hdf5_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

enum { PIECE = 1 << 16 };

/* Addresses are offsets of files. */
#define ADDRESS_MOST ((haddr_t)INT64_MAX)

/* What HDF5 knows of a device; its own part comes first. */
typedef struct driven {
    H5FD_t hdf5;
    hdf5_device_t *device;
    haddr_t allocated;
} driven_t;

/* What the access properties carry. */
typedef struct carried {
    hdf5_device_t *device;
} carried_t;

static void fail(hdf5_device_t *device, const char *action, int errno_value) {
    if (device->action)
        return;
    device->action = action;
    device->errno_value = errno_value;
    device->given_up = device->writing;
}

/* One user less. */
static void leave(hdf5_device_t *device) {
    if (--device->users > 0)
        return;
    free(device->extents);
    free(device);
}

/* ---- reading and writing pieces ---- */

/* What lies beyond the end of the file is zero. */
static bool read_at(hdf5_device_t *device, uint64_t offset, void *data, size_t size) {
    uint8_t *to = data;
    while (size > 0) {
        ssize_t got = fault_pread(device->descriptor, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            fail(device, "read", errno);
            return false;
        }
        if (got == 0) {
            memset(to, 0, size);
            return true;
        }
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_at(hdf5_device_t *device, uint64_t offset, const void *data, size_t size) {
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t put = fault_pwrite(device->descriptor, from, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            fail(device, "write", put < 0 ? errno : EIO);
            return false;
        }
        from += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return true;
}

/* ---- what was written ---- */

/* Takes out of the sum what the file holds there. */
static bool take_out(hdf5_device_t *device, uint64_t begin, uint64_t end) {
    uint8_t piece[PIECE];
    for (uint64_t at = begin; at < end;) {
        size_t size = end - at < PIECE ? (size_t)(end - at) : PIECE;
        if (!read_at(device, at, piece, size))
            return false;
        content_sum_remove(&device->sum, at, piece, size);
        at += size;
    }
    return true;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Takes out what is written there already, and that is going to be written again or cut off. */
static bool take_out_written(hdf5_device_t *device, uint64_t begin, uint64_t end) {
    for (size_t i = 0; i < device->extent_count; i++) {
        const device_extent_t *extent = &device->extents[i];
        if (!take_out(device, larger(begin, extent->begin), smaller(end, extent->end)))
            return false;
    }
    return true;
}

/* A place for one extent more, at the end. */
static bool grow_extents(hdf5_device_t *device) {
    if (device->extent_count < device->extent_capacity)
        return true;
    size_t capacity = device->extent_capacity ? device->extent_capacity * 2 : 32;
    device_extent_t *grown = realloc(device->extents, capacity * sizeof *grown);
    if (!grown)
        return false;
    device->extents = grown;
    device->extent_capacity = capacity;
    return true;
}

/* Those that touch the new one become part of it; they are in no order. */
static bool note_extent(hdf5_device_t *device, uint64_t begin, uint64_t end) {
    if (!grow_extents(device))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < device->extent_count; i++) {
        device_extent_t extent = device->extents[i];
        if (extent.end < begin || extent.begin > end) {
            device->extents[kept++] = extent;
            continue;
        }
        begin = smaller(begin, extent.begin);
        end = larger(end, extent.end);
    }
    device->extents[kept++] = (device_extent_t){begin, end};
    device->extent_count = kept;
    return true;
}

static void cut_extents(hdf5_device_t *device, uint64_t end) {
    size_t kept = 0;
    for (size_t i = 0; i < device->extent_count; i++) {
        device_extent_t extent = device->extents[i];
        extent.end = smaller(extent.end, end);
        if (extent.begin < extent.end)
            device->extents[kept++] = extent;
    }
    device->extent_count = kept;
}

/* ---- what HDF5 calls ---- */

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t most) {
    (void)name;
    (void)flags;
    (void)most;
    const carried_t *carried = H5Pget_driver_info(access);
    driven_t *driven = carried ? calloc(1, sizeof *driven) : NULL;
    if (!driven)
        return NULL;
    driven->device = carried->device;
    driven->device->users++;
    return &driven->hdf5;
}

static herr_t driver_close(H5FD_t *file) {
    leave(((driven_t *)file)->device);
    free(file);
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA |
             H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_allocated(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const driven_t *)file)->allocated;
}

static herr_t driver_set_allocated(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
    (void)type;
    ((driven_t *)file)->allocated = address;
    return 0;
}

static haddr_t driver_get_end(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const driven_t *)file)->device->bytes;
}

static bool in_range(haddr_t address, size_t size) {
    return address <= ADDRESS_MOST && size <= ADDRESS_MOST - address;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *data) {
    (void)type;
    (void)transfer;
    return in_range(address, size) && read_at(((driven_t *)file)->device, address, data, size) ? 0 : -1;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, const void *data) {
    hdf5_device_t *device = ((driven_t *)file)->device;
    (void)type;
    (void)transfer;
    if (!device->writing || !in_range(address, size))
        return -1;
    if (device->given_up || !take_out_written(device, address, address + size) || !write_at(device, address, data, size))
        return 0;
    content_sum_add(&device->sum, address, data, size);
    device->bytes = larger(device->bytes, address + size);
    if (!note_extent(device, address, address + size))
        fail(device, "write", ENOMEM);
    return 0;
}

/* Makes the file as long as what HDF5 has allocated. */
static herr_t driver_truncate(H5FD_t *file, hid_t transfer, hbool_t closing) {
    const driven_t *driven = (const driven_t *)file;
    hdf5_device_t *device = driven->device;
    (void)transfer;
    (void)closing;
    if (!device->writing || device->given_up || device->bytes == driven->allocated)
        return 0;
    if (!take_out_written(device, driven->allocated, UINT64_MAX))
        return 0;
    if (fault_truncate(device->descriptor, (off_t)driven->allocated) != 0) {
        fail(device, "truncate", errno);
        return 0;
    }
    device->bytes = driven->allocated;
    cut_extents(device, device->bytes);
    return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = 512, /* of those that nobody registers */
#endif
    .name = "dfaiss",
    .maxaddr = ADDRESS_MOST,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(carried_t),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_allocated,
    .set_eoa = driver_set_allocated,
    .get_eof = driver_get_end,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hdf5_device_t *hdf5_device_create(int descriptor, bool writing, uint64_t bytes) {
    hdf5_device_t *device = calloc(1, sizeof *device);
    if (!device) {
        close(descriptor);
        return NULL;
    }
    *device = (hdf5_device_t){.users = 1, .descriptor = descriptor, .writing = writing, .bytes = bytes};
    return device;
}

herr_t hdf5_device_use(hid_t access, hdf5_device_t *device) {
    const carried_t carried = {device};
    hid_t id = H5FDregister(&driver);
    if (id < 0)
        return -1;
    herr_t set = H5Pset_driver(access, id, &carried);
    /* Whoever uses it holds on to it. */
    herr_t released = H5FDunregister(id);
    return set < 0 ? set : released;
}

void hdf5_device_sync(hdf5_device_t *device) {
    if (!device->given_up && fault_sync(device->descriptor) != 0)
        fail(device, "sync", errno);
}

void hdf5_device_close(hdf5_device_t *device) {
    if (device->descriptor >= 0 && (device->writing ? fault_close(device->descriptor) : close(device->descriptor)) != 0)
        fail(device, "close", errno);
    device->descriptor = -1;
    device->given_up = true;
}

void hdf5_device_release(hdf5_device_t *device) {
    if (!device)
        return;
    hdf5_device_close(device);
    leave(device);
}
