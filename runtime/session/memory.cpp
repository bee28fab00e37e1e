#include "runtime/session/memory.h"

#include <algorithm>
#include <vector>

namespace nanort {

std::string MemoryNeed::text() const {
  return "constants " + std::to_string(constants) + ", kv " + std::to_string(kv) + ", state " + std::to_string(state) +
         ", arena " + std::to_string(arena) + ", workspace " + std::to_string(workspace);
}

MemoryNeed requestedBy(const schema::Program &program) {
  const schema::Memory &memory = *program.memory();
  return {memory.constants(), memory.kv(),        memory.state(),
          memory.arena(),     memory.workspace(), program.target()->string_view() == "cpu" ? 0 : contextAllowance};
}

/// Whether a request of `rows` sequences and `tokens` tokens in all can run this entry: the smallest decode entry that
/// has its rows, and prefill entries up to the smallest that holds it at once.
static std::vector<bool> entriesFor(const schema::Program &program, uint64_t rows, uint64_t tokens) {
  const auto &entries = *program.entries();
  uint64_t batch = UINT64_MAX, bucket = UINT64_MAX;
  for (const schema::Entry *entry : entries) {
    if (entry->kind() == schema::EntryKind::Decode && entry->rows() >= rows)
      batch = std::min(batch, entry->rows());
    if (entry->kind() == schema::EntryKind::Prefill && entry->tokens() >= tokens)
      bucket = std::min(bucket, entry->tokens());
  }
  std::vector<bool> serves;
  for (const schema::Entry *entry : entries)
    serves.push_back((entry->kind() == schema::EntryKind::Decode && entry->rows() <= batch) ||
                     (entry->kind() == schema::EntryKind::Prefill && entry->tokens() <= bucket));
  return serves;
}

MemoryNeed usedBy(const schema::Program &program, uint64_t rows, uint64_t positions) {
  constexpr uint64_t alignment = 256; // of buffers in a space
  MemoryNeed need = requestedBy(program);
  need.kv = need.arena = 0;
  const std::vector<bool> serves = entriesFor(program, rows, rows * positions);
  for (const schema::Buffer *buffer : *program.buffers()) {
    if (buffer->space() == schema::Space::Kv && buffer->shape()->size() == 5) {
      // [rows, 2, kv heads, ring, head size]
      const uint64_t ring = buffer->shape()->Get(3);
      const uint64_t bytes =
          buffer->bytes() / buffer->shape()->Get(0) / ring * rows * std::min<uint64_t>(ring, positions);
      need.kv += (bytes + alignment - 1) / alignment * alignment;
    } else if (buffer->space() == schema::Space::Arena && serves[buffer->entry()]) {
      need.arena = std::max(need.arena, (buffer->offset() + buffer->bytes() + alignment - 1) / alignment * alignment);
    }
  }
  return need;
}

} // namespace nanort
