/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_THREADS = 256,
    SPINS = 2000, /* about 20 us: most hand-outs follow each other at once */
};

struct NbPool {
    int threads;
    pthread_t thread[MAX_THREADS]; /* [0] is the owner and not started here */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a new job, or quit */
    pthread_cond_t idle; /* the last worker left the job */
    /* Changed under the lock; job and quit are also looked at while spinning. */
    atomic_uint job; /* number of the current job */
    atomic_bool quit;
    bool open;         /* workers may still join the job */
    atomic_int inside; /* workers that joined and have not left */
    NbPoolWork *work;
    void *user;
    int n;
    atomic_int next; /* next item to hand out */
};

typedef struct Worker {
    NbPool *pool;
    int number;
} Worker;

int nb_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static void do_items(NbPool *pool, int worker) {
    for (;;) {
        const int i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->n)
            return;
        pool->work(pool->user, i, worker);
    }
}

/* Spins shortly: most jobs follow each other at once, and waking a sleeper takes longer. */
static void spin_for_job(NbPool *pool, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->job, memory_order_relaxed) != seen ||
            atomic_load_explicit(&pool->quit, memory_order_relaxed))
            return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

/* Joins the next job; false: quit. A job that closed before this worker woke is missed, so that
 * nobody ever waits for a thread that has nothing left to do. */
static bool join_job(NbPool *pool, unsigned *seen) {
    spin_for_job(pool, *seen);
    pthread_mutex_lock(&pool->lock);
    while ((atomic_load(&pool->job) == *seen || !pool->open) && !atomic_load(&pool->quit)) {
        *seen = atomic_load(&pool->job);
        pthread_cond_wait(&pool->wake, &pool->lock);
    }
    *seen = atomic_load(&pool->job);
    const bool joined = !atomic_load(&pool->quit);
    if (joined)
        atomic_fetch_add(&pool->inside, 1);
    pthread_mutex_unlock(&pool->lock);
    return joined;
}

static void *run_worker(void *argument) {
    Worker *const me = argument;
    NbPool *const pool = me->pool;
    const int number = me->number;
    free(me);
    for (unsigned seen = 0; join_job(pool, &seen);) {
        do_items(pool, number);
        pthread_mutex_lock(&pool->lock);
        if (atomic_fetch_sub(&pool->inside, 1) == 1)
            pthread_cond_signal(&pool->idle);
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

static NbStatus start_worker(NbPool *pool, int number, NbError *err) {
    Worker *const worker = malloc(sizeof *worker);
    if (!worker)
        return nb_fail_memory(err, "a worker thread");
    *worker = (Worker){.pool = pool, .number = number};
    const int failed = pthread_create(&pool->thread[number], NULL, run_worker, worker);
    if (failed) {
        free(worker);
        return nb_fail(NB_ERR_IO, err, "thread %d cannot be started: %s", number, strerror(failed));
    }
    pool->threads = number + 1;
    return NB_OK;
}

NbStatus nb_pool_new(int threads, NbPool **out, NbError *err) {
    *out = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        return nb_fail(NB_ERR_ARGUMENT, err, "threads: expected 0 to %d, found %d", MAX_THREADS,
                       threads);
    if (threads == 0)
        threads = nb_cpu_count() < MAX_THREADS ? nb_cpu_count() : MAX_THREADS;
    NbPool *const pool = calloc(1, sizeof *pool);
    if (!pool)
        return nb_fail_memory(err, "a thread pool");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->threads = 1;
    for (int i = 1; i < threads; i++) {
        const NbStatus status = start_worker(pool, i, err);
        if (status != NB_OK) {
            nb_pool_free(pool);
            return status;
        }
    }
    *out = pool;
    return NB_OK;
}

void nb_pool_free(NbPool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->quit, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int nb_pool_threads(const NbPool *pool) { return pool ? pool->threads : 1; }

/* Closes the job and waits for those who joined it. */
static void finish_job(NbPool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->open = false;
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->inside, memory_order_relaxed) == 0)
            break;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->inside) != 0)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void nb_pool_run(NbPool *pool, int n, NbPoolWork *work, void *user) {
    if (!pool || pool->threads == 1 || n <= 1) {
        for (int i = 0; i < n; i++)
            work(user, i, 0);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->work = work;
    pool->user = user;
    pool->n = n;
    atomic_store(&pool->next, 0);
    pool->open = true;
    atomic_fetch_add(&pool->job, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    do_items(pool, 0);
    finish_job(pool);
}
