// Attention: what its meanings and engines share, and what the compiler asks before it fuses or allocates.
#pragma once

#include "kernels_templates/base/predict.h"
#include "kernels_templates/base/require.h"

namespace kernels {

extern const Engine chunkSimt, chunkMma, chunkWgmma;
extern const Engine stepCluster, stepSpread;

void addChunk(Catalogue &), addStep(Catalogue &), addPrepare(Catalogue &), addKvWrite(Catalogue &);

/// Query heads share those of keys and values.
std::string requireHeads(const Values &params);
/// The same, by eight at most, for the engines of attention_step.
std::string requireGroup(const Values &params);

/// A ring of keys and values: kv [rows, 2, kv_heads, ring, D].
Arg ringArg(Access access);

/// Why attention_step's general engine, `cluster`, serves these parameters of the meaning with no number of blocks;
/// empty if it does. P, the table's type, may be missing: it decides nothing.
std::string stepRefusal(const Values &params);

/// Whether the engine wgmma takes such heads, on a target that has it.
bool chunkWgmmaServes(const Values &params);

/// Below so many tokens a tile of queries would be mostly empty: the engine simt alone is worth a thought.
constexpr int64_t leastChunk = 64;
/// Microseconds of one prompt by tiles of queries and keys (parameters tile_q and tile_k): later tiles of queries see
/// more keys. The SMs share all steps evenly, as far as there are blocks for them, but no block is shorter than its
/// own.
double chunkTilesUs(const LaunchToPredict &launch);

/// Floats of the argument `partials` of attention_step's engine `spread` for a head of a row, of all chunks.
uint64_t spreadPartialFloats(const Values &params);

// The value gate, of the meanings with one: parameters C and channels, arguments x, tokens, embeds, gate and range.
void addGate(Meaning &meaning);
bool hasGate(const Values &params);
std::string requireGate(const Values &params);
/// On top; `norms` norms of each row of x.
Cost gateCost(const Values &launch, uint64_t norms);
double gateTolerance(const Values &params);

} // namespace kernels
