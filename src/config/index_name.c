#include "config/index_name.h"

#include <string.h>

enum { NAME_MOST = 200 };

dfaiss_status_t index_name_check(const char *name, dfaiss_error_t *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    if (length > NAME_MOST)
        return error_set(err, DFAISS_ERR_ARG, name, "the index name \"%.40s...\" is not allowed: it has %zu characters, expected 1 to %d", name,
                         length, NAME_MOST);
    if (length < 1 || strspn(name, allowed) != length || name[0] == '.' || name[0] == '-')
        return error_set(err, DFAISS_ERR_ARG, name,
                         "the index name \"%s\" is not allowed: expected 1 to %d letters, digits, '.', '_' or '-', not starting with '.' or '-'",
                         name, NAME_MOST);
    return DFAISS_OK;
}
