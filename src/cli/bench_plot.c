/* A panel a k; in it a curve for every batch and every number of clients and threads: colours tell the one apart, shapes of points the other. */
#include "cli/bench_plot.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/bench_table.h"

/* Okabe and Ito's colours, which colour-blind people tell apart, too. */
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000"};
enum { COLOURS = sizeof colours / sizeof colours[0] };
/* gnuplot's circle, square, triangle and diamond: filled, then hollow. */
static const int shapes[] = {7, 5, 9, 13, 6, 4, 8, 12};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

enum { WIDTH_OF_ONE = 860, WIDTH_OF_SEVERAL = 620, HEIGHT = 530, PANELS_IN_A_ROW = 3 };
/* Of the titles of curves, below the axes. */
enum { MARGINS = 100, LETTER_WIDTH = 8, SAMPLE_WIDTH = 50, TITLE_HEIGHT = 19 };

/* The axes of all panels, so that they can be compared. */
typedef struct span {
    double recall_from, recall_to;
    double qps_from, qps_to;
} span_t;

typedef struct picture {
    FILE *out;
    const bench_options_t *options;
    const bench_result_t *result;
} picture_t;

bool bench_plot_possible(const bench_result_t *result) {
    for (int64_t i = 0; i < result->count; i++)
        if (result->runs[i].recall >= 0)
            return true;
    return false;
}

/* Curves of a panel: runs that differ in nothing but nprobe. */
static int curves(const picture_t *picture) {
    const bench_options_t *options = picture->options;
    return options->threads.count * options->clients.count * options->batch.count;
}

/* The first run of a curve in the panel of a k. */
static const bench_run_t *runs_of(const picture_t *picture, int panel, int curve) {
    const bench_options_t *options = picture->options;
    return &picture->result->runs[((int64_t)curve * options->k.count + panel) * options->nprobe.count];
}

/* Is k within the truth? */
static bool panel_known(const picture_t *picture, int panel) {
    return runs_of(picture, panel, 0)->recall >= 0;
}

/* A text in gnuplot's single quotes. */
static void put_quoted(FILE *out, const char *text) {
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputc('\'', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputc('\'', out);
}

static const char *plural(int64_t count) {
    return count == 1 ? "" : "s";
}

/* What all curves have in common stands in the title, the rest beside each of them. */
static void describe(const picture_t *picture, const bench_run_t *run, bool common, char *text, size_t capacity) {
    const bench_options_t *options = picture->options;
    const struct {
        const char *before, *after;
        int64_t value;
        bool differs;
    } parts[] = {
        {"batch ", "", run->batch, options->batch.count > 1},
        {"", " client", run->clients, options->clients.count > 1},
        {"", " thread", run->threads, options->threads.count > 1},
    };
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].differs != common && used < capacity)
            used += (size_t)snprintf(text + used, capacity - used, "%s%s%" PRId64 "%s%s", used ? ", " : "", parts[i].before, parts[i].value,
                                     parts[i].after, parts[i].after[0] ? plural(parts[i].value) : "");
}

/* The place of the nprobe that comes `rank`-th by its size: a line runs from the smallest to the largest, in whatever order they were measured. */
static int by_nprobe(const picture_t *picture, int rank) {
    const bench_run_t *runs = picture->result->runs;
    for (int i = 0; i < picture->options->nprobe.count; i++) {
        int smaller = 0;
        for (int j = 0; j < picture->options->nprobe.count; j++)
            smaller += runs[j].nprobe < runs[i].nprobe;
        if (smaller == rank)
            return i;
    }
    return rank;
}

static void put_curve_data(const picture_t *picture, int panel, int curve) {
    const bench_run_t *runs = runs_of(picture, panel, curve);
    fprintf(picture->out, "$curve_%d_%d << EOD\n", panel, curve);
    for (int rank = 0; rank < picture->options->nprobe.count; rank++) {
        const bench_run_t *run = &runs[by_nprobe(picture, rank)];
        fprintf(picture->out, "%.6f %.3f\n", run->recall, run->qps);
    }
    fputs("EOD\n", picture->out);
}

