/* argp does the parsing and the help; its own messages are several lines and its own exit codes others than ours, so that both are switched off
 * and what was wrong is worked out from the argument at which it stopped. */
#include "cli/arguments.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/nearest.h"

enum { KEY_STORAGE = ARGUMENTS_KEYS, KEY_INDEX, KEY_SERVERS, KEY_PER_NODE, KEY_THREADS, KEY_CONNECT, KEY_JSON, KEY_QUIET, KEY_HELP };
enum { COMMON_GROUPS = 6, MOST_SERVERS = 1 << 20, MOST_THREADS = 4096 };

static const struct argp_option storage_options[] = {{"storage", KEY_STORAGE, "DIR", 0, "The folder that holds the indexes", 0}, {0}};
static const struct argp_option index_options[] = {{"index", KEY_INDEX, "NAME", 0, "The name of the index", 0}, {0}};
static const struct argp_option servers_options[] = {
    {"servers", KEY_SERVERS, "S", 0, "Servers; started by mpirun or srun, the first S ranks (default: all but the clients)", 0},
    {"servers-per-node", KEY_PER_NODE, "S", 0, "Servers of each node: the first S ranks there", 0},
    {0}};
static const struct argp_option threads_options[] = {
    {"threads", KEY_THREADS, "T", 0, "Threads, of each server where there are servers (default: one a core)", 0}, {0}};
static const struct argp_option connect_options[] = {
    {"connect", KEY_CONNECT, "FILE", 0, "In place of --storage: ask the servers that wrote FILE (dfaiss serve --listen FILE)", 0}, {0}};
static const struct argp_option output_options[] = {{"json", KEY_JSON, NULL, 0, "Print exactly one JSON object to stdout", 0},
                                                    {"quiet", KEY_QUIET, NULL, 0, "No notices and no progress", 0},
                                                    {"help", KEY_HELP, NULL, 0, "Show this help", 0},
                                                    {0}};

typedef struct parse {
    const arguments_t *arguments;
    program_t *program;
    common_options_t *common;
    void *options;
    dfaiss_error_t *err;
    dfaiss_status_t status;
    bool help;
    int last;    /* key of the last option */
    int stopped; /* where in argv argp stopped at an error */
    struct argp top;
    struct argp groups[COMMON_GROUPS];
    struct argp_child children[COMMON_GROUPS + 1];
} parse_t;

/* The n-th option over all tables of the command; NULL behind the last. */
static const struct argp_option *option_at(const parse_t *parse, int n) {
    const struct argp_option *option = parse->top.options;
    for (const struct argp_child *child = parse->children;; child++) {
        for (; option && (option->name || option->key); option++)
            if (n-- == 0)
                return option;
        if (!child->argp)
            return NULL;
        option = child->argp->options;
    }
}

static void option_text(const struct argp_option *option, char *text, size_t capacity) {
    if (option->name)
        snprintf(text, capacity, "--%s", option->name);
    else
        snprintf(text, capacity, "-%c", option->key);
}

static dfaiss_status_t set_common(parse_t *parse, const argument_t *argument) {
    common_options_t *common = parse->common;
    switch (argument->key) {
    case KEY_STORAGE:
        common->storage = argument->value;
        return DFAISS_OK;
    case KEY_INDEX:
        common->index = argument->value;
        return DFAISS_OK;
    case KEY_SERVERS:
        return argument_integer(argument, 1, MOST_SERVERS, &common->servers, parse->err);
    case KEY_PER_NODE:
        return argument_integer(argument, 1, MOST_SERVERS, &common->servers_per_node, parse->err);
    case KEY_THREADS:
        return argument_integer(argument, 1, MOST_THREADS, &common->threads, parse->err);
    case KEY_CONNECT:
        common->connect = argument->value;
        return DFAISS_OK;
    case KEY_JSON:
        parse->program->json = true;
        return DFAISS_OK;
    case KEY_QUIET:
        parse->program->quiet = true;
        return DFAISS_OK;
    default:
        parse->help = true;
        return DFAISS_OK;
    }
}

static dfaiss_status_t set_option(parse_t *parse, int key, const char *value) {
    char text[64] = "";
    const struct argp_option *option;
    for (int n = 0; (option = option_at(parse, n)); n++)
        if (option->key == key)
            option_text(option, text, sizeof text);
    argument_t argument = {.key = key, .option = text, .value = value};
    parse->last = key;
    return key >= ARGUMENTS_KEYS ? set_common(parse, &argument) : parse->arguments->set(parse->options, &argument, parse->err);
}

static dfaiss_status_t take_word(parse_t *parse, const char *word) {
    if (parse->arguments->listed && parse->last == parse->arguments->listed)
        return set_option(parse, parse->last, word);
    return error_set(parse->err, DFAISS_ERR_ARG, word, "'%s' belongs to no option; see dfaiss %s --help", word, parse->arguments->command);
}

