/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static NbStatus fail_errno(NbError *err, const char *path, const char *what) {
    return nb_fail(NB_ERR_IO, err, "%s: cannot %s: %s", path, what, strerror(errno));
}

static NbStatus open_regular(const char *path, int *fd, size_t *size, NbError *err) {
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return nb_fail(NB_ERR_FORMAT, err, "%s: no such file", path);
    if (*fd < 0)
        return fail_errno(err, path, "open");
    struct stat info;
    if (fstat(*fd, &info) != 0) {
        const NbStatus status = fail_errno(err, path, "look at");
        close(*fd);
        return status;
    }
    if (!S_ISREG(info.st_mode)) {
        close(*fd);
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected a file, found %s", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "something else");
    }
    *size = (size_t)info.st_size;
    return NB_OK;
}

static NbStatus read_all(int fd, const char *path, unsigned char *to, size_t size, NbError *err) {
    for (size_t have = 0; have < size;) {
        const ssize_t n = read(fd, to + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, path, "read");
        if (n == 0)
            return nb_fail(NB_ERR_IO, err, "%s: became shorter while it was read: %zu of %zu bytes",
                           path, have, size);
        have += (size_t)n;
    }
    return NB_OK;
}

NbStatus nb_file_read(const char *path, size_t limit, NbArena *arena, NbBytes *out, NbError *err) {
    int fd = -1;
    size_t size = 0;
    NB_TRY(open_regular(path, &fd, &size, err));
    NbStatus status = NB_OK;
    unsigned char *data = NULL;
    if (limit && size > limit)
        status =
            nb_fail(NB_ERR_FORMAT, err, "%s: %zu bytes, expected at most %zu", path, size, limit);
    else if (size == SIZE_MAX || !(data = nb_arena_take(arena, size + 1, 1)))
        status = nb_fail(NB_ERR_NOMEM, err, "%s: out of memory for %zu bytes", path, size);
    else
        status = read_all(fd, path, data, size, err);
    close(fd);
    if (status == NB_OK)
        *out = (NbBytes){.data = data, .size = size};
    return status;
}

NbStatus nb_file_map(const char *path, NbBytes *out, NbError *err) {
    *out = (NbBytes){0};
    int fd = -1;
    size_t size = 0;
    NB_TRY(open_regular(path, &fd, &size, err));
    void *const data = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    const NbStatus status = data == MAP_FAILED ? fail_errno(err, path, "map") : NB_OK;
    close(fd);
    if (status == NB_OK)
        *out = (NbBytes){.data = data, .size = size};
    return status;
}

void nb_file_unmap(NbBytes bytes) {
    if (bytes.size)
        (void)munmap((void *)(uintptr_t)bytes.data, bytes.size);
}

struct NbWriter {
    int fd;
    size_t used;
    char *path;
    char *temporary;
    unsigned char buffer[64 * 1024];
};

NbStatus nb_writer_open(const char *path, NbWriter **out, NbError *err) {
    *out = NULL;
    NbWriter *const w = calloc(1, sizeof *w);
    const size_t n = strlen(path);
    if (w) {
        w->path = malloc(n + 1);
        w->temporary = malloc(n + 16);
    }
    if (!w || !w->path || !w->temporary) {
        if (w) {
            free(w->path);
            free(w->temporary);
        }
        free(w);
        return nb_fail_memory(err, path);
    }
    memcpy(w->path, path, n + 1);
    (void)snprintf(w->temporary, n + 16, "%s.tmp-XXXXXX", path);
    w->fd = mkostemp(w->temporary, O_CLOEXEC);
    if (w->fd < 0) {
        const NbStatus status = fail_errno(err, path, "create");
        free(w->path);
        free(w->temporary);
        free(w);
        return status;
    }
    *out = w;
    return NB_OK;
}

static NbStatus write_all(int fd, const char *path, const unsigned char *from, size_t size,
                          NbError *err) {
    for (size_t have = 0; have < size;) {
        const ssize_t n = write(fd, from + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, path, "write");
        have += (size_t)n;
    }
    return NB_OK;
}

