/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_BASE_CLOCK_H
#define NB_BASE_CLOCK_H

/* Seconds of a clock that only goes forward; only differences mean something. */
double nb_clock_seconds(void);

/* Seconds since 1970. */
double nb_clock_unix(void);

/* Processor time that this process has used so far, all threads, loading the program included. */
double nb_clock_process_seconds(void);

/* Largest resident memory of this process so far, in MiB. */
double nb_peak_memory_mb(void);

/* Memory that the system can give to programs without swapping, in MiB; 0: unknown. */
double nb_free_memory_mb(void);

#endif
