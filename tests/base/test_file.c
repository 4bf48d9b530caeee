/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Folder {
    NbArena arena;
    char path[64];
} Folder;

static int set_up(void **state) {
    Folder *const f = calloc(1, sizeof *f);
    *state = f;
    if (!f)
        return -1;
    (void)snprintf(f->path, sizeof f->path, "/tmp/nb_file_XXXXXX");
    return mkdtemp(f->path) ? 0 : -1;
}

static int tear_down(void **state) {
    Folder *const f = *state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    const int failed = system(command);
    nb_arena_release(&f->arena);
    free(f);
    return failed;
}

static char *in(Folder *f, const char *name) { return nb_path_join(&f->arena, f->path, name); }

static size_t files_in(Folder *f) {
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    assert_int_equal(nb_folder_list(f->path, true, 1000, &f->arena, &path, &n, &err), NB_OK);
    return n;
}

static void expect_content(Folder *f, const char *path, const char *want) {
    NbError err = {0};
    NbBytes bytes = {0};
    assert_int_equal(nb_file_read(path, 0, &f->arena, &bytes, &err), NB_OK);
    assert_int_equal(bytes.size, strlen(want));
    assert_string_equal((const char *)bytes.data, want); /* a zero byte follows */
}

static void what_is_written_can_be_read(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    NbBytes bytes = {0};
    const char *const path = in(f, "a");
    assert_int_equal(nb_file_write(path, "hello", 5, &err), NB_OK);
    expect_content(f, path, "hello");
    assert_int_equal(nb_file_write(path, "", 0, &err), NB_OK); /* replaces */
    expect_content(f, path, "");
    assert_int_equal(nb_file_map(path, &bytes, &err), NB_OK);
    assert_null(bytes.data);
    nb_file_unmap(bytes);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const mode_t mask = umask(0);
    (void)umask(mask);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask);
    assert_int_equal(nb_file_append(in(f, "log"), "one\n", 4, &err), NB_OK);
    assert_int_equal(nb_file_append(in(f, "log"), "two\n", 4, &err), NB_OK);
    expect_content(f, in(f, "log"), "one\ntwo\n");
    assert_int_equal(nb_file_map(in(f, "log"), &bytes, &err), NB_OK);
    assert_memory_equal(bytes.data, "one\ntwo\n", 8);
    nb_file_unmap(bytes);
}

static void reading_names_path_and_reason(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    NbBytes bytes = {0};
    assert_int_equal(nb_file_read("/no/such", 0, &f->arena, &bytes, &err), NB_ERR_FORMAT);
    assert_string_equal(err.message, "/no/such: no such file");
    assert_int_equal(nb_file_map("/no/such", &bytes, &err), NB_ERR_FORMAT);
    assert_int_equal(nb_file_read("/tmp", 0, &f->arena, &bytes, &err), NB_ERR_FORMAT);
    assert_string_equal(err.message, "/tmp: expected a file, found a folder");
    const char *const path = in(f, "a");
    assert_int_equal(nb_file_write(path, "hello", 5, &err), NB_OK);
    assert_int_equal(nb_file_read(path, 4, &f->arena, &bytes, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "5 bytes, expected at most 4"));
    assert_int_equal(nb_file_read(path, 5, &f->arena, &bytes, &err), NB_OK);
    NbArena small = {.limit = 5};
    assert_int_equal(nb_file_read(path, 0, &small, &bytes, &err), NB_ERR_NOMEM);
    nb_arena_release(&small);
}

static void nothing_appears_before_commit(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    NbWriter *w = NULL;
    const char *const path = in(f, "a");
    assert_int_equal(nb_file_write(path, "old", 3, &err), NB_OK);
    assert_int_equal(nb_writer_open(path, &w, &err), NB_OK);
    assert_int_equal(nb_writer_put(w, "new ", 4, &err), NB_OK);
    assert_int_equal(nb_writer_printf(w, &err, "%d %5000s", 7, "x"), NB_OK);
    expect_content(f, path, "old");
    nb_writer_cancel(w);
    nb_writer_cancel(NULL);
    expect_content(f, path, "old");
    assert_int_equal(files_in(f), 1);
    static char large[200000];
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(nb_writer_open(path, &w, &err), NB_OK);
    for (size_t at = 0; at < sizeof large - 1; at += 7) /* across the buffer */
        assert_int_equal(nb_writer_put(w, large + at,
                                       sizeof large - 1 - at < 7 ? sizeof large - 1 - at : 7, &err),
                         NB_OK);
    assert_int_equal(nb_writer_commit(w, &err), NB_OK);
    expect_content(f, path, large);
    assert_int_equal(files_in(f), 1);
}

/* A limit on file sizes stands for a disk that is full: write fails in the same place. */
static void a_full_disk_keeps_the_old_file(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    static char large[200000];
    const char *const path = in(f, "a");
    assert_int_equal(nb_file_write(path, "old", 3, &err), NB_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = before;
    limit.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const NbStatus large_write = nb_file_write(path, large, sizeof large, &err);
    NbWriter *w = NULL;
    NbError late = {0};
    NbStatus status = nb_writer_open(path, &w, &late);
    for (int i = 0; status == NB_OK && i < 200; i++) /* fails in put or in commit */
        status = nb_writer_put(w, large, 1000, &late);
    if (status == NB_OK)
        status = nb_writer_commit(w, &late);
    else
        nb_writer_cancel(w);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(large_write, NB_ERR_IO);
    assert_non_null(strstr(err.message, "/a: cannot write: File too large"));
    assert_int_equal(status, NB_ERR_IO);
    expect_content(f, path, "old");
    assert_int_equal(files_in(f), 1);
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(nb_file_append("/dev/full", "x", 1, &err), NB_ERR_IO);
        assert_string_equal(err.message, "/dev/full: cannot write: No space left on device");
    }
}

