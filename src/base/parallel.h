/* SPDX-License-Identifier: Apache-2.0
 *
 * One pool of threads, one primitive. Items are handed out dynamically; results must not depend on
 * who computes what: split by index, write to places that belong to the index, combine in index
 * order afterwards. Idle workers sleep (after a short spin), they do not burn a core. */
#ifndef NB_BASE_PARALLEL_H
#define NB_BASE_PARALLEL_H

#include "base/status.h"

typedef struct NbPool NbPool;

/* Work on item `index`; `worker` in [0, threads) names the thread, for scratch memory. */
typedef void NbPoolWork(void *user, int index, int worker);

/* threads: how many work in all, the caller included; 0: one per available CPU (affinity is
 * respected); at most 256. *out is NULL on failure. */
NB_FALLIBLE nb_pool_new(int threads, NbPool **out, NbError *err);
void nb_pool_free(NbPool *pool); /* NULL is allowed */

int nb_pool_threads(const NbPool *pool);

/* Runs work(user, i, w) for every i in [0, n) and returns when all are done. Not re-entrant: only
 * the thread that owns the pool may call it, and work must not. A NULL pool runs in the caller. */
void nb_pool_run(NbPool *pool, int n, NbPoolWork *work, void *user);

/* CPUs this process may use. */
int nb_cpu_count(void);

#endif
