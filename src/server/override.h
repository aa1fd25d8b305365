/* What LOAD may change in the configuration that was saved. */
#ifndef SERVER_OVERRIDE_H
#define SERVER_OVERRIDE_H

#include "base/error.h"
#include "config/index_config.h"

/* Checks the JSON text of overrides against a saved configuration: ERR_CONFIG where a key differs that must stay as it was saved. */
CHECKED dfaiss_status_t override_check(const index_config_t *saved, const char *text, size_t size, const char *index, dfaiss_error_t *err);

/* The index_storage_dir of the overrides: *storage is the caller's, NULL where they have none. */
CHECKED dfaiss_status_t override_storage(const char *text, size_t size, const char *index, char **storage, dfaiss_error_t *err);

/* Puts the overrides into a configuration; text may be empty. */
CHECKED dfaiss_status_t override_apply(index_config_t *config, const char *text, size_t size, const char *index, dfaiss_error_t *err);

#endif
