// From floats to a narrow format with scales.
#pragma once

#include "kernels_templates/base/dtype.h"

#include <span>

namespace nanort {

/// The scale of a group of elements in E4M3: the largest magnitude over 448, which then takes the largest code. 1 where
/// that is 0: nothing divides by 0, and zeros stay zeros. NaN where an element is not finite: what reads codes need not
/// look for those that are NaN.
float scaleForE4m3(std::span<const float> group);

/// Elements over their group's scale, which is divided by in f32, as codes: to nearest, ties to even; 448 at most.
void quantizeToE4m3(std::span<const float> group, float scale, std::span<kernels::e4m3> out);

} // namespace nanort
