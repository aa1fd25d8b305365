/* How far apart two names are, to name the one that a misspelt name most likely meant. */
#ifndef CONFIG_EDIT_DISTANCE_H
#define CONFIG_EDIT_DISTANCE_H

/* Insertions, deletions and swaps of neighbours that make one name the other, capitals aside. A replacement counts as two edits, so that a name
 * with a word left out (index_type) is nearer to the whole one than to a short one with other letters. */
unsigned edit_distance(const char *from, const char *to);

#endif
