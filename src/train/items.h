/* SPDX-License-Identifier: Apache-2.0
 *
 * What losses are made of. A head has some of these; the others are 0. */
#ifndef NB_TRAIN_ITEMS_H
#define NB_TRAIN_ITEMS_H

#include "detect/head.h"

typedef enum NbLossItem {
    NB_LOSS_BOX,
    NB_LOSS_OBJ, /* YOLOv5 */
    NB_LOSS_CLS,
    NB_LOSS_DFL, /* YOLOv8, YOLOv10 */
    /* of the one-to-one head; then the three above are those of the one-to-many head */
    NB_LOSS_BOX_ONE,
    NB_LOSS_CLS_ONE,
    NB_LOSS_DFL_ONE,
    NB_LOSS_ITEMS
} NbLossItem;

/* "box", "obj", "cls", "dfl", "box_oo", "cls_oo", "dfl_oo": the last three as THU-MIG calls them.
 */
const char *nb_loss_item_name(NbLossItem item);

bool nb_loss_has_item(NbHeadKind kind, NbLossItem item);

#endif
