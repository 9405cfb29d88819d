/* Attributes of the ops that backward is written in. */
#ifndef CX_ATTR_H
#define CX_ATTR_H
#include "../cnnexplain.h"

typedef struct {
    cx_list axis;
    int64_t keepdims;
} cx_reduce_attr;
typedef struct {
    cx_list shape;
} cx_shape_attr; /* reshape, broadcast_to */
typedef struct {
    cx_list perm;
} cx_transpose_attr;
typedef struct {
    cx_list begin, size, strides;
} cx_slice_attr;
enum { CX_PAD_CONSTANT, CX_PAD_REFLECT, CX_PAD_SYMMETRIC };
typedef struct {
    cx_list before, after;
    int64_t mode;
    double value;
} cx_pad_attr;
typedef struct {
    int64_t axis;
} cx_axis_attr; /* concat, softmax */
typedef struct {
    int64_t axis, batch_dims;
} cx_gather_attr;
typedef struct {
    int64_t depth;
    double on_value, off_value;
    int64_t axis, dtype;
} cx_one_hot_attr;
typedef struct {
    int64_t turn[2];
} cx_matmul_attr;
typedef struct {
    cx_list multiples;
} cx_tile_attr;
typedef struct {
    cx_list axis;
} cx_reverse_attr;
typedef struct {
    int64_t dtype;
} cx_cast_attr;
#endif
