// Sequences over an executor's entries: what is in the cache, which entry serves a call, and its inputs.
#pragma once

#include "runtime/executor/executor.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace nanort {

/// How the next token is chosen. Counter-based: the same seed, row and step give the same token on every device.
struct Sampling {
  float temperature = 0; // 0: the most likely token
  int32_t topK = 0;      // 0 or less: all tokens
  uint64_t seed = 42;
};

/// Independent sequences ("rows") that share a batch. Row r is slot r of the decode entries. Token ids must be in
/// [0, vocab) and a row holds at most positions() of them: Exit::Input otherwise.
class Session {
  friend class Generation;

public:
  /// Errors: Exit::Input if the program lacks an entry that generation needs.
  Session(std::shared_ptr<const Plan> plan, uint32_t program, std::unique_ptr<Executor> executor);

  uint32_t rows() const { return static_cast<uint32_t>(state.size()); } // how many rows fit a batch
  uint32_t positions() const { return maxSeq; }                         // tokens a row can hold
  uint32_t vocab() const { return vocabulary; }
  uint32_t length(uint32_t row) const { return state.at(row).length; } // tokens in the cache
  const Plan &plan() const { return *source; }
  Executor &executor() { return *engine; }
  bool prefersGeneration() const { return engine->prefersGeneration(); }
  const ExecutorStats &stats() const { return engine->stats(); }

  void reset();             // forgets all rows
  void reset(uint32_t row); // forgets one
  /// `rowBase` is added to row numbers in the random counter, so that groups of one request draw apart.
  void setSampling(const Sampling &sampling, uint32_t rowBase = 0);

  /// Errors: Exit::Input for an id outside the vocabulary; `thing` is what the message calls it.
  void checkIds(std::span<const int32_t> ids, std::string_view thing = "token id") const;

  struct Feed {
    uint32_t row;
    std::span<const int32_t> tokens; // not empty
  };
  /// Appends tokens to rows (each row once), packed end to end into prefill entries. Returns one sampled token a feed:
  /// it is not yet part of the row.
  std::vector<int32_t> prefill(std::span<const Feed> feeds);

  struct Token {
    uint32_t row;
    int32_t id;
  };
  /// Appends one token to each given row and returns the next sampled token of each. The caller chooses the ids, so it
  /// can force any of them.
  std::vector<int32_t> decode(std::span<const Token> tokens);

  /// Positions [first, first + nll.size()) of a scored text: nll[i] is the negative log-likelihood of the token after
  /// position first + i (0 at the text's end); logits is [nll.size(), vocab], or empty if not asked for.
  using ScoreChunk = std::function<void(size_t first, std::span<const float> nll, std::span<const float> logits)>;
  /// Scores one text from an empty cache, in chunks of the score entries; afterwards no row holds anything.
  void score(std::span<const int32_t> ids, bool logits, const ScoreChunk &chunk);

private:
  struct Row {
    uint32_t length = 0;
    uint32_t steps = 0;    // tokens sampled for it so far
    int32_t previous = -1; // last token in the cache
  };
  /// The inputs of one call.
  struct Inputs {
    std::vector<int32_t> tokens, prev, rows, positions, targets; // per slot
    std::vector<int32_t> starts, ends, last, steps;              // per row
  };

  Inputs blank(const schema::Entry &entry) const;
  void append(Inputs &inputs, size_t slot, uint32_t row, int32_t token);
  void run(uint32_t entry, Inputs &inputs);
  std::vector<int32_t> sampled(const schema::Entry &entry);
  void checkFeed(uint32_t row, std::span<const int32_t> tokens) const;
  /// Smallest entry of a kind with at least `tokens` slots, else the largest; Exit::Input if there is none.
  uint32_t pick(schema::EntryKind kind, uint64_t tokens) const;

  std::shared_ptr<const Plan> source;
  const schema::Program &program;
  std::unique_ptr<Executor> engine;
  uint32_t maxSeq, vocabulary;
  std::vector<Row> state;
  uint32_t samplingWords[8] = {};
  std::vector<uint32_t> byKind[4]; // entries of each kind, by tokens
};

} // namespace nanort
