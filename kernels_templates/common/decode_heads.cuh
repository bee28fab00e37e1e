// Where decode attention has its heads from: q of a group of query heads, and its k and v, which only the block with
// the newest position needs. Items of a group are its queries, then its key, then its value.

template <int heads, int kv_heads> __device__ inline int decodeHeadOf(int kvHead, int item) {
  constexpr int group = heads / kv_heads;
  return item < group ? kvHead * group + item : heads + kvHead + (item - group) * kv_heads;
}

// As the linear layer made them: [n, heads + 2 kv_heads, D].
template <typename T, int heads, int kv_heads, int D> struct GivenHeads {
  static constexpr int threads = 128, sharedBytes = 0;
  static constexpr bool meets = false; // make() does not wait for the cluster

  const T *qkv;

  __device__ void start(unsigned char *) {}
  __device__ void make(int, int, int, int) { awaitProducers(); }
  __device__ const T *head(int t, int kvHead, int item) const {
    return qkv + (static_cast<long long>(t) * (heads + 2 * kv_heads) + decodeHeadOf<heads, kv_heads>(kvHead, item)) * D;
  }
};

// Made here: the blocks of a cluster share the rows of w [heads + 2 kv_heads, D, C] that are the group's, in order, and
// multiply them with the token's x [C] as gemv does (common/gemv.cuh). Their sums go to who needs them in f32.
template <int heads, int kv_heads, int D, int cluster, int C, int stages, bool norm> struct MadeHeads {
  static constexpr int group = heads / kv_heads, outputs = (group + 2) * D;
#if __CUDA_ARCH__ >= 900
  static constexpr int blocks = cluster;
#else
  static constexpr int blocks = 1;
#endif
  static constexpr int mine = outputs / blocks, threads = gemvConsumers + 32;
  static constexpr bool meets = true;
  using Product = Gemv<C, mine, 1, stages>;
  // Keep in step with attention_decode_qkv/shape.h.
  static constexpr int ringBytes = stages * 8 * Product::pitch, partialBytes = gemvWarps * gemvTiles * 8 * 4;
  static constexpr int sharedBytes = ringBytes + partialBytes + outputs * 4;
  static_assert(Product::width <= 8 && gemvPartials(mine, 1) <= partialBytes);

  struct Barriers {
    Barrier full[stages], empty[stages], ready; // of weights; of heads
    float squaresOf[gemvWarps][8];
  };

  const bf16 *x, *w;
  Barriers *barriers;
  Product product;
  float *values; // [group + 2, D]

  __device__ MadeHeads(const bf16 *x, const bf16 *w, Barriers *barriers) : x(x), w(w), barriers(barriers) {}

  __device__ void start(unsigned char *shared) {
    product = {shared, reinterpret_cast<float *>(shared + ringBytes), barriers->full, barriers->empty,
               barriers->squaresOf};
    values = reinterpret_cast<float *>(shared + ringBytes + partialBytes);
    if (threadIdx.x / 32 == gemvWarps)
      product.initBarriers(threadIdx.x % 32);
    if (threadIdx.x == 0)
      initBarrier(&barriers->ready, 1);
  }

  struct Sink {
    float *values;
    Barrier *ready;
    int first, newestRank;
    __device__ int fetch(int, int) const { return 0; }
    __device__ void put(int, int column, float sum, int) const {
      const int output = first + column;
      if (output >= group * D) {
        clusterStore<blocks>(values + output, newestRank, sum, ready);
        return;
      }
#pragma unroll 1
      for (int rank = 0; rank < blocks; ++rank)
        clusterStore<blocks>(values + output, rank, sum, ready);
    }
  };

  // By all warps; the ninth brings the weights.
  __device__ void make(int t, int kvHead, int rank, int newestRank) const {
    __syncthreads(); // the barriers are there
    if (threadIdx.x == 0)
      expectStores<blocks>(&barriers->ready, (group + (rank == newestRank ? 2 : 0)) * D * 4);
    const int first = rank * mine;
    if (threadIdx.x / 32 == gemvWarps) {
      product.feed(w, mine, [&](int column) {
        const int output = first + column; // tiles do not cross heads
        return decodeHeadOf<heads, kv_heads>(kvHead, output / D) * D + output % D;
      });
      clusterWait<blocks>();
    } else {
      clusterWait<blocks>(); // the others' barriers are there
      awaitProducers();
      product.template multiply<norm>(x + static_cast<long long>(t) * C, mine,
                                      Sink{values, &barriers->ready, first, newestRank});
    }
    awaitStores<blocks>(&barriers->ready);
  }
  __device__ const float *head(int, int, int item) const { return values + item * D; }
};
