/* TRAIN and TRAIN_START: a training of all servers, led by server 0. All prepare; then, shared, server 0 gathers a sample, trains for all, and the
 * trained template goes to all; or, local, each trains on its own vectors. Either way each server then has a trained template, and adopts it when all
 * have one. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/share.h"
#include "message/named.h"
#include "message/outcome.h"
#include "server/training.h"

enum {
    PIECE_BYTES = 4 << 20, /* of the sample, drawn at a time */
    PIECE_ROWS = 4096,
    PIECES_UNDER_WAY = 4,
};

struct course {
    course_t *next;
    char index[MESSAGE_NAME];
    uint64_t number;
    request_t *request; /* NULL: nobody waits for an answer (any more) */
    bool waits;         /* for the end */
    bool by_itself;
    bool begun;
    bool local;
    bool gone;           /* the index was dropped */
    int64_t due;         /* by itself: vectors that there must be */
    int64_t *rows_until; /* of servers 0 to i, when all had prepared */
    int64_t total;

    training_t *training; /* shared */
    int64_t dim;
    bool drawing;
    int64_t asked; /* vectors of the sample that were asked for */
    int pieces;    /* under way */
    job_t job;
    void *bulk; /* the trained template */
    size_t bulk_size;
    request_t *turn; /* while all adopt */

    dfaiss_status_t status;
    dfaiss_error_t error;
};

static void free_course(server_t *server, course_t *course) {
    LIST_REMOVE(server->courses, course);
    training_destroy(course->training);
    memory_unmap(course->bulk, course->bulk_size);
    free(course->rows_until);
    free(course);
}

static void answer(server_t *server, course_t *course, dfaiss_status_t status, const dfaiss_error_t *error) {
    request_t *request = course->request;
    course->request = NULL;
    if (request)
        request_answer(server, request, status, error, NULL, NULL, 0);
}

static void begin_argument(const course_t *course, bytes_writer_t *argument) {
    bytes_put_string(argument, course->index);
    bytes_put_u64(argument, course->number);
}

static void note_failure(course_t *course, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (status == DFAISS_OK || course->status != DFAISS_OK)
        return;
    course->status = status;
    course->error = *error;
    course->error.code = status;
}

/* ---- the end ---- */

/* What was refused before it began is told to whoever asked, and is as if it had not been; what failed later, or by itself, is kept. */
static bool keeps_failure(const course_t *course) {
    return course->begun || (course->by_itself && course->total >= course->due);
}

static void keep_failure(server_t *server, const course_t *course) {
    hosted_t *hosted = course->gone ? NULL : hosted_find(server, course->index);
    if (!hosted)
        return;
    hosted->train_failure = course->error;
    if (!course->request)
        log_write(LOG_LEVEL_WARNING, "training index '%s' failed: %s", course->index, course->error.text);
}

static void adopted(server_t *server, operation_t *operation, void *context) {
    course_t *course = context;
    note_failure(course, operation->status, &operation->error);
    if (course->status != DFAISS_OK && keeps_failure(course))
        keep_failure(server, course);
    answer(server, course, course->status, &course->error);
    if (course->turn)
        request_turn_end(server, course->turn);
    free_course(server, course);
}

static void adopt(server_t *server, course_t *course) {
    bytes_writer_t argument = {0};
    begin_argument(course, &argument);
    bytes_put_u8(&argument, keeps_failure(course));
    bytes_put_i64(&argument, course->total);
    message_outcome_encode(course->status, &course->error, &argument);
    operation_start(server, OPERATION_ADOPT, &argument, NULL, 0, adopted, course);
}

static void fail_course(server_t *server, course_t *course, dfaiss_status_t status, const dfaiss_error_t *error) {
    note_failure(course, status, error);
    adopt(server, course);
}

static void adopt_in_turn(server_t *server, request_t *turn) {
    course_t *course = turn->state;
    course->turn = turn;
    adopt(server, course);
}

/* All servers adopt between two of the index's control requests: what is saved is trained everywhere, or nowhere. */
static void all_trained(server_t *server, operation_t *operation, void *context) {
    course_t *course = context;
    dfaiss_error_t error = {0};
    note_failure(course, operation->status, &operation->error);
    dfaiss_status_t status = course->status;
    if (status == DFAISS_OK) {
        status = request_turn_take(server, course->index, adopt_in_turn, course, &error);
        /* With one server the turn may have come, and all have adopted: the course is gone. */
        if (status == DFAISS_OK)
            return;
        note_failure(course, status, &error);
    }
    adopt(server, course);
}

/* ---- shared training ---- */

static dfaiss_status_t write_template(course_t *course, const engine_template_t *template, dfaiss_error_t *err) {
    bytes_writer_t out = {0};
    dfaiss_status_t status = engine_template_write(template, &out, err);
    void *block = status == DFAISS_OK ? memory_map(out.size) : NULL;
    if (status == DFAISS_OK && !block)
        status = error_memory(err, out.size, "a trained index");
    if (block) {
        memcpy(block, out.data, out.size);
        course->bulk = block;
        course->bulk_size = out.size;
    }
    bytes_writer_destroy(&out);
    return status;
}

