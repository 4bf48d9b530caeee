/* SPDX-License-Identifier: Apache-2.0
 *
 * Linked into programs that are built with the address sanitizer. fontconfig, which cairo asks for
 * fonts, frees its tables only by a call that no other user of it in the process would survive. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void) { return "leak:libfontconfig\n"; }
__attribute__((visibility("default"))) const char *__lsan_default_options(void);

const char *__lsan_default_options(void) { return "print_suppressions=0"; }
