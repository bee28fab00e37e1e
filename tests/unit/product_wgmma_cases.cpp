// The sweep of products by wgmma.
#include "tests/unit/kernel_cases.h"

namespace nanotest {

using namespace kernels;

std::vector<Case> productWgmmaCases(const Kernel &kernel) {
  struct Shape {
    int K, N, M, tileM, tileN, stages, split, share, blocks;
  };
  const Shape shapes[] = {
      {8, 8, 1, 8, 64, 2, 1, 1, 1}, // most of the tile lies outside
      {64, 64, 8, 8, 64, 2, 1, 1, 132},
      {200, 136, 7, 16, 128, 3, 1, 1, 132},
      {776, 264, 130, 32, 64, 4, 1, 1, 4}, // several tiles a block
      {136, 200, 130, 64, 64, 6, 1, 1, 2}, // the ring holds two tiles' K
      {72, 328, 130, 96, 128, 3, 1, 1, 1},
      {520, 136, 130, 128, 64, 3, 1, 1, 132},
      {264, 200, 257, 192, 64, 2, 1, 1, 132},
      {328, 264, 300, 256, 128, 4, 1, 1, 3},
      {8, 72, 2100, 96, 64, 2, 1, 1, 5},     // two bands of tokens
      {264, 328, 130, 32, 64, 1, 1, 1, 3},   // one stage
      {264, 1000, 100, 128, 64, 2, 1, 1, 2}, // several tiles of the same tokens
      // three consumer warpgroups
      {200, 200, 7, 16, 192, 2, 1, 1, 132},
      {328, 456, 300, 128, 192, 3, 1, 1, 3},
      {520, 392, 130, 64, 192, 1, 2, 1, 4},
      {40, 456, 300, 128, 192, 4, 1, 1, 2}, // K of one step
      // K in parts: uneven ones, several tiles a cluster, blocks that own no token
      {264, 72, 8, 8, 64, 4, 2, 1, 132},
      {520, 136, 5, 8, 64, 2, 8, 1, 8},
      {328, 200, 70, 32, 128, 2, 3, 1, 6},
      {264, 136, 130, 128, 64, 2, 3, 1, 3},
      {1032, 200, 130, 64, 64, 3, 8, 1, 16},
      {520, 264, 257, 256, 128, 2, 2, 1, 4},
      // tokens fetched for two blocks, an odd number of tiles among them
      {264, 200, 17, 16, 64, 3, 1, 2, 2},
      {328, 328, 130, 64, 128, 3, 1, 2, 4},
      {136, 136, 300, 256, 128, 4, 1, 2, 132},
      {136, 1000, 200, 96, 64, 1, 1, 2, 6},
      {200, 584, 130, 128, 192, 2, 1, 2, 2},
      {264, 520, 520, 256, 128, 3, 1, 2, 2}, // several large tiles a cluster
  };
  constexpr int64_t f32 = valueOf(DType::F32), bf16 = valueOf(DType::BF16);
  const bool plain = kernel.meaning.name == "product" || kernel.meaning.name == "product_relu2";
  std::vector<Case> cases;
  int i = 0;
  for (const Shape &s : shapes) {
    std::vector<Scalar> scalars = {{.i = s.M}};
    if (kernel.meaning.name.starts_with("product_mix"))
      scalars.insert(scalars.begin(), {.i = s.M % 4}); // the layer
    // With and without the norm, in turn with the type of the output; no pass norms before a sum.
    for (int64_t norm : plain ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0})
      cases.push_back(makeCase(kernel,
                               {{"T", bf16},
                                {"O", plain && (i + norm) % 2 ? f32 : bf16},
                                {"K", s.K},
                                {"N", s.N},
                                {"norm", norm},
                                {"tile_m", s.tileM},
                                {"tile_n", s.tileN},
                                {"stages", s.stages},
                                {"split", s.split},
                                {"share", s.share},
                                {"blocks", s.blocks}},
                               scalars));
    ++i;
  }
  return cases;
}

} // namespace nanotest
