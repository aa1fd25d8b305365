/* How many threads a server should use. */
#ifndef SERVER_THREADS_H
#define SERVER_THREADS_H

/* The physical cores that this process may run on (hyperthreads of one core count once). */
int threads_physical_cores(void);

#endif
