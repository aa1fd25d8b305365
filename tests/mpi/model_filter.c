/* Attributes and filter expressions drawn at random: a tree that is written down as an expression, and evaluated by itself. */
#include "model.h"

#include <stdarg.h>

typedef enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_COMPARE, NODE_IN, NODE_NOT_IN, NODE_HAS, NODE_TRUE } node_kind_t;
typedef enum operator_kind { EQUAL, DIFFERENT, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, OPERATORS } operator_kind_t;

static const char *const operators[OPERATORS] = {"==", "!=", "<", "<=", ">", ">="};
static const char *const fields[MODEL_FIELDS] = {"year", "weight", "lang", "free"};
static const char *const langs[] = {"de", "en", "fr", "it"};
enum { LANGS = 4, NODES = 32, FIRST_YEAR = 2015, YEARS = 10, IN_MOST = 3 };

/* Deeper nodes stand behind those that they belong to. */
typedef struct node {
    node_kind_t kind;
    int left, right;
    model_field_t field;
    operator_kind_t comparison;
    model_attributes_t values[IN_MOST];
    int value_count;
} node_t;

struct model_filter {
    node_t nodes[NODES];
    int count;
    char text[2048];
    size_t used;
};

model_attributes_t model_attributes_draw(random_state_t *random) {
    model_attributes_t out = {
        .year = FIRST_YEAR + (int64_t)random_below(random, YEARS),
        .weight = (double)random_below(random, 9) / 4,
        .lang = langs[random_below(random, LANGS)],
        .free = random_below(random, 2) == 0,
    };
    for (int field = 0; field < MODEL_FIELDS; field++)
        out.has[field] = random_below(random, 6) > 0;
    return out;
}

/* ---- writing ---- */

