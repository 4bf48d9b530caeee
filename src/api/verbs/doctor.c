/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/verbs/verbs.h"

#include "base/cpu.h"

#include <sys/utsname.h>
#include <unistd.h>

static NbStatus run(NbJob *job, NbError *err) {
    (void)err;
    struct utsname system = {0};
    (void)uname(&system);
    const double memory =
        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1048576.0;
    json_t *const result = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f}", "version", nb_version(), "compiler",
        __VERSION__, "system", system.sysname, "kernel", system.release, "machine", system.machine,
        "isa", nb_isa_name(nb_isa_detect()), "cpus", nb_cpu_count(), "memory_mb", memory);
    const char *key;
    json_t *value;
    nb_job_print(job, "```\n");
    json_object_foreach(result, key, value) {
        if (json_is_string(value))
            nb_job_print(job, "%-18s %s\n", key, json_string_value(value));
        else
            nb_job_print(job, "%-18s %.0f\n", key, json_number_value(value));
    }
    nb_job_print(job, "```\n");
    json_object_foreach(result, key, value) nb_job_put(job, key, json_incref(value));
    json_decref(result);
    return NB_OK;
}

const NbVerb nb_verb_doctor = {.info = {.name = "doctor",
                                        .aliases = "checks",
                                        .help = "versions and features, to paste into a report",
                                        .example = "nibble doctor",
                                        .keys = "json progress verbose"},
                               .run = run};
