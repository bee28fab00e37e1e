#include "tests/unit/tiny_plan.h"

#include "codegen/Registry.h"
#include "kernels_templates/common/generation.h"
#include "kernels_templates/sample/shape.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <flatbuffers/idl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <unistd.h>

namespace nanort::test {
namespace {

constexpr uint64_t C = 8, H = 2, G = 1, D = 4, V = kTinyVocab, channels = 3;

class Builder {
public:
  explicit Builder(const TinyOptions &options) : options(options) {
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
      constant(name, shape, "CastStep", {{"sources", {parameters.size() - 1}}});
    }
    constant("rope", {kTinyPositions, D}, "RopeStep",
             {{"base", 10000.0}, {"positions", kTinyPositions}, {"head_dim", D}});
    buffer("kv", "Kv", "F32", {maxRows, 2, G, kTinyRing, D});
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

    Json program = {{"target", options.target},
                    {"precision", "f32"},
                    {"buffers", buffers},
                    {"constants", constants},
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
    return {{"format_version", kPlanFormatVersion},
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
              {"sequence_len", kTinyPositions},
              {"max_seq", kTinyPositions}}},
            {"weights", "model.safetensors"},
            {"parameters", parameters},
            {"programs", Json::array({program})},
            {"report", "{\"entries\":[]}"}};
  }

private:
  struct Use {
    bool reads = false, writes = false;
  };
  const TinyOptions &options;
  uint64_t maxRows = 0, slots = 0;
  Json parameters = Json::array(), buffers = Json::array(), constants = Json::array(), kernels = Json::array(),
       entries = Json::array();
  std::map<std::string, uint64_t> totals;
  std::map<std::string, size_t> bufferIndex, kernelIndex;
  std::map<std::string, std::vector<std::map<size_t, Use>>> usesOf; // of finished entries
  // Of the entry being built:
  Json nodes;
  std::vector<std::map<size_t, Use>> uses; // of each node, by buffer
  std::string prefix;

  size_t buffer(const std::string &name, const std::string &space, const std::string &dtype,
                std::vector<uint64_t> shape) {
    uint64_t bytes = 4;
    for (uint64_t extent : shape)
      bytes *= extent;
    uint64_t &total = totals[space];
    buffers.push_back(
        {{"name", name}, {"space", space}, {"dtype", dtype}, {"shape", shape}, {"offset", total}, {"bytes", bytes}});
    if (space != "Arena")
      total += (bytes + 255) / 256 * 256;
    return bufferIndex[name] = buffers.size() - 1;
  }

  void inputBuffers(const std::string &before, uint64_t tokens, uint64_t rows) {
    for (const char *name : {"tokens", "prev", "rows", "positions", "targets"})
      buffer(before + name, "State", "I32", {tokens});
    for (const char *name : {"starts", "ends", "last", "steps", "next"})
      buffer(before + name, "State", "I32", {rows});
  }

  /// The entry's own buffer of a name, or the one that all share.
  size_t find(const std::string &name) const {
    const auto own = bufferIndex.find(prefix + name);
    return own != bufferIndex.end() ? own->second : bufferIndex.at(name);
  }

  void constant(const std::string &name, const std::vector<uint64_t> &shape, const char *step, const Json &fields) {
    const size_t index = buffer(name, "Constant", "F32", shape);
    constants.push_back({{"buffer", index}, {"steps_type", {step}}, {"steps", Json::array({fields})}});
  }

  std::string arena(const std::string &name, std::vector<uint64_t> shape) {
    const size_t index = buffer(prefix + name, "Arena", "F32", std::move(shape));
    buffers[index]["entry"] = entries.size();
    return prefix + name;
  }

