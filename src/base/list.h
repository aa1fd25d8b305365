/* Singly linked lists of structs with a member `next`: the head is a pointer to the first one. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#define LIST_APPEND(head, node)                 \
    do {                                        \
        __typeof__(node) *list_place = &(head); \
        while (*list_place)                     \
            list_place = &(*list_place)->next;  \
        (node)->next = NULL;                    \
        *list_place = (node);                   \
    } while (0)

/* Takes a node out; nothing happens where it is not in the list. */
#define LIST_REMOVE(head, node)                      \
    do {                                             \
        __typeof__(node) *list_place = &(head);      \
        while (*list_place && *list_place != (node)) \
            list_place = &(*list_place)->next;       \
        if (*list_place)                             \
            *list_place = (node)->next;              \
    } while (0)

#endif
