/* dfaiss: FAISS indexes over the ranks of an MPI job. This header includes all public ones. */
#ifndef DFAISS_H
#define DFAISS_H

#include <dfaiss/client.h>
#include <dfaiss/config.h>
#include <dfaiss/result.h>
#include <dfaiss/server.h>
#include <dfaiss/status.h>
#include <dfaiss/version.h>
#include <dfaiss/world.h>

#endif
