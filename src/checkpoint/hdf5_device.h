/* The bytes under an HDF5 file: a virtual file driver of our own, in the place of HDF5's own for POSIX files. Private to this room.
 *
 * It is here because
 *   - HDF5 cannot give up a file that it cannot write: closing fails, and the end of the process trips over what is left. This driver keeps the first
 *     failure, lets HDF5 believe that all is well from then on, and writes nothing more; its owner asks, and gives the file up when it likes;
 *   - every write, truncation and sync goes through base/fault.h;
 *   - no file is ever locked, which many cluster file systems refuse, whatever HDF5's version and HDF5_USE_FILE_LOCKING say;
 *   - it sums up what HDF5 writes, wherever and however often it does, to be compared with what is read back (base/content_sum.h).
 */
#ifndef CHECKPOINT_HDF5_DEVICE_H
#define CHECKPOINT_HDF5_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/content_sum.h"

/* Bytes from `begin` to before `end` were written. */
typedef struct device_extent {
    uint64_t begin, end;
} device_extent_t;

typedef struct hdf5_device {
    int users; /* its owner, and files that HDF5 has open on it, or has forgotten to close */
    int descriptor;
    bool writing;
    bool given_up;      /* nothing is written any more */
    const char *action; /* what failed first ("write"); NULL: nothing yet */
    int errno_value;    /* and why */
    uint64_t bytes;     /* of the file */
    content_sum_t sum;  /* of what was written */
    device_extent_t *extents;
    size_t extent_count, extent_capacity;
} hdf5_device_t;

/* Takes over the descriptor of a file that has `bytes`. NULL, and the descriptor is closed, where there is no memory. */
hdf5_device_t *hdf5_device_create(int descriptor, bool writing, uint64_t bytes);

/* Makes HDF5 use this device for the file that is opened next with these access properties. */
herr_t hdf5_device_use(hid_t access, hdf5_device_t *device);

/* Waits until all is on the device; a failure is kept as any other. */
void hdf5_device_sync(hdf5_device_t *device);

/* Closes the descriptor; a failure is kept as any other. Where HDF5 still comes to it there is nothing to read or to write any more. */
void hdf5_device_close(hdf5_device_t *device);

/* The owner's part goes; closed if it is not. NULL is fine. */
void hdf5_device_release(hdf5_device_t *device);

#endif
