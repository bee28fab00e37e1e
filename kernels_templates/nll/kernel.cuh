// nll<V>: y[i] = logsumexp(logits[i]) - logits[i][target], f32 [n, V]; target -1 (padding) gives 0.
// Memory: one block of 512 threads per row; the second reading of the row comes from L2. Reductions: the maximum, then
// the sum of exponentials in f32, strided over the threads, across each warp, then over the warps in order.
template <int V> __device__ void nll(const float *logits, const int *targets, float *y, int n) {
  constexpr int threads = 512;
  const int row = blockIdx.x;
  if (row >= n)
    return;
  const int target = targets[row];
  if (target < 0) {
    if (threadIdx.x == 0)
      y[row] = 0;
    return;
  }
  logits += static_cast<long long>(row) * V;
  float top = -infinity();
  for (int i = threadIdx.x; i < V; i += threads)
    top = fmaxf(top, logits[i]);
  top = blockMax<threads>(top);
  float sum = 0;
  for (int i = threadIdx.x; i < V; i += threads)
    sum += expf(logits[i] - top);
  sum = blockSum<threads>(sum);
  if (threadIdx.x == 0)
    y[row] = logf(sum) + (top - logits[target]);
}
