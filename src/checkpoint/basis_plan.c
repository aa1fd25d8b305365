/* What a save writes: what has come since the last one, behind all files of its chain or behind the first ones of them, or everything.
 *
 * A chain must not grow too long, since every file of it is opened to load the index. When it has as many files as it may have, the last ones of it
 * are written anew as one, as many as are not larger than what lies behind them: so every row is written again a few times in all, however often an
 * index is saved. Everything is written when a quarter of what the files hold would be superseded, or means nothing any more.
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "checkpoint/basis_internal.h"

enum {
    FILES_MOST = 16,      /* of a chain */
    WASTE_PART = 4,       /* one byte in so many may be superseded */
    ROW_BYTES_LEAST = 16, /* that a row takes without its vector, at least: its id, and what it brings with it */
};

/* ---- what does not fit ---- */

dfaiss_status_t basis_settings(const shard_content_t *content, uint64_t *out, dfaiss_error_t *err) {
    char *text = NULL;
    bytes_writer_t bytes = {0};
    TRY(index_config_print(content->config, true, &text, err));
    bytes_put(&bytes, text, strlen(text) + 1);
    inputs_encode(&content->inputs, &bytes);
    free(text);
    bool failed = bytes.failed;
    *out = XXH3_64bits(bytes.data, bytes.size);
    bytes_writer_destroy(&bytes);
    return failed ? error_memory(err, bytes.size, "saving") : DFAISS_OK;
}

static bool fits(const basis_t *basis, const shard_content_t *content) {
    int class = content->template ? (int)engine_template_class(content->template) : BASIS_UNTRAINED;
    const basis_link_t *last = basis && basis->count ? &basis->links[basis->count - 1] : NULL;
    int64_t indexed = shard_content_indexed(content);
    return last && basis->class == class && basis->server == content->server && basis->servers == content->servers && last->rows <= content->rows &&
           last->indexed <= indexed;
}

/* ---- where the index goes on ---- */

/* No graph has rows on both sides of `row`. */
static bool divides(const engine_store_t *store, int64_t row) {
    for (int64_t segment = 0; segment < engine_store_segments(store); segment++) {
        const int64_t *rows = engine_store_segment_rows(store, segment);
        int64_t first = 0, count = 0;
        engine_store_segment(store, segment, &first, &count);
        if (first >= row)
            return true;
        if (count > 0 && (rows ? rows[count - 1] : first + count - 1) >= row)
            return false;
    }
    return true;
}

/* The last row at which both the graphs in the first files and those of now can be cut. Between such rows graphs may have lost rows since, which were
 * removed and are as good in the file; but where they got others they are written again. */
static int64_t last_cut(const shard_content_t *content, const basis_t *basis, int64_t links) {
    int64_t best = 0, until = INT64_MAX;
    for (int64_t i = links - 1; i >= 0; i--) {
        const basis_link_t *link = &basis->links[i];
        for (int64_t unit = 0; unit < link->unit_count; unit++)
            if (link->units[unit] > best && link->units[unit] <= until && divides(content->store, link->units[unit]))
                best = link->units[unit];
        until = link->first_indexed < until ? link->first_indexed : until;
    }
    return best;
}

static int64_t first_indexed(const shard_content_t *content, const basis_t *basis, int64_t links) {
    if (basis->class == ENGINE_HNSW || basis->class == ENGINE_OPAQUE)
        return last_cut(content, basis, links);
    return basis->links[links - 1].indexed;
}

/* ---- how much is written, and how much of it in vain ---- */

/* Items of each kind in files, and what one of them takes. */
typedef struct amounts {
    double rows, held, waiting;
} amounts_t;

