/* Binomial trees over n servers, rooted at any of them: who is my parent, who are my children. */
#ifndef TRANSPORT_TREE_H
#define TRANSPORT_TREE_H

enum { TREE_CHILDREN = 32 };

/* The parent of `server` in the tree of n servers rooted at `root`; -1 for the root. */
int tree_parent(int n, int root, int server);

/* The children, farthest subtree first: children int[TREE_CHILDREN]; returns how many. */
int tree_children(int n, int root, int server, int *children);

/* Rounds of a broadcast in which each server sends to one child at a time: ceil(log2(n)). No path from the root has more edges. */
int tree_depth(int n);

#endif
