#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static log_sink_t *current_sink;
static void *current_context;

void log_set_sink(log_sink_t *sink, void *context) {
    current_sink = sink;
    current_context = context;
}

void log_write(log_level_t level, const char *format, ...) {
    if (!current_sink)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    current_sink(current_context, level, text);
}
