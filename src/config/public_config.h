/* What a dfaiss_config_t is made of, for the rooms that send and receive one. */
#ifndef CONFIG_PUBLIC_CONFIG_H
#define CONFIG_PUBLIC_CONFIG_H

#include <dfaiss/config.h>

#include "config/index_config.h"

struct dfaiss_config {
    json_t *given;          /* the keys that were set, with their values: what travels, so that a server can tell a default from a wish */
    index_config_t *values; /* all keys; the rules between keys are not checked yet, since they are set one by one */
};

/* The keys that were set as JSON text; malloc'ed, the caller's. */
CHECKED dfaiss_status_t config_given_text(const dfaiss_config_t *config, char **text, dfaiss_error_t *err);

#endif
