/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads with a life of their own, for what a pool cannot do: working ahead of who waits. Thin
 * names over POSIX threads; misuse is undefined as there. */
#ifndef NB_BASE_THREAD_H
#define NB_BASE_THREAD_H

#include "base/status.h"

#include <pthread.h>

typedef struct NbMutex {
    pthread_mutex_t posix;
} NbMutex;

typedef struct NbCondition {
    pthread_cond_t posix;
} NbCondition;

typedef struct NbThread {
    pthread_t posix;
} NbThread;

NB_FALLIBLE nb_mutex_init(NbMutex *m, NbError *err);
void nb_mutex_release(NbMutex *m);
void nb_mutex_lock(NbMutex *m);
void nb_mutex_unlock(NbMutex *m);

NB_FALLIBLE nb_condition_init(NbCondition *c, NbError *err);
void nb_condition_release(NbCondition *c);
/* Unlocks, sleeps, locks again; may wake without reason: wait in a loop. */
void nb_condition_wait(NbCondition *c, NbMutex *m);
void nb_condition_wake_all(NbCondition *c);

/* Runs work(user) in a new thread, which must be joined. */
NB_FALLIBLE nb_thread_start(NbThread *t, void *(*work)(void *), void *user, NbError *err);
void nb_thread_join(NbThread *t);

#endif
