// feed and advance: what leads a generation from chunk to chunk of its prompts, and from step to step.
#include "kernels_templates/base/require.h"
#include "kernels_templates/generation/generation_layout.h"

namespace kernels {

using namespace generation;

static std::string constraint(const Values &p) { return requireRange(p, "max_seq", 1, maxExtent); }

static double tolerance(const Values &) { return 0; } // integers

static LaunchShape oneBlock(int threads) {
  return blockEach(1, static_cast<uint32_t>(threads), static_cast<uint32_t>(GenerationLayout(threads).sharedBytes));
}
static LaunchShape feedShape(const Values &) { return oneBlock(GenerationLayout::feedThreads); }
static LaunchShape advanceShape(const Values &) { return oneBlock(GenerationLayout::advanceThreads); }

static Cost feedCost(const Values &v) {
  return {4 * (6 * v.count("slots") + 8 * v.count("chunk_rows") + 14 * v.count("batch") + maxStopIds), 0};
}
static Cost advanceCost(const Values &v) { return {4 * (18 * v.count("batch") + maxStopIds), 0}; }

/// Rows that a generation can have: feed has those of a chunk, too.
static uint64_t rowsOf(const Values &v) {
  return v.find("chunk_rows") ? std::min(v.count("chunk_rows"), v.count("batch")) : v.count("batch");
}
static uint64_t prompts(const Values &v, const Limits &) { return elementCount(rowsOf(v), v.count("max_seq")); }
static uint64_t requests(const Values &v, const Limits &) { return requestWords(rowsOf(v)); }
static uint64_t progresses(const Values &v, const Limits &) { return progressWords(rowsOf(v)); }
static uint64_t flags(const Values &, const Limits &) { return goWords; }
static uint64_t rings(const Values &v, const Limits &) { return ringWords(rowsOf(v), v.count("max_seq")); }

static Arg requestArg() {
  return {.name = "request", .access = Access::In, .role = Role::Request, .type = "i32", .elements = requests};
}
static Arg nextArg(std::string_view rows) {
  return {.name = "next", .access = Access::In, .role = Role::Next, .type = "i32", .shape = rows};
}
static Arg progressArg() {
  return {.name = "progress", .access = Access::InOut, .role = Role::Progress, .type = "i32", .elements = progresses};
}
static Arg goArg(Access access) {
  return {.name = "go", .access = access, .role = Role::Go, .type = "u32", .elements = flags};
}
static Arg ringArg() {
  return {.name = "ring", .access = Access::InOut, .role = Role::TokenRing, .type = "i32", .elements = rings};
}
static Arg prefillInput(std::string_view name, std::string_view shape) {
  return {.name = name, .access = Access::Out, .role = Role::PrefillInput, .type = "i32", .shape = shape, .of = name};
}
static Arg decodeInput(std::string_view name, std::string_view of) {
  return {.name = name, .access = Access::InOut, .role = Role::DecodeInput, .type = "i32", .shape = "batch", .of = of};
}
static Arg condition(std::string_view name) { return {.name = name, .access = Access::Condition}; }

static std::vector<Arg> feedArgs() {
  return {{.name = "prompt", .access = Access::In, .role = Role::Prompt, .type = "i32", .elements = prompts},
          requestArg(),
          nextArg("chunk_rows"),
          progressArg(),
          goArg(Access::Out),
          ringArg(),
          prefillInput("tokens", "slots"),
          prefillInput("prev", "slots"),
          prefillInput("rows", "slots"),
          prefillInput("positions", "slots"),
          prefillInput("starts", "chunk_rows"),
          prefillInput("ends", "chunk_rows"),
          prefillInput("last", "chunk_rows"),
          prefillInput("steps", "chunk_rows"),
          decodeInput("step_tokens", "tokens"),
          decodeInput("step_prev", "prev"),
          decodeInput("step_rows", "rows"),
          decodeInput("step_positions", "positions"),
          decodeInput("step_starts", "starts"),
          decodeInput("step_ends", "ends"),
          decodeInput("step_last", "last"),
          decodeInput("step_steps", "steps"),
          integer("slots"),
          integer("chunk_rows"),
          integer("batch"),
          integer("accept"),
          condition("more"),
          condition("active")};
}

static std::vector<Arg> advanceArgs() {
  std::vector<Arg> args = {requestArg(), nextArg("batch"), progressArg(), goArg(Access::InOut), ringArg()};
  for (std::string_view name : {"tokens", "prev", "rows", "positions", "starts", "ends", "last", "steps"})
    args.push_back(decodeInput(name, name));
  args.push_back(integer("batch"));
  args.push_back(condition("active"));
  return args;
}

void add_generation(Catalogue &catalogue) {
  static const Engine feed = {.name = "simt", .header = "generation/feed.cuh", .body = "feed", .shape = feedShape};
  static const Engine advance = {.name = "simt",
                                 .header = "generation/advance.cuh",
                                 .body = "advance",
                                 .shape = advanceShape,
                                 .waitsItself = true};
  catalogue.add({.name = "feed",
                 .params = {{"max_seq"}},
                 .args = feedArgs(),
                 .constraint = constraint,
                 .cost = feedCost,
                 .tolerance = tolerance},
                {&feed});
  catalogue.add({.name = "advance",
                 .params = {{"max_seq"}},
                 .args = advanceArgs(),
                 .constraint = constraint,
                 .cost = advanceCost,
                 .tolerance = tolerance},
                {&advance});
}

} // namespace kernels
