/* dfaiss search: checks its input, starts the job where nobody else did, and reports and writes what the job has found. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/launch.h"
#include "cli/report.h"
#include "cli/search_input.h"
#include "cli/search_run.h"

static const int64_t recall_ranks[] = {1, 10, 100};
enum { RECALLS = sizeof recall_ranks / sizeof recall_ranks[0] };

/* recall@R for each R of recall_ranks that both the answers and the truth reach; -1 for the others. */
static dfaiss_status_t measure_recall(const search_options_t *options, const search_answers_t *answers, double *recall, dfaiss_error_t *err) {
    id_matrix_t truth = {0};
    for (int i = 0; i < RECALLS; i++)
        recall[i] = -1;
    if (!options->groundtruth)
        return DFAISS_OK;
    TRY(id_matrix_read(options->groundtruth, &truth, err));
    dfaiss_status_t status = DFAISS_OK;
    if (truth.rows != answers->nq)
        status = error_set(err, DFAISS_ERR_DATA, options->groundtruth, "%s has the neighbours of %lld queries instead of %lld", options->groundtruth,
                           (long long)truth.rows, (long long)answers->nq);
    for (int i = 0; status == DFAISS_OK && i < RECALLS; i++)
        if (recall_ranks[i] <= answers->k && recall_ranks[i] <= truth.columns)
            recall[i] = recall_at(recall_ranks[i], answers->nq, answers->k, answers->ids, &truth);
    id_matrix_destroy(&truth);
    return status;
}

static double queries_per_second(const search_result_t *result) {
    return result->seconds > 0 ? (double)result->answers.nq / result->seconds : 0;
}

static json_t *recall_json(const double *recall) {
    json_t *object = json_object();
    for (int i = 0; i < RECALLS; i++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)recall_ranks[i]);
        if (recall[i] >= 0 && json_object_set_new(object, key, json_real(recall[i])) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *result_json(const search_options_t *options, const search_result_t *result, const double *recall) {
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:o}", "index", options->index, "servers", (json_int_t)result->servers, "queries",
                     (json_int_t)result->answers.nq, "k", (json_int_t)result->answers.k, "nprobe", (json_int_t)result->nprobe, "seconds",
                     result->seconds, "qps", queries_per_second(result), "recall", recall_json(recall));
}

static void print_result(const search_options_t *options, const search_result_t *result, const double *recall) {
    printf("index      %s on %lld server%s\n", options->index, (long long)result->servers, result->servers == 1 ? "" : "s");
    printf("queries    %lld, k %lld, nprobe %lld\n", (long long)result->answers.nq, (long long)result->answers.k, (long long)result->nprobe);
    printf("speed      %.1f queries/s (%.3f s)\n", queries_per_second(result), result->seconds);
    for (int i = 0; i < RECALLS; i++)
        if (recall[i] >= 0)
            printf("recall@%-4lld%.4f\n", (long long)recall_ranks[i], recall[i]);
}

static dfaiss_status_t report(program_t *program, const search_options_t *options, const search_result_t *result, dfaiss_error_t *err) {
    double recall[RECALLS];
    char written[PATH_MAX];
    TRY(measure_recall(options, &result->answers, recall, err));
    if (options->output) {
        TRY(search_output_write(options->output, &result->answers, written, sizeof written, err));
        if (strcmp(written, options->output) != 0)
            report_notice(program, "the ids need more than 32 bits: they are in %s", written);
    }
    if (program->json)
        return report_json(program, result_json(options, result, recall), err);
    print_result(options, result, recall);
    return DFAISS_OK;
}

static dfaiss_status_t start_job(program_t *program, const search_options_t *options, dfaiss_error_t *err) {
    search_input_t input;
    TRY(search_input_open(options, &input, err));
    int64_t servers = launch_asked_servers(options->servers, options->servers_per_node, input.index.servers);
    search_input_close(&input);
    return launch_job(program, servers, 1, err);
}

dfaiss_status_t command_search(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    search_options_t options;
    search_result_t result = {0};
    bool helped;
    TRY(search_options_parse(program, argc, argv, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    if (!launch_inside() && !options.connect)
        return start_job(program, &options, err);
    TRY(search_run(program, &options, &result, err));
    dfaiss_status_t status = program->speaks ? report(program, &options, &result, err) : DFAISS_OK;
    search_answers_clear(&result.answers);
    return status;
}
