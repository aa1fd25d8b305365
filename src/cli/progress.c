#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

static const double seconds_between_bars = 0.1;
static const double seconds_between_lines = 5;

enum { NARROWEST = 40, WIDEST = 200, USUAL = 80 };

static int within(int columns) {
    return columns < NARROWEST ? NARROWEST : columns > WIDEST ? WIDEST : columns;
}

int progress_columns(void) {
    const char *given = getenv(PROGRESS_COLUMNS_VARIABLE);
    if (given && given[0])
        return within(atoi(given));
    if (!isatty(STDERR_FILENO))
        return 0;
    struct winsize window;
    return within(ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : USUAL);
}

progress_t progress_begin(const program_t *program) {
    double now = clock_seconds();
    return (progress_t){.silent = program->quiet || !program->speaks, .columns = progress_columns(), .begun = now, .shown = now};
}

static void draw_bar(progress_t *progress, const char *step, double fraction, double seconds) {
    char bar[WIDEST + 1];
    /* Room for the step, the per cent and the time, and one column that stays free so that no terminal wraps. */
    int width = progress->columns - 36;
    int filled = (int)(fraction * width);
    memset(bar, '.', (size_t)width);
    memset(bar, '#', (size_t)filled);
    bar[width] = 0;
    fprintf(stderr, "\r%-16.16s [%s] %3d %% %4d:%02d", step, bar, (int)(fraction * 100), (int)seconds / 60, (int)seconds % 60);
    fflush(stderr);
    progress->drawn = true;
}

void progress_update(void *context, const char *step, double fraction) {
    progress_t *progress = context;
    double now = clock_seconds();
    if (progress->silent || now - progress->shown < (progress->columns ? seconds_between_bars : seconds_between_lines))
        return;
    progress->shown = now;
    /* Also for a fraction that is no number. */
    if (!(fraction >= 0))
        fraction = 0;
    if (fraction > 1)
        fraction = 1;
    if (progress->columns)
        draw_bar(progress, step, fraction, now - progress->begun);
    else
        fprintf(stderr, "%s: %d %% after %.0f s\n", step, (int)(fraction * 100), now - progress->begun);
}

void progress_end(progress_t *progress) {
    if (progress->drawn)
        fprintf(stderr, "\r%*s\r", progress->columns - 1, "");
    progress->drawn = false;
}
