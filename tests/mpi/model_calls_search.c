/* Calls that search. */
#include "model_calls.h"

/* A search of one or several slots, drawn at random. */
typedef struct search {
    model_slot_t *slots[MODEL_INDEXES_MOST];
    const char *names[MODEL_INDEXES_MOST];
    int slot_count;
    int64_t nq;
    float *queries;
    bool range;
    int64_t k;
    float radius;
    dfaiss_search_options_t options;
    model_filter_t *filter;
} search_t;

static void draw_queries(search_t *search, random_state_t *random) {
    int64_t dim = search->slots[0]->model.dim;
    search->nq = random_below(random, 8) ? 1 + (int64_t)random_below(random, 6) : 1 + (int64_t)random_below(random, 60);
    search->queries = malloc((size_t)(search->nq * dim) * sizeof *search->queries);
    assert_non_null(search->queries);
    for (int64_t i = 0; i < search->nq; i++)
        model_vector_draw(random, dim, search->queries + i * dim);
}

/* The score of a row, and half of what scores of whole numbers differ by at least. */
static float draw_radius(const search_t *search, random_state_t *random) {
    const model_t *model = &search->slots[0]->model;
    if (model->count == 0)
        return 1;
    const float *vector = model->rows[random_below(random, (uint64_t)model->count)].vector;
    return (float)model_score(model, search->queries, vector) + (model->metric == MODEL_COSINE ? 1e-3F : 0.5F);
}

/* Everything else, once the slots are known. */
static void draw_search(search_t *search, random_state_t *random, bool range) {
    bool attributes = true;
    for (int i = 0; i < search->slot_count; i++) {
        search->names[i] = search->slots[i]->name;
        attributes &= search->slots[i]->attributes;
    }
    draw_queries(search, random);
    search->range = range;
    search->k = random_below(random, 5) ? 1 + (int64_t)random_below(random, 15) : 1 + (int64_t)random_below(random, 400);
    search->radius = draw_radius(search, random);
    if (attributes && random_below(random, 2))
        search->filter = model_filter_draw(random);
    search->options = (dfaiss_search_options_t){
        .nprobe = random_below(random, 2) ? 0 : 1 + (int64_t)random_below(random, 64),
        .filter = search->filter ? model_filter_text(search->filter) : NULL,
        .metadata = random_below(random, 2) == 0,
        .embeddings = random_below(random, 3) == 0,
    };
}

static void clear_search(search_t *search) {
    free(search->queries);
    model_filter_destroy(search->filter);
}

/* Whether as much is searched as can be, or is worth it. */
static bool searched_well(const search_t *search, const model_slot_t *slot) {
    int64_t nprobe = search->options.nprobe ? search->options.nprobe : slot->nprobe;
    return nprobe >= (slot->kind->lists ? slot->kind->lists : MODEL_EFFORT) || (search->range && search->options.nprobe == 0);
}

/* Whether a slot's answer is the model's: before training everything is searched exactly, and afterwards where all lists are. */
static bool slot_exact(const search_t *search, const model_slot_t *slot) {
    bool exact_kind = slot->model.metric == MODEL_COSINE ? slot->kind->exact_cosine : slot->kind->exact;
    return (slot->kind->trains && !slot->trained) || (exact_kind && (slot->kind->lists == 0 || searched_well(search, slot)));
}

static void check_search(const search_t *search, const dfaiss_result_t *result) {
    model_question_t question = {
        .model_count = search->slot_count,
        .exact = true,
        .range = search->range,
        .radius = search->radius,
        .k = search->k,
        .filter = search->filter,
        .metadata = search->options.metadata,
        .embeddings = search->options.embeddings,
    };
    int64_t dim = search->slots[0]->model.dim;
    for (int i = 0; i < search->slot_count; i++) {
        question.models[i] = &search->slots[i]->model;
        question.exact &= slot_exact(search, search->slots[i]);
    }
    assert_int_equal(dfaiss_result_queries(result), search->nq);
    for (int64_t i = 0; i < search->nq; i++) {
        model_recall_t recall = {0};
        question.query = search->queries + i * dim;
        model_check_answer(&question, result, i, &recall);
        if (search->slot_count == 1 && searched_well(search, search->slots[0])) {
            model_recalls[search->slots[0]->kind - model_kinds].found += recall.found;
            model_recalls[search->slots[0]->kind - model_kinds].expected += recall.expected;
        }
    }
}

static dfaiss_status_t run_search(const search_t *search, dfaiss_result_t **result) {
    int64_t dim = search->slots[0]->model.dim;
    if (search->range)
        return dfaiss_range_search(job.client, search->slot_count, search->names, search->nq, dim, search->queries, search->radius, search->k,
                                   &search->options, result, &job.error);
    return dfaiss_search(job.client, search->slot_count, search->names, search->nq, dim, search->queries, search->k, &search->options, result,
                         &job.error);
}

/* Everybody draws, so that all keep the same random numbers; one asks. */
static void search_slots(model_turn_t *turn, search_t *search, bool range) {
    dfaiss_result_t *result = NULL;
    draw_search(search, turn->random, range);
    if (model_turn_acts(turn)) {
        dfaiss_status_t status = run_search(search, &result);
        if (range && turn->slot->kind->opaque && status == DFAISS_ERR_UNSUPPORTED) {
            assert_non_null(strstr(job.error.text, turn->slot->name));
        } else {
            model_turn_ok(turn, status);
            check_search(search, result);
        }
    }
    dfaiss_result_destroy(result);
    clear_search(search);
}

void model_call_search(model_turn_t *turn) {
    search_slots(turn, &(search_t){.slots = {turn->slot}, .slot_count = 1}, false);
}

/* All of the same owner that can be searched together. */
void model_call_search_several(model_turn_t *turn) {
    search_t search = {.slots = {turn->slot}, .slot_count = 1};
    for (int i = 0; i < turn->slot_count && search.slot_count < MODEL_INDEXES_MOST; i++) {
        model_slot_t *slot = &turn->slots[i];
        bool together = slot->exists && slot->model.metric == turn->slot->model.metric && slot->model.dim == turn->slot->model.dim;
        if (slot != turn->slot && together)
            search.slots[search.slot_count++] = slot;
    }
    search_slots(turn, &search, false);
}

/* Several searches under way at once, waited for in another order. */
void model_call_requests(model_turn_t *turn) {
    enum { REQUESTS = 4 };
    search_t searches[REQUESTS];
    dfaiss_request_t *requests[REQUESTS];
    bool acts = model_turn_acts(turn);
    for (int i = 0; i < REQUESTS; i++) {
        search_t *search = &searches[i];
        *search = (search_t){.slots = {turn->slot}, .slot_count = 1};
        draw_search(search, turn->random, false);
        if (acts)
            model_turn_ok(turn, dfaiss_search_start(job.client, 1, search->names, search->nq, turn->slot->model.dim, search->queries, search->k,
                                                    &search->options, &requests[i], &job.error));
    }
    for (int i = 0; i < REQUESTS; i++) {
        int other = i * 3 % REQUESTS;
        if (acts) {
            dfaiss_result_t *result;
            bool done = false;
            while (i % 2 && !done)
                model_turn_ok(turn, dfaiss_request_test(requests[other], &done, &job.error));
            model_turn_ok(turn, dfaiss_request_wait(requests[other], &result, &job.error));
            check_search(&searches[other], result);
            dfaiss_result_destroy(result);
        }
        clear_search(&searches[other]);
    }
}

void model_call_range_search(model_turn_t *turn) {
    search_slots(turn, &(search_t){.slots = {turn->slot}, .slot_count = 1}, true);
}
