/* A file of plain faiss that nobody knows, read by a child process with limits to its memory and time. What faiss reads it trusts: sizes and numbers
 * that are wrong may end the process that reads. */
#ifndef CLI_PLAIN_TRIAL_H
#define CLI_PLAIN_TRIAL_H

#include "base/error.h"

/* ERR_DATA, with the file's name, where faiss cannot read the file, finds parts of it that do not fit each other, or ends of it. This process must
 * not have used OpenMP before. */
CHECKED dfaiss_status_t plain_trial(const char *path, dfaiss_error_t *err);

#endif
