/* Inside the engine room: files of plain faiss, opened. */
#ifndef ENGINE_PLAIN_FILE_H
#define ENGINE_PLAIN_FILE_H

#include <faiss/c_api/Index_c.h>

#include "engine/plain.h"

/* Has faiss read a file, and checks what came of it. On failure the text names the file. Files that were made to crash faiss do. */
CHECKED dfaiss_status_t plain_file_read(const char *path, FaissIndex **out, dfaiss_error_t *err);

#endif
