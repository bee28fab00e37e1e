// What the operations on rows compute, on the CPU.
#include "kernels_templates/base/reference.h"

namespace kernels {

/// run(zero of T), where T is the call's element type.
template <typename Run> static void ofType(const ReferenceCall &call, Run run) { byType(call.params.type("T"), run); }

/// y[i] = table[index[i]] for n rows of `width` elements; a negative index gives zeros.
template <typename T>
static void gatherRows(HostMath &math, const int32_t *index, const T *table, T *y, int64_t n, int64_t width) {
  math.parallelFor(n, grainOf(width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (index[i] < 0)
        std::fill_n(y + i * width, width, fromFloat<T>(0));
      else
        std::copy_n(table + index[i] * width, width, y + i * width);
    }
  });
}

static void embed(const ReferenceCall &call) {
  ofType(call, [&](auto zero) {
    using T = decltype(zero);
    gatherRows(call.math, call.at<int32_t>("tokens"), call.at<T>("table"), call.at<T>("y"), call.integer("n"),
               call["C"]);
  });
}

static void last(const ReferenceCall &call) {
  ofType(call, [&](auto zero) {
    using T = decltype(zero);
    gatherRows(call.math, call.at<int32_t>("index"), call.at<T>("x"), call.at<T>("y"), call.integer("r"), call["C"]);
  });
}

/// put(i, value) for element i of rms_norm(table[tokens]).
template <typename T, typename Put> static void embedNorm(const ReferenceCall &call, Put put) {
  const int64_t C = call["C"];
  const int32_t *tokens = call.at<int32_t>("tokens");
  const T *table = call.at<T>("table");
  call.math.parallelFor(call.integer("n"), grainOf(C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T *row = tokens[t] < 0 ? nullptr : table + tokens[t] * C;
      const float factor = row ? normFactor(row, C) : 0;
      for (int64_t i = 0; i < C; ++i)
        put(t * C + i, row ? toFloat(row[i]) * factor : 0);
    }
  });
}

/// put(i, value) for element i of the smeared embedding.
template <typename T, typename Put> static void embedSmear(const ReferenceCall &call, Put put) {
  const int64_t C = call["C"], channels = call["channels"];
  const int32_t *tokens = call.at<int32_t>("tokens"), *prev = call.at<int32_t>("prev");
  const T *table = call.at<T>("table"), *gates = call.at<T>("gate");
  const float lambda = *call.at<float>("lambda");
  call.math.parallelFor(call.integer("n"), grainOf(C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T *row = tokens[t] < 0 ? nullptr : table + tokens[t] * C;
      const T *other = prev[t] < 0 ? nullptr : table + prev[t] * C;
      const float factor = row ? normFactor(row, C) : 0;
      const float gate = sigmoid(row ? factor * dot(row, gates, channels) : 0);
      const float otherFactor = other ? lambda * gate * normFactor(other, C) : 0;
      for (int64_t i = 0; i < C; ++i)
        put(t * C + i, (row ? toFloat(row[i]) * factor : 0) + (other ? toFloat(other[i]) * otherFactor : 0));
    }
  });
}

/// `make` makes, for a type, what calls put(i, value) for every element of an embedding: values are stored, and with a
/// mix (in which the residual is still x0) the mixed ones too.
template <typename Make> static void storeEmbedding(const ReferenceCall &call, bool mixed, Make make) {
  ofType(call, [&](auto zero) {
    using T = decltype(zero);
    T *y = call.at<T>("y");
    if (!mixed)
      return make(zero, [=](int64_t i, float value) { y[i] = fromFloat<T>(value); });
    const int32_t layer = call.integer("layer");
    make(zero, [y, x0 = call.at<T>("x0"), resid = call.at<float>("resid")[layer],
                skip = call.at<float>("skip")[layer]](int64_t i, float value) {
      x0[i] = fromFloat<T>(value);
      y[i] = fromFloat<T>(resid * value + skip * value);
    });
  });
}

