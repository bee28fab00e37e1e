// A gate: a scalar that says how much of something is added.
#pragma once

#include "kernels_templates/device/types.cuh"

// `product` is that of the gate's weights and a few channels of the normalised input; the result lies between 0 and
// `range`.
__device__ inline float gateOf(float range, float product) { return range * sigmoid(product); }
