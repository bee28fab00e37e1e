#include "tests/unit/tiny_plan.h"

#include "kernels_templates/generation/words.h"
#include "kernels_templates/sample/sample_layout.h"
#include "tests/unit/program_json.h"

#include <algorithm>

namespace nanort::test {
namespace {

constexpr uint64_t C = 8, H = 2, G = 1, D = 4, V = tinyVocab, channels = 3;

class TinyPlan : ProgramJson {
public:
  explicit TinyPlan(const TinyOptions &options) : ProgramJson(options.target), options(options) {
    maxRows = *std::max_element(options.decode.begin(), options.decode.end());
    slots = std::max(options.score, maxRows);
    for (uint64_t tokens : options.prefill)
      slots = std::max(slots, tokens);
  }

  Json build() {
    for (auto &[name, shape] : std::map<std::string, std::vector<uint64_t>>{{"wte", {V, C}},
                                                                            {"wq", {H * D, C}},
                                                                            {"wk", {G * D, C}},
                                                                            {"wv", {G * D, C}},
                                                                            {"wo", {C, H * D}},
                                                                            {"head", {V, C}},
                                                                            {"gate", {channels}},
                                                                            {"lambda", {1}}}) {
      parameters.push_back({{"name", name}, {"shape", shape}});
      constant(name, shape, {parameters.size() - 1}, {});
    }
    constant("rope", {tinyPositions, D}, {},
             {{"RopeStep", {{"base", 10000.0}, {"positions", tinyPositions}, {"head_dim", D}}}});
    buffer("kv", "Kv", "F32", {maxRows, 2, G, tinyRing, D});
    inputBuffers("", slots, maxRows);
    buffer("sampling", "State", "U32", {8});
    buffer("counters", "State", "U32", {maxRows});
    buffer("nll", "State", "F32", {slots});
    buffer("logits", "State", "F32", {slots, V});
    for (uint64_t tokens : options.prefill)
      entry("Prefill", tokens, maxRows);
    for (uint64_t batch : options.decode)
      entry("Decode", batch, batch);
    if (options.score)
      entry("Score", options.score, maxRows);
    if (options.generate)
      generation();

    Json program = {{"target", target},
                    {"precision", "f32"},
                    {"buffers", buffers},
                    {"constants", constants},
                    {"rings", {{{"name", "layer_0"}, {"parts", {bufferIndex.at("kv")}}}}},
                    {"kernels", kernels},
                    {"entries", entries},
                    {"memory",
                     {{"constants", totals["Constant"]},
                      {"kv", totals["Kv"]},
                      {"state", totals["State"]},
                      {"arena", totals["Arena"]},
                      {"mapped", totals["Mapped"]}}}};
    if (options.generate)
      program["min_driver"] = 13000;
    return {{"format_version", planFormatVersion},
            {"schema_hash", std::vector<int>(schemaHash().begin(), schemaHash().end())},
            {"digest", std::vector<int>(32, 0)},
            {"producer", "tiny_plan"},
            {"model",
             {{"name", "tiny"},
              {"layers", 1},
              {"width", C},
              {"heads", H},
              {"kv_heads", G},
              {"head_dim", D},
              {"vocab", V},
              {"sequence_len", tinyPositions},
              {"max_seq", tinyPositions}}},
            {"weights", "model.safetensors"},
            {"parameters", parameters},
            {"programs", Json::array({program})},
            {"sources", Json::array()},
            {"report", "{\"entries\":[]}"}};
  }

private:
  const TinyOptions &options;
  uint64_t maxRows = 0, slots = 0;
  Json parameters = Json::array();
  std::map<std::string, std::vector<std::map<size_t, Use>>> usesOf; // of finished entries

  void inputBuffers(const std::string &before, uint64_t tokens, uint64_t rows) {
    for (const char *name : {"tokens", "prev", "rows", "positions", "targets"})
      buffer(before + name, "State", "I32", {tokens});
    for (const char *name : {"starts", "ends", "last", "steps", "next"})
      buffer(before + name, "State", "I32", {rows});
  }

