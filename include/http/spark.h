/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SPARK_H
#define HTTP_SPARK_H
/* A line of the last minutes as SVG, small enough to stand in a sentence. */

#include <stdio.h>

#include "base/base.h"

/* SPARK_SAMPLES samples fill its width; of more the latest are drawn, and fewer stand at its right. */
enum { SPARK_SAMPLES = 60 };

/* Samples from the oldest to the latest; below 0: there was none, drawn as a mark on the ground. `top`: the value at the upper edge. */
void spark_print(const double *samples, size_t count, double top, FILE *out);

#endif
