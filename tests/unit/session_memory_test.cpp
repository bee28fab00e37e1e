// What a request needs of a plan's memory, by hand for a plan of one layer.
#include "runtime/session/memory.h"
#include "tests/unit/tiny_plan.h"

#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

uint64_t aligned(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

TEST(MemoryNeed, RingsScaleWithRowsAndPositionsUpToTheirLength) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan({{4, 8}, {1, 2, 4}}));
  const schema::Program &program = plan->program(0);
  uint64_t position = 0; // bytes of one in one row
  for (const schema::Buffer *buffer : *program.buffers())
    if (buffer->space() == schema::Space::Kv)
      position += buffer->bytes() / 4 / tinyRing;
  ASSERT_GT(position, 0u);
  for (uint64_t rows : {1, 2, 3, 4})
    for (uint64_t positions : {1, 4, 5, 6, 12})
      EXPECT_EQ(usedBy(program, rows, positions).kv, aligned(position * rows * std::min(positions, tinyRing)));
}

TEST(MemoryNeed, TheArenaIsThatOfTheEntriesThatServeTheRequest) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan({{4, 24}, {1, 2}}));
  const schema::Program &program = plan->program(0);
  auto arenaOf = [&](const std::string &name) {
    uint64_t end = 0;
    for (const schema::Buffer *buffer : *program.buffers())
      if (buffer->space() == schema::Space::Arena && program.entries()->Get(buffer->entry())->name()->str() == name)
        end = std::max(end, buffer->offset() + buffer->bytes());
    return aligned(end);
  };
  const MemoryNeed all = requestedBy(program);
  EXPECT_EQ(usedBy(program, 1, 3).arena, std::max(arenaOf("prefill_4"), arenaOf("decode_1")));
  EXPECT_EQ(usedBy(program, 1, 5).arena, std::max({arenaOf("prefill_4"), arenaOf("prefill_24"), arenaOf("decode_1")}));
  EXPECT_EQ(usedBy(program, 2, 12).arena, std::max({arenaOf("prefill_24"), arenaOf("decode_1"), arenaOf("decode_2")}));
  EXPECT_LT(arenaOf("prefill_4"), arenaOf("prefill_24"));
  for (uint64_t rows : {1, 2}) {
    const MemoryNeed used = usedBy(program, rows, tinyPositions);
    EXPECT_EQ(used.constants, all.constants);
    EXPECT_EQ(used.state, all.state);
    EXPECT_LE(used.total(), all.total());
  }
  EXPECT_EQ(usedBy(program, 2, tinyPositions).kv, all.kv);
  EXPECT_EQ(all.allowance, 0u); // of the CPU
}

} // namespace