static error_t parse_key(int key, char *value, struct argp_state *state) {
    parse_t *parse = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        parse->status = take_word(parse, value);
        break;
    case ARGP_KEY_ERROR:
        parse->stopped = state->next;
        return ARGP_ERR_UNKNOWN;
    case ARGP_KEY_INIT:
    case ARGP_KEY_NO_ARGS:
    case ARGP_KEY_END:
    case ARGP_KEY_SUCCESS:
    case ARGP_KEY_FINI:
    case ARGP_KEY_ARGS:
        return ARGP_ERR_UNKNOWN;
    default:
        parse->status = set_option(parse, key, value);
    }
    return parse->status == DFAISS_OK ? 0 : EINVAL;
}

static error_t parse_top(int key, char *value, struct argp_state *state) {
    if (key != ARGP_KEY_INIT)
        return parse_key(key, value, state);
    for (int child = 0; ((parse_t *)state->input)->children[child].argp; child++)
        state->child_inputs[child] = state->input;
    return 0;
}

static void assemble(parse_t *parse) {
    const struct {
        unsigned flag;
        const struct argp_option *options;
        int group; /* where the help shows them: behind a command's own, those for output last */
    } all[COMMON_GROUPS] = {
        {ARGUMENTS_STORAGE, storage_options, 1},  {ARGUMENTS_CONNECT, connect_options, 1},  {ARGUMENTS_INDEX, index_options, 2},
        {ARGUMENTS_SERVERS, servers_options, 25}, {ARGUMENTS_THREADS, threads_options, 26}, {0, output_options, -1},
    };
    int count = 0;
    for (int group = 0; group < COMMON_GROUPS; group++)
        if (!all[group].flag || (parse->arguments->common & all[group].flag)) {
            parse->groups[count] = (struct argp){.options = all[group].options, .parser = parse_key};
            parse->children[count] = (struct argp_child){.argp = &parse->groups[count], .group = all[group].group};
            count++;
        }
    parse->top = (struct argp){.options = parse->arguments->options, .parser = parse_top, .doc = parse->arguments->help, .children = parse->children};
}

/* The option that `name` of `length` letters means: itself, or begun so; *count says how many there are (1 for an exact one). */
static const struct argp_option *option_begun(const parse_t *parse, const char *name, size_t length, int *count) {
    const struct argp_option *option, *found = NULL;
    *count = 0;
    for (int n = 0; (option = option_at(parse, n)); n++) {
        if (!option->name || strncmp(option->name, name, length) != 0)
            continue;
        found = option;
        ++*count;
        if (strlen(option->name) == length) {
            *count = 1;
            break;
        }
    }
    return found;
}

static dfaiss_status_t explain_unknown(const parse_t *parse, const char *word, const char *name) {
    nearest_t nearest = {.word = name};
    const struct argp_option *option;
    for (int n = 0; (option = option_at(parse, n)); n++)
        if (option->name)
            nearest_offer(&nearest, option->name);
    if (nearest.name)
        return error_set(parse->err, DFAISS_ERR_ARG, word, "dfaiss %s has no option %s; did you mean --%s?", parse->arguments->command, word,
                         nearest.name);
    return error_set(parse->err, DFAISS_ERR_ARG, word, "dfaiss %s has no option %s; see dfaiss %s --help", parse->arguments->command, word,
                     parse->arguments->command);
}

static dfaiss_status_t explain_long(const parse_t *parse, const char *word) {
    char name[64];
    const char *given = word + 2;
    size_t length = strcspn(given, "=");
    bool has_value = given[length] == '=';
    int count = 0;
    const struct argp_option *option = option_begun(parse, given, length, &count);
    if (count > 1)
        return error_set(parse->err, DFAISS_ERR_ARG, word, "%s is short for several options of dfaiss %s", word, parse->arguments->command);
    if (option && has_value && !option->arg)
        return error_set(parse->err, DFAISS_ERR_ARG, word, "--%s takes no value", option->name);
    if (option && !has_value && option->arg)
        return error_set(parse->err, DFAISS_ERR_ARG, word, "--%s needs a value: --%s %s", option->name, option->name, option->arg);
    if (option)
        return DFAISS_OK;
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), given);
    return explain_unknown(parse, word, name);
}

/* Options of one letter may stand together: the first that is not known, or lacks its value, is the culprit. */
static dfaiss_status_t explain_short(const parse_t *parse, const char *word) {
    for (const char *letter = word + 1; *letter; letter++) {
        const struct argp_option *option = NULL;
        for (int n = 0; (option = option_at(parse, n)) && option->key != *letter; n++)
            continue;
        if (!option)
            return explain_unknown(parse, word, word + 1);
        if (option->arg && letter[1])
            return DFAISS_OK;
        if (option->arg)
            return error_set(parse->err, DFAISS_ERR_ARG, word, "-%c needs a value: -%c %s", *letter, *letter, option->arg);
    }
    return DFAISS_OK;
}