  /// Arguments: a string names a buffer, an integer or a float is a scalar.
  void node(const std::string &family, const std::vector<int64_t> &params, const Json &args) {
    const auto &described = *codegen::findFamily(family);
    std::string name = family;
    Json values = Json::array();
    for (size_t i = 0; i < params.size(); ++i) {
      name += "_" + std::to_string(params[i]);
      values.push_back({{"name", std::string(described.params[i].name)}, {"value", params[i]}});
    }
    if (!kernelIndex.contains(name)) {
      kernelIndex[name] = kernels.size();
      Json kernel = {{"name", name}, {"family", family}, {"params", values}};
      if (options.target != "cpu")
        kernel["source"] = "// made for a test";
      kernels.push_back(kernel);
    }
    Json encoded = Json::array();
    std::map<size_t, Use> used;
    ::kernels::Params typed;
    std::vector<::kernels::Scalar> scalars;
    for (size_t i = 0; i < args.size(); ++i) {
      const ::kernels::ArgKind kind = described.args[i].kind;
      ::kernels::Scalar scalar = {};
      if (args[i].is_string()) {
        const size_t index = find(args[i].get<std::string>());
        encoded.push_back({{"kind", "Buffer"}, {"buffer", index}});
        used[index].reads |= kind != ::kernels::ArgKind::Out;
        used[index].writes |= kind != ::kernels::ArgKind::In;
        continue;
      }
      if (kind == ::kernels::ArgKind::Condition) {
        encoded.push_back({{"kind", "Condition"}, {"loop", args[i]}});
        scalar.i = args[i];
      } else if (kind == ::kernels::ArgKind::I32) {
        encoded.push_back({{"kind", "I32"}, {"i32", args[i]}});
        scalar.i = args[i];
      } else {
        encoded.push_back({{"kind", "F32"}, {"f32", args[i]}});
        scalar.f = args[i];
      }
      scalars.push_back(scalar);
    }
    Json out = {{"kind", "Launch"}, {"kernel", kernelIndex[name]}, {"args", encoded}, {"edges", Json::array()}};
    if (options.target != "cpu") {
      for (size_t i = 0; i < params.size(); ++i)
        typed.values.emplace_back(described.params[i].name, params[i]);
      const auto shape = described.shape(typed, scalars);
      out["grid"] = shape.grid;
      out["block"] = shape.block;
      out["shared_bytes"] = shape.sharedBytes;
    }
    nodes.push_back(out);
    uses.push_back(std::move(used));
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
    node("linear", {0, 0, k(C), k(H * D)}, {in("h"), "wq", in("q"), n});
    node("linear", {0, 0, k(C), k(G * D)}, {in("h"), "wk", in("k"), n});
    node("linear", {0, 0, k(C), k(G * D)}, {in("h"), "wv", in("v"), n});
    node("rope", {0, 0, k(H), k(D)}, {in("q"), "rope", "positions", in("qr"), n});
    node("rope", {0, 0, k(G), k(D)}, {in("k"), "rope", "positions", in("kr"), n});
    node("attention", {0, k(H), k(G), k(D), k(kTinyRing)},
         {in("qr"), in("kr"), in("v"), "kv", "rows", "positions", "starts", in("o"), kTinyWindow, 0.5, n});
    node("kv_write", {0, k(G), k(D), k(kTinyRing)}, {in("kr"), in("v"), "rows", "positions", "ends", "kv", n});
    node("linear", {0, 0, k(H * D), k(C)}, {in("o"), "wo", in("a"), n});
    node("add", {0}, {in("x"), in("a"), in("y"), n * C});
    std::vector<std::string> outputs = {"next"};
    std::vector<std::string> inputs = {"tokens", "prev", "rows", "positions", "starts", "ends"};
    if (kind == "Score") {
      outputs = {"nll", "logits"};
      inputs.push_back("targets");
      arena("n", {n, C});
      arena("z", {n, V});
      node("rms_norm", {0, k(C)}, {in("y"), in("n"), n});
      node("linear", {0, 0, k(C), k(V)}, {in("n"), "head", in("z"), n});
      node("softcap", {k(V), k(V)}, {in("z"), "logits", 15.0, n});
      node("nll", {k(V)}, {"logits", "targets", "nll", n});
    } else {
      for (const char *name : {"last", "steps", "sampling"})
        inputs.push_back(name);
      arena("l", {r, C});
      arena("n", {r, C});
      arena("z", {r, V});
      arena("partials", {r, ::kernels::sample::partialWords(V)});
      node("last", {0, k(C)}, {in("y"), "last", in("l"), r});
      node("rms_norm", {0, k(C)}, {in("l"), in("n"), r});
      node("linear", {0, 0, k(C), k(V)}, {in("n"), "head", in("z"), r});
      node("sample", {k(V), k(V)}, {in("z"), "last", "steps", "sampling", "counters", in("partials"), "next", 15.0, r});
    }
    placeArena(firstBuffer);
    formEdges(0);
    Json bound = {{"name", entryName}, {"kind", kind}, {"tokens", n}, {"rows", r}, {"nodes", nodes}};
    bind(bound, inputs, outputs);
    usesOf[entryName] = uses;
    entries.push_back(bound);
  }

  void bind(Json &bound, const std::vector<std::string> &inputs, const std::vector<std::string> &outputs) const {
    for (auto &[side, names] : {std::pair{"inputs", inputs}, std::pair{"outputs", outputs}})
      for (const std::string &name : names)
        bound[side].push_back({{"name", name}, {"buffer", find(name)}});
  }

