/* Started by hand, the program starts itself once more under mpirun; started by mpirun or srun, it is one rank of a job.
 *
 * The process that was started by hand stays as the parent of mpirun: it passes on what the ranks print, and signals, SIGTERM as SIGUSR2, since
 * mpirun would kill the ranks two seconds after a SIGTERM, which is too short to save an index. The job's exit code becomes its own.
 *
 * DFAISS_MPIRUN names another program than the mpirun (or mpiexec) on PATH. MPI's settings in the environment are kept as they are.
 */
#ifndef CLI_LAUNCH_H
#define CLI_LAUNCH_H

#include <stdint.h>

#include "cli/program.h"

/* Was this process started by mpirun, or by srun with an MPI plug-in? */
bool launch_inside(void);

/* Fails where the launcher has started more ranks than MPI, which has `size`, connects: then each of them would be a job of its own. Between MPI_Init
 * and MPI_Finalize. */
CHECKED dfaiss_status_t launch_check_size(int size, dfaiss_error_t *err);

/* The rank that the launcher gave this process, known before MPI starts; 0 where there is no launcher or it does not say. */
int launch_rank(void);

/* Has the process that started this job checked the input, so that a rank need not read all of it once more to find its faults early? */
bool launch_input_checked(void);

/* Servers of a new index where nobody says how many: one a NUMA node. */
int64_t launch_default_servers(void);

/* Servers to start on this machine where --servers and --servers-per-node (0: not given) ask for some; else `otherwise`. */
int64_t launch_asked_servers(int64_t servers, int64_t per_node, int64_t otherwise);

/* Cores that this process may use. */
int64_t launch_usable_cores(void);

/* Runs this command line on servers + clients ranks and waits for them. On success, and where the ranks have reported a failure themselves,
 * program->exit_code is that of the job and the answer DFAISS_OK. Fails where the job could not be started, or ended without a word. */
CHECKED dfaiss_status_t launch_job(program_t *program, int64_t servers, int64_t clients, dfaiss_error_t *err);

#endif
