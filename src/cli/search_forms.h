/* Single files that hold the answers to a search. Each function makes the whole file at `path`; its caller syncs it and gives it its name. */
#ifndef CLI_SEARCH_FORMS_H
#define CLI_SEARCH_FORMS_H

#include "cli/search_output.h"

/* A line a query: {"query": n, "ids": [...], "scores": [...], "metadata": [...]}; score and metadata of id -1, and missing metadata, are null. */
CHECKED dfaiss_status_t search_form_jsonl(const char *path, const search_answers_t *answers, dfaiss_error_t *err);

/* `neighbors` int64 and `distances` float32, each [nq][k]. */
CHECKED dfaiss_status_t search_form_h5(const char *path, const search_answers_t *answers, dfaiss_error_t *err);

#endif
