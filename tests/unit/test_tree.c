/* Trees: from every root every server is reached once, parents and children agree, nobody is farther than the depth. */
#include "check.h"

#include <stdbool.h>

#include "transport/tree.h"

static int depth_of(int n, int root, int server) {
    int steps = 0;
    for (int at = server; at != root; at = tree_parent(n, root, at)) {
        assert_in_range(at, 0, n - 1);
        steps++;
        assert_true(steps <= n);
    }
    return steps;
}

static int subtree_size(int n, int root, int server) {
    int children[TREE_CHILDREN];
    int count = tree_children(n, root, server, children), total = 1;
    for (int i = 0; i < count; i++)
        total += subtree_size(n, root, children[i]);
    return total;
}

static void check_tree(int n, int root) {
    bool reached[70] = {false};
    int children[TREE_CHILDREN];
    assert_int_equal(tree_parent(n, root, root), -1);
    reached[root] = true;
    for (int server = 0; server < n; server++) {
        assert_true(depth_of(n, root, server) <= tree_depth(n));
        int count = tree_children(n, root, server, children);
        assert_in_range(count, 0, TREE_CHILDREN);
        for (int i = 0; i < count; i++) {
            assert_in_range(children[i], 0, n - 1);
            assert_int_equal(tree_parent(n, root, children[i]), server);
            assert_false(reached[children[i]]);
            reached[children[i]] = true;
        }
    }
    for (int server = 0; server < n; server++)
        assert_true(reached[server]);
}

static void reaches_every_server_once_from_every_root(void **state) {
    (void)state;
    for (int n = 1; n <= 70; n++)
        for (int root = 0; root < n; root++)
            check_tree(n, root);
}

static void names_the_largest_subtree_first(void **state) {
    (void)state;
    for (int n = 1; n <= 70; n++) {
        int children[TREE_CHILDREN];
        int count = tree_children(n, n / 2, n / 2, children);
        assert_int_equal(count, tree_depth(n));
        /* Only the first one can be cut short by the end of the numbers. */
        for (int i = 2; i < count; i++)
            assert_true(subtree_size(n, n / 2, children[i - 1]) >= subtree_size(n, n / 2, children[i]));
        assert_int_equal(subtree_size(n, n / 2, n / 2), n);
    }
}

static void broadcasts_in_logarithmic_rounds(void **state) {
    (void)state;
    static const int expected[][2] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {8, 3}, {9, 4}, {64, 6}, {65, 7}, {1 << 30, 30}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(tree_depth(expected[i][0]), expected[i][1]);
}

static void copes_with_as_many_servers_as_an_int_counts(void **state) {
    (void)state;
    int children[TREE_CHILDREN];
    assert_int_equal(tree_children(INT32_MAX, INT32_MAX - 1, INT32_MAX - 1, children), 31);
    for (int i = 0; i < 31; i++)
        assert_int_equal(tree_parent(INT32_MAX, INT32_MAX - 1, children[i]), INT32_MAX - 1);
    assert_int_equal(children[30], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reaches_every_server_once_from_every_root),
        cmocka_unit_test(names_the_largest_subtree_first),
        cmocka_unit_test(broadcasts_in_logarithmic_rounds),
        cmocka_unit_test(copes_with_as_many_servers_as_an_int_counts),
    };
    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
