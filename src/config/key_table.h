/* The keys of an index configuration: what each is called, where its value lies in index_config_t, which values it may have, and what it is
 * for. Parsing, printing and documenting all go through this table, so that a new key is one row here and one field there.
 */
#ifndef CONFIG_KEY_TABLE_H
#define CONFIG_KEY_TABLE_H

#include <stddef.h>

typedef enum key_type {
    KEY_CHOICE,  /* an enum whose value i is called choices[i] */
    KEY_TEXT,    /* char[capacity] */
    KEY_INTEGER, /* int64_t, low to high */
    KEY_NUMBER,  /* double, low to high */
    KEY_SHARE,   /* double, above 0 and at most 1 */
    KEY_SWITCH,  /* bool */
    KEY_OBJECT,  /* json_t *, an object or NULL; owned */
} key_type_t;

typedef struct config_key {
    const char *name;
    key_type_t type;
    size_t offset;              /* of the field in index_config_t */
    const char *fallback;       /* the default as JSON; "null" where a key has none */
    double low, high;           /* KEY_INTEGER, KEY_NUMBER; integers that JSON readers hold exactly, thus within 2^53 */
    size_t capacity;            /* KEY_TEXT */
    const char *const *choices; /* KEY_CHOICE; ends with NULL; a name "" stands for no value and cannot be written */
    const char *help;
} config_key_t;

extern const config_key_t config_keys[];
extern const size_t config_key_count;

/* The key of a name; NULL where there is none. */
const config_key_t *config_key_find(const char *name);

/* The key whose name takes the fewest edits to reach from a misspelt one. */
const config_key_t *config_key_nearest(const char *name);

/* What a key takes, for people ("an integer from 1 to 8"); text char[capacity]. */
void config_key_expected(const config_key_t *key, char *text, size_t capacity);

#endif
