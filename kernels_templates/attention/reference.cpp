// What attention and its neighbours compute, on the CPU.
#include "kernels_templates/base/reference.h"

#include <vector>

namespace kernels {

namespace {

/// Attention of one query: softmax over keys first to last, times values. Scratch is kept from call to call.
class Attend {
public:
  explicit Attend(int64_t D) : mean(D) {}

  /// y[d] for d < D; keyAt(j) and valueAt(j) point to the D elements of position j.
  template <typename T, typename KeyAt, typename ValueAt>
  void operator()(const float *query, int64_t first, int64_t last, float scale, KeyAt keyAt, ValueAt valueAt, T *y) {
    const auto D = static_cast<int64_t>(mean.size());
    scores.resize(last - first + 1);
    for (int64_t j = first; j <= last; ++j)
      scores[j - first] = scale * dot(query, keyAt(j), D);
    const float top = *std::max_element(scores.begin(), scores.end());
    float sum = 0;
    std::fill(mean.begin(), mean.end(), 0.0f);
    for (int64_t j = first; j <= last; ++j) {
      const float weight = std::exp(scores[j - first] - top);
      const T *value = valueAt(j);
      sum += weight;
      for (int64_t d = 0; d < D; ++d)
        mean[d] += weight * toFloat(value[d]);
    }
    for (int64_t d = 0; d < D; ++d)
      y[d] = fromFloat<T>(mean[d] / sum);
  }

private:
  std::vector<float> mean, scores;
};

/// A head rotated by cosines and sines, normed and multiplied.
template <typename T, typename P>
void place(const T *in, const P *angles, int64_t D, float mult, std::vector<float> &to) {
  const int64_t half = D / 2;
  for (int64_t d = 0; d < half; ++d) {
    const float a = toFloat(in[d]), b = toFloat(in[half + d]);
    const float c = toFloat(angles[d]), s = toFloat(angles[half + d]);
    to[d] = a * c + b * s;
    to[half + d] = b * c - a * s;
  }
  const float factor = mult / std::sqrt(dot(to.data(), to.data(), D) / static_cast<float>(D) + normEpsilon);
  for (float &element : to)
    element *= factor;
}

/// What the value gate adds, nothing in the meanings without one.
template <typename T> class Added {
public:
  explicit Added(const ReferenceCall &call) : kvHeads(call["kv_heads"]), D(call["D"]) {
    if (!call.params.find("channels"))
      return;
    tokens = call.at<int32_t>("tokens");
    embeds = call.at<T>("embeds");
    const int64_t n = call.integer("n"), C = call["C"], channels = call["channels"];
    const T *x = call.at<T>("x"), *gate = call.at<T>("gate");
    const float range = call.real("range");
    factors.resize(n * kvHeads);
    for (int64_t t = 0; t < n; ++t) {
      const T *in = x + t * C;
      const float norm = normFactor(in, C);
      for (int64_t g = 0; g < kvHeads; ++g)
        factors[t * kvHeads + g] = range * sigmoid(norm * dot(in, gate + g * channels, channels));
    }
  }

  /// To element d of head g of token slot t.
  float operator()(int64_t t, int64_t g, int64_t d) const {
    return !tokens || tokens[t] < 0
               ? 0.0f
               : factors[t * kvHeads + g] * toFloat(embeds[(int64_t{tokens[t]} * kvHeads + g) * D + d]);
  }

private:
  int64_t kvHeads, D;
  const int32_t *tokens = nullptr;
  const T *embeds = nullptr;
  std::vector<float> factors;
};

template <typename T> void chunkOf(const ReferenceCall &call) {
  const int64_t heads = call["heads"], kvHeads = call["kv_heads"], D = call["D"], ring = call["ring"];
  const T *q = call.at<T>("q"), *k = call.at<T>("k"), *v = call.at<T>("v"), *kv = call.at<T>("kv");
  const int32_t *rows = call.at<int32_t>("rows"), *positions = call.at<int32_t>("positions"),
                *starts = call.at<int32_t>("starts");
  T *y = call.at<T>("y");
  const int64_t window = call.integer("window");
  const float scale = call.real("scale");
  // A token costs up to a window of keys, so single heads are shared out.
  call.math.parallelFor(call.integer("n") * heads, 4, [&](int64_t begin, int64_t end) {
    Attend attend(D);
    std::vector<float> query(D);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t t = i / heads, g = i % heads / (heads / kvHeads), row = rows[t], last = positions[t];
      if (row < 0) {
        std::fill_n(y + i * D, D, fromFloat<T>(0));
        continue;
      }
      // Head g of the key (part 0) or value (part 1) of position j.
      auto at = [&](int64_t part, int64_t j) {
        return j >= starts[row] ? (part == 0 ? k : v) + ((t - (last - j)) * kvHeads + g) * D
                                : kv + (((row * 2 + part) * kvHeads + g) * ring + j % ring) * D;
      };
      for (int64_t d = 0; d < D; ++d)
        query[d] = toFloat(q[i * D + d]);
      attend(
          query.data(), std::max<int64_t>(0, last - window), last, scale, [&](int64_t j) { return at(0, j); },
          [&](int64_t j) { return at(1, j); }, y + i * D);
    }
  });
}

void chunk(const ReferenceCall &call) {
  byType(call.params.type("T"), [&](auto zero) { chunkOf<decltype(zero)>(call); });
}

template <typename T, typename P> void stepOf(const ReferenceCall &call) {
  const int64_t heads = call["heads"], kvHeads = call["kv_heads"], D = call["D"], ring = call["ring"];
  const int64_t group = heads / kvHeads, window = std::min<int64_t>(call.integer("window"), ring - 1);
  const float mult = call.real("mult"), scale = call.real("scale");
  const int32_t *rows = call.at<int32_t>("rows"), *positions = call.at<int32_t>("positions");
  const T *qkv = call.at<T>("qkv");
  const P *table = call.at<P>("table");
  T *kv = call.at<T>("kv"), *y = call.at<T>("y");
  const Added<T> added(call);
  call.math.parallelFor(call.integer("n") * kvHeads, 1, [&](int64_t from, int64_t to) {
    Attend attend(D);
    std::vector<float> head(D);
    for (int64_t i = from; i < to; ++i) {
      const int64_t t = i / kvHeads, g = i % kvHeads, p = positions[t];
      T *out = y + (t * heads + g * group) * D;
      if (rows[t] < 0) {
        std::fill_n(out, group * D, fromFloat<T>(0));
        continue;
      }
      const T *x = qkv + t * (heads + 2 * kvHeads) * D;
      const P *angles = table + p * D;
      T *keys = kv + (rows[t] * 2 * kvHeads + g) * ring * D, *values = keys + kvHeads * ring * D;
      place(x + (heads + g) * D, angles, D, mult, head);
      for (int64_t d = 0; d < D; ++d) {
        keys[p % ring * D + d] = fromFloat<T>(head[d]);
        values[p % ring * D + d] = fromFloat<T>(toFloat(x[(heads + kvHeads + g) * D + d]) + added(t, g, d));
      }
      for (int64_t h = 0; h < group; ++h) {
        place(x + (g * group + h) * D, angles, D, mult, head);
        attend(
            head.data(), std::max<int64_t>(0, p - window), p, scale, [&](int64_t j) { return keys + j % ring * D; },
            [&](int64_t j) { return values + j % ring * D; }, out + h * D);
      }
    }
  });
}

template <typename T, typename P> void prepareOf(const ReferenceCall &call) {
  const int64_t heads = call["heads"], kvHeads = call["kv_heads"], D = call["D"];
  const float mult = call.real("mult");
  const int32_t *positions = call.at<int32_t>("positions");
  const T *qkv = call.at<T>("qkv");
  const P *table = call.at<P>("table");
  T *q = call.at<T>("q"), *k = call.at<T>("k"), *v = call.at<T>("v");
  const Added<T> added(call);
  call.math.parallelFor(call.integer("n"), grainOf((heads + 2 * kvHeads) * D), [&](int64_t begin, int64_t end) {
    std::vector<float> rotated(D);
    for (int64_t t = begin; t < end; ++t) {
      const T *x = qkv + t * (heads + 2 * kvHeads) * D;
      for (int64_t head = 0; head < heads + kvHeads; ++head) {
        T *to = head < heads ? q + (t * heads + head) * D : k + (t * kvHeads + head - heads) * D;
        place(x + head * D, table + positions[t] * D, D, mult, rotated);
        for (int64_t d = 0; d < D; ++d)
          to[d] = fromFloat<T>(rotated[d]);
      }
      const T *values = x + (heads + kvHeads) * D;
      for (int64_t i = 0; i < kvHeads * D; ++i)
        v[t * kvHeads * D + i] = fromFloat<T>(toFloat(values[i]) + added(t, i / D, i % D));
    }
  });
}

/// f(zero of T, zero of P)
template <typename F> void byTypes(const ReferenceCall &call, F f) {
  byType(call.params.type("T"), [&](auto t) { byType(call.params.type("P"), [&](auto p) { f(t, p); }); });
}
void step(const ReferenceCall &call) {
  byTypes(call, [&](auto t, auto p) { stepOf<decltype(t), decltype(p)>(call); });
}
void prepare(const ReferenceCall &call) {
  byTypes(call, [&](auto t, auto p) { prepareOf<decltype(t), decltype(p)>(call); });
}

void kvWrite(const ReferenceCall &call) {
  const int64_t heads = call["kv_heads"], D = call["D"], ring = call["ring"];
  const int32_t *rows = call.at<int32_t>("rows"), *positions = call.at<int32_t>("positions"),
                *ends = call.at<int32_t>("ends");
  byType(call.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *k = call.at<T>("k"), *v = call.at<T>("v");
    T *kv = call.at<T>("kv");
    call.math.parallelFor(call.integer("n"), grainOf(heads * D), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        if (rows[t] < 0 || positions[t] < ends[rows[t]] - ring)
          continue;
        for (int64_t g = 0; g < heads; ++g) {
          T *keys = kv + ((rows[t] * 2 * heads + g) * ring + positions[t] % ring) * D;
          std::copy_n(k + (t * heads + g) * D, D, keys);
          std::copy_n(v + (t * heads + g) * D, D, keys + heads * ring * D);
        }
      }
    });
  });
}

} // namespace

Reference reference_attention(std::string_view meaning) {
  return meaning == "attention_chunk"                                      ? chunk
         : meaning == "attention_step" || meaning == "attention_step_gate" ? step
         : meaning == "prepare_qkv" || meaning == "prepare_qkv_gate"       ? prepare
         : meaning == "kv_write"                                           ? kvWrite
                                                                           : nullptr;
}

} // namespace kernels
