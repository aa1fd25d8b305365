#include "cli/doctor_memory.h"

#include <math.h>
#include <string.h>

#include "config/index_config.h"
#include "engine/engine.h"

/* Beside the code of a vector: its id, its place, in a list the row, bits of what is gone; an attribute's value. Lists grow by an eighth, half of
 * which is empty on average. */
enum { ROW_BYTES = 18, LIST_ROW_BYTES = 8, ATTRIBUTE_BYTES = 8 };
static const double list_growth = 1.0625, spare = 0.9;

static void estimate(const index_config_t *config, const engine_template_t *template, int64_t rows, doctor_need_t *need) {
    engine_class_t class = engine_template_class(template);
    double code = (double)engine_template_code_size(template), link = (double)engine_template_link_size(template), plain = (double)config->dim * 4;
    int64_t least, most, waiting = rows < config->buffer_bsz ? rows : config->buffer_bsz;
    need->known = class != ENGINE_OPAQUE;
    need->dim = config->dim;
    need->vector = (need->known ? code : plain) + link + ROW_BYTES + ATTRIBUTE_BYTES * (double)json_object_size(config->attributes);
    if (class == ENGINE_IVF)
        need->vector = need->vector * list_growth + LIST_ROW_BYTES;
    need->server = (double)engine_template_lists(template) * (double)engine_template_list_dim(template) * 4 + (double)waiting * plain;
    engine_template_sample(template, &least, &most);
    int64_t sample = rows < most ? rows : most;
    need->training = most ? (double)sample * plain + (double)engine_template_training_bytes(template, sample) : 0;
}

static dfaiss_status_t estimate_config(index_config_t *config, const char *path, int64_t rows, doctor_need_t *need, dfaiss_error_t *err) {
    engine_template_t *template = NULL;
    if (config->dim == 0)
        return error_set(err, DFAISS_ERR_ARG, "--dim", "%s leaves the dimension to the data; give --dim D", path);
    TRY(index_config_check(config, path, err));
    TRY(engine_template_create(config, rows, &template, err));
    estimate(config, template, rows, need);
    engine_template_destroy(template);
    return DFAISS_OK;
}

dfaiss_status_t doctor_memory_estimate(const char *path, int64_t rows, int64_t dim, doctor_need_t *need, dfaiss_error_t *err) {
    index_config_t *config = NULL;
    doctor_need_t made = {0};
    TRY(index_config_read(path, &config, err));
    if (dim)
        config->dim = dim;
    dfaiss_status_t status = estimate_config(config, path, rows, &made, err);
    index_config_destroy(config);
    if (status == DFAISS_OK)
        *need = made;
    return status;
}

/* Bytes that the servers of a host need. */
static double host_need(const doctor_rank_t *ranks, int n, int first, const bool *servers, int64_t rows, int total, const doctor_need_t *need) {
    double bytes = 0, each = (double)rows / total * need->vector + need->server;
    for (int i = first; i < n; i++)
        if (servers[i] && strcmp(ranks[i].rank.host, ranks[first].rank.host) == 0)
            bytes += each;
    /* The first server trains before much is held: what counts is the larger of both. */
    return servers[first] && first == 0 && need->training > bytes ? need->training : bytes;
}

void doctor_check_memory(const doctor_rank_t *ranks, int n, const bool *servers, int64_t rows, const doctor_need_t *need,
                         doctor_findings_t *findings) {
    int total = 0, worst = -1;
    double worst_ratio = 0, worst_bytes = 0;
    for (int i = 0; i < n; i++)
        total += servers[i];
    for (int first = 0; first < n && total > 0; first++) {
        if (doctor_host_of(ranks, first) != first)
            continue;
        double bytes = host_need(ranks, n, first, servers, rows, total, need);
        double ratio = ranks[first].memory == INT64_MAX ? 0 : bytes / ((double)ranks[first].memory * spare);
        if (worst < 0 || ratio > worst_ratio) {
            worst = first;
            worst_ratio = ratio;
            worst_bytes = bytes;
        }
    }
    if (worst < 0)
        return;
    double whole = (double)rows * need->vector;
    doctor_find(findings, "memory", worst_ratio > 1 ? DOCTOR_PROBLEM : DOCTOR_OK,
                "%lld vectors of dimension %lld take about %.1f GB on %d server%s; %s needs %.1f GB and has %.1f GB%s", (long long)rows,
                (long long)need->dim, whole * 1e-9, total, total == 1 ? "" : "s", ranks[worst].rank.host, worst_bytes * 1e-9,
                (double)ranks[worst].memory * 1e-9, need->known ? "" : " (this kind's codes taken for as large as vectors)");
    if (worst_ratio > 1 && need->training > (double)ranks[worst].memory * spare)
        doctor_advise(findings, "training alone takes %.1f GB there: fewer centroids, or a smaller train_num", need->training * 1e-9);
    else if (worst_ratio > 1)
        doctor_advise(findings,
                      "about %.0f times as many hosts like this one, or a kind with smaller codes (now %.0f bytes a vector): fp16 ivfsq, 8 bits, PQ",
                      ceil(worst_ratio), need->vector);
}