static dfaiss_status_t train_for_all(void *context, dfaiss_error_t *err) {
    course_t *course = context;
    TRY(training_work(course->training, err));
    return write_template(course, training_template(course->training), err);
}

static void trained_for_all(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    course_t *course = job->context;
    training_destroy(course->training);
    course->training = NULL;
    if (server->ending)
        return; /* the other servers may have stopped already */
    if (status != DFAISS_OK) {
        fail_course(server, course, status, error);
        return;
    }
    bytes_writer_t argument = {0};
    void *bulk = course->bulk;
    course->bulk = NULL;
    begin_argument(course, &argument);
    operation_start(server, OPERATION_TEMPLATE, &argument, bulk, course->bulk_size, all_trained, course);
}

/* A piece of the sample while it is drawn. */
typedef struct piece {
    course_t *course;
    int64_t first; /* place in the sample */
    int64_t count;
} piece_t;

static void piece_drawn(server_t *server, operation_t *operation, void *context) {
    piece_t *piece = context;
    course_t *course = piece->course;
    size_t bytes = (size_t)(piece->count * course->dim) * sizeof(float);
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    (void)server;
    if (status == DFAISS_OK && (!operation->bulk || operation->bulk_size != bytes))
        status = message_malformed(MESSAGE_GATHER, &error);
    if (status == DFAISS_OK)
        memcpy(training_room(course->training, piece->first), operation->bulk, bytes);
    note_failure(course, status, &error);
    course->pieces--;
    free(piece);
}

/* Every server's share of the sample is that of its rows. */
static void draw_piece(server_t *server, course_t *course) {
    int64_t n = training_drawn_rows(course->training), row_bytes = course->dim * (int64_t)sizeof(float), drawer = 0;
    int64_t begin = 0, end = share_of(n, course->rows_until[0], course->total), rows_before = 0;
    while (end <= course->asked) {
        rows_before = course->rows_until[drawer++];
        begin = end;
        end = share_of(n, course->rows_until[drawer], course->total);
    }
    int64_t most = PIECE_BYTES / row_bytes;
    most = most < 1 ? 1 : most > PIECE_ROWS ? PIECE_ROWS : most;
    int64_t count = end - course->asked < most ? end - course->asked : most;
    piece_t *piece = malloc(sizeof *piece);
    if (!piece) {
        dfaiss_error_t error = {0};
        note_failure(course, error_memory(&error, sizeof *piece, "training"), &error);
        return;
    }
    *piece = (piece_t){.course = course, .first = course->asked, .count = count};
    bytes_writer_t argument = {0};
    begin_argument(course, &argument);
    bytes_put_i64(&argument, drawer);
    bytes_put_i64(&argument, course->rows_until[drawer] - rows_before);
    bytes_put_i64(&argument, end - begin);
    bytes_put_i64(&argument, course->asked - begin);
    bytes_put_i64(&argument, count);
    course->asked += count;
    course->pieces++;
    operation_start(server, OPERATION_DRAW, &argument, NULL, 0, piece_drawn, piece);
}

static void train(server_t *server, course_t *course) {
    course->drawing = false;
    course->job = (job_t){.work = train_for_all, .done = trained_for_all, .context = course};
    job_submit_training(server, &course->job);
}

/* Gathers the sample, a piece a turn. */
static bool draw(server_t *server, course_t *course) {
    if (server->ending)
        return false;
    bool all = course->asked == training_drawn_rows(course->training), failed = course->status != DFAISS_OK;
    if (!all && !failed && course->pieces < PIECES_UNDER_WAY) {
        draw_piece(server, course);
        return true;
    }
    if (course->pieces > 0 || !(all || failed))
        return false;
    course->drawing = false;
    if (failed)
        adopt(server, course);
    else
        train(server, course);
    return true;
}

static dfaiss_status_t plan_shared(server_t *server, course_t *course, dfaiss_error_t *err) {
    hosted_t *hosted = training_index(server, course->index, course->number);
    if (!hosted)
        return training_index_gone(course->index, err);
    course->dim = shard_config(hosted->shard)->dim;
    return training_create(hosted->shard, course->total, server->servers, &course->training, err);
}

/* ---- the beginning ---- */

/* Rows and state of every server, in any order. */
static dfaiss_status_t collect_parts(server_t *server, const operation_t *operation, course_t *course, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(operation->result.data, operation->result.size);
    int parts = 0;
    course->rows_until = calloc((size_t)server->servers, sizeof *course->rows_until);
    if (!course->rows_until)
        return error_memory(err, (size_t)server->servers * sizeof *course->rows_until, "training");
    for (int i = 0; i < server->servers; i++) {
        uint32_t number = bytes_get_u32(&in);
        int64_t rows = bytes_get_i64(&in);
        parts += bytes_get_u8(&in) != 0;
        if (in.failed || number >= (uint32_t)server->servers || rows < 0)
            return message_malformed(MESSAGE_GATHER, err);
        course->rows_until[number] = rows;
    }
    for (int i = 0; i < server->servers; i++) {
        course->total += course->rows_until[i];
        course->rows_until[i] = course->total;
    }
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_GATHER, err);
    if (parts == 0)
        return error_set(err, DFAISS_ERR_STATE, course->index, "index '%s' is trained already", course->index);
    return DFAISS_OK;
}