/* All curves of a panel have the same recall at an nprobe, whose number stands above the uppermost. */
static void put_label_data(const picture_t *picture, int panel) {
    fprintf(picture->out, "$nprobe_%d << EOD\n", panel);
    for (int rank = 0; rank < picture->options->nprobe.count; rank++) {
        int place = by_nprobe(picture, rank);
        double most = 0;
        for (int curve = 0; curve < curves(picture); curve++)
            most = fmax(most, runs_of(picture, panel, curve)[place].qps);
        const bench_run_t *run = &runs_of(picture, panel, 0)[place];
        fprintf(picture->out, "%.6f %.3f \"%s%" PRId64 "\"\n", run->recall, most, rank == 0 ? "nprobe " : "", run->nprobe);
    }
    fputs("EOD\n", picture->out);
}

static span_t find_span(const picture_t *picture) {
    span_t span = {.recall_from = 1, .qps_from = INFINITY};
    for (int64_t i = 0; i < picture->result->count; i++) {
        const bench_run_t *run = &picture->result->runs[i];
        if (run->recall < 0)
            continue;
        span.recall_from = fmin(span.recall_from, run->recall);
        span.recall_to = fmax(span.recall_to, run->recall);
        span.qps_from = fmin(span.qps_from, run->qps);
        span.qps_to = fmax(span.qps_to, run->qps);
    }
    /* Some room around the points, and for the numbers above them. */
    double width = fmax(0.06 * (span.recall_to - span.recall_from), 0.01);
    span.recall_from = fmax(span.recall_from - width, 0);
    span.recall_to += width;
    double height = span.qps_to / span.qps_from, room = height < 4 ? 2 : pow(height, 0.06) * 1.15;
    span.qps_from /= room;
    span.qps_to *= room * 1.1;
    return span;
}

/* How high the titles of the curves are, which gnuplot puts beside each other as long as they have room. */
static int titles_height(const picture_t *picture, int width) {
    char text[128];
    int longest = 0, all = curves(picture);
    for (int curve = 0; curve < all; curve++) {
        describe(picture, runs_of(picture, 0, curve), false, text, sizeof text);
        longest = (int)strlen(text) > longest ? (int)strlen(text) : longest;
    }
    int columns = (width - MARGINS) / (longest * LETTER_WIDTH + SAMPLE_WIDTH);
    return longest == 0 ? 0 : (all + columns - 1) / columns * TITLE_HEIGHT;
}

static void put_terminal(const picture_t *picture, int panels) {
    int columns = panels < PANELS_IN_A_ROW ? panels : PANELS_IN_A_ROW;
    int width = panels == 1 ? WIDTH_OF_ONE : WIDTH_OF_SEVERAL, height = HEIGHT + titles_height(picture, width);
    width *= columns;
    height *= (panels + columns - 1) / columns;
    fprintf(picture->out,
            "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) {\n"
            "    set terminal pngcairo noenhanced size %d, %d font 'sans,11'\n"
            "    set output 'bench.png'\n"
            "} else {\n"
            "    set terminal svg noenhanced size %d, %d font 'sans,13' background 'white'\n"
            "    set output 'bench.svg'\n"
            "}\n",
            width, height, width, height);
}

/* "0.5", "200", "10k", "2M" */
static void put_rate(FILE *out, double rate) {
    const char *unit = rate < 1e3 ? "" : rate < 1e6 ? "k" : "M";
    fprintf(out, "'%g%s' %g", rate < 1e3 ? rate : rate < 1e6 ? rate * 1e-3 : rate * 1e-6, unit, rate);
}

/* 1, 2 and 5 of every power of ten where they have room. */
static void put_rate_tics(const picture_t *picture, const span_t *span) {
    static const double steps[] = {1, 2, 5};
    const char *between = "";
    bool all = span->qps_to < span->qps_from * 2000;
    fputs("set ytics (", picture->out);
    for (int power = (int)floor(log10(span->qps_from)); power <= (int)floor(log10(span->qps_to)); power++)
        for (int step = 0; step < (all ? 3 : 1); step++) {
            double tic = steps[step] * pow(10, power);
            if (tic < span->qps_from || tic > span->qps_to)
                continue;
            fputs(between, picture->out);
            put_rate(picture->out, tic);
            between = ", ";
        }
    fputs(")\n", picture->out);
}

