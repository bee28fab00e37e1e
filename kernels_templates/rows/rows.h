// Operations on rows of activations that are no products: each file adds its meanings and engines.
#pragma once

#include "kernels_templates/base/require.h"

namespace kernels {

void addEmbed(Catalogue &catalogue);
void addNorm(Catalogue &catalogue);
void addGated(Catalogue &catalogue);
void addRope(Catalogue &catalogue);
void addPointwise(Catalogue &catalogue);
void addLogits(Catalogue &catalogue);

} // namespace kernels
