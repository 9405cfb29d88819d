/* Explanations on plain arrays: maps from features and gradients, scaling, resampling. Inputs are float32 or float64
 * views of the caller's memory and are only read; outputs are C-contiguous and new. Sums are kept in double in a fixed
 * order: the same bits for any strides, batch and number of threads. A function that fails has told err why. */
#ifndef CX_EXPLAIN_H
#define CX_EXPLAIN_H
#include "../cnnexplain.h"

/* Somebody's array: aligned, any strides (in bytes, also negative or 0). */
typedef struct {
    cx_spec spec;
    const char *data;
    int64_t stride[CX_RANK];
} cx_view;
static inline const char *cx_at(const cx_view *v, int64_t i, int64_t j, int64_t k)
{
    return v->data + i * v->stride[0] + j * v->stride[1] + k * v->stride[2];
}

/* ZOOM0..ZOOM3: splines of that order with the corner pixels aligned. The others: half-pixel centres. */
typedef enum { CX_NEAREST, CX_BILINEAR, CX_BICUBIC, CX_ZOOM0, CX_ZOOM1, CX_ZOOM2, CX_ZOOM3 } cx_sampling;
typedef struct {
    int64_t size[2]; /* height and width to make */
    cx_sampling sampling;
} cx_target;

/* features (n,h,w,K), weights (K,classes), class_index n numbers -> (n,h,w), or (n,H,W) with a target. */
cx_code cx_cam(const cx_view *features, const cx_view *weights, const int64_t *class_index, const cx_target *target,
               void *maps, cx_err *err);
/* activations and gradients (n,h,w,K) -> (n,h,w), or (n,H,W) with a target. */
cx_code cx_grad_cam(const cx_view *activations, const cx_view *gradients, const cx_target *target, void *maps,
                    cx_err *err);
/* How gradients g weigh features A: mean of g; Grad-CAM++'s sum of alpha relu(g); XGrad-CAM's sum of g A / sum of A. */
typedef enum { CX_BY_MEAN, CX_BY_PLUS_PLUS, CX_BY_SHARE } cx_weighing;
/* features and gradients (n,h,w,K) -> (n,K) of their dtype. */
cx_code cx_channel_weights(const cx_view *features, const cx_view *gradients, cx_weighing weighing, double epsilon,
                           void *weights, cx_err *err);
/* features and gradients (n,h,w,K) -> (n,h,w) of their dtype: sum_k g A, or relu(g) A. */
cx_code cx_product_map(const cx_view *features, const cx_view *gradients, bool rectify, void *maps, cx_err *err);
/* gradients (n,H,W,C) -> (n,H,W) of their dtype: sums or maxima of absolute values. */
cx_code cx_saliency(const cx_view *gradients, bool maximum, void *maps, cx_err *err);
/* maps (n,H,W) -> bytes (n,H,W), each map's least value at 0, its greatest at 255. */
void cx_to_uint8(const cx_view *maps, uint8_t *bytes);
/* maps (n,H,W) -> (n,H,W) of their dtype in [0,1]. */
void cx_normalize(const cx_view *maps, void *scaled);
/* maps (n,h,w,c) -> (n,H,W,c) of dtype d. */
cx_code cx_resample(const cx_view *maps, const cx_target *target, cx_dtype d, void *resized, cx_err *err);

/* Shared by the CAM methods: weights n rows of K, result n (h,w) maps; both dense. */
void cx_weighted_sum(const cx_view *features, const double *weights, bool rectify, double *maps);
/* Dense maps (n,h,w) to `to` in dtype d, resampled when there is a target. */
cx_code cx_deliver_maps(const double *maps, const cx_spec *spec, const cx_target *target, void *to, cx_dtype d,
                        cx_err *err);
/* An array of doubles, zeroed; NULL after telling err. */
double *cx_doubles(const cx_spec *spec, cx_err *err);
#endif
