/* SPDX-License-Identifier: Apache-2.0
 *
 * The augmentation hyperparameters, with the names and meanings of YOLOv5 and Ultralytics. */
#ifndef NB_DATA_AUGMENT_H
#define NB_DATA_AUGMENT_H

typedef struct NbAugment {
    double hsv_h, hsv_s, hsv_v;                           /* largest relative change */
    double degrees, translate, scale, shear, perspective; /* ranges, see warp.h */
    double flipud, fliplr;                                /* probabilities */
    double mosaic, mixup; /* probabilities; picture.h says what mixup applies to */
} NbAugment;

#endif