static void write_text(model_filter_t *filter, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void write_text(model_filter_t *filter, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(filter->text + filter->used, sizeof filter->text - filter->used, format, arguments);
    va_end(arguments);
    filter->used += (size_t)length;
    assert_true(filter->used < sizeof filter->text);
}

static void write_value(model_filter_t *filter, model_field_t field, const model_attributes_t *value) {
    if (field == MODEL_YEAR)
        write_text(filter, "%lld", (long long)value->year);
    else if (field == MODEL_WEIGHT)
        write_text(filter, "%g", value->weight);
    else if (field == MODEL_LANG)
        write_text(filter, value->free ? "\"%s\"" : "'%s'", value->lang);
    else
        write_text(filter, "%s", value->free ? "true" : "false");
}

static void write_leaf(model_filter_t *filter, const node_t *node) {
    bool list = node->kind == NODE_IN || node->kind == NODE_NOT_IN;
    if (node->kind == NODE_HAS || node->kind == NODE_TRUE) {
        write_text(filter, node->kind == NODE_HAS ? "has(%s)" : "%s", fields[node->field]);
        return;
    }
    write_text(filter, "%s %s ", fields[node->field], !list ? operators[node->comparison] : node->kind == NODE_IN ? "in" : "not in");
    for (int i = 0; i < node->value_count; i++) {
        if (list)
            write_text(filter, i ? ", " : "(");
        write_value(filter, node->field, &node->values[i]);
    }
    if (list)
        write_text(filter, ")");
}

/* ---- drawing ---- */

static void draw_leaf(node_t *node, random_state_t *random) {
    static const node_kind_t kinds[] = {NODE_COMPARE, NODE_COMPARE, NODE_COMPARE, NODE_IN, NODE_NOT_IN, NODE_HAS, NODE_TRUE};
    node->kind = kinds[random_below(random, sizeof kinds / sizeof *kinds)];
    node->field = node->kind == NODE_TRUE ? MODEL_FREE : (model_field_t)random_below(random, MODEL_FIELDS);
    /* A switch has no order. */
    node->comparison = (operator_kind_t)random_below(random, node->field == MODEL_FREE ? DIFFERENT + 1 : OPERATORS);
    node->value_count = node->kind == NODE_COMPARE ? 1 : 1 + (int)random_below(random, IN_MOST);
    for (int i = 0; i < node->value_count; i++)
        node->values[i] = model_attributes_draw(random);
}

/* One node with all that belongs to it, written down at the same time; returns its number. */
static int draw_node(model_filter_t *filter, random_state_t *random, int depth) {
    static const char *const signs[] = {" && ", " || ", "!("}, *const words[] = {" and ", " or ", "not ("};
    int number = filter->count++;
    node_t *node = &filter->nodes[number];
    uint64_t choice = depth < 3 ? random_below(random, 6) : 5;
    if (choice > NODE_NOT) {
        draw_leaf(node, random);
        write_leaf(filter, node);
        return number;
    }
    node->kind = (node_kind_t)choice;
    const char *sign = random_below(random, 2) ? words[choice] : signs[choice];
    write_text(filter, "%s", node->kind == NODE_NOT ? sign : "(");
    node->left = draw_node(filter, random, depth + 1);
    if (node->kind != NODE_NOT) {
        write_text(filter, "%s", sign);
        node->right = draw_node(filter, random, depth + 1);
    }
    write_text(filter, ")");
    return number;
}

model_filter_t *model_filter_draw(random_state_t *random) {
    model_filter_t *filter = calloc(1, sizeof *filter);
    assert_non_null(filter);
    draw_node(filter, random, 0);
    return filter;
}

void model_filter_destroy(model_filter_t *filter) {
    free(filter);
}

const char *model_filter_text(const model_filter_t *filter) {
    return filter->text;
}

/* ---- evaluating ---- */

/* Below 0, 0 or above 0. */
static int compare_field(model_field_t field, const model_attributes_t *a, const model_attributes_t *b) {
    if (field == MODEL_YEAR)
        return (a->year > b->year) - (a->year < b->year);
    if (field == MODEL_WEIGHT)
        return (a->weight > b->weight) - (a->weight < b->weight);
    return field == MODEL_LANG ? strcmp(a->lang, b->lang) : a->free - b->free;
}

static bool holds(operator_kind_t comparison, int order) {
    switch (comparison) {
    case EQUAL:
        return order == 0;
    case DIFFERENT:
        return order != 0;
    case LESS:
        return order < 0;
    case LESS_OR_EQUAL:
        return order <= 0;
    case GREATER:
        return order > 0;
    default:
        return order >= 0;
    }
}

/* A row without a value differs from every value, and fulfils nothing else. */
static bool leaf_matches(const node_t *node, const model_attributes_t *attributes) {
    bool negative = node->kind == NODE_NOT_IN || (node->kind == NODE_COMPARE && node->comparison == DIFFERENT), found = false;
    if (node->kind == NODE_HAS || !attributes->has[node->field])
        return node->kind == NODE_HAS ? attributes->has[node->field] : negative;
    if (node->kind == NODE_TRUE)
        return attributes->free;
    if (node->kind == NODE_COMPARE)
        return holds(node->comparison, compare_field(node->field, attributes, &node->values[0]));
    for (int i = 0; i < node->value_count; i++)
        found |= compare_field(node->field, attributes, &node->values[i]) == 0;
    return found != negative;
}

static bool node_matches(const model_filter_t *filter, int number, const model_attributes_t *attributes) {
    const node_t *node = &filter->nodes[number];
    if (node->kind == NODE_NOT)
        return !node_matches(filter, node->left, attributes);
    if (node->kind == NODE_AND)
        return node_matches(filter, node->left, attributes) && node_matches(filter, node->right, attributes);
    if (node->kind == NODE_OR)
        return node_matches(filter, node->left, attributes) || node_matches(filter, node->right, attributes);
    return leaf_matches(node, attributes);
}

bool model_filter_matches(const model_filter_t *filter, const model_attributes_t *attributes) {
    return !filter || node_matches(filter, 0, attributes);
}