static NbStatus flush(NbWriter *w, NbError *err) {
    const size_t used = w->used;
    w->used = 0;
    return write_all(w->fd, w->path, w->buffer, used, err);
}

NbStatus nb_writer_put(NbWriter *w, const void *data, size_t size, NbError *err) {
    if (size > sizeof w->buffer - w->used)
        NB_TRY(flush(w, err));
    if (size > sizeof w->buffer)
        return write_all(w->fd, w->path, data, size, err);
    memcpy(w->buffer + w->used, data, size);
    w->used += size;
    return NB_OK;
}

NbStatus nb_writer_printf(NbWriter *w, NbError *err, const char *format, ...) {
    char line[4096];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: bad text", w->path);
    if ((size_t)n < sizeof line)
        return nb_writer_put(w, line, (size_t)n, err);
    char *const longer = malloc((size_t)n + 1);
    if (!longer)
        return nb_fail_memory(err, w->path);
    va_start(args, format);
    (void)vsnprintf(longer, (size_t)n + 1, format, args);
    va_end(args);
    const NbStatus status = nb_writer_put(w, longer, (size_t)n, err);
    free(longer);
    return status;
}

static void free_writer(NbWriter *w) {
    free(w->path);
    free(w->temporary);
    free(w);
}

/* The rename itself must survive a crash: the folder is synced too. Best effort: some file systems
 * cannot sync folders. */
static void sync_folder(const char *path) {
    NbArena arena = {0};
    const char *const folder = nb_path_folder(&arena, path);
    const int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    nb_arena_release(&arena);
}

NbStatus nb_writer_commit(NbWriter *w, NbError *err) {
    NbStatus status = flush(w, err);
    /* mkostemp makes files private; a result is an ordinary file */
    const mode_t mask = umask(0);
    (void)umask(mask);
    if (status == NB_OK && fchmod(w->fd, 0666 & ~mask) != 0)
        status = fail_errno(err, w->path, "set the mode of");
    if (status == NB_OK && fsync(w->fd) != 0)
        status = fail_errno(err, w->path, "sync");
    if (close(w->fd) != 0 && status == NB_OK)
        status = fail_errno(err, w->path, "close");
    if (status == NB_OK && rename(w->temporary, w->path) != 0)
        status = fail_errno(err, w->path, "rename to");
    if (status == NB_OK)
        sync_folder(w->path);
    else
        (void)unlink(w->temporary);
    free_writer(w);
    return status;
}

void nb_writer_cancel(NbWriter *w) {
    if (!w)
        return;
    close(w->fd);
    (void)unlink(w->temporary);
    free_writer(w);
}

NbStatus nb_file_write(const char *path, const void *data, size_t size, NbError *err) {
    NbWriter *w = NULL;
    NB_TRY(nb_writer_open(path, &w, err));
    assert(w);
    const NbStatus status = nb_writer_put(w, data, size, err);
    if (status != NB_OK) {
        nb_writer_cancel(w);
        return status;
    }
    return nb_writer_commit(w, err);
}

NbStatus nb_file_append(const char *path, const void *data, size_t size, NbError *err) {
    const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_errno(err, path, "open");
    NbStatus status = write_all(fd, path, data, size, err);
    if (close(fd) != 0 && status == NB_OK)
        status = fail_errno(err, path, "close");
    return status;
}

NbStatus nb_file_link(const char *target, const char *path, NbError *err) {
    char *const whole = realpath(target, NULL);
    if (!whole)
        return fail_errno(err, target, "find");
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        (void)unlink(path);
    const NbStatus status =
        symlink(whole, path) == 0 ? NB_OK : fail_errno(err, path, "make a link");
    free(whole);
    return status;
}

NbStatus nb_file_copy(const char *from, const char *to, NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_map(from, &bytes, err));
    const NbStatus status =
        nb_file_write(to, bytes.data ? (const void *)bytes.data : "", bytes.size, err);
    nb_file_unmap(bytes);
    return status;
}