/* What was wrong with the argument at which argp stopped, or the next one (it steps past a word only when all letters of it were read). */
static dfaiss_status_t explain(const parse_t *parse, int argc, char **argv) {
    int stopped = parse->stopped;
    for (int place = stopped > 1 ? stopped - 1 : 1; place < argc && place <= stopped; place++) {
        const char *word = argv[place];
        dfaiss_status_t status = DFAISS_OK;
        if (strncmp(word, "--", 2) == 0)
            status = explain_long(parse, word);
        else if (word[0] == '-')
            status = explain_short(parse, word);
        if (status != DFAISS_OK)
            return status;
    }
    return error_set(parse->err, DFAISS_ERR_ARG, "", "the arguments are not understood; see dfaiss %s --help", parse->arguments->command);
}

static void print_help(parse_t *parse) {
    char name[64];
    snprintf(name, sizeof name, "dfaiss %s", parse->arguments->command);
    argp_help(&parse->top, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, name);
}

dfaiss_status_t arguments_parse(const arguments_t *arguments, program_t *program, int argc, char **argv, common_options_t *common, void *options,
                                bool *helped, dfaiss_error_t *err) {
    parse_t parse = {.arguments = arguments, .program = program, .common = common, .options = options, .err = err};
    assemble(&parse);
    *helped = false;
    error_t failure = argp_parse(&parse.top, argc, argv, ARGP_NO_HELP | ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_IN_ORDER, NULL, &parse);
    if (failure == ENOMEM)
        return error_memory(err, 0, "the arguments");
    if (failure)
        return parse.status != DFAISS_OK ? parse.status : explain(&parse, argc, argv);
    if (common->servers && common->servers_per_node)
        return error_set(err, DFAISS_ERR_ARG, "--servers-per-node", "--servers and --servers-per-node exclude each other");
    if (parse.help) {
        if (program->speaks)
            print_help(&parse);
        *helped = true;
    }
    return DFAISS_OK;
}

dfaiss_status_t argument_integer(const argument_t *argument, int64_t least, int64_t most, int64_t *out, dfaiss_error_t *err) {
    char *end = NULL;
    errno = 0;
    long long number = strtoll(argument->value, &end, 10);
    if (errno != 0 || end == argument->value || *end || number < least || number > most)
        return error_set(err, DFAISS_ERR_ARG, argument->option, "%s is '%s'; a whole number from %lld to %lld is expected", argument->option,
                         argument->value, (long long)least, (long long)most);
    *out = number;
    return DFAISS_OK;
}

dfaiss_status_t argument_number(const argument_t *argument, double least, double most, double *out, dfaiss_error_t *err) {
    char *end = NULL;
    errno = 0;
    double number = strtod(argument->value, &end);
    if (errno != 0 || end == argument->value || *end || !isfinite(number) || number < least || number > most)
        return error_set(err, DFAISS_ERR_ARG, argument->option, "%s is '%s'; a number from %g to %g is expected", argument->option, argument->value,
                         least, most);
    *out = number;
    return DFAISS_OK;
}

dfaiss_status_t argument_choice(const argument_t *argument, const char *const *words, int count, int *out, dfaiss_error_t *err) {
    char all[256] = "";
    for (int word = 0; word < count; word++) {
        if (strcmp(argument->value, words[word]) == 0) {
            *out = word;
            return DFAISS_OK;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", word ? ", " : "", words[word]);
    }
    return error_set(err, DFAISS_ERR_ARG, argument->option, "%s is '%s'; one of %s is expected", argument->option, argument->value, all);
}

dfaiss_status_t arguments_check_connect(const common_options_t *common, const char *command, dfaiss_error_t *err) {
    const struct {
        const char *option;
        bool given;
    } of_a_job[] = {{"--storage", common->storage != NULL},
                    {"--servers", common->servers != 0},
                    {"--servers-per-node", common->servers_per_node != 0},
                    {"--threads", common->threads != 0}};
    if (!common->connect)
        return argument_require(common->storage != NULL, command, "--storage DIR (or --connect FILE)", err);
    for (size_t i = 0; i < sizeof of_a_job / sizeof of_a_job[0]; i++)
        if (of_a_job[i].given)
            return error_set(err, DFAISS_ERR_ARG, of_a_job[i].option, "%s and --connect are both given; the servers of %s have theirs already",
                             of_a_job[i].option, common->connect);
    return DFAISS_OK;
}

dfaiss_status_t argument_require(bool given, const char *command, const char *option, dfaiss_error_t *err) {
    if (given)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, option, "%s is missing; see dfaiss %s --help", option, command);
}
