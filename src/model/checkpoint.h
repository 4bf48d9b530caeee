/* SPDX-License-Identifier: Apache-2.0
 *
 * Models in safetensors files. A parameter is a tensor under its own name ("model.0.conv.weight",
 * "model.0.act_quant.value"), under a group's prefix ("ema/", "optim/...") or under none. What the
 * graph is built from is one metadata entry "model", JSON text:
 *
 *     {"schema": 1, "head": "yolov5", "nc": 1, "names": ["face"], "strides": [32],
 *      "anchors": [[10, 14, ...]], "bits": "w4a4:first=w8:last=w8", "bits_from_file": true,
 *      "hardtanh": false, "compat": false, "imgsz": 416, "input_scale": 0.00392...,
 *      "yaml_path": "lpyolo.yaml", "yaml": "nc: 1\n..."}
 *
 * "bins": [0, 1.02, ...] is there when those of a head's distributions are not 0, 1, 2, ...
 *
 * "zeros" (with "steps" only) are the zero points of quantizers, as far as they are not 0.
 *
 * Whoever writes a checkpoint adds tensors and entries of their own. */
#ifndef NB_MODEL_CHECKPOINT_H
#define NB_MODEL_CHECKPOINT_H

#include "model/model.h"

/* Appends all parameters of `m` as prefix + name; the tensors are views of the model's data. The
 * list itself grows in `arena`. */
NB_FALLIBLE nb_model_to_tensors(const NbModel *m, const char *prefix, NbArena *arena,
                                NbSafetensors *file, NbError *err);

/* Appends one tensor, or one metadata entry; names and texts must live as long as the file. */
NB_FALLIBLE nb_checkpoint_add(NbSafetensors *file, NbArena *arena, const char *name,
                              const NbTensor *tensor, NbError *err);
NB_FALLIBLE nb_checkpoint_add_metadata(NbSafetensors *file, NbArena *arena, const char *key,
                                       const char *value, NbError *err);

/* Appends the metadata entry "model". */
NB_FALLIBLE nb_model_to_metadata(const NbModel *m, NbArena *arena, NbSafetensors *file,
                                 NbError *err);

/* What became of the names of a file and of a model. Lists are in the order of the model (missing,
 * mismatched) and of the file (extra); they live in the arena of the call. */
typedef struct NbLoadReport {
    int loaded;
    const char **missing; /* parameters of the model that the file lacks */
    int n_missing;
    const char **mismatched; /* "name: [8, 3, 3, 3] in the file, [16, 3, 3, 3] expected" */
    int n_mismatched;
    const char **extra; /* tensors of the group that the model lacks */
    int n_extra;
} NbLoadReport;

typedef enum NbLoadMode {
    NB_LOAD_STRICT,   /* only learned clips may be missing (they keep their value); extra names are
                       * allowed, a wrong shape is not */
    NB_LOAD_TRANSFER, /* what fits by name and shape is taken; the rest stays as it is */
} NbLoadMode;

/* Fills the parameters of `m` from the group `prefix` of a file ("" takes the names without a
 * '/'); a leading "module." of a name is passed over. F16, BF16 and F64 become F32. NaN and
 * infinities are NB_ERR_FORMAT. A strict load that fails has changed nothing. report may be NULL.
 */
NB_FALLIBLE nb_model_load_tensors(NbModel *m, const NbSafetensors *file, const char *prefix,
                                  NbLoadMode mode, NbArena *arena, NbLoadReport *report,
                                  NbError *err);

/* "12 of 57 parameters missing: a, b, c, ...; ..." or "all 57 parameters loaded". NULL: no memory.
 */
char *nb_load_report_text(const NbLoadReport *report, NbArena *arena);

/* Rebuilds the model of a file from its metadata (options replace what they name: bits, hardtanh)
 * and loads it, from "ema/" when the file has that group. New quantizers start from their specs. */
NB_FALLIBLE nb_model_from_checkpoint(const char *path, NbBytes bytes, const NbModelOptions *options,
                                     NbModel *out, NbError *err);

/* A model from .safetensors or .pt (with its weights; model/import_pt.h) or .yaml (initialised with
 * `seed`). */
NB_FALLIBLE nb_model_read(const char *path, const NbModelOptions *options, uint64_t seed,
                          NbModel *out, NbError *err);

/* The same, and what became of the tensors of the file, in the arena. */
NB_FALLIBLE nb_model_import(const char *path, const NbModelOptions *options, uint64_t seed,
                            NbArena *arena, NbLoadReport *report, NbModel *out, NbError *err);

/* The model alone: parameters and metadata. */
NB_FALLIBLE nb_model_write(const char *path, const NbModel *m, NbError *err);

#endif
