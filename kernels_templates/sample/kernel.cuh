// sample<V, Vp>: one token for each row of z f32 [r, Vp], from the first V columns (common/sample.cuh); index -1 gives
// -1. Counters [r] are zero before and after. Memory: the logits once, in 16-byte loads.
template <int V, int Vp>
__device__ void sample(const float *z, const int *index, const int *steps, const unsigned *sampling, unsigned *counters,
                       float *partials, int *next, float cap, int r) {
  sampleRows<V, Vp>(z, index, steps, sampling, counters, partials, next, cap, r);
}
