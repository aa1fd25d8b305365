#include "cli/inspect_print.h"

#include <stdio.h>
#include <string.h>

#include "cli/report.h"

/* With it and the other columns a row fits 80 characters; a longer name has a line of its own. */
enum { NAME_WIDTH = 20 };

static long long number_of(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_generation(const char *name, const json_t *generation) {
    char bytes[16];
    report_bytes((uint64_t)number_of(generation, "bytes"), bytes, sizeof bytes);
    printf("%-*s %10lld ", NAME_WIDTH, name, number_of(generation, "number"));
    if (json_is_null(json_object_get(generation, "vectors")))
        printf("%7s %14s %12s %10s\n", "-", "not complete", "-", bytes);
    else
        printf("%7lld %14lld %12lld %10s%s\n", number_of(generation, "servers"), number_of(generation, "vectors"), number_of(generation, "buffered"),
               bytes, json_is_true(json_object_get(generation, "complete")) ? "" : " !");
}

static void print_index(const json_t *index) {
    const char *name = json_string_value(json_object_get(index, "name"));
    const json_t *generations = json_object_get(index, "generations");
    if (strlen(name) > NAME_WIDTH) {
        printf("%s\n", name);
        name = "";
    }
    for (size_t i = 0; i < json_array_size(generations); i++)
        print_generation(i == 0 ? name : "", json_array_get(generations, i));
    if (json_array_size(generations) == 0)
        printf("%-*s %10s\n", NAME_WIDTH, name, "none");
}

static void print_damages(const json_t *indexes) {
    for (size_t i = 0; i < json_array_size(indexes); i++) {
        const json_t *damaged = json_object_get(json_array_get(indexes, i), "damaged");
        for (size_t j = 0; j < json_array_size(damaged); j++)
            printf("%s%s\n", j == 0 ? "\nDamaged:\n  " : "  ", json_string_value(json_object_get(json_array_get(damaged, j), "text")));
    }
}

void inspect_print(const char *storage, const json_t *indexes) {
    if (json_array_size(indexes) == 0) {
        printf("%s holds no index\n", storage);
        return;
    }
    printf("%-*s %10s %7s %14s %12s %10s\n", NAME_WIDTH, "index", "generation", "servers", "vectors", "not indexed", "size");
    for (size_t i = 0; i < json_array_size(indexes); i++)
        print_index(json_array_get(indexes, i));
    print_damages(indexes);
}
