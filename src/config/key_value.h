/* One value between its JSON form and its field in index_config_t, as the key's row in the table says. */
#ifndef CONFIG_KEY_VALUE_H
#define CONFIG_KEY_VALUE_H

#include <jansson.h>

#include "base/error.h"
#include "config/index_config.h"
#include "config/key_table.h"

/* Checks a value and puts it into the field. A number, or true and false, may come as a string; null stands for no value where the default is
 * none. On failure ERR_CONFIG, naming `where` (the file), key, value and what was expected; the field is as it was. */
CHECKED dfaiss_status_t key_value_set(index_config_t *config, const config_key_t *key, const json_t *value, const char *where, dfaiss_error_t *err);

/* The field as a new JSON reference; null where it holds no value. NULL: no memory. */
json_t *key_value_get(const index_config_t *config, const config_key_t *key);

/* A JSON value as people may be shown it: one line, cut short when long; text char[capacity]. */
void key_value_show(const json_t *value, char *text, size_t capacity);

#endif
