/* Binomial trees. Servers are renumbered so that the root is 0; then the parent of a number is that number without its lowest bit. */
#include "transport/tree.h"

static int relative(int n, int root, int server) {
    return server >= root ? server - root : server + (n - root);
}

static int absolute(int n, int root, int number) {
    return number >= n - root ? number - (n - root) : number + root;
}

int tree_parent(int n, int root, int server) {
    int number = relative(n, root, server);
    return number == 0 ? -1 : absolute(n, root, number & (number - 1));
}

/* The bits below the lowest one of the number each lead to a child; a higher bit leads to more servers. */
int tree_children(int n, int root, int server, int *children) {
    int number = relative(n, root, server);
    int first = number == 0 ? 30 : __builtin_ctz((unsigned)number) - 1;
    int count = 0;
    for (int bit = first; bit >= 0; bit--)
        if (1 << bit < n - number)
            children[count++] = absolute(n, root, number + (1 << bit));
    return count;
}

int tree_depth(int n) {
    return n <= 1 ? 0 : 32 - __builtin_clz((unsigned)n - 1);
}
