/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <string.h>

static NbStatus result(int code, const char *what, NbError *err) {
    return code == 0 ? NB_OK : nb_fail(NB_ERR_IO, err, "cannot make %s: %s", what, strerror(code));
}

NbStatus nb_mutex_init(NbMutex *m, NbError *err) {
    return result(pthread_mutex_init(&m->posix, NULL), "a lock", err);
}

void nb_mutex_release(NbMutex *m) { (void)pthread_mutex_destroy(&m->posix); }
void nb_mutex_lock(NbMutex *m) { (void)pthread_mutex_lock(&m->posix); }
void nb_mutex_unlock(NbMutex *m) { (void)pthread_mutex_unlock(&m->posix); }

NbStatus nb_condition_init(NbCondition *c, NbError *err) {
    return result(pthread_cond_init(&c->posix, NULL), "a condition", err);
}

void nb_condition_release(NbCondition *c) { (void)pthread_cond_destroy(&c->posix); }

void nb_condition_wait(NbCondition *c, NbMutex *m) {
    (void)pthread_cond_wait(&c->posix, &m->posix);
}

void nb_condition_wake_all(NbCondition *c) { (void)pthread_cond_broadcast(&c->posix); }

NbStatus nb_thread_start(NbThread *t, void *(*work)(void *), void *user, NbError *err) {
    return result(pthread_create(&t->posix, NULL, work, user), "a thread", err);
}

void nb_thread_join(NbThread *t) { (void)pthread_join(t->posix, NULL); }
