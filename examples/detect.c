/* SPDX-License-Identifier: Apache-2.0
 *
 * Detects in a picture: detect best.safetensors picture.ppm [conf]
 * cc detect.c $(pkg-config --cflags --libs nibble_rt); also compiles as C++. PPM (P6) keeps it
 * short: what decodes your pictures is up to you. */
#include <nibble/nibble.h>
#include <stdio.h>
#include <stdlib.h>

/* The caller frees it; NULL: not a binary PPM of 8 bits. */
static unsigned char *read_ppm(const char *path, int *width, int *height) {
    FILE *file = fopen(path, "rb");
    unsigned char *rgb = NULL;
    if (file && fscanf(file, "P6 %5d %5d 255", width, height) == 2 && fgetc(file) != EOF &&
        *width > 0 && *height > 0) {
        const size_t bytes = 3 * (size_t)*width * (size_t)*height;
        rgb = (unsigned char *)malloc(bytes);
        if (rgb && fread(rgb, 1, bytes, file) != bytes)
            *width = 0;
    }
    if (file)
        fclose(file);
    return rgb;
}

int main(int argc, char **argv) {
    NbDetectorOptions options = {sizeof options, 0, 0, NULL, argc > 3 ? atof(argv[3]) : 0, 0, 0, 0,
                                 NULL,           0};
    NbDetector *detector = NULL;
    NbError err = {{0}};
    const NbBox *box = NULL;
    size_t n = 0;
    int width = 0, height = 0;
    if (argc < 3)
        return fprintf(stderr, "usage: detect best.safetensors picture.ppm [conf]\n"), 2;
    unsigned char *rgb = read_ppm(argv[2], &width, &height);
    if (!rgb || width == 0)
        fprintf(stderr, "%s: not a whole binary PPM\n", argv[2]);
    else if (nb_detector_open(argv[1], &options, &detector, &err) != NB_OK ||
             nb_detector_detect(detector, rgb, width, height, 0, &box, &n, &err) != NB_OK)
        fprintf(stderr, "%s\n", err.message);
    for (size_t i = 0; i < n; i++)
        printf("%s %.9g %.9g %.9g %.9g %.9g\n", nb_detector_class_name(detector, box[i].cls),
               (double)box[i].conf, (double)box[i].x1, (double)box[i].y1, (double)box[i].x2,
               (double)box[i].y2);
    free(rgb);
    nb_detector_free(detector);
    return box ? 0 : 1;
}
