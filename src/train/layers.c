/* SPDX-License-Identifier: Apache-2.0 */
#include "train/layers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool nb_layers_has(const NbLayers *layers, int layer) {
    return layer >= 0 && layer < NB_LAYERS_MAX && (layers->word[layer / 64] >> (layer % 64) & 1U);
}

static void add(NbLayers *layers, int layer) {
    layers->word[layer / 64] |= (uint64_t)1 << (layer % 64);
}

static const char *skip_blanks(const char *at) {
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static NbStatus refuse(const char *text, NbError *err) {
    return nb_fail(NB_ERR_ARGUMENT, err,
                   "freeze: expected a number of layers or a list such as [0, 2, 5], each below "
                   "%d, found '%s'",
                   NB_LAYERS_MAX, text);
}

NbStatus nb_layers_parse(const char *text, NbLayers *out, NbError *err) {
    *out = (NbLayers){0};
    const char *at = skip_blanks(text);
    const bool bracket = *at == '[';
    at = skip_blanks(at + bracket);
    if (!*at && !bracket)
        return NB_OK;
    int count = 0;
    long last = 0;
    while (*at && *at != ']') {
        char *end = NULL;
        if (!isdigit((unsigned char)*at))
            return refuse(text, err);
        last = strtol(at, &end, 10);
        if (last > NB_LAYERS_MAX)
            return refuse(text, err);
        if (last < NB_LAYERS_MAX)
            add(out, (int)last);
        else if (bracket || count)
            return refuse(text, err);
        count++;
        at = skip_blanks(end);
        if (*at == ',')
            at = skip_blanks(at + 1);
        else if (*at && *at != ']')
            return refuse(text, err);
    }
    if (bracket != (*at == ']') || (bracket && *skip_blanks(at + 1)))
        return refuse(text, err);
    if (!bracket && count == 1) { /* a number of layers, no list */
        *out = (NbLayers){0};
        for (int i = 0; i < (int)last; i++)
            add(out, i);
    }
    return NB_OK;
}

static int last_layer(const NbGraph *g) {
    int last = 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_PARAM && g->node[id].layer > last)
            last = g->node[id].layer;
    return last;
}

NbStatus nb_layers_freeze(NbModel *m, const NbLayers *layers, NbError *err) {
    const int last = last_layer(&m->graph);
    bool left = false;
    for (int i = 0; i < NB_LAYERS_MAX; i++)
        if (i > last && nb_layers_has(layers, i))
            return nb_fail(NB_ERR_ARGUMENT, err, "freeze: expected layers from 0 to %d, found %d",
                           last, i);
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        NbNode *const node = &m->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        if (nb_layers_has(layers, node->layer) || strstr(node->name, ".dfl"))
            node->attr.param.frozen = true;
        const NbParamRole role = node->attr.param.role;
        left |= !node->attr.param.frozen && role != NB_PARAM_MEAN && role != NB_PARAM_VAR &&
                role != NB_PARAM_CONST && role != NB_PARAM_QUANT;
    }
    if (!left)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "freeze: expected a layer that is left to train, found all %d frozen",
                       last + 1);
    return NB_OK;
}