static dfaiss_status_t plan(server_t *server, const operation_t *operation, course_t *course, dfaiss_error_t *err) {
    if (operation->status != DFAISS_OK) {
        *err = operation->error;
        return operation->status;
    }
    TRY(collect_parts(server, operation, course, err));
    if (course->by_itself && course->total < course->due)
        return error_set(err, DFAISS_ERR_STATE, course->index, "index '%s' has too few vectors to be trained by itself", course->index);
    return course->local ? DFAISS_OK : plan_shared(server, course, err);
}

static void prepared(server_t *server, operation_t *operation, void *context) {
    course_t *course = context;
    dfaiss_error_t error = {0};
    dfaiss_status_t status = plan(server, operation, course, &error);
    if (status != DFAISS_OK) {
        fail_course(server, course, status, &error);
        return;
    }
    course->begun = true;
    if (!course->waits)
        answer(server, course, DFAISS_OK, &error);
    if (course->local) {
        bytes_writer_t argument = {0};
        bytes_put_u64(&argument, course->number);
        operation_start(server, OPERATION_TRAIN, &argument, NULL, 0, all_trained, course);
    } else if (training_drawn_rows(course->training) > 0) {
        course->drawing = true;
    } else {
        train(server, course);
    }
}

/* Checked here, where the answer is known, so that no other server is bothered in vain. */
static dfaiss_status_t make_course(server_t *server, const char *index, course_t **out, dfaiss_error_t *err) {
    hosted_t *hosted;
    TRY(hosted_get(server, index, &hosted, err));
    if (hosted->training)
        return error_set(err, DFAISS_ERR_STATE, index, "index '%s' is being trained", index);
    bool local = shard_config(hosted->shard)->training == CONFIG_TRAINING_local;
    if (shard_trained(hosted->shard) && !local)
        return error_set(err, DFAISS_ERR_STATE, index, "index '%s' is trained already", index);
    course_t *course = calloc(1, sizeof *course);
    if (!course)
        return error_memory(err, sizeof *course, "training");
    memcpy(course->index, hosted->name, sizeof course->index);
    course->number = ++server->last_training;
    course->local = local;
    course->due = training_due_rows(server, hosted);
    *out = course;
    return DFAISS_OK;
}

void course_start(server_t *server, const char *index, request_t *request, bool waits) {
    dfaiss_error_t error = {0};
    course_t *course = NULL;
    dfaiss_status_t status = make_course(server, index, &course, &error);
    if (status != DFAISS_OK) {
        if (request)
            request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    course->request = request;
    course->waits = waits;
    course->by_itself = !request;
    LIST_APPEND(server->courses, course);
    bytes_writer_t argument = {0};
    begin_argument(course, &argument);
    operation_start(server, OPERATION_PREPARE, &argument, NULL, 0, prepared, course);
}

static void start(server_t *server, request_t *request, bool waits) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    dfaiss_status_t status = message_named_decode(request->kind, request->message.body, request->message.body_size, index, &error);
    if (status == DFAISS_OK && server->number != 0)
        status = message_malformed(request->kind, &error);
    if (status == DFAISS_OK)
        course_start(server, index, request, waits);
    else
        request_answer(server, request, status, &error, NULL, NULL, 0);
}

void request_train(server_t *server, request_t *request) {
    start(server, request, true);
}

void request_train_start(server_t *server, request_t *request) {
    start(server, request, false);
}

/* ---- while it is under way ---- */

/* Whoever waits need not wait until the trainer has given up what nobody wants any more. */
static void leave(server_t *server, course_t *course) {
    dfaiss_error_t error = {0};
    hosted_t *hosted;
    dfaiss_status_t status = server->closed ? hosted_get(server, course->index, &hosted, &error) : training_index_gone(course->index, &error);
    course->gone = true;
    note_failure(course, status, &error);
    answer(server, course, status, &error);
    if (course->training)
        training_cancel(course->training);
}

bool courses_advance(server_t *server) {
    bool something = false;
    for (course_t *next, *course = server->courses; course; course = next) {
        next = course->next;
        if (!course->gone && !training_wanted(server, hosted_find(server, course->index))) {
            leave(server, course);
            something = true;
        }
        if (course->drawing)
            something |= draw(server, course);
    }
    return something;
}

void courses_clear(server_t *server) {
    while (server->courses) {
        if (server->courses->request)
            transport_message_clear(&server->courses->request->message);
        free(server->courses->request);
        free_course(server, server->courses);
    }
}