template <bool mixed> static void embedNorm(const ReferenceCall &call) {
  storeEmbedding(call, mixed, [&](auto zero, auto put) { embedNorm<decltype(zero)>(call, put); });
}
template <bool mixed> static void embedSmear(const ReferenceCall &call) {
  storeEmbedding(call, mixed, [&](auto zero, auto put) { embedSmear<decltype(zero)>(call, put); });
}

static void rmsNorm(const ReferenceCall &call) {
  const int64_t width = call["width"];
  ofType(call, [&](auto zero) {
    using T = decltype(zero);
    call.math.parallelFor(call.integer("n"), grainOf(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T *x = call.at<T>("x") + row * width;
        T *y = call.at<T>("y") + row * width;
        const float factor = normFactor(x, width);
        for (int64_t i = 0; i < width; ++i)
          y[i] = fromFloat<T>(toFloat(x[i]) * factor);
      }
    });
  });
}

static void smear(const ReferenceCall &call) {
  const int64_t width = call["C"], channels = call["channels"];
  const float lambda = *call.at<float>("lambda");
  ofType(call, [&](auto zero) {
    using T = decltype(zero);
    const T *gate = call.at<T>("gate");
    call.math.parallelFor(call.integer("n"), grainOf(width), [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token) {
        const T *u = call.at<T>("u") + token * width, *prev = call.at<T>("prev") + token * width;
        T *y = call.at<T>("y") + token * width;
        const float factor = lambda * sigmoid(dot(u, gate, channels));
        for (int64_t i = 0; i < width; ++i)
          y[i] = fromFloat<T>(toFloat(u[i]) + factor * toFloat(prev[i]));
      }
    });
  });
}

static void valueGate(const ReferenceCall &call) {
  const int64_t heads = call["heads"], D = call["D"], C = call["C"], channels = call["channels"];
  const float range = call.real("range");
  const int32_t *tokens = call.at<int32_t>("tokens");
  ofType(call, [&](auto zero) {
    using T = decltype(zero);
    const T *v = call.at<T>("v"), *h = call.at<T>("h"), *table = call.at<T>("table"), *gate = call.at<T>("gate");
    T *y = call.at<T>("y");
    call.math.parallelFor(call.integer("n"), grainOf(heads * D), [&](int64_t begin, int64_t end) {
      for (int64_t head = begin * heads; head < end * heads; ++head) {
        const int64_t t = head / heads, g = head % heads;
        if (tokens[t] < 0) {
          std::copy_n(v + head * D, D, y + head * D);
          continue;
        }
        const T *e = table + (tokens[t] * heads + g) * D;
        const float factor = range * sigmoid(dot(h + t * C, gate + g * channels, channels));
        for (int64_t i = 0; i < D; ++i)
          y[head * D + i] = fromFloat<T>(toFloat(v[head * D + i]) + factor * toFloat(e[i]));
      }
    });
  });
}

template <typename T, typename P> static void rope(const ReferenceCall &call, T, P) {
  const int64_t heads = call["heads"], D = call["D"], half = D / 2;
  const int32_t *positions = call.at<int32_t>("positions");
  const T *x = call.at<T>("x");
  const P *table = call.at<P>("table");
  T *to = call.at<T>("y");
  call.math.parallelFor(call.integer("n"), grainOf(heads * D), [&](int64_t begin, int64_t end) {
    for (int64_t head = begin * heads; head < end * heads; ++head) {
      const P *c = table + positions[head / heads] * D, *s = c + half;
      const T *a = x + head * D, *b = a + half;
      T *y = to + head * D;
      for (int64_t i = 0; i < half; ++i) {
        y[i] = fromFloat<T>(toFloat(a[i]) * toFloat(c[i]) + toFloat(b[i]) * toFloat(s[i]));
        y[half + i] = fromFloat<T>(toFloat(b[i]) * toFloat(c[i]) - toFloat(a[i]) * toFloat(s[i]));
      }
    }
  });
}

static void rope(const ReferenceCall &call) {
  ofType(call, [&](auto t) { byType(call.params.type("P"), [&](auto p) { rope(call, t, p); }); });
}

