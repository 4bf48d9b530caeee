/* SPDX-License-Identifier: Apache-2.0
 *
 * Hue, saturation, value of 8-bit RGB pictures with the bytes of OpenCV 4 (cv::cvtColor with
 * COLOR_RGB2HSV and COLOR_HSV2RGB): hue 0 to 179, the rest 0 to 255. On the way back the x86-64
 * builds of OpenCV truncate whole blocks of 32 pixels of a row and round the rest of the row; so is
 * it done here, on every machine. Cannot fail; `from` may be `to`. */
#ifndef NB_DATA_HSV_H
#define NB_DATA_HSV_H

#include "data/pixels.h"

void nb_rgb_to_hsv(NbPixels from, NbPixels to);
void nb_hsv_to_rgb(NbPixels from, NbPixels to);

/* What becomes of each hue, saturation and value. */
typedef struct NbHsvTables {
    uint8_t hue[256];
    uint8_t saturation[256];
    uint8_t value[256];
} NbHsvTables;

typedef enum NbHsvRule {
    NB_HSV_YOLOV5,      /* hue * (1 + h): YOLOv5, quantized-yolov5, YOLOv10 (8.1) */
    NB_HSV_ULTRALYTICS, /* hue + h * 180: Ultralytics 8.4 */
} NbHsvRule;

/* change: h, s, v, each the drawn U(-1, 1) times its hyperparameter; saturation and value are
 * multiplied by 1 + change. */
void nb_hsv_tables(const double change[3], NbHsvRule rule, NbHsvTables *out);

/* To HSV, through the tables, and back. */
void nb_hsv_adjust(NbPixels p, const NbHsvTables *tables);

#endif