static void writing_names_path_and_reason(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    assert_int_equal(nb_file_write("/no/such/folder/a", "x", 1, &err), NB_ERR_IO);
    assert_string_equal(err.message, "/no/such/folder/a: cannot create: No such file or directory");
    assert_int_equal(nb_folder_make(in(f, "x/y"), &err), NB_OK);
    assert_int_equal(nb_file_write(in(f, "x"), "x", 1, &err), NB_ERR_IO); /* is a folder */
    assert_int_equal(files_in(f), 0);
    assert_int_equal(nb_file_append(in(f, "no/a"), "x", 1, &err), NB_ERR_IO);
}

static void paths_come_apart(void **state) {
    Folder *const f = *state;
    static const struct {
        const char *path, *folder, *name, *stem, *suffix;
    } rows[] = {
        {"a/b.tar.gz", "a", "b.tar.gz", "b.tar", ".gz"},
        {"b", ".", "b", "b", ""},
        {"/b.c", "/", "b.c", "b", ".c"},
        {"a.b/c", "a.b", "c", "c", ""},
        {"a/.hidden", "a", ".hidden", ".hidden", ""},
        {"a/b.", "a", "b.", "b", "."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(nb_path_folder(&f->arena, rows[i].path), rows[i].folder);
        assert_string_equal(nb_path_name(rows[i].path), rows[i].name);
        assert_string_equal(nb_path_stem(&f->arena, rows[i].path), rows[i].stem);
        assert_string_equal(nb_path_suffix(rows[i].path), rows[i].suffix);
    }
    assert_string_equal(nb_path_join(&f->arena, "a", "b"), "a/b");
    assert_string_equal(nb_path_join(&f->arena, "a/", "b"), "a/b");
    assert_string_equal(nb_path_join(&f->arena, "", "b"), "b");
    assert_string_equal(nb_path_join(&f->arena, "a", "/b"), "/b");
}

static void folders_are_made_and_listed(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    assert_int_equal(nb_folder_make(in(f, "b/c/d"), &err), NB_OK);
    assert_int_equal(nb_folder_make(in(f, "b/c/d"), &err), NB_OK); /* exists */
    assert_true(nb_path_is_folder(in(f, "b/c")));
    bool fresh = true;
    assert_int_equal(nb_folder_claim(in(f, "b/c/d"), &fresh, &err), NB_OK);
    assert_false(fresh);
    assert_int_equal(nb_folder_claim(in(f, "b/c/d/e"), &fresh, &err), NB_OK);
    assert_true(fresh);
    static const char *const files[] = {"z", "b/c/2", "b/c/10", "b/1", "a", ".hidden"};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(nb_file_write(in(f, files[i]), "", 0, &err), NB_OK);
    assert_int_equal(symlink("a", in(f, "link")), 0);
    assert_int_equal(symlink("..", in(f, "b/up")), 0); /* a ring, if it were followed */
    assert_int_equal(symlink("nowhere", in(f, "dangling")), 0);
    static const char *const want[] = {"a", "b/1", "b/c/10", "b/c/2", "link", "z"};
    assert_int_equal(nb_folder_list(f->path, true, 6, &f->arena, &path, &n, &err), NB_OK);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(path[i], in(f, want[i]));
    assert_int_equal(nb_folder_list(f->path, true, 5, &f->arena, &path, &n, &err), NB_ERR_FORMAT);
    assert_int_equal(nb_folder_list(f->path, false, 6, &f->arena, &path, &n, &err), NB_OK);
    assert_int_equal(n, 3);
    assert_int_equal(nb_folder_list(in(f, "none"), true, 6, &f->arena, &path, &n, &err), NB_ERR_IO);
    assert_int_equal(nb_folder_make(in(f, "a/b"), &err), NB_ERR_IO);
    assert_non_null(strstr(err.message, "/a: cannot make the folder"));
    assert_true(nb_path_exists(in(f, "a")) && !nb_path_is_folder(in(f, "a")));
    assert_false(nb_path_exists(in(f, "none")));
}

static void what_killed_writers_left_is_removed(void **state) {
    Folder *const f = *state;
    NbError err = {0};
    static const char *const gone[] = {"a.tmp-123456", "b.safetensors.tmp-aZ09xy"};
    static const char *const kept[] = {"a", ".tmp-123456", "a.tmp-12345", "a.tmp-1234567",
                                       "below/a.tmp-123456"};
    assert_int_equal(nb_folder_make(in(f, "below"), &err), NB_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(nb_file_append(in(f, gone[i]), "x", 1, &err), NB_OK);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(nb_file_append(in(f, kept[i]), "x", 1, &err), NB_OK);
    assert_int_equal(nb_folder_clean(f->path, &err), NB_OK);
    for (size_t i = 0; i < 2; i++)
        assert_false(nb_path_exists(in(f, gone[i])));
    for (size_t i = 0; i < 5; i++)
        assert_true(nb_path_exists(in(f, kept[i])));
    assert_int_equal(nb_folder_clean(in(f, "none"), &err), NB_OK);
    assert_int_equal(nb_folder_clean(in(f, "a"), &err), NB_ERR_IO);
}

int main(void) {
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(what_is_written_can_be_read),
        WITH_FOLDER(reading_names_path_and_reason),
        WITH_FOLDER(nothing_appears_before_commit),
        WITH_FOLDER(a_full_disk_keeps_the_old_file),
        WITH_FOLDER(writing_names_path_and_reason),
        WITH_FOLDER(paths_come_apart),
        WITH_FOLDER(folders_are_made_and_listed),
        WITH_FOLDER(what_killed_writers_left_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
