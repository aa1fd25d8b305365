/* Planning a load: which server gets which rows of a generation. Where as many servers have saved it each gets its part; else all of them look at
 * what the parts consist of, which takes reading some numbers of each file, and server 0 divides them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/restoring.h"

/* ---- a server's part: looking at some parts ---- */

typedef struct surveying {
    job_t job;
    operation_t *operation;
    int server, servers;
    restoring_t restoring;
    bytes_writer_t result;
} surveying_t;

static void free_surveying(surveying_t *surveying) {
    restoring_clear(&surveying->restoring);
    bytes_writer_destroy(&surveying->result);
    free(surveying);
}

static void put_numbers(bytes_writer_t *out, int64_t count, const int64_t *numbers) {
    bytes_put_i64(out, count);
    for (int64_t i = 0; i < count; i++)
        bytes_put_i64(out, numbers[i]);
}

static void put_survey(bytes_writer_t *out, int part, const restore_survey_t *survey) {
    const spread_part_t *numbers = &survey->numbers;
    bytes_put_u32(out, (uint32_t)part);
    bytes_put_u8(out, survey->trained);
    bytes_put_u32(out, (uint32_t)survey->class);
    bytes_put_string(out, survey->checksum);
    bytes_put_i64(out, numbers->rows);
    bytes_put_i64(out, numbers->indexed);
    bytes_put_i64(out, numbers->block_rows);
    put_numbers(out, numbers->block_count, numbers->living);
    put_numbers(out, numbers->unit_count, numbers->units);
}

static dfaiss_status_t look(void *context, dfaiss_error_t *err) {
    surveying_t *surveying = context;
    const restore_source_t source = restoring_source(&surveying->restoring);
    for (int part = 0; part < source.servers; part++) {
        restore_survey_t survey;
        if (spread_verifier(part, source.servers, surveying->servers) != surveying->server)
            continue;
        TRY(restore_survey(&source, part, &survey, err));
        put_survey(&surveying->result, part, &survey);
        spread_part_clear(&survey.numbers);
    }
    return surveying->result.failed ? error_memory(err, surveying->result.size, "loading") : DFAISS_OK;
}

static void looked(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    surveying_t *surveying = job->context;
    operation_t *operation = surveying->operation;
    if (status == DFAISS_OK)
        bytes_put(&operation->result, surveying->result.data, surveying->result.size);
    free_surveying(surveying);
    operation_local_end(server, operation, status, error);
}

static dfaiss_status_t start_looking(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    surveying_t *surveying = calloc(1, sizeof *surveying);
    if (!surveying)
        return error_memory(err, sizeof *surveying, "loading");
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    dfaiss_status_t status = restoring_get(&in, &surveying->restoring, err);
    if (status == DFAISS_OK && !bytes_reader_done(&in))
        status = message_malformed(MESSAGE_LOAD, err);
    if (status != DFAISS_OK) {
        free_surveying(surveying);
        return status;
    }
    surveying->operation = operation;
    surveying->server = server->number;
    surveying->servers = server->servers;
    surveying->job = (job_t){.work = look, .done = looked, .context = surveying};
    job_submit(server, &surveying->job);
    return DFAISS_OK;
}

