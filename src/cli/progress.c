/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void nb_progress_init(NbProgressView *view, const char *style, bool quiet) {
    *view = (NbProgressView){.style = NB_PROGRESS_LINE, .quiet = quiet};
    if (strcmp(style, "off") == 0 || quiet)
        view->style = NB_PROGRESS_OFF;
    else if (strcmp(style, "bar") == 0 || (strcmp(style, "auto") == 0 && isatty(2)))
        view->style = NB_PROGRESS_BAR;
}

void nb_progress_close(NbProgressView *view) {
    if (view->open)
        (void)fputc('\n', stderr);
    view->open = false;
}

void nb_progress_message(void *user, const char *text) {
    NbProgressView *const view = user;
    if (view->quiet)
        return;
    nb_progress_close(view);
    (void)fprintf(stderr, "%s\n", text);
}

static void print_time(char *out, size_t size, double seconds) {
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        (void)snprintf(out, size, "  %ldh%02ldm left", s / 3600, s / 60 % 60);
    else
        (void)snprintf(out, size, "  %ldm%02lds left", s / 60, s % 60);
}

void nb_progress_show(void *user, const NbJobProgress *p) {
    NbProgressView *const view = user;
    if (view->style == NB_PROGRESS_OFF)
        return;
    const bool bar = view->style == NB_PROGRESS_BAR;
    const double now = nb_clock_seconds();
    if (now - view->shown < (bar ? 0.1 : 10.0) && !(bar && p->done >= p->total))
        return;
    view->shown = now;
    char left[48] = "";
    if (p->seconds_left > 0.0)
        print_time(left, sizeof left, p->seconds_left);
    (void)fprintf(stderr, "%s%s  %ld/%ld  %s  %.1f/s%s%s", bar ? "\r" : "", p->what, p->done,
                  p->total, p->detail, p->per_second, left, bar ? "\033[K" : "\n");
    view->open = bar;
}
