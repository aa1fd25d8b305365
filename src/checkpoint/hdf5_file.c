/* Files, attributes and texts, and how a failure of HDF5 becomes an error of ours. */
#include "checkpoint/hdf5_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

enum { TEXT_BYTES_MOST = 1 << 26, ROOT_ATTRIBUTES_MOST = 64 };

/* ---- errors ---- */

/* The innermost message of HDF5's error stack. */
typedef struct complaint {
    char text[256];
} complaint_t;

static herr_t note_message(unsigned depth, const H5E_error2_t *message, void *context) {
    complaint_t *complaint = context;
    if (depth == 0)
        snprintf(complaint->text, sizeof complaint->text, "%s", message->desc ? message->desc : "");
    return 0;
}

/* What the device cannot give back is damaged. */
static dfaiss_status_t device_failed(const hdf5_file_t *file, const char *action) {
    int failure = file->device->errno_value;
    if (file->writing || failure != EIO)
        return error_system(file->err, action, file->path, failure);
    return error_set(file->err, DFAISS_ERR_CHECKPOINT, file->path, "cannot %s %s: %s", action, file->path, strerror(failure));
}

dfaiss_status_t hdf5_failed(hdf5_file_t *file, const char *action, const char *object) {
    complaint_t complaint = {.text = "no reason given"};
    char whole[HDF5_NAME + 64];
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_message, &complaint);
    H5Eclear2(H5E_DEFAULT);
    snprintf(whole, sizeof whole, "%s%s%s%s", action, object ? " " : "", object ? object : "", object ? " of" : "");
    if (file->device->action)
        return device_failed(file, whole);
    return error_set(file->err, file->writing ? DFAISS_ERR_IO : DFAISS_ERR_CHECKPOINT, file->path, "cannot %s %s: HDF5 says \"%s\"", whole,
                     file->path, complaint.text);
}

