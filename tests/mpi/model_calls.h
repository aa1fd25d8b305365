/* The calls of the randomised test: each is made on an index and on its model, and the answers are compared.
 *
 * An index belongs to one client, who works on it whenever he likes, or to all of them. What all have in common changes by turns: every client draws
 * the same calls from the same random numbers, so that all have the same model of it; one of them, the actor, makes the call, and hands on what
 * the others cannot know.
 */
#ifndef TESTS_MODEL_CALLS_H
#define TESTS_MODEL_CALLS_H

#include "api_job.h"
#include "model.h"

/* A kind of index, and what can be expected of it. */
typedef struct model_kind {
    const char *name;
    const char *keys;  /* of the configuration */
    bool exact;        /* answers are the model's where all lists are probed */
    bool exact_cosine; /* and where vectors are normalised */
    bool trains;       /* it must be trained, with at least `sample` vectors */
    int64_t sample;
    int64_t lists; /* 0: none */
    bool opaque;   /* no range search, and it stays with its number of servers */
    double recall; /* at least this share of what the model finds is found where all lists are probed (a graph: with MODEL_EFFORT) */
} model_kind_t;

enum { MODEL_EFFORT = 32 };

extern const model_kind_t model_kinds[];
extern const int model_kind_count;

/* An index, or a place for one. */
typedef struct model_slot {
    char name[32];
    bool exists;
    const model_kind_t *kind;
    bool own_ids, attributes;
    bool dim_known; /* to the servers: vectors were added, or the configuration said it */
    bool trained;   /* once the dimension is known */
    int64_t nprobe;
    int64_t next_id; /* own ids go on from here now and then */
    model_t model;
    /* What the newest generation holds. */
    bool saved, saved_trained, saved_dim_known;
    int64_t saved_nprobe, generation;
    model_t saved_model;
} model_slot_t;

/* One call. */
typedef struct model_turn {
    random_state_t *random;
    model_slot_t *slots; /* of the same owner; the call is about the first one unless it says otherwise */
    int slot_count;
    model_slot_t *slot;
    bool shared;
    int actor; /* the client that makes the call, where shared */
} model_turn_t;

/* This client makes the call. */
bool model_turn_acts(const model_turn_t *turn);

typedef struct model_call {
    const char *name;
    int weight; /* how often it is drawn */
    bool (*allowed)(const model_slot_t *slot);
    void (*make)(model_turn_t *turn);
} model_call_t;

extern const model_call_t model_calls[];
extern const int model_call_count;

/* By kind: what inexact answers have found. */
extern model_recall_t model_recalls[];

/* ---- what the files of calls share ---- */

bool model_slot_exists(const model_slot_t *slot);
bool model_slot_filled(const model_slot_t *slot); /* it exists and has vectors */

/* What the actor has learnt, for all. */
void model_turn_share(const model_turn_t *turn, void *bytes, size_t size);
/* Fails the test where a call has not succeeded. */
void model_turn_ok(const model_turn_t *turn, dfaiss_status_t status);

/* Searches a slot with a query of one's own. */
void model_call_search(model_turn_t *turn);
void model_call_search_several(model_turn_t *turn);
void model_call_range_search(model_turn_t *turn);
void model_call_requests(model_turn_t *turn);

void model_call_add(model_turn_t *turn);
void model_call_update(model_turn_t *turn);
void model_call_remove_ids(model_turn_t *turn);
void model_call_remove_matching(model_turn_t *turn);

#endif
