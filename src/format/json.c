/* SPDX-License-Identifier: Apache-2.0 */
#include "format/json.h"

static const size_t default_limit = (size_t)1 << 30;

NbStatus nb_json_read(const char *path, NbBytes bytes, size_t limit, json_t **out, NbError *err) {
    *out = NULL;
    if (limit == 0)
        limit = default_limit;
    if (bytes.size > limit)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %zu bytes of JSON, expected at most %zu", path,
                       bytes.size, limit);
    json_error_t why;
    const char *const text = bytes.data ? (const char *)bytes.data : "";
    json_t *const value = json_loadb(text, bytes.size, JSON_REJECT_DUPLICATES, &why);
    if (!value) {
        if (json_error_code(&why) == json_error_out_of_memory)
            return nb_fail_memory(err, path);
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d:%d: %s", path, why.line, why.column, why.text);
    }
    *out = value;
    return NB_OK;
}

NbStatus nb_json_read_file(const char *path, json_t **out, NbError *err) {
    *out = NULL;
    NbBytes bytes;
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = nb_json_read(path, bytes, 0, out, err);
    nb_file_unmap(bytes);
    return status;
}

typedef struct Sink {
    NbWriter *writer;
    NbStatus status;
    NbError *err;
} Sink;

static int put(const char *data, size_t size, void *user) {
    Sink *const sink = user;
    sink->status = nb_writer_put(sink->writer, data, size, sink->err);
    return sink->status == NB_OK ? 0 : -1;
}

NbStatus nb_json_write(const char *path, const json_t *value, NbError *err) {
    if (!json_is_object(value) && !json_is_array(value))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: a JSON document is an object or an array", path);
    Sink sink = {.status = NB_OK, .err = err};
    NB_TRY(nb_writer_open(path, &sink.writer, err));
    const int failed =
        json_dump_callback(value, put, &sink, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (failed && sink.status == NB_OK)
        sink.status =
            nb_fail(NB_ERR_ARGUMENT, err, "%s: the value cannot be written as JSON", path);
    if (sink.status == NB_OK)
        sink.status = nb_writer_put(sink.writer, "\n", 1, err);
    if (sink.status != NB_OK) {
        nb_writer_cancel(sink.writer);
        return sink.status;
    }
    return nb_writer_commit(sink.writer, err);
}
