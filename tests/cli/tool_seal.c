/* tool_seal: copies a manifest without checksum from stdin to stdout, with its checksum put in at its end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

int main(void) {
    static char text[1 << 20];
    size_t size = fread(text, 1, sizeof text - 1, stdin);
    char *end = strrchr(text, '}');
    if (!end || size == sizeof text - 1)
        return 1;
    size = (size_t)(end - text);
    fwrite(text, 1, size, stdout);
    printf(",\n  \"xxh3\": \"%016" PRIx64 "\"\n}\n", (uint64_t)XXH3_64bits(text, size));
    return ferror(stdout) != 0;
}