void operation_survey(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = start_looking(server, operation, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

/* ---- server 0's part: dividing ---- */

typedef struct planning {
    char index[MESSAGE_NAME];
    int64_t generation;
    bool local;                /* every server trains for itself */
    int count;                 /* of parts */
    restore_survey_t *surveys; /* [count] */
    plan_end_t *end;
    void *context;
} planning_t;

static void free_planning(planning_t *planning) {
    for (int i = 0; planning->surveys && i < planning->count; i++)
        spread_part_clear(&planning->surveys[i].numbers);
    free(planning->surveys);
    free(planning);
}

static dfaiss_status_t get_numbers(bytes_reader_t *in, int64_t *count, int64_t **numbers, dfaiss_error_t *err) {
    int64_t found = bytes_get_i64(in), *made = NULL;
    if (found < 0 || (uint64_t)found > in->left / sizeof *made)
        return message_malformed(MESSAGE_GATHER, err);
    made = found > 0 ? malloc((size_t)found * sizeof *made) : NULL;
    if (found > 0 && !made)
        return error_memory(err, (size_t)found * sizeof *made, "loading");
    for (int64_t i = 0; i < found; i++)
        made[i] = bytes_get_i64(in);
    *count = found;
    *numbers = made;
    return DFAISS_OK;
}

static dfaiss_status_t get_survey(bytes_reader_t *in, planning_t *planning, dfaiss_error_t *err) {
    uint32_t part = bytes_get_u32(in);
    if (part >= (uint32_t)planning->count)
        return message_malformed(MESSAGE_GATHER, err);
    restore_survey_t *survey = &planning->surveys[part];
    spread_part_clear(&survey->numbers);
    survey->trained = bytes_get_u8(in) != 0;
    survey->class = (engine_class_t)bytes_get_u32(in);
    bytes_get_string(in, survey->checksum, sizeof survey->checksum);
    survey->numbers.rows = bytes_get_i64(in);
    survey->numbers.indexed = bytes_get_i64(in);
    survey->numbers.block_rows = bytes_get_i64(in);
    TRY(get_numbers(in, &survey->numbers.block_count, &survey->numbers.living, err));
    return get_numbers(in, &survey->numbers.unit_count, &survey->numbers.units, err);
}

/* A part that is trained, and that others are compared with; -1: none is. */
static int first_trained(const planning_t *planning) {
    for (int i = 0; i < planning->count; i++)
        if (planning->surveys[i].trained)
            return i;
    return -1;
}

static bool trained_apart(const planning_t *planning) {
    int first = first_trained(planning);
    for (int i = 0; first >= 0 && i < planning->count; i++)
        if (planning->surveys[i].trained && strcmp(planning->surveys[i].checksum, planning->surveys[first].checksum) != 0)
            return true;
    return false;
}

/* Parts that were trained apart stay whole; a server without one takes the trained state of another, and what is added to it is indexed by that. */
static dfaiss_status_t deal_parts(const planning_t *planning, int servers, spread_t *plans, dfaiss_error_t *err) {
    if (!planning->local)
        return error_set(err, DFAISS_ERR_CHECKPOINT, planning->index,
                         "parts of generation %" PRId64 " of index '%s' have different trained states, which training \"shared\" does not make",
                         planning->generation, planning->index);
    if (planning->count > servers)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, planning->index,
                         "each of the %d servers that saved index '%s' has trained it for itself (training \"local\"): %d servers cannot load it; "
                         "start at least %d",
                         planning->count, planning->index, servers, planning->count);
    for (int m = 0; m < servers; m++) {
        const spread_part_t *part = &planning->surveys[m % planning->count].numbers;
        plans[m] = (spread_t){.home = m % planning->count};
        if (m < planning->count)
            TRY(spread_whole(m, part->rows, part->indexed, &plans[m], err));
    }
    return DFAISS_OK;
}

static spread_rule_t rule_of(engine_class_t class) {
    return class == ENGINE_HNSW ? SPREAD_GRAPHS : class == ENGINE_OPAQUE ? SPREAD_BLOBS : SPREAD_ANYWHERE;
}

static dfaiss_status_t divide(const planning_t *planning, int servers, spread_t *plans, dfaiss_error_t *err) {
    int trained = first_trained(planning);
    spread_rule_t rule = trained >= 0 ? rule_of(planning->surveys[trained].class) : SPREAD_ANYWHERE;
    size_t bytes = (size_t)planning->count * sizeof(spread_part_t);
    spread_part_t *parts = malloc(bytes);
    if (!parts)
        return error_memory(err, bytes, "loading");
    for (int i = 0; i < planning->count; i++)
        parts[i] = planning->surveys[i].numbers; /* borrowed */
    dfaiss_status_t status = spread_plan(rule, planning->count, parts, servers, plans, err);
    free(parts);
    for (int m = 0; status == DFAISS_OK && trained >= 0 && m < servers; m++)
        plans[m].home = planning->surveys[plans[m].home].trained ? plans[m].home : trained;
    return status;
}

static dfaiss_status_t read_surveys(const operation_t *operation, planning_t *planning, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(operation->result.data, operation->result.size);
    for (int i = 0; i < planning->count; i++)
        TRY(get_survey(&in, planning, err));
    return bytes_reader_done(&in) ? DFAISS_OK : message_malformed(MESSAGE_GATHER, err);
}

static void free_plans(const server_t *server, spread_t *plans) {
    for (int m = 0; plans && m < server->servers; m++)
        spread_clear(&plans[m]);
    free(plans);
}

static void all_looked(server_t *server, operation_t *operation, void *context) {
    planning_t *planning = context;
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    spread_t *plans = calloc((size_t)server->servers, sizeof *plans);
    if (status == DFAISS_OK && !plans)
        status = error_memory(&error, (size_t)server->servers * sizeof *plans, "loading");
    if (status == DFAISS_OK)
        status = read_surveys(operation, planning, &error);
    if (status == DFAISS_OK)
        status = trained_apart(planning) ? deal_parts(planning, server->servers, plans, &error) : divide(planning, server->servers, plans, &error);
    if (status != DFAISS_OK) {
        free_plans(server, plans);
        plans = NULL;
    }
    planning->end(server, status, &error, plans, planning->context);
    free_planning(planning);
}

/* Each server its own part. */
static void plan_same(server_t *server, const manifest_generation_t *generation, plan_end_t *end, void *context) {
    dfaiss_error_t error = {0};
    spread_t *plans = calloc((size_t)server->servers, sizeof *plans);
    dfaiss_status_t status = plans ? DFAISS_OK : error_memory(&error, (size_t)server->servers * sizeof *plans, "loading");
    for (int m = 0; status == DFAISS_OK && m < server->servers; m++) {
        const manifest_file_t *newest = &generation->parts[m].files[generation->parts[m].file_count - 1];
        status = spread_whole(m, newest->rows, newest->indexed, &plans[m], &error);
    }
    if (status != DFAISS_OK) {
        free_plans(server, plans);
        plans = NULL;
    }
    end(server, status, &error, plans, context);
}

void plan_start(server_t *server, const char *index, const char *storage, const manifest_generation_t *generation, plan_end_t *end, void *context) {
    bytes_writer_t argument = {0};
    dfaiss_error_t error = {0};
    if (generation->part_count == server->servers) {
        plan_same(server, generation, end, context);
        return;
    }
    planning_t *planning = calloc(1, sizeof *planning);
    if (planning)
        planning->surveys = calloc((size_t)generation->part_count, sizeof *planning->surveys);
    if (!planning || !planning->surveys) {
        free(planning);
        end(server, error_memory(&error, (size_t)generation->part_count * sizeof *planning->surveys, "loading"), &error, NULL, context);
        return;
    }
    snprintf(planning->index, sizeof planning->index, "%s", index);
    planning->generation = generation->number;
    const char *training = json_string_value(json_object_get(generation->config, "training"));
    planning->local = training && strcmp(training, "local") == 0;
    planning->count = (int)generation->part_count;
    planning->end = end;
    planning->context = context;
    restoring_put(&argument, index, storage, generation);
    operation_start(server, OPERATION_SURVEY, &argument, NULL, 0, all_looked, planning);
}
