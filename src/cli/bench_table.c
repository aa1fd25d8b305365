#include "cli/bench_table.h"

#include <inttypes.h>
#include <string.h>

void bench_number_text(double number, char text[32]) {
    char digits[32];
    if (number < 99.995) {
        snprintf(text, 32, "%.2f", number);
        return;
    }
    snprintf(digits, sizeof digits, "%.0f", number);
    size_t length = strlen(digits), to = 0;
    for (size_t from = 0; from < length && to < 30; from++) {
        if (from > 0 && (length - from) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[from];
    }
    text[to] = 0;
}

static const char *plural(int64_t count) {
    return count == 1 ? "" : "s";
}

static void print_head(FILE *out, const bench_options_t *options, const bench_result_t *result) {
    char vectors[32];
    bench_number_text((double)result->vectors, vectors);
    fprintf(out, "index      %s: %s, %s, %s x %" PRId64 " on %d server%s\n", options->search.index, bench_result_kind(result),
            bench_result_metric(result), vectors, result->dim, result->servers, plural(result->servers));
    fprintf(out, "queries    %" PRId64 "; %" PRId64 " repeat%s of %g s\n", result->queries, options->repeats, plural(options->repeats),
            options->seconds);
    for (int i = 0; i < result->machine.count; i++) {
        const bench_host_t *host = &result->machine.hosts[i];
        fprintf(out, "%s%s: %d core%s of %s (%s); %d server%s, %d client%s\n", i ? "           " : "hosts      ", host->first->host, host->cores,
                plural(host->cores), host->first->processor, host->first->simd, host->servers, plural(host->servers), host->clients,
                plural(host->clients));
    }
}

/* Runs that differ in nothing but nprobe belong together. */
static bool begins_group(const bench_run_t *run, const bench_run_t *before) {
    return run->threads != before->threads || run->clients != before->clients || run->batch != before->batch || run->k != before->k;
}

static void print_run(FILE *out, const bench_run_t *run) {
    char qps[32];
    bench_number_text(run->qps, qps);
    fprintf(out, "%7" PRId64 "%8" PRId64 "%7" PRId64 "%5" PRId64 "%7" PRId64 "%10s%9.3f%9.3f%9.3f", run->threads, run->clients, run->batch, run->k,
            run->nprobe, qps, run->p50_us * 1e-3, run->p95_us * 1e-3, run->p99_us * 1e-3);
    if (run->recall >= 0)
        fprintf(out, "%9.4f\n", run->recall);
    else
        fprintf(out, "%9s\n", "-");
}

void bench_table_print(FILE *out, const bench_options_t *options, const bench_result_t *result) {
    print_head(out, options, result);
    fprintf(out, "\n%44s  ----- latency, ms ------\n", "");
    fprintf(out, "%7s%8s%7s%5s%7s%10s%9s%9s%9s%9s\n", "threads", "clients", "batch", "k", "nprobe", "queries/s", "p50", "p95", "p99", "recall@k");
    for (int64_t i = 0; i < result->count; i++) {
        if (i > 0 && options->nprobe.count > 1 && begins_group(&result->runs[i], &result->runs[i - 1]))
            fputc('\n', out);
        print_run(out, &result->runs[i]);
    }
}

void bench_csv_print(FILE *out, const bench_result_t *result) {
    fputs("servers,threads,clients,batch,k,nprobe,requests,qps,qps_least,qps_most,p50_us,p95_us,p99_us,recall\n", out);
    for (int64_t i = 0; i < result->count; i++) {
        const bench_run_t *run = &result->runs[i];
        fprintf(out, "%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.3f,%.3f,%.3f,%.2f,%.2f,%.2f,", result->servers,
                run->threads, run->clients, run->batch, run->k, run->nprobe, run->requests, run->qps, run->qps_least, run->qps_most, run->p50_us,
                run->p95_us, run->p99_us);
        if (run->recall >= 0)
            fprintf(out, "%.6f", run->recall);
        fputc('\n', out);
    }
}
