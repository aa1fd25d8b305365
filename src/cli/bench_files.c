#include "cli/bench_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/bench_plot.h"
#include "cli/bench_table.h"
#include "cli/report.h"

extern char **environ;

/* The path without its last name. */
static void cut_name(char *path) {
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path] = 0;
    else
        snprintf(path, PATH_MAX, ".");
}

dfaiss_status_t bench_files_check(const char *folder, dfaiss_error_t *err) {
    char path[PATH_MAX];
    struct stat info;
    int length = snprintf(path, sizeof path, "%s", folder);
    if (length <= 0 || (size_t)length >= sizeof path)
        return error_set(err, DFAISS_ERR_ARG, "--output", "the output '%s' is empty or too long a path", folder);
    while (stat(path, &info) != 0) {
        if (errno != ENOENT)
            return error_system(err, "write into the folder", folder, errno);
        cut_name(path);
    }
    if (!S_ISDIR(info.st_mode))
        return error_system(err, "write into the folder", folder, ENOTDIR);
    if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0)
        return error_system(err, "write into the folder", folder, errno);
    return DFAISS_OK;
}

/* Replaces a file by a malloc'ed text (NULL: no memory), which is freed. */
static dfaiss_status_t replace(const char *folder, const char *name, char *text, dfaiss_error_t *err) {
    char path[PATH_MAX];
    if (!text)
        return error_memory(err, 0, name);
    dfaiss_status_t status = file_join(path, sizeof path, folder, name, err);
    if (status == DFAISS_OK)
        status = file_replace(path, text, strlen(text), err);
    free(text);
    return status;
}

typedef void print_t(FILE *out, const bench_options_t *options, const bench_result_t *result);

static dfaiss_status_t write_printed(const char *name, print_t *print, const bench_options_t *options, const bench_result_t *result,
                                     dfaiss_error_t *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return error_memory(err, 0, name);
    print(out, options, result);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return error_memory(err, size, name);
    }
    return replace(options->output, name, text, err);
}

static dfaiss_status_t write_json(const bench_options_t *options, const bench_result_t *result, dfaiss_error_t *err) {
    json_t *object = bench_result_json(options, result);
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII) : NULL;
    json_decref(object);
    return replace(options->output, "bench.json", text, err);
}

/* ---- gnuplot ---- */

/* Runs it in the folder, its words thrown away; its exit code, 127 where there is no such program, -1 where it could not be waited for. */
static int run_gnuplot(const char *folder) {
    static char usual[] = "gnuplot", script[] = "bench.gp";
    char *given = getenv("DFAISS_GNUPLOT"), *program = given && given[0] ? given : usual;
    char *const words[] = {program, script, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int state = 0;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    int failed = posix_spawn_file_actions_addchdir_np(&actions, folder) | posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) |
                 posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) | posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (!failed)
        failed = posix_spawnp(&child, program, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return failed == ENOENT ? 127 : -1;
    while (waitpid(child, &state, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

/* A picture of an earlier benchmark must not pass for one of this. */
static dfaiss_status_t remove_pictures(const char *folder, dfaiss_error_t *err) {
    static const char *const names[] = {"bench.gp", "bench.png", "bench.svg"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        TRY(file_join(path, sizeof path, folder, names[i], err));
        if (unlink(path) != 0 && errno != ENOENT)
            return error_system(err, "replace", path, errno);
    }
    return DFAISS_OK;
}

static dfaiss_status_t draw(const program_t *program, const bench_options_t *options, const bench_result_t *result, dfaiss_error_t *err) {
    const char *folder = options->output;
    TRY(remove_pictures(folder, err));
    if (!bench_plot_possible(result)) {
        report_notice(program, "no picture: it shows the recall, which %s",
                      options->search.groundtruth ? "the ground truth does not tell for so many neighbours" : "only --groundtruth can tell");
        return DFAISS_OK;
    }
    TRY(write_printed("bench.gp", bench_plot_print, options, result, err));
    int code = run_gnuplot(folder);
    if (code == 127)
        report_notice(program, "no picture: gnuplot is not installed; where it is, it draws %s/bench.gp", folder);
    else if (code != 0)
        report_notice(program, "no picture: gnuplot failed; 'cd %s && gnuplot bench.gp' says why", folder);
    return DFAISS_OK;
}

static void print_csv(FILE *out, const bench_options_t *options, const bench_result_t *result) {
    (void)options;
    bench_csv_print(out, result);
}

dfaiss_status_t bench_files_write(const program_t *program, const bench_options_t *options, const bench_result_t *result, dfaiss_error_t *err) {
    TRY(file_make_directories(options->output, err));
    TRY(write_json(options, result, err));
    TRY(write_printed("bench.csv", print_csv, options, result, err));
    return draw(program, options, result, err);
}
