/* Log lines of the library go to a sink that the program sets; without one they go nowhere, since a library does not print. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

typedef enum log_level { LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } log_level_t;

typedef void log_sink_t(void *context, log_level_t level, const char *text);

/* Set before any other thread runs; NULL switches logging off. */
void log_set_sink(log_sink_t *sink, void *context);

/* One line, formatted as printf does, without a newline at the end. Thread-safe as far as the sink is. */
void log_write(log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
