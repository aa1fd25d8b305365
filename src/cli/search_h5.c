#include <errno.h>
#include <stdbool.h>

#include <hdf5.h>

#include "cli/search_forms.h"

static dfaiss_status_t write_array(hid_t file, const char *path, const char *name, hid_t stored, hid_t memory, const search_answers_t *answers,
                                   const void *values, dfaiss_error_t *err) {
    hsize_t shape[2] = {(hsize_t)answers->nq, (hsize_t)answers->k};
    hid_t space = H5Screate_simple(2, shape, NULL);
    hid_t array = space >= 0 ? H5Dcreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) : -1;
    errno = 0;
    bool written = array >= 0 && H5Dwrite(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    int failure = errno ? errno : EIO;
    if (array >= 0 && H5Dclose(array) < 0)
        written = false;
    if (space >= 0)
        H5Sclose(space);
    return written ? DFAISS_OK : error_system(err, "write", path, failure);
}

static dfaiss_status_t write_file(const char *path, const search_answers_t *answers, dfaiss_error_t *err) {
    errno = 0;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0)
        return error_system(err, "create", path, errno ? errno : EIO);
    dfaiss_status_t status = write_array(file, path, "neighbors", H5T_STD_I64LE, H5T_NATIVE_INT64, answers, answers->ids, err);
    if (status == DFAISS_OK)
        status = write_array(file, path, "distances", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, answers, answers->scores, err);
    errno = 0;
    if (H5Fclose(file) < 0 && status == DFAISS_OK)
        status = error_system(err, "close", path, errno ? errno : EIO);
    return status;
}

dfaiss_status_t search_form_h5(const char *path, const search_answers_t *answers, dfaiss_error_t *err) {
    H5E_auto2_t print = NULL;
    void *context = NULL;
    /* HDF5 prints its stack of errors by itself; ours is one line. */
    H5Eget_auto2(H5E_DEFAULT, &print, &context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    dfaiss_status_t status = write_file(path, answers, err);
    H5Eset_auto2(H5E_DEFAULT, print, context);
    return status;
}