dfaiss_status_t hdf5_unexpected(hdf5_file_t *file, const char *what, const char *format, ...) {
    char text[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(file->err, DFAISS_ERR_CHECKPOINT, file->path, "%s: %s: %s", file->path, what, text);
}

/* ---- files ---- */

static void be_quiet(hdf5_file_t *file) {
    H5Eget_auto2(H5E_DEFAULT, &file->print, &file->print_context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void be_loud_again(hdf5_file_t *file) {
    H5Eset_auto2(H5E_DEFAULT, file->print, file->print_context);
}

/* How files are opened: on our device, and closing a file closes what is open inside. The 1.10 format has checksums on everything but the data
 * itself.
 */
static hid_t access_properties(hdf5_device_t *device) {
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list < 0)
        return list;
    herr_t made = hdf5_device_use(list, device);
    if (made >= 0)
        made = H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    /* What HDF5 holds back it may fail to write where nobody looks; streams gather small pieces already. */
    if (made >= 0)
        made = H5Pset_sieve_buf_size(list, 0);
    if (made >= 0)
        made = H5Pset_libver_bounds(list, H5F_LIBVER_V110, H5F_LIBVER_V110);
    if (made >= 0)
        return list;
    H5Pclose(list);
    return H5I_INVALID_HID;
}

/* How a new file's root keeps its attributes: all in one place, however many, which takes the fewest structures to read back. No times are stored:
 * the same content makes the same bytes. */
static hid_t creation_properties(void) {
    hid_t list = H5Pcreate(H5P_FILE_CREATE);
    if (list < 0 || (H5Pset_attr_phase_change(list, ROOT_ATTRIBUTES_MOST, 0) >= 0 && H5Pset_obj_track_times(list, 0) >= 0))
        return list;
    H5Pclose(list);
    return H5I_INVALID_HID;
}

/* HDF5 forgets its error with the next call: a failure is told before anything is closed. */
static dfaiss_status_t open_on_device(hdf5_file_t *file) {
    hid_t access = access_properties(file->device);
    hid_t creation = creation_properties();
    if (access >= 0 && creation >= 0)
        file->id = file->writing ? H5Fcreate(file->path, H5F_ACC_TRUNC, creation, access) : H5Fopen(file->path, H5F_ACC_RDONLY, access);
    dfaiss_status_t status = file->id >= 0 ? DFAISS_OK : hdf5_failed(file, file->writing ? "create" : "open", NULL);
    if (creation >= 0)
        H5Pclose(creation);
    if (access >= 0)
        H5Pclose(access);
    return status;
}

static dfaiss_status_t open_file(hdf5_file_t *file) {
    be_quiet(file);
    dfaiss_status_t status = open_on_device(file);
    if (status == DFAISS_OK)
        return status;
    be_loud_again(file);
    hdf5_device_release(file->device);
    file->device = NULL;
    if (file->writing)
        (void)fault_remove(file->path);
    return status;
}

dfaiss_status_t hdf5_create(hdf5_file_t *file, const char *path, dfaiss_error_t *err) {
    *file = (hdf5_file_t){.id = H5I_INVALID_HID, .path = path, .writing = true, .err = err};
    if (fault_remove(path) != 0 && errno != ENOENT)
        return error_system(err, "replace", path, errno);
    int descriptor = fault_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return error_system(err, "create", path, errno);
    file->device = hdf5_device_create(descriptor, true, 0);
    if (file->device)
        return open_file(file);
    (void)fault_remove(path);
    return error_memory(err, sizeof *file->device, path);
}

dfaiss_status_t hdf5_open(hdf5_file_t *file, const char *path, dfaiss_error_t *err) {
    *file = (hdf5_file_t){.id = H5I_INVALID_HID, .path = path, .err = err};
    dfaiss_status_t status = file_size(path, &file->bytes, err);
    if (status == DFAISS_ERR_DATA)
        return error_set(err, DFAISS_ERR_CHECKPOINT, path, "%s is not a regular file", path);
    TRY(status);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(err, "open", path, errno);
    file->device = hdf5_device_create(descriptor, false, file->bytes);
    return file->device ? open_file(file) : error_memory(err, sizeof *file->device, path);
}

static dfaiss_status_t sync_folder(const char *path, dfaiss_error_t *err) {
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    return file_sync_directory(slash ? folder : ".", err);
}

/* HDF5 writes until it has closed the file. What the device could not do it does not know. */
static dfaiss_status_t finish_writing(hdf5_file_t *file) {
    if (H5Fclose(file->id) < 0)
        return hdf5_failed(file, "close", NULL);
    file->id = H5I_INVALID_HID;
    hdf5_device_sync(file->device);
    hdf5_device_close(file->device);
    if (file->device->action)
        return device_failed(file, file->device->action);
    file->bytes = file->device->bytes;
    file->sum = file->device->sum;
    return sync_folder(file->path, file->err);
}

static void discard(hdf5_file_t *file) {
    file->device->given_up = true;
    if (file->id >= 0)
        H5Fclose(file->id);
    (void)fault_remove(file->path);
}

dfaiss_status_t hdf5_close(hdf5_file_t *file, dfaiss_status_t status) {
    if (file->writing && status == DFAISS_OK)
        status = finish_writing(file);
    else if (!file->writing && H5Fclose(file->id) < 0 && status == DFAISS_OK)
        status = hdf5_failed(file, "close", NULL);
    else if (!file->writing && status == DFAISS_OK && file->device->action)
        status = device_failed(file, file->device->action); /* where something was looked for, this may be why it was not found */
    if (file->writing && status != DFAISS_OK)
        discard(file);
    hdf5_device_release(file->device);
    file->device = NULL;
    file->id = H5I_INVALID_HID;
    be_loud_again(file);
    return status;
}

bool hdf5_exists(hdf5_file_t *file, const char *name) {
    char part[HDF5_NAME];
    H5L_info_t info;
    snprintf(part, sizeof part, "%s", name);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = 0;
        if (H5Lget_info(file->id, part, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD) {
            H5Eclear2(H5E_DEFAULT);
            return false;
        }
        if (!slash)
            return true;
        *slash = '/';
    }
}

/* A list of properties of a class of objects, without times. */
static hid_t timeless(hid_t class) {
    hid_t list = H5Pcreate(class);
    if (list < 0 || H5Pset_obj_track_times(list, 0) >= 0)
        return list;
    H5Pclose(list);
    return H5I_INVALID_HID;
}

dfaiss_status_t hdf5_make_group(hdf5_file_t *file, const char *name) {
    hid_t list = timeless(H5P_GROUP_CREATE);
    hid_t group = list >= 0 ? H5Gcreate2(file->id, name, H5P_DEFAULT, list, H5P_DEFAULT) : H5I_INVALID_HID;
    dfaiss_status_t status = group >= 0 && H5Gclose(group) >= 0 ? DFAISS_OK : hdf5_failed(file, "make group", name);
    if (list >= 0)
        H5Pclose(list);
    return status;
}

/* ---- attributes ---- */

/* "attribute rows of /" for error texts. */
static void attribute_name(const char *object, const char *name, char *text, size_t capacity) {
    snprintf(text, capacity, "attribute %s of %s", name, object);
}

/* A scalar text type of `size` bytes, padded with zeros. */
static hid_t text_type(size_t size) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, size ? size : 1) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        return type;
    if (type >= 0)
        H5Tclose(type);
    return H5I_INVALID_HID;
}

