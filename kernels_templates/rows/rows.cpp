#include "kernels_templates/rows/rows.h"

namespace kernels {

void add_rows(Catalogue &catalogue) {
  addEmbed(catalogue);
  addNorm(catalogue);
  addGated(catalogue);
  addRope(catalogue);
  addPointwise(catalogue);
  addLogits(catalogue);
}

} // namespace kernels
