/* Comparing the files of an index with what its manifest says of them: their sizes, or every byte, several files at a time. A file that several
 * generations share is looked at once. */
#ifndef CLI_INSPECT_VERIFY_H
#define CLI_INSPECT_VERIFY_H

#include "checkpoint/manifest.h"
#include "cli/progress.h"

typedef struct inspect_verdicts inspect_verdicts_t;

/* `every_byte` false: sizes alone. The manifest is borrowed until the verdicts are destroyed. ERR_MEMORY; damage is no failure. */
CHECKED dfaiss_status_t inspect_verify(const char *storage, const manifest_t *manifest, bool every_byte, progress_t *progress,
                                       inspect_verdicts_t **out, dfaiss_error_t *err);
void inspect_verdicts_destroy(inspect_verdicts_t *verdicts);

/* How many files are damaged. */
int64_t inspect_damaged(const inspect_verdicts_t *verdicts);
/* What is wrong with a file of the manifest; NULL: nothing. Borrowed. */
const dfaiss_error_t *inspect_verdict(const inspect_verdicts_t *verdicts, const manifest_file_t *file);

#endif
