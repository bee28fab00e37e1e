#include "kernels_templates/common/cpu.h"

namespace kernels::rope {

template <typename T, typename P> static void run(const CpuArgs &args) {
  const int64_t heads = args.params["heads"], D = args.params["D"], half = D / 2;
  const int32_t *positions = args.at<int32_t>(2);
  args.math.parallelFor(args.scalars[0].i, grainOf(heads * D), [&](int64_t begin, int64_t end) {
    for (int64_t head = begin * heads; head < end * heads; ++head) {
      const P *c = args.at<P>(1) + positions[head / heads] * D, *s = c + half;
      const T *a = args.at<T>(0) + head * D, *b = a + half;
      T *y = args.at<T>(3) + head * D;
      for (int64_t i = 0; i < half; ++i) {
        y[i] = fromFloat<T>(toFloat(a[i]) * toFloat(c[i]) + toFloat(b[i]) * toFloat(s[i]));
        y[half + i] = fromFloat<T>(toFloat(b[i]) * toFloat(c[i]) - toFloat(a[i]) * toFloat(s[i]));
      }
    }
  });
}

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"),
         [&](auto t) { byType(args.params.type("P"), [&](auto p) { run<decltype(t), decltype(p)>(args); }); });
}

} // namespace kernels::rope