  /// Generate entries for every pair, as plan-form-generation makes them.
  void generation() {
    namespace words = ::kernels::generation;
    prefix.clear();
    buffer("request", "State", "I32", {words::requestWords(maxRows)});
    buffer("prompt", "State", "I32", {maxRows * kTinyPositions});
    buffer("progress", "State", "I32", {words::progressWords(maxRows)});
    buffer("go", "State", "U32", {words::goWords});
    buffer("ring", "Mapped", "I32", {words::ringWords(maxRows, kTinyPositions)});
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
      node("feed", {static_cast<int64_t>(kTinyPositions)}, args);
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
      node("advance", {static_cast<int64_t>(kTinyPositions)}, args);
    }));
    bind(made, {"prompt", "request"}, {"ring"});
    entries.push_back(made);
  }

  /// First fit over lifetimes.
  void placeArena(size_t firstBuffer) {
    for (size_t b = firstBuffer; b < buffers.size(); ++b) {
      uint32_t first = UINT32_MAX, last = 0;
      for (uint32_t i = 0; i < uses.size(); ++i)
        if (uses[i].contains(b)) {
          first = std::min(first, i);
          last = i;
        }
      buffers[b]["first"] = first;
      buffers[b]["last"] = last;
      uint64_t offset = 0;
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t other = firstBuffer; other < b; ++other) {
          const Json &o = buffers[other];
          const uint64_t begin = o["offset"], end = begin + o["bytes"].get<uint64_t>();
          if (o["first"] <= last && o["last"] >= first && offset < end &&
              begin < offset + buffers[b]["bytes"].get<uint64_t>()) {
            offset = (end + 255) / 256 * 256;
            moved = true;
          }
        }
      }
      buffers[b]["offset"] = offset;
      totals["Arena"] = std::max(totals["Arena"], (offset + buffers[b]["bytes"].get<uint64_t>() + 255) / 256 * 256);
    }
  }

  bool shareBytes(size_t a, size_t b) const {
    if (a == b)
      return true;
    const Json &x = buffers[a], &y = buffers[b];
    if (x["space"] != "Arena" || y["space"] != "Arena")
      return false;
    const uint64_t p = x["offset"], q = y["offset"];
    return p < q + y["bytes"].get<uint64_t>() && q < p + x["bytes"].get<uint64_t>();
  }

  /// Every conflict with an earlier node, without those that other edges imply.
  void formEdges(size_t first) {
    std::vector<std::set<uint32_t>> before(uses.size()); // transitive
    for (uint32_t i = 0; i < first; ++i)                 // have theirs
      for (const Json &edge : nodes[i]["edges"]) {
        const uint32_t from = edge["from"];
        before[i].insert(from);
        before[i].insert(before[from].begin(), before[from].end());
      }
    for (uint32_t i = static_cast<uint32_t>(first); i < uses.size(); ++i)
      for (uint32_t j = i; j-- > 0;) {
        bool conflict = false;
        for (auto &[a, ua] : uses[i])
          for (auto &[b, ub] : uses[j])
            conflict |= (ua.writes || ub.writes) && shareBytes(a, b);
        if (!conflict || before[i].contains(j))
          continue;
        nodes[i]["edges"].push_back({{"from", j}, {"kind", "Full"}});
        before[i].insert(j);
        before[i].insert(before[j].begin(), before[j].end());
      }
  }
};

} // namespace

Json tinyPlan(const TinyOptions &options) { return Builder(options).build(); }

std::vector<uint8_t> serialize(const Json &plan, bool seal) {
  static const std::string schema = [] {
    std::ifstream in(NANO_PLAN_SCHEMA);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  flatbuffers::Parser parser;
  if (!parser.Parse(schema.c_str()) || !parser.Parse(plan.dump().c_str()))
    throw std::runtime_error("plan JSON: " + parser.error_);
  const uint8_t *data = parser.builder_.GetBufferPointer();
  std::vector<uint8_t> bytes(data, data + parser.builder_.GetSize());
  if (seal)
    sealPlan(bytes);
  return bytes;
}

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "nanort_test_XXXXXX").string();
  if (!mkdtemp(name.data()))
    throw std::runtime_error("no temporary folder");
  path = name;
}
TempDir::~TempDir() { std::filesystem::remove_all(path); }

void writeFile(const std::filesystem::path &path, const std::vector<uint8_t> &bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::shared_ptr<const Plan> openPlan(const TempDir &dir, const Json &plan) {
  static int count = 0; // a file of its own: an earlier plan of the test may still be mapped
  const std::filesystem::path path = dir / (std::to_string(++count) + "plan.fb");
  writeFile(path, serialize(plan));
  return Plan::open(path);
}

std::vector<size_t> nodesOf(const Json &program, size_t entry, const std::string &family) {
  std::vector<size_t> result;
  const Json &nodes = program["entries"][entry]["nodes"];
  for (size_t i = 0; i < nodes.size(); ++i)
    if (program["kernels"][nodes[i]["kernel"].get<size_t>()]["family"] == family)
      result.push_back(i);
  return result;
}

Thrown thrownBy(const std::function<void()> &body) {
  try {
    body();
  } catch (const Error &error) {
    return {static_cast<int>(error.code), error.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

} // namespace nanort::test