  void entry(const std::string &kind, uint64_t n, uint64_t r) {
    nodes = Json::array();
    uses.clear();
    std::string lower = kind;
    lower[0] = static_cast<char>(std::tolower(lower[0]));
    const std::string entryName = lower + "_" + std::to_string(n);
    prefix = entryName + ".";
    if (options.generate) // feed and advance write them while others' are read
      inputBuffers(prefix, n, r);
    const size_t firstBuffer = buffers.size();
    const auto k = [](uint64_t x) { return static_cast<int64_t>(x); };
    for (const char *name : {"emb", "u", "pemb", "pu", "x", "h", "o", "a", "y"})
      arena(name, {n, C});
    for (const char *name : {"q", "qr"})
      arena(name, {n, H * D});
    for (const char *name : {"k", "kr", "v"})
      arena(name, {n, G * D});
    const auto in = [&](const char *name) { return prefix + name; };

    node("embed", {0, k(C)}, {"tokens", "wte", in("emb"), n});
    node("rms_norm", {0, k(C)}, {in("emb"), in("u"), n});
    node("embed", {0, k(C)}, {"prev", "wte", in("pemb"), n});
    node("rms_norm", {0, k(C)}, {in("pemb"), in("pu"), n});
    node("smear", {0, k(C), k(channels)}, {in("u"), in("pu"), "gate", "lambda", in("x"), n});
    node("rms_norm", {0, k(C)}, {in("x"), in("h"), n});
    node("product", {0, 0, k(C), k(H * D), 0}, {in("h"), "wq", in("q"), n});
    node("product", {0, 0, k(C), k(G * D), 0}, {in("h"), "wk", in("k"), n});
    node("product", {0, 0, k(C), k(G * D), 0}, {in("h"), "wv", in("v"), n});
    node("rope", {0, 0, k(H), k(D)}, {in("q"), "rope", "positions", in("qr"), n});
    node("rope", {0, 0, k(G), k(D)}, {in("k"), "rope", "positions", in("kr"), n});
    node("attention_chunk", {0, k(H), k(G), k(D), k(tinyRing)},
         {in("qr"), in("kr"), in("v"), "kv", "rows", "positions", "starts", in("o"), tinyWindow, 0.5, n});
    node("kv_write", {0, k(G), k(D), k(tinyRing)}, {in("kr"), in("v"), "rows", "positions", "ends", "kv", n});
    node("product", {0, 0, k(H * D), k(C), 0}, {in("o"), "wo", in("a"), n});
    node("add", {0}, {in("x"), in("a"), in("y"), n * C});
    std::vector<std::string> outputs = {"next"};
    std::vector<std::string> inputs = {"tokens", "prev", "rows", "positions", "starts", "ends"};
    if (kind == "Score") {
      outputs = {"nll", "logits"};
      inputs.push_back("targets");
      arena("n", {n, C});
      arena("z", {n, V});
      node("rms_norm", {0, k(C)}, {in("y"), in("n"), n});
      node("product", {0, 0, k(C), k(V), 0}, {in("n"), "head", in("z"), n});
      node("softcap", {k(V), k(V)}, {in("z"), "logits", 15.0, n});
      node("nll", {k(V)}, {"logits", "targets", "nll", n});
    } else {
      for (const char *name : {"last", "steps", "sampling"})
        inputs.push_back(name);
      arena("l", {r, C});
      arena("n", {r, C});
      arena("z", {r, V});
      node("last", {0, k(C)}, {in("y"), "last", in("l"), r});
      node("rms_norm", {0, k(C)}, {in("l"), in("n"), r});
      node("product", {0, 0, k(C), k(V), 0}, {in("n"), "head", in("z"), r});
      Json args = {in("z"), "last", "steps", "sampling", "next"};
      if (target != "cpu") { // what the engine has besides
        arena("partials", {r, static_cast<uint64_t>(::kernels::SampleLayout(k(V)).partialWords(k(r)))});
        args.push_back("counters");
        args.push_back(in("partials"));
      }
      args.push_back(15.0);
      args.push_back(r);
      node("sample", {k(V), k(V)}, args);
    }
    placeArena(firstBuffer);
    formEdges(0);
    Json bound = {{"name", entryName}, {"kind", kind}, {"tokens", n}, {"rows", r}, {"nodes", nodes}};
    bind(bound, inputs, outputs);
    usesOf[entryName] = uses;
    entries.push_back(bound);
  }

  /// Generate entries for every pair, as plan-form-generation makes them.
  void generation() {
    namespace words = ::kernels::generation;
    prefix.clear();
    buffer("request", "State", "I32", {words::requestWords(maxRows)});
    buffer("prompt", "State", "I32", {maxRows * tinyPositions});
    buffer("progress", "State", "I32", {words::progressWords(maxRows)});
    buffer("go", "State", "U32", {words::goWords});
    buffer("ring", "Mapped", "I32", {words::ringWords(maxRows, tinyPositions)});
    const size_t count = entries.size();
    for (size_t p = 0; p < count; ++p)
      for (size_t d = 0; d < count; ++d)
        if (entries[p]["kind"] == "Prefill" && entries[d]["kind"] == "Decode")
          generate(p, d);
  }

  void generate(size_t p, size_t d) {
    const std::string chunk = entries[p]["name"], step = entries[d]["name"];
    const uint64_t tokens = entries[p]["tokens"], rows = entries[p]["rows"], batch = entries[d]["rows"];
    auto inputs = [](Json args, const std::string &entry) {
      for (const char *name : {"tokens", "prev", "rows", "positions", "starts", "ends", "last", "steps"})
        args.push_back(entry + "." + name);
      return args;
    };
    auto feed = [&](const std::string &next, int accept) {
      Json args = inputs(inputs({"prompt", "request", next, "progress", "go", "ring"}, chunk), step);
      for (uint64_t scalar : {tokens, rows, batch, uint64_t(accept), uint64_t(0), uint64_t(1)})
        args.push_back(scalar);
      node("feed", {static_cast<int64_t>(tinyPositions)}, args);
    };
    auto loop = [&](size_t entry, const auto &add) {
      nodes = entries[entry]["nodes"];
      uses = usesOf[entries[entry]["name"]];
      const size_t first = nodes.size();
      add();
      formEdges(first);
      nodes.erase(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(first));
      return Json{{"entry", entry}, {"go", bufferIndex.at("go")}, {"word", entry == p ? 0 : 1}, {"nodes", nodes}};
    };
    nodes = Json::array();
    uses.clear();
    feed("request", 0);
    Json made = {{"name", "generate_" + std::to_string(tokens) + "_" + std::to_string(batch)},
                 {"kind", "Generate"},
                 {"tokens", tokens},
                 {"rows", std::min(rows, batch)},
                 {"nodes", nodes}};
    made["loops"].push_back(loop(p, [&] { feed(chunk + ".next", 1); }));
    made["loops"].push_back(loop(d, [&] {
      Json args = inputs({"request", step + ".next", "progress", "go", "ring"}, step);
      args.push_back(batch);
      args.push_back(1);
      node("advance", {static_cast<int64_t>(tinyPositions)}, args);
    }));
    bind(made, {"prompt", "request"}, {"ring"});
    entries.push_back(made);
  }
};

} // namespace

Json tinyPlan(const TinyOptions &options) { return TinyPlan(options).build(); }

} // namespace nanort::test
