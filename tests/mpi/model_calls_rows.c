/* Calls that add, replace and remove vectors. */
#include "model_calls.h"

enum { BATCHES = 4 };

/* An id that the index has not. */
static int64_t draw_new_id(model_turn_t *turn) {
    model_slot_t *slot = turn->slot;
    int64_t id;
    do {
        id = random_below(turn->random, 3) ? slot->next_id++ : (int64_t)random_below(turn->random, INT64_MAX);
    } while (model_find(&slot->model, id));
    return id;
}

static int64_t draw_old_id(model_turn_t *turn) {
    const model_t *model = &turn->slot->model;
    return model->rows[random_below(turn->random, (uint64_t)model->count)].id;
}

static bool has_id(const model_batch_t *batch, int64_t count, int64_t id) {
    for (int64_t i = 0; i < count; i++) {
        if (batch->rows[i].id == id)
            return true;
    }
    return false;
}

static void put_batch(model_slot_t *slot, const model_batch_t *batch) {
    for (int64_t i = 0; i < batch->batch.n; i++)
        model_put(&slot->model, &batch->rows[i]);
    slot->dim_known = true;
}

/* ---- add ---- */

static void draw_batch(model_turn_t *turn, model_batch_t *batch) {
    const model_slot_t *slot = turn->slot;
    int64_t n = random_below(turn->random, 4) ? 1 + (int64_t)random_below(turn->random, 30) : 1 + (int64_t)random_below(turn->random, 150);
    model_batch_draw(batch, turn->random, n, slot->model.dim, slot->attributes);
    if (!slot->own_ids)
        batch->batch.ids = NULL;
    for (int64_t i = 0; slot->own_ids && i < n; i++) {
        int64_t id = draw_new_id(turn);
        while (has_id(batch, i, id))
            id = draw_new_id(turn);
        model_batch_set_id(batch, i, id);
    }
}

/* The ids that a batch has got, which all of them must know; own ids come back as they were given. */
static void learn_ids(model_turn_t *turn, model_batch_t *batch, int64_t *ids) {
    model_turn_share(turn, ids, (size_t)batch->batch.n * sizeof *ids);
    for (int64_t i = 0; i < batch->batch.n; i++) {
        if (turn->slot->own_ids) {
            assert_int_equal(ids[i], batch->rows[i].id);
            continue;
        }
        assert_true(ids[i] >= 0);
        assert_null(model_find(&turn->slot->model, ids[i]));
        assert_false(has_id(batch, i, ids[i]));
        model_batch_set_id(batch, i, ids[i]);
    }
}

/* Several batches, one after the other or under way at once. */
void model_call_add(model_turn_t *turn) {
    model_batch_t batches[BATCHES];
    int64_t *ids[BATCHES];
    dfaiss_request_t *requests[BATCHES];
    int count = 1 + (int)random_below(turn->random, BATCHES);
    bool at_once = random_below(turn->random, 2) == 0, acts = model_turn_acts(turn);
    for (int i = 0; i < count; i++) {
        draw_batch(turn, &batches[i]);
        ids[i] = calloc((size_t)batches[i].batch.n, sizeof *ids[i]);
        assert_non_null(ids[i]);
        if (turn->slot->own_ids)
            put_batch(turn->slot, &batches[i]);
        if (acts && at_once)
            model_turn_ok(turn, dfaiss_add_start(job.client, turn->slot->name, &batches[i].batch, ids[i], &requests[i], &job.error));
        else if (acts)
            model_turn_ok(turn, dfaiss_add(job.client, turn->slot->name, &batches[i].batch, ids[i], &job.error));
    }
    for (int i = count; i-- > 0;) {
        if (acts && at_once)
            model_turn_ok(turn, dfaiss_request_wait(requests[i], NULL, &job.error));
        learn_ids(turn, &batches[i], ids[i]);
        put_batch(turn->slot, &batches[i]);
        model_batch_clear(&batches[i]);
        free(ids[i]);
    }
}

/* ---- update ---- */

/* Some that there are, and with own ids some that there are not. */
void model_call_update(model_turn_t *turn) {
    model_slot_t *slot = turn->slot;
    model_batch_t batch;
    model_batch_draw(&batch, turn->random, 1 + (int64_t)random_below(turn->random, 20), slot->model.dim, slot->attributes);
    int64_t n = 0;
    for (int64_t i = 0; i < batch.batch.n; i++) {
        bool old = !slot->own_ids || random_below(turn->random, 4) > 0;
        int64_t id = old ? draw_old_id(turn) : draw_new_id(turn);
        /* Twice the same: the rest of the batch goes without. */
        if (has_id(&batch, n, id))
            break;
        model_batch_set_id(&batch, n++, id);
    }
    for (int64_t i = n; i < batch.batch.n; i++)
        free(batch.rows[i].metadata);
    batch.batch.n = n;
    if (model_turn_acts(turn))
        model_turn_ok(turn, dfaiss_update(job.client, slot->name, &batch.batch, &job.error));
    put_batch(slot, &batch);
    model_batch_clear(&batch);
}

/* ---- remove ---- */

void model_call_remove_ids(model_turn_t *turn) {
    enum { MOST = 40 };
    int64_t ids[MOST], n = 0, removed = -1, expected = 0, wanted = 1 + (int64_t)random_below(turn->random, MOST);
    for (int64_t i = 0; i < wanted && turn->slot->model.count > 0; i++) {
        int64_t id = random_below(turn->random, 4) ? draw_old_id(turn) : draw_new_id(turn);
        expected += model_remove(&turn->slot->model, id);
        bool twice = false;
        for (int64_t j = 0; j < n; j++)
            twice |= ids[j] == id;
        if (!twice)
            ids[n++] = id;
    }
    if (!model_turn_acts(turn))
        return;
    model_turn_ok(turn, dfaiss_remove_ids(job.client, turn->slot->name, n, ids, &removed, &job.error));
    assert_int_equal(removed, expected);
}

void model_call_remove_matching(model_turn_t *turn) {
    int64_t removed = -1;
    if (!turn->slot->attributes)
        return;
    /* Most of what matches is to stay: a narrow expression. */
    model_filter_t *filter = model_filter_draw(turn->random);
    int64_t expected = model_remove_matching(&turn->slot->model, filter);
    if (model_turn_acts(turn)) {
        model_turn_ok(turn, dfaiss_remove_matching(job.client, turn->slot->name, model_filter_text(filter), &removed, &job.error));
        assert_int_equal(removed, expected);
    }
    model_filter_destroy(filter);
}
