/* Binomial trees over n servers, rooted at any of them: who is my parent, who are my children. */
#ifndef TRANSPORT_TREE_H
#define TRANSPORT_TREE_H

enum { TREE_CHILDREN = 32 };

/* The parent of `server` in the tree of n servers rooted at `root`; -1 for the root. */
int tree_parent(int n, int root, int server);

/* The children, farthest subtree first: children int[TREE_CHILDREN]; returns how many. */
int tree_children(int n, int root, int server, int *children);

/* Edges from the root to the farthest leaf: ceil(log2(n)). */
int tree_depth(int n);

#endif
