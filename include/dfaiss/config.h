/* The configuration of an index: the keys that `dfaiss build --help` and the README list, with their values.
 *
 * Not collective; a handle may be used by one thread at a time.
 */
#ifndef DFAISS_CONFIG_H
#define DFAISS_CONFIG_H

#include <stddef.h>

#include <dfaiss/export.h>
#include <dfaiss/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dfaiss_config dfaiss_config_t;

/* A configuration with all defaults. DFAISS_ERR_MEMORY. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_config_create(dfaiss_config_t **out, dfaiss_error_t *err);
/* From a file that holds a JSON object. DFAISS_ERR_NOT_FOUND, DFAISS_ERR_IO; DFAISS_ERR_CONFIG (text and `where` name file, key, value and what was
 * expected). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_config_read(const char *path, dfaiss_config_t **out, dfaiss_error_t *err);
/* From the text char[size] of a JSON object. DFAISS_ERR_CONFIG. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_config_parse(const char *text, size_t size, dfaiss_config_t **out, dfaiss_error_t *err);
/* NULL is fine. */
DFAISS_API void dfaiss_config_destroy(dfaiss_config_t *config);

/* Sets one key. The value is JSON ("128", "true", "{\"year\": \"int\"}"), or the plain text of a key that takes text ("l2").
 * DFAISS_ERR_CONFIG for a key that there is not (the nearest is named) or a value out of range; the configuration is then as before. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_config_set(dfaiss_config_t *config, const char *key, const char *value, dfaiss_error_t *err);
/* The value of one key, as JSON: *value is malloc'ed and the caller's. DFAISS_ERR_CONFIG for a key that there is not. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_config_get(const dfaiss_config_t *config, const char *key, char **value, dfaiss_error_t *err);
/* All keys as a JSON object: *text is malloc'ed and the caller's. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_config_print(const dfaiss_config_t *config, char **text, dfaiss_error_t *err);

#ifdef __cplusplus
}
#endif
#endif