static void put_style(const picture_t *picture) {
    span_t span = find_span(picture);
    fputs("set style line 100 linecolor rgb '#e4e4e4' linewidth 1\n"
          "set border 3 linecolor rgb '#888888'\n"
          "set tics nomirror out scale 0.6 textcolor rgb '#333333'\n"
          "set grid xtics ytics linestyle 100\n"
          "set key bmargin center horizontal reverse Left samplen 2.5 height 1\n"
          "set logscale y\n"
          "set format x '%g'\n"
          "set ylabel 'queries/s'\n",
          picture->out);
    fprintf(picture->out, "set xrange [%.6f:%.6f]\nset yrange [%.6g:%.6g]\n", span.recall_from, span.recall_to, span.qps_from, span.qps_to);
    put_rate_tics(picture, &span);
}

static void put_title(const picture_t *picture, int panels) {
    char text[512], vectors[32], common[128];
    const bench_result_t *result = picture->result;
    bench_number_text((double)result->vectors, vectors);
    describe(picture, &result->runs[0], true, common, sizeof common);
    snprintf(text, sizeof text, "%s: %s, %s, %s x %" PRId64 " on %d server%s%s%s", picture->options->search.index, bench_result_kind(result),
             bench_result_metric(result), vectors, result->dim, result->servers, plural(result->servers), common[0] ? "; " : "", common);
    int columns = panels < PANELS_IN_A_ROW ? panels : PANELS_IN_A_ROW;
    if (panels > 1)
        fprintf(picture->out, "set multiplot layout %d, %d title ", (panels + columns - 1) / columns, columns);
    else
        fputs("set title ", picture->out);
    put_quoted(picture->out, text);
    fputc('\n', picture->out);
}

static void put_curve(const picture_t *picture, int panel, int curve) {
    char text[128];
    int batches = picture->options->batch.count, batch = curve % batches, asking = curve / batches;
    describe(picture, runs_of(picture, panel, curve), false, text, sizeof text);
    fprintf(picture->out, "    $curve_%d_%d using 1:2 with linespoints linewidth 2 pointsize 1.1 linecolor rgb '%s' pointtype %d %s", panel, curve,
            colours[(batches > 1 ? batch : asking) % COLOURS], shapes[asking % SHAPES], text[0] ? "title " : "notitle");
    if (text[0])
        put_quoted(picture->out, text);
}

static void put_panel(const picture_t *picture, int panel) {
    fprintf(picture->out, "set xlabel 'recall@%" PRId64 "' offset 0, 0.2\nplot \\\n", runs_of(picture, panel, 0)->k);
    /* Titles fill columns: one a batch, where they have room. */
    int batches = picture->options->batch.count, askings = curves(picture) / batches;
    for (int i = 0; i < curves(picture); i++) {
        put_curve(picture, panel, i % askings * batches + i / askings);
        fputs(", \\\n", picture->out);
    }
    fprintf(picture->out, "    $nprobe_%d using 1:2:3 with labels left offset -0.4, 0.9 font ',9' textcolor rgb '#555555' notitle\n", panel);
}

static void put_data(const picture_t *picture, int panel) {
    for (int curve = 0; curve < curves(picture); curve++)
        put_curve_data(picture, panel, curve);
    put_label_data(picture, panel);
}

void bench_plot_print(FILE *out, const bench_options_t *options, const bench_result_t *result) {
    picture_t picture = {.out = out, .options = options, .result = result};
    int panels = 0;
    for (int panel = 0; panel < options->k.count; panel++)
        panels += panel_known(&picture, panel);
    fputs("# Recall against queries/s, as `dfaiss bench` has measured them. To draw it: gnuplot bench.gp\n", out);
    for (int panel = 0; panel < options->k.count; panel++)
        if (panel_known(&picture, panel))
            put_data(&picture, panel);
    put_terminal(&picture, panels);
    put_style(&picture);
    put_title(&picture, panels);
    for (int panel = 0; panel < options->k.count; panel++)
        if (panel_known(&picture, panel))
            put_panel(&picture, panel);
    if (panels > 1)
        fputs("unset multiplot\n", out);
}