static double total(const amounts_t *items, const amounts_t *bytes) {
    return items->rows * bytes->rows + items->held * bytes->held + items->waiting * bytes->waiting;
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static amounts_t amounts_in_files(const basis_t *basis, int64_t links) {
    amounts_t amounts = {.rows = (double)basis->links[links - 1].file.rows};
    for (int64_t i = 0; i < links; i++) {
        const manifest_file_t *file = &basis->links[i].file;
        amounts.held += (double)file->held;
        amounts.waiting += (double)(file->rows - later(file->first_row, file->indexed));
    }
    return amounts;
}

static amounts_t amounts_of(const kept_rows_t *kept) {
    return (amounts_t){.rows = (double)(kept->rows - kept->first_row),
                       .held = (double)kept->held,
                       .waiting = (double)(kept->rows - later(kept->first_row, kept->indexed))};
}

static double bytes_of_files(const basis_t *basis, int64_t from, int64_t to) {
    double bytes = 0;
    for (int64_t i = from; i < to; i++)
        bytes += (double)basis->links[i].file.bytes;
    return bytes;
}

static double bytes_of_code(const shard_content_t *content) {
    int64_t held = content->store ? engine_store_held(content->store) : 0;
    if (held == 0)
        return 0;
    switch (engine_template_class(content->template)) {
    case ENGINE_CODES:
        return (double)engine_template_code_size(content->template);
    case ENGINE_IVF:
        return (double)(engine_template_code_size(content->template) + sizeof(int64_t));
    default:
        return (double)engine_store_bytes(content->store) / (double)held;
    }
}

/* What a row takes beside its vector follows from how large the files are. */
static amounts_t bytes_of_items(const shard_content_t *content, const basis_t *basis, int64_t links) {
    amounts_t files = amounts_in_files(basis, links);
    element_t element = content->batch_count ? content->batches[content->batch_count - 1].element : ELEMENT_f32;
    amounts_t bytes = {.held = bytes_of_code(content), .waiting = (double)content->config->dim * (double)element_size(element)};
    double left = bytes_of_files(basis, 0, links) - total(&files, &bytes);
    bytes.rows = files.rows > 0 ? left / files.rows : 0;
    bytes.rows = bytes.rows < ROW_BYTES_LEAST ? ROW_BYTES_LEAST : bytes.rows;
    return bytes;
}

/* With the file of `kept` behind the first files, compared with the file that holds everything, `whole`. */
static bool wastes_too_much(const shard_content_t *content, const basis_t *basis, int64_t links, const kept_rows_t *kept, const kept_rows_t *whole) {
    amounts_t bytes = bytes_of_items(content, basis, links), files = amounts_in_files(basis, links), more = amounts_of(kept), all = amounts_of(whole);
    amounts_t wasted = {
        .rows = files.rows + more.rows - all.rows, .held = files.held + more.held - all.held, .waiting = files.waiting + more.waiting - all.waiting};
    return total(&wasted, &bytes) * WASTE_PART > bytes_of_files(basis, 0, links) + total(&more, &bytes);
}

/* Files that stay when the chain is full. */
static int64_t links_to_keep(const basis_t *basis) {
    int64_t links = basis->count;
    double behind = 0;
    if (links < FILES_MOST)
        return links;
    do
        behind += (double)basis->links[--links].file.bytes;
    while (links > 0 && (double)basis->links[links - 1].file.bytes <= behind);
    return links;
}

/* ---- the plan ---- */

static int64_t count_living(const bitmap_t *living, int64_t rows) {
    return living ? bitmap_count(living, 0, rows) : rows;
}

static bool is_nothing(const shard_content_t *content, const basis_t *basis, const basis_plan_t *plan) {
    const basis_link_t *last = &basis->links[basis->count - 1];
    const kept_start_t *start = &plan->kept.start;
    int64_t indexed = shard_content_indexed(content);
    return plan->links == basis->count && last->rows == content->rows && last->indexed == indexed && start->indexed == indexed &&
           plan->settings == basis->settings && count_living(basis->living, last->rows) == count_living(content->living, content->rows);
}

/* False: everything is written. */
static bool plan_to_follow(const shard_content_t *content, const basis_t *basis, const kept_rows_t *whole, basis_plan_t *plan) {
    int64_t links = links_to_keep(basis);
    if (links == 0)
        return false;
    const basis_link_t *last = &basis->links[links - 1];
    kept_start_t start = {.row = last->rows,
                          .indexed = first_indexed(content, basis, links),
                          .previous = last->file.checksum,
                          .known = links == basis->count ? basis->living : NULL};
    kept_rows_t kept;
    if (!kept_rows_follow(content, basis->numbered, &start, &kept))
        return false;
    if (wastes_too_much(content, basis, links, &kept, whole)) {
        kept_rows_clear(&kept);
        return false;
    }
    plan->links = links;
    plan->kept = kept;
    plan->nothing = is_nothing(content, basis, plan);
    return true;
}

dfaiss_status_t basis_make_plan(const shard_content_t *content, const basis_t *basis, basis_plan_t *out, dfaiss_error_t *err) {
    basis_plan_t plan = {0};
    kept_rows_t whole;
    TRY(basis_settings(content, &plan.settings, err));
    kept_rows_make(content, &whole);
    if (fits(basis, content) && plan_to_follow(content, basis, &whole, &plan))
        kept_rows_clear(&whole);
    else
        plan.kept = whole;
    *out = plan;
    return DFAISS_OK;
}

void basis_clear_plan(basis_plan_t *plan) {
    kept_rows_clear(&plan->kept);
}
