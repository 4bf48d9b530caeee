/* SPDX-License-Identifier: Apache-2.0
 *
 * NB_API marks what the shared libraries export; everything else is hidden. */
#ifndef NIBBLE_EXPORT_H
#define NIBBLE_EXPORT_H

#define NB_API __attribute__((visibility("default")))

#endif
