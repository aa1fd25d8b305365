/* The findings of dfaiss inspect as a table for people. */
#ifndef CLI_INSPECT_PRINT_H
#define CLI_INSPECT_PRINT_H

#include <jansson.h>

/* indexes: the array [{name, generations, damaged}], borrowed. Prints to stdout. */
void inspect_print(const char *storage, const json_t *indexes);

#endif
