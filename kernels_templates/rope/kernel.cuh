// rope<T, P, heads, D>: rotates the halves a, b of each head by the token's position: y = [a c + b s, -a s + b c] with
// c = table[position][0:D/2] and s = table[position][D/2:D]; table [positions, D] of type P.
// Memory: a thread per vector of both halves, each element once; the table comes from L1. Reductions: none.
template <typename T, typename P, int heads, int D>
__device__ void rope(const T *x, const P *table, const int *positions, T *y, int n) {
  constexpr int half = D / 2;
  constexpr int lanes = least(vectorOf<T>(half), vectorOf<P>(half));
  constexpr int vectors = half / lanes;
  const long long head = threadIndex() / vectors; // of all tokens
  const int i = static_cast<int>(threadIndex() % vectors) * lanes;
  if (head >= static_cast<long long>(n) * heads)
    return;
  const P *angles = table + static_cast<long long>(positions[head / heads]) * D;
  float a[lanes], b[lanes], c[lanes], s[lanes];
  load(x + head * D + i, a);
  load(x + head * D + half + i, b);
  load(angles + i, c);
  load(angles + half + i, s);
#pragma unroll
  for (int l = 0; l < lanes; ++l) {
    const float first = a[l] * c[l] + b[l] * s[l];
    b[l] = b[l] * c[l] - a[l] * s[l];
    a[l] = first;
  }
  store(y + head * D + i, a);
  store(y + head * D + half + i, b);
}
