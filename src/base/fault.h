/* Fault points: the system calls that change a storage are made here, so that a test can let any one of them fail, leave half of what it writes, or
 * kill the process, and can walk them all. They behave as the calls whose names they have, errno included.
 *
 * What shall happen is read from the environment variable DFAISS_FAULT at the first such call, or chosen with fault_choose:
 *
 *   CALL:WHEN:WHAT
 *     CALL   open (of files that are written), write, truncate, sync, close, rename, link, mkdir, remove, or any of them; or read
 *     WHEN   N: the N-th of these calls in this process, counted from 1; N+: that one and all after it; seed=S: about one in 64, which ones following
 *            from S and the number of the call
 *     WHAT   ENOSPC, EIO, EDQUOT, EACCES, EPERM, EROFS: it fails; nothing is done (what is closed is closed)
 *            kill: the process is killed before the call
 *            stop: the process is stopped before the call (SIGSTOP), until somebody continues it
 *            torn: of what is written half is, then the process is killed; with any other call it is killed before
 *            lost: of what is written half is, and success is reported; any other call passes
 *            short: of what is written half is, as the call then says; any other call passes
 *   count        nothing happens: fault_calls tells how many calls there were
 *   count:FILE   the number also stands in FILE.PID, after every call
 *
 * For instance DFAISS_FAULT=write:17:ENOSPC or DFAISS_FAULT=any:seed=7:kill. A text that is none of these is told by a warning in the log, and
 * nothing happens. Where nothing was chosen a call costs one comparison. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <sys/types.h>

#include "base/error.h"

/* Chooses anew in the place of the environment, and begins to count; NULL: nothing happens any more. No call may be under way. ERR_ARG leaves what
 * was chosen before. */
CHECKED dfaiss_status_t fault_choose(const char *text, dfaiss_error_t *err);

/* Calls of the chosen name since then. */
long long fault_calls(void);

int fault_open(const char *path, int flags, mode_t mode);
ssize_t fault_write(int descriptor, const void *data, size_t size);
ssize_t fault_pwrite(int descriptor, const void *data, size_t size, off_t offset);
ssize_t fault_read(int descriptor, void *data, size_t size);
ssize_t fault_pread(int descriptor, void *data, size_t size, off_t offset);
int fault_truncate(int descriptor, off_t size);
int fault_sync(int descriptor); /* fsync */
int fault_close(int descriptor);
int fault_rename(const char *from, const char *to);
int fault_link(const char *from, const char *to);
int fault_mkdir(const char *path, mode_t mode);
int fault_remove(const char *path); /* a file or an empty directory */

#endif
