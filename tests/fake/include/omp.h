/* In the world of tests/fake there is no OpenMP: nothing there opens a team of its own. */
#ifndef FAKE_OMP_H
#define FAKE_OMP_H

static inline void omp_set_num_threads(int threads) {
    (void)threads;
}

#endif
