/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { MOST = 1000 };

typedef struct Job {
    atomic_int seen[MOST];
    atomic_int wrong;       /* workers out of range */
    atomic_int inside[256]; /* items each worker is busy with: never two */
    int threads;
    int first; /* what the caller wrote before the job, plain memory on purpose */
    int result[MOST];
} Job;

static void work(void *user, int index, int worker) {
    Job *const job = user;
    if (worker < 0 || worker >= job->threads) {
        atomic_fetch_add(&job->wrong, 1);
        return;
    }
    if (atomic_fetch_add(&job->inside[worker], 1) != 0)
        atomic_fetch_add(&job->wrong, 1);
    atomic_fetch_add(&job->seen[index], 1);
    job->result[index] = job->first + 3 * index;
    atomic_fetch_sub(&job->inside[worker], 1);
}

static void check_rounds(NbPool *pool, int threads) {
    static Job job;
    static const int sizes[] = {0, 1, 2, 3, 7, 64, MOST};
    for (int round = 0; round < 350; round++) {
        const int n = sizes[round % 7];
        memset(&job, 0, sizeof job);
        job.threads = threads;
        job.first = round;
        nb_pool_run(pool, n, work, &job);
        assert_int_equal(atomic_load(&job.wrong), 0);
        for (int i = 0; i < MOST; i++) {
            assert_int_equal(atomic_load(&job.seen[i]), i < n);
            assert_int_equal(job.result[i], i < n ? round + 3 * i : 0);
        }
        if (round % 50 == 49) { /* let the workers fall asleep */
            const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
            (void)nanosleep(&pause, NULL);
        }
    }
}

static void every_index_is_worked_on_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        NbError err = {0};
        NbPool *pool = NULL;
        assert_int_equal(nb_pool_new(threads, &pool, &err), NB_OK);
        assert_int_equal(nb_pool_threads(pool), threads);
        check_rounds(pool, threads);
        nb_pool_free(pool);
    }
    check_rounds(NULL, 1);
}

static void pools_come_and_go(void **state) {
    (void)state;
    NbError err = {0};
    for (int i = 0; i < 50; i++) {
        NbPool *pool = NULL;
        assert_int_equal(nb_pool_new(4, &pool, &err), NB_OK);
        nb_pool_free(pool); /* before the workers have started */
    }
    nb_pool_free(NULL);
    assert_int_equal(nb_pool_threads(NULL), 1);
}

static void numbers_of_threads_are_checked(void **state) {
    (void)state;
    NbError err = {0};
    NbPool *pool = NULL;
    assert_int_equal(nb_pool_new(-1, &pool, &err), NB_ERR_ARGUMENT);
    assert_null(pool);
    assert_int_equal(nb_pool_new(257, &pool, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "threads: expected 0 to 256, found 257");
    assert_int_equal(nb_pool_new(0, &pool, &err), NB_OK);
    assert_true(nb_cpu_count() >= 1);
    assert_int_equal(nb_pool_threads(pool), nb_cpu_count() < 256 ? nb_cpu_count() : 256);
    nb_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_worked_on_once),
        cmocka_unit_test(pools_come_and_go),
        cmocka_unit_test(numbers_of_threads_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
