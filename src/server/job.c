/* What the builder thread does, one job after the other: saving and loading as they are asked for, and indexing when nothing else waits; and beside
 * it the trainer. */
#include <time.h>

#include "server/server_internal.h"

void job_submit(server_t *server, job_t *job) {
    if (job->hosted)
        job->hosted->users++;
    LIST_APPEND(server->jobs, job);
}

void job_submit_training(server_t *server, job_t *job) {
    LIST_APPEND(server->training_jobs, job);
}

static void end_job(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (job->hosted)
        job->hosted->users--;
    job->done(server, job, status, error);
}

static void end_building(server_t *server, dfaiss_status_t status, const dfaiss_error_t *error) {
    hosted_t *hosted = server->building;
    server->building = NULL;
    hosted->users--;
    shard_build_done(hosted->shard, status);
    if (status != DFAISS_OK) {
        hosted->build_status = status;
        hosted->build_error = *error;
    }
}

static bool take_outcome(server_t *server) {
    dfaiss_status_t status;
    dfaiss_error_t error;
    if (!builder_ended(server->builder, &status, &error))
        return false;
    job_t *job = server->job;
    server->job = NULL;
    if (job)
        end_job(server, job, status, &error);
    else
        end_building(server, status, &error);
    return true;
}

static bool start_job(server_t *server) {
    job_t *job = server->jobs;
    if (!job || (job->hosted && shard_changing(job->hosted->shard)))
        return false;
    server->jobs = job->next;
    dfaiss_error_t error = {0};
    dfaiss_status_t status = job->prepare ? job->prepare(job, &error) : DFAISS_OK;
    if (status != DFAISS_OK) {
        end_job(server, job, status, &error);
        return true;
    }
    server->job = job;
    builder_start(server->builder, job->work, job->context);
    return true;
}

static bool start_building(server_t *server, hosted_t *hosted) {
    bool work = false;
    if (server->closed || hosted->dropping || hosted->build_status != DFAISS_OK || shard_changing(hosted->shard))
        return false;
    hosted->build_status = shard_build_prepare(hosted->shard, &work, &hosted->build_error);
    if (hosted->build_status != DFAISS_OK || !work)
        return false;
    hosted->users++;
    server->building = hosted;
    builder_start(server->builder, shard_build_work, hosted->shard);
    return true;
}

/* Indexes take turns: the one that was served moves to the end of the list. */
static bool start_any_building(server_t *server) {
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        if (!start_building(server, hosted))
            continue;
        LIST_REMOVE(server->hosted, hosted);
        LIST_APPEND(server->hosted, hosted);
        return true;
    }
    return false;
}

static bool take_training_outcome(server_t *server) {
    dfaiss_status_t status;
    dfaiss_error_t error;
    if (!builder_ended(server->trainer, &status, &error))
        return false;
    job_t *job = server->training_job;
    server->training_job = NULL;
    end_job(server, job, status, &error);
    return true;
}

static bool start_training_job(server_t *server) {
    job_t *job = server->training_jobs;
    if (!job)
        return false;
    server->training_jobs = job->next;
    server->training_job = job;
    builder_start(server->trainer, job->work, job->context);
    return true;
}

bool jobs_advance(server_t *server) {
    bool something = take_outcome(server) | take_training_outcome(server);
    if (builder_idle(server->trainer))
        something |= start_training_job(server);
    if (builder_idle(server->builder))
        something |= server->jobs ? start_job(server) : start_any_building(server);
    return something;
}

/* Waits for what is under way. Training may take long. */
static void wait_for_outcomes(server_t *server) {
    const struct timespec rest = {.tv_nsec = 100000};
    while (server->builder && !builder_idle(server->builder) && !take_outcome(server))
        nanosleep(&rest, NULL);
    while (server->trainer && !builder_idle(server->trainer) && !take_training_outcome(server))
        nanosleep(&rest, NULL);
}

void jobs_clear(server_t *server) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = error_set(&error, DFAISS_ERR_INTERRUPTED, "", "the server stops");
    job_t *job;
    wait_for_outcomes(server);
    while ((job = server->jobs ? server->jobs : server->training_jobs)) {
        job_t **line = server->jobs ? &server->jobs : &server->training_jobs;
        *line = job->next;
        end_job(server, job, status, &error);
    }
}
