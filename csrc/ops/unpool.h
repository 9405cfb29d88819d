/* What max pooling's gradient, written as nodes, needs of max_unpool. */
#ifndef CX_UNPOOL_H
#define CX_UNPOOL_H
#include <stdint.h>

enum { CX_UNPOOL_SUM, CX_UNPOOL_OVERWRITE };
typedef struct {
    int64_t size[2], overlap;
} cx_unpool_attr;
#endif