/// y[i] = f(i) for every element, where f is what `make` makes for the type.
template <typename Make> static void pointwise(const ReferenceCall &call, Make make) {
  ofType(call,
         [&](auto zero) { mapElements(call.math, call.integer("count"), call.at<decltype(zero)>("y"), make(zero)); });
}

static void scale(const ReferenceCall &call) {
  pointwise(call, [&](auto zero) {
    return
        [x = call.at<decltype(zero)>("x"), factor = call.real("factor")](int64_t i) { return factor * toFloat(x[i]); };
  });
}

static void add(const ReferenceCall &call) {
  pointwise(call, [&](auto zero) {
    using T = decltype(zero);
    return [a = call.at<T>("a"), b = call.at<T>("b")](int64_t i) { return toFloat(a[i]) + toFloat(b[i]); };
  });
}

static void relu2(const ReferenceCall &call) {
  pointwise(call, [&](auto zero) {
    return [x = call.at<decltype(zero)>("x")](int64_t i) {
      const float a = toFloat(x[i]);
      return a < 0 ? 0 : a * a; // NaN stays NaN
    };
  });
}

static void mix(const ReferenceCall &call) {
  const int32_t layer = call.integer("layer");
  pointwise(call, [&](auto zero) {
    using T = decltype(zero);
    return [x = call.at<T>("x"), x0 = call.at<T>("x0"), resid = call.at<float>("resid")[layer],
            skip = call.at<float>("skip")[layer]](int64_t i) { return resid * toFloat(x[i]) + skip * toFloat(x0[i]); };
  });
}

static void backout(const ReferenceCall &call) {
  pointwise(call, [&](auto zero) {
    using T = decltype(zero);
    return [x = call.at<T>("x"), mid = call.at<T>("mid"), lambda = *call.at<float>("lambda")](int64_t i) {
      return toFloat(x[i]) - lambda * toFloat(mid[i]);
    };
  });
}

static void softcap(const ReferenceCall &call) {
  const int64_t V = call["V"], Vp = call["Vp"];
  const float cap = call.real("cap");
  call.math.parallelFor(call.integer("n"), grainOf(V), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float *z = call.at<float>("z") + row * Vp;
      float *y = call.at<float>("y") + row * V;
      for (int64_t i = 0; i < V; ++i)
        y[i] = cap == 0 ? z[i] : cap * std::tanh(z[i] / cap);
    }
  });
}

static void nll(const ReferenceCall &call) {
  const int64_t V = call["V"];
  const int32_t *targets = call.at<int32_t>("targets");
  float *y = call.at<float>("y");
  call.math.parallelFor(call.integer("n"), grainOf(V), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      y[row] = 0;
      if (targets[row] < 0)
        continue;
      const float *logits = call.at<float>("logits") + row * V;
      const float top = *std::max_element(logits, logits + V);
      double sum = 0; // tens of thousands of f32 additions in a row would cost three digits
      for (int64_t i = 0; i < V; ++i)
        sum += std::exp(logits[i] - top);
      y[row] = static_cast<float>(std::log(sum)) + (top - logits[targets[row]]);
    }
  });
}

Reference reference_rows(std::string_view meaning) {
  constexpr std::pair<std::string_view, Reference> references[] = {
      {"embed", embed},
      {"embed_norm", embedNorm<false>},
      {"embed_norm_mix", embedNorm<true>},
      {"embed_smear", embedSmear<false>},
      {"embed_smear_mix", embedSmear<true>},
      {"rms_norm", rmsNorm},
      {"smear", smear},
      {"value_gate", valueGate},
      {"rope", rope},
      {"scale", scale},
      {"add", add},
      {"relu2", relu2},
      {"mix", mix},
      {"backout", backout},
      {"last", last},
      {"softcap", softcap},
      {"nll", nll},
  };
  for (const auto &[name, reference] : references)
    if (name == meaning)
      return reference;
  return nullptr;
}

} // namespace kernels
