/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double read_clock(clockid_t id) {
    struct timespec t = {0};
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double nb_clock_seconds(void) { return read_clock(CLOCK_MONOTONIC); }

double nb_clock_unix(void) { return read_clock(CLOCK_REALTIME); }

double nb_clock_process_seconds(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

double nb_peak_memory_mb(void) {
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024.0; /* Linux: KiB */
}

double nb_free_memory_mb(void) {
    FILE *const file = fopen("/proc/meminfo", "re");
    static const char key[] = "MemAvailable:";
    char line[128];
    double kib = 0.0;
    while (kib <= 0.0 && file && fgets(line, sizeof line, file))
        if (strncmp(line, key, sizeof key - 1) == 0)
            kib = strtod(line + sizeof key - 1, NULL);
    if (file)
        (void)fclose(file);
    return kib / 1024.0;
}
