#include "cli/status_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

void status_index_clear(status_index_t *index) {
    free(index->name);
    free(index->servers);
    *index = (status_index_t){0};
}

void status_clear(status_look_t *look) {
    for (int64_t i = 0; i < look->index_count; i++)
        status_index_clear(&look->indexes[i]);
    free(look->indexes);
    free(look->servers);
    *look = (status_look_t){0};
}

/* ---- sums ---- */

static const status_index_t *find(const status_look_t *look, const char *name) {
    for (int64_t i = 0; i < look->index_count; i++)
        if (strcmp(look->indexes[i].name, name) == 0)
            return &look->indexes[i];
    return NULL;
}

/* Since the look before; 0 where the index is new, or another under an old name. */
static double queries_per_second(const status_look_t *before, const status_look_t *now, const status_index_t *index, int server) {
    const status_index_t *earlier = find(before, index->name);
    int64_t queries = earlier ? index->servers[server].queries - earlier->servers[server].queries : 0;
    return queries > 0 && now->at > before->at ? (double)queries / (now->at - before->at) : 0;
}

static int64_t bytes_of(const dfaiss_statistics_t *statistics) {
    return statistics->index_bytes + statistics->metadata_bytes + statistics->buffered_bytes;
}

typedef struct sums {
    int64_t vectors, buffered, bytes;
    double qps; /* every server searches each query: the most that one has */
} sums_t;

static sums_t sum(const status_look_t *before, const status_look_t *now, const status_index_t *index) {
    sums_t sums = {0};
    for (int i = 0; i < now->server_count; i++) {
        const dfaiss_statistics_t *statistics = &index->servers[i];
        double qps = queries_per_second(before, now, index, i);
        sums.vectors += statistics->vectors;
        sums.buffered += statistics->buffered;
        sums.bytes += bytes_of(statistics);
        sums.qps = qps > sums.qps ? qps : sums.qps;
    }
    return sums;
}

/* ---- the table ---- */

enum { BYTES_TEXT = 16 };

static const char *bytes_text(int64_t bytes, char text[BYTES_TEXT]) {
    report_bytes((uint64_t)bytes, text, BYTES_TEXT);
    return text;
}

static void print_servers(const status_look_t *now) {
    char resident[BYTES_TEXT], peak[BYTES_TEXT], sent[BYTES_TEXT], received[BYTES_TEXT];
    printf("server  threads    memory      peak      sent  received\n");
    for (int i = 0; i < now->server_count; i++) {
        const dfaiss_statistics_t *server = &now->servers[i];
        printf("%6d %8d %9s %9s %9s %9s\n", server->server, server->threads, bytes_text(server->resident_bytes, resident),
               bytes_text(server->resident_peak, peak), bytes_text(server->sent_bytes, sent), bytes_text(server->received_bytes, received));
    }
}

static void print_index(const status_look_t *before, const status_look_t *now, const status_index_t *index) {
    char bytes[BYTES_TEXT];
    sums_t sums = sum(before, now, index);
    printf("\n%s: %s, %lld vectors (%lld not indexed yet), %s, %.1f queries/s\n", index->name, dfaiss_state_name(index->state),
           (long long)sums.vectors, (long long)sums.buffered, bytes_text(sums.bytes, bytes), sums.qps);
    printf("server  state           vectors   waiting   removed    memory  queries/s  imbalance\n");
    for (int i = 0; i < now->server_count; i++) {
        const dfaiss_statistics_t *server = &index->servers[i];
        printf("%6d  %-12s %10lld %9lld %9lld %9s %10.1f %10.3f\n", server->server, dfaiss_state_name(server->state), (long long)server->vectors,
               (long long)server->buffered, (long long)server->removed, bytes_text(bytes_of(server), bytes),
               queries_per_second(before, now, index, i), server->imbalance);
    }
}

void status_print(const status_look_t *before, const status_look_t *now) {
    print_servers(now);
    for (int64_t i = 0; i < now->index_count; i++)
        print_index(before, now, &now->indexes[i]);
    printf("\n");
}

/* ---- JSON ---- */

static json_t *server_json(const dfaiss_statistics_t *server) {
    return json_pack("{s:i, s:i, s:I, s:I, s:I, s:I}", "server", server->server, "threads", server->threads, "resident_bytes",
                     (json_int_t)server->resident_bytes, "resident_peak", (json_int_t)server->resident_peak, "sent_bytes",
                     (json_int_t)server->sent_bytes, "received_bytes", (json_int_t)server->received_bytes);
}

static json_t *part_json(const dfaiss_statistics_t *server, double qps) {
    return json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "server", server->server, "state", dfaiss_state_name(server->state),
                     "vectors", (json_int_t)server->vectors, "buffered", (json_int_t)server->buffered, "removed", (json_int_t)server->removed,
                     "index_bytes", (json_int_t)server->index_bytes, "metadata_bytes", (json_int_t)server->metadata_bytes, "buffered_bytes",
                     (json_int_t)server->buffered_bytes, "queries", (json_int_t)server->queries, "qps", qps, "imbalance", server->imbalance);
}

/* Takes over the array and what is appended; NULL where there was no memory for either. */
static json_t *append(json_t *array, json_t *value) {
    if (array && json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *index_json(const status_look_t *before, const status_look_t *now, const status_index_t *index) {
    sums_t sums = sum(before, now, index);
    json_t *servers = json_array();
    for (int i = 0; servers && i < now->server_count; i++)
        servers = append(servers, part_json(&index->servers[i], queries_per_second(before, now, index, i)));
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:o}", "name", index->name, "state", dfaiss_state_name(index->state), "vectors",
                     (json_int_t)sums.vectors, "buffered", (json_int_t)sums.buffered, "bytes", (json_int_t)sums.bytes, "qps", sums.qps, "servers",
                     servers);
}

json_t *status_json(const status_look_t *before, const status_look_t *now) {
    json_t *servers = json_array(), *indexes = json_array();
    for (int i = 0; servers && i < now->server_count; i++)
        servers = append(servers, server_json(&now->servers[i]));
    for (int64_t i = 0; indexes && i < now->index_count; i++)
        indexes = append(indexes, index_json(before, now, &now->indexes[i]));
    return json_pack("{s:o, s:o}", "servers", servers, "indexes", indexes);
}
