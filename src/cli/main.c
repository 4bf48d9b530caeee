/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: a job from the command line, its result on stdout, everything else on stderr. */
#include "cli/args.h"
#include "cli/help.h"
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The one job of the process; a signal handler gets no argument. */
static NbJob *volatile running;
static volatile sig_atomic_t signals;

static void on_signal(int number) {
    (void)number;
    if (++signals > 1)
        _exit(130); /* the second one means it */
    if (running)
        nb_job_stop(running);
}

static int exit_code(NbStatus status) {
    switch (status) {
    case NB_OK: return 0;
    case NB_ERR_ARGUMENT: return 2;
    case NB_ERR_FORMAT: return 3;
    case NB_ERR_UNSUPPORTED: return 4;
    case NB_ERR_CHECK: return 5;
    case NB_ERR_STOPPED: return 130;
    case NB_ERR_NOMEM:
    case NB_ERR_IO: break;
    }
    return 1;
}

/* What the caller asked for about output, before the job reads it. */
typedef struct Output {
    bool json;
    bool quiet;
    const char *progress;
} Output;

/* Is this word the key `name`, after "--" or not? *value: what stands behind "=", or in the next
 * word after "--name"; NULL: neither. */
static bool is_key(const char *word, const char *next, const char *name, const char **value) {
    const bool dashed = *word == '-';
    while (*word == '-')
        word++;
    const size_t n = strlen(name);
    if (strncmp(word, name, n) != 0 || (word[n] && word[n] != '='))
        return false;
    *value = word[n] ? word + n + 1 : NULL;
    if (!*value && dashed && next && *next != '-' && !strchr(next, '='))
        *value = next;
    return true;
}

static bool is_off(const char *value) {
    static const char *const words[] = {"0", "false", "no", "off"};
    for (size_t i = 0; value && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

static Output find_output(int argc, char **argv) {
    Output o = {.progress = "auto"};
    for (int i = 1; i < argc; i++) {
        const char *const next = i + 1 < argc ? argv[i + 1] : NULL;
        const char *value = NULL;
        if (is_key(argv[i], next, "json", &value))
            o.json = !is_off(value);
        else if (is_key(argv[i], next, "verbose", &value))
            o.quiet = is_off(value);
        else if (is_key(argv[i], next, "progress", &value) && value)
            o.progress = value;
    }
    return o;
}

static NbStatus run(NbJob *job, const Output *output, NbError *err) {
    NbProgressView view;
    nb_progress_init(&view, output->progress, output->quiet);
    const NbJobHooks hooks = {
        .user = &view, .on_message = nb_progress_message, .on_progress = nb_progress_show};
    running = job;
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to report, not an end */
    const NbStatus status = nb_job_run(job, &hooks, err);
    nb_progress_close(&view);
    if (status == NB_OK || status == NB_ERR_CHECK) {
        (void)fputs(output->json ? nb_job_json(job) : nb_job_text(job), stdout);
        if (output->json)
            (void)fputc('\n', stdout);
    }
    running = NULL;
    return status;
}

/* No verb, or help: what to print and the exit code. */
static int run_help(int argc, char **argv, const char *verb, int at) {
    const char *const first = argc > 1 ? argv[1] : "--help";
    if (strcmp(first, "--version") == 0)
        printf("nibble %s\n", nb_version());
    else if (!verb || at >= argc || !nb_help_print_verb(argv[at]))
        nb_help_print();
    const bool asked = verb || strcmp(first, "--version") == 0 || strcmp(first, "--help") == 0 ||
                       strcmp(first, "-h") == 0;
    return asked ? 0 : 2;
}

int main(int argc, char **argv) {
    int at;
    const char *const verb = nb_args_verb(argc, argv, &at);
    if (!verb || strcmp(verb, "help") == 0)
        return run_help(argc, argv, verb, at);
    NbError err = {0};
    NbJob *job = NULL;
    bool help = false;
    NbStatus status = nb_job_new(verb, &job, &err);
    if (status == NB_OK)
        status = nb_args_apply(job, verb, argc, argv, at, &help, &err);
    if (status == NB_OK && help) {
        (void)nb_help_print_verb(verb);
    } else if (status == NB_OK) {
        const Output output = find_output(argc, argv);
        status = run(job, &output, &err);
    }
    if (status == NB_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = nb_fail(NB_ERR_IO, &err, "standard output cannot be written");
    if (status != NB_OK)
        (void)fprintf(stderr, "nibble %s: %s\n", verb, err.message);
    nb_job_free(job);
    return exit_code(status);
}
