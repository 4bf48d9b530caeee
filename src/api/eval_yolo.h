/* SPDX-License-Identifier: Apache-2.0
 *
 * nibble eval protocol=yolo: precision, recall and AP as YOLOv5 and Ultralytics count them. */
#ifndef NB_API_EVAL_YOLO_H
#define NB_API_EVAL_YOLO_H

#include "api/job.h"

/* detections: a folder of text files (eval/yolo_text.h) or a COCO result list. annotations: a
 * folder of YOLO labels, a data set YAML or COCO annotations; a result list needs one of the latter
 * two. */
NB_FALLIBLE nb_job_eval_yolo(NbJob *job, const char *detections, const char *annotations,
                             NbError *err);

#endif
