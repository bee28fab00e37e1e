// For headers that host and device both include: layouts of shared memory and spreadings of work, each formula once.
#pragma once

#ifdef __CUDACC__
#define BOTH __host__ __device__
#else
#define BOTH
#endif

BOTH constexpr long long ceilOf(long long a, long long b) { return (a + b - 1) / b; }
BOTH constexpr long long leastOf(long long a, long long b) { return a < b ? a : b; }
BOTH constexpr long long mostOf(long long a, long long b) { return a > b ? a : b; }