static dfaiss_status_t put_attribute(hdf5_file_t *file, const char *object, const char *name, hid_t file_type, hid_t memory_type, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t id = H5I_INVALID_HID;
    if (space >= 0 && file_type >= 0)
        id = H5Acreate_by_name(file->id, object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    dfaiss_status_t status = DFAISS_OK;
    if (id < 0 || H5Awrite(id, memory_type, value) < 0) {
        char what[HDF5_NAME * 2];
        attribute_name(object, name, what, sizeof what);
        status = hdf5_failed(file, "write", what);
    }
    if (id >= 0 && H5Aclose(id) < 0 && status == DFAISS_OK)
        status = hdf5_failed(file, "write", name);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

dfaiss_status_t hdf5_put_integer(hdf5_file_t *file, const char *object, const char *name, int64_t value) {
    return put_attribute(file, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

dfaiss_status_t hdf5_put_text(hdf5_file_t *file, const char *object, const char *name, const char *text) {
    hid_t type = text_type(strlen(text));
    dfaiss_status_t status = put_attribute(file, object, name, type, type, text);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

/* Opens an attribute that must be one value of a class; its type goes to *type. */
static dfaiss_status_t open_attribute(hdf5_file_t *file, const char *what, const char *object, const char *name, H5T_class_t class, hid_t *id,
                                      hid_t *type) {
    *type = H5I_INVALID_HID;
    *id = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (*id < 0)
        return hdf5_failed(file, "open", what);
    hid_t space = H5Aget_space(*id);
    *type = H5Aget_type(*id);
    bool single = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0)
        H5Sclose(space);
    if (*type < 0 || !single || H5Tget_class(*type) != class)
        return hdf5_unexpected(file, what, "expected one %s, found something else", class == H5T_INTEGER ? "integer" : "text");
    return DFAISS_OK;
}

static void close_attribute(hid_t id, hid_t type) {
    if (type >= 0)
        H5Tclose(type);
    if (id >= 0)
        H5Aclose(id);
}

dfaiss_status_t hdf5_get_integer(hdf5_file_t *file, const char *object, const char *name, int64_t least, int64_t most, int64_t *value) {
    char what[HDF5_NAME * 2];
    hid_t id, type;
    int64_t found = 0;
    attribute_name(object, name, what, sizeof what);
    dfaiss_status_t status = open_attribute(file, what, object, name, H5T_INTEGER, &id, &type);
    if (status == DFAISS_OK && H5Aread(id, H5T_NATIVE_INT64, &found) < 0)
        status = hdf5_failed(file, "read", what);
    if (status == DFAISS_OK && (found < least || found > most))
        status = hdf5_unexpected(file, what, "expected an integer from %" PRId64 " to %" PRId64 ", found %" PRId64, least, most, found);
    close_attribute(id, type);
    if (status == DFAISS_OK)
        *value = found;
    return status;
}

dfaiss_status_t hdf5_get_text(hdf5_file_t *file, const char *object, const char *name, char *text, size_t capacity) {
    char what[HDF5_NAME * 2];
    hid_t id, type;
    attribute_name(object, name, what, sizeof what);
    dfaiss_status_t status = open_attribute(file, what, object, name, H5T_STRING, &id, &type);
    size_t size = status == DFAISS_OK ? H5Tget_size(type) : 0;
    if (status == DFAISS_OK && (H5Tis_variable_str(type) != 0 || size >= capacity))
        status = hdf5_unexpected(file, what, "expected a text of less than %zu bytes, found one of %zu", capacity, size);
    if (status == DFAISS_OK && H5Aread(id, type, text) < 0)
        status = hdf5_failed(file, "read", what);
    close_attribute(id, type);
    if (status == DFAISS_OK)
        text[size] = 0;
    return status;
}

/* ---- texts ---- */

dfaiss_status_t hdf5_write_text(hdf5_file_t *file, const char *name, const char *text) {
    hid_t type = text_type(strlen(text));
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t list = timeless(H5P_DATASET_CREATE);
    hid_t id = H5I_INVALID_HID;
    if (type >= 0 && space >= 0 && list >= 0)
        id = H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    dfaiss_status_t status = DFAISS_OK;
    if (id < 0 || H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        status = hdf5_failed(file, "write", name);
    if (id >= 0 && H5Dclose(id) < 0 && status == DFAISS_OK)
        status = hdf5_failed(file, "write", name);
    if (list >= 0)
        H5Pclose(list);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

/* Is an open dataset one text of a fixed size that a file of this size can hold? */
static bool single_text(const hdf5_file_t *file, hid_t id, hid_t type) {
    hid_t space = H5Dget_space(id);
    bool single = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0)
        H5Sclose(space);
    if (!single || type < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0)
        return false;
    size_t size = H5Tget_size(type);
    return size <= TEXT_BYTES_MOST && size <= file->bytes;
}

static dfaiss_status_t read_opened_text(hdf5_file_t *file, const char *name, hid_t id, hid_t type, char **text, size_t *size) {
    if (!single_text(file, id, type))
        return hdf5_unexpected(file, name, "expected one text of fixed size, found something else");
    size_t bytes = H5Tget_size(type);
    char *made = malloc(bytes + 1);
    if (!made)
        return error_memory(file->err, bytes + 1, name);
    if (H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, made) < 0) {
        free(made);
        return hdf5_failed(file, "read", name);
    }
    made[bytes] = 0;
    *text = made;
    *size = strlen(made);
    return DFAISS_OK;
}

dfaiss_status_t hdf5_read_text(hdf5_file_t *file, const char *name, char **text, size_t *size) {
    if (!hdf5_exists(file, name))
        return hdf5_unexpected(file, name, "the dataset is missing");
    hid_t id = H5Dopen2(file->id, name, H5P_DEFAULT);
    hid_t type = id >= 0 ? H5Dget_type(id) : H5I_INVALID_HID;
    dfaiss_status_t status = id >= 0 ? read_opened_text(file, name, id, type, text, size) : hdf5_failed(file, "open", name);
    if (type >= 0)
        H5Tclose(type);
    if (id >= 0)
        H5Dclose(id);
    return status;
}
