/* What an index may be called: its name is a folder of the storage, a key of messages, and a word of command lines. */
#ifndef CONFIG_INDEX_NAME_H
#define CONFIG_INDEX_NAME_H

#include "base/error.h"

/* Is `name` fit for an index: 1 to 200 letters, digits, '.', '_' or '-', not starting with '.' or '-'. ERR_ARG otherwise. */
CHECKED dfaiss_status_t index_name_check(const char *name, dfaiss_error_t *err);

#endif
