// The semantic check: each rule is broken alone in an otherwise sound plan with a right digest.
#include "runtime/plan/machine_code.h"
#include "tests/unit/plan_rule.h"

using namespace nanort;
using namespace nanort::test;

namespace {

Json &entry(Json &plan, size_t i = 0) { return program(plan)["entries"][i]; }
Json &node(Json &plan, const char *meaning, size_t which = 0) {
  return entry(plan)["nodes"][nodesOf(program(plan), 0, meaning).at(which)];
}
Json &kernel(Json &plan, const char *meaning) {
  return program(plan)["kernels"][node(plan, meaning)["work"]["kernel"].get<size_t>()];
}
/// A launch of a CUDA program as a library's call.
void makeLibrary(Json &node) {
  node["work_type"] = "Library";
  for (const char *field : {"grid", "block", "shared_bytes"})
    node["work"].erase(field);
}
Json &binding(Json &plan, const char *side, const std::string &name) {
  for (Json &b : entry(plan)[side])
    if (b["name"] == name)
      return b;
  throw std::out_of_range(name);
}

Json &constant(Json &plan) { return program(plan)["constants"][0]; } // "gate"
Json &ring(Json &plan) { return program(plan)["rings"][0]; }

const Rule rules[] = {
    {"Vocabulary", "vocabulary of 0", [](Json &p) { p["model"]["vocab"] = 0; }},
    {"MaxSeq", "max_seq of 0", [](Json &p) { p["model"]["max_seq"] = 0; }},
    {"WeightsPath", "path is empty", [](Json &p) { p["weights"] = ""; }},
    {"ParameterName", "name is empty", [](Json &p) { p["parameters"][0]["name"] = ""; }},
    {"ParameterOrder", "sorted", [](Json &p) { std::swap(p["parameters"][0], p["parameters"][1]); }},
    {"ParameterTwice", "sorted", [](Json &p) { p["parameters"][1]["name"] = p["parameters"][0]["name"]; }},
    {"ParameterExtent", "is 0", [](Json &p) { p["parameters"][0]["shape"][0] = 0; }},
    {"ParameterProduct", "too large",
     [](Json &p) {
       p["parameters"][0]["shape"] = {1ull << 40, 1ull << 40};
     }},
    {"NoPrograms", "there are none", [](Json &p) { p["programs"] = Json::array(); }},
    {"TargetTwice", "occurs twice", [](Json &p) { p["programs"].push_back(p["programs"][0]); }},
    {"Target", "sm_12", [](Json &p) { program(p)["target"] = "sm_12"; }},
    {"Precision", "precision", [](Json &p) { program(p)["precision"] = "f64"; }},
    {"MemoryTotal", "2^48", [](Json &p) { program(p)["memory"]["kv"] = 1ull << 60; }},
    {"BufferNameEmpty", "name is empty", [](Json &p) { buffer(p, "kv")["name"] = ""; }},
    {"BufferNameTwice", "occurs twice", [](Json &p) { buffer(p, "kv")["name"] = "next"; }},
    {"BufferSpace", "unknown space", [](Json &p) { buffer(p, "kv")["space"] = 9; }},
    {"BufferDtype", "unknown dtype", [](Json &p) { buffer(p, "kv")["dtype"] = 9; }},
    {"BufferBytes", "do not match", [](Json &p) { buffer(p, "kv")["bytes"] = 8; }},
    {"BufferNoShape", "1 to 8 extents", [](Json &p) { buffer(p, "kv")["shape"] = Json::array(); }},
    {"BufferOffset", "multiple of 256", [](Json &p) { buffer(p, "kv")["offset"] = 4; }},
    {"BufferLeaves", "leave its space", [](Json &p) { buffer(p, "kv")["offset"] = 1 << 20; }},
    {"BufferWraps", "leave its space", [](Json &p) { buffer(p, "kv")["offset"] = UINT64_MAX - 255; }},
    {"BufferEntry", "belong to an entry", [](Json &p) { buffer(p, "kv")["entry"] = 0; }},
    {"ArenaEntry", "does not exist", [](Json &p) { buffer(p, "prefill_4.x")["entry"] = 77; }},
    {"ArenaNoEntry", "does not exist", [](Json &p) { buffer(p, "prefill_4.x")["entry"] = -1; }},
    {"LifetimeOrder", "lifetime", [](Json &p) { buffer(p, "prefill_4.x")["first"] = 18; }},
    {"LifetimeEnd", "lifetime", [](Json &p) { buffer(p, "prefill_4.x")["last"] = 1000; }},
    {"LifetimeUse", "not alive", [](Json &p) { buffer(p, "prefill_4.x")["last"] = 5; }},
    {"StateOverlap", "shares bytes", [](Json &p) { buffer(p, "next")["offset"] = buffer(p, "tokens")["offset"]; }},
    {"ArenaOverlap", "shares bytes",
     [](Json &p) { buffer(p, "prefill_4.h")["offset"] = buffer(p, "prefill_4.x")["offset"]; }},
    {"ConstantNoParts", "no parts", [](Json &p) { constant(p)["parts"] = Json::array(); }},
    {"ConstantBuffer", "does not exist", [](Json &p) { constant(p)["parts"][0]["buffer"] = 999; }},
    {"ConstantSpace", "constant space", [](Json &p) { constant(p)["parts"][0]["buffer"] = indexOf(p, "kv"); }},
    {"ConstantTwice", "two recipes", [](Json &p) { constant(p)["parts"].push_back(constant(p)["parts"][0]); }},
    {"ConstantTensor", "tensor 1 does not exist", [](Json &p) { constant(p)["parts"][0]["tensor"] = 1; }},
    {"ConstantShape", "another shape than tensor 0, [3]", [](Json &p) { buffer(p, "gate")["shape"] = {1, 3}; }},
    {"ConstantSource", "does not exist", [](Json &p) { constant(p)["sources"] = {99}; }},
    {"RingName", "occurs twice", [](Json &p) { program(p)["rings"] = {ring(p), ring(p)}; }},
    {"RingNoParts", "no parts", [](Json &p) { ring(p)["parts"] = Json::array(); }},
    {"RingBuffer", "does not exist", [](Json &p) { ring(p)["parts"] = {999}; }},
    {"RingSpace", "no buffer of keys", [](Json &p) { ring(p)["parts"] = {indexOf(p, "wte")}; }},
    {"RingTwice", "a part twice", [](Json &p) { ring(p)["parts"].push_back(indexOf(p, "kv")); }},
    {"RingMissing", "no ring has this part", [](Json &p) { program(p)["rings"] = Json::array(); }},
    {"RingExtents", "those of the ring's first part",
     [](Json &p) {
       Json scales = buffer(p, "kv");
       scales["name"] = "kv.scales";
       scales["shape"][3] = 1;
       scales["bytes"] = scales["bytes"].get<uint64_t>() / tinyRing;
       scales["offset"] = 1024;
       program(p)["memory"]["kv"] = 2048;
       program(p)["buffers"].push_back(scales);
       ring(p)["parts"].push_back(indexOf(p, "kv.scales"));
     }},
    {"NoRanks", "no ranks", [](Json &p) { program(p)["ranks"] = 0; }},
    {"ConstantUnmade", "no recipe", [](Json &p) { program(p)["constants"].erase(0); }},
    {"KernelNameTwice", "occurs twice",
     [](Json &p) { program(p)["kernels"][1]["name"] = program(p)["kernels"][0]["name"]; }},
    {"KernelParamCount", "parameters, not", [](Json &p) { kernel(p, "embed")["params"].erase(0); }},
    {"KernelParamName", "no parameter 'Q'", [](Json &p) { kernel(p, "embed")["params"][1]["name"] = "Q"; }},
    {"KernelParamTwice", "parameter 'T', or it is there twice",
     [](Json &p) { kernel(p, "embed")["params"][1]["name"] = "T"; }},
    {"KernelParamValue", "has the value", [](Json &p) { kernel(p, "embed")["params"][1]["value"] = -8; }},
    {"KernelParamHuge", "has the value", [](Json &p) { kernel(p, "embed")["params"][1]["value"] = INT64_MAX; }},
    {"KernelParamType", "has the value", [](Json &p) { kernel(p, "embed")["params"][0]["value"] = 2; }},
    {"KernelConstraint", "heads", [](Json &p) { kernel(p, "attention_chunk")["params"][2]["value"] = 5; }},
    {"NoEntries", "", [](Json &p) { program(p)["entries"] = Json::array(); }},
    {"EntryNameTwice", "occurs twice", [](Json &p) { entry(p, 1)["name"] = entry(p, 0)["name"]; }},
    {"EntryKind", "unknown kind", [](Json &p) { entry(p)["kind"] = 9; }},
    {"EntryTokens", "1 or more", [](Json &p) { entry(p)["tokens"] = 0; }},
    {"EntryRows", "1 or more", [](Json &p) { entry(p)["rows"] = 1ull << 40; }},
    {"DecodeSlots", "one token slot per row", [](Json &p) { entry(p, 3)["rows"] = 1; }},
    {"NoNodes", "", [](Json &p) { entry(p)["nodes"] = Json::array(); }},
    {"BindingName", "knows no such name", [](Json &p) { binding(p, "inputs", "tokens")["name"] = "magic"; }},
    {"BindingTwice", "bound twice", [](Json &p) { entry(p)["inputs"].push_back(binding(p, "inputs", "tokens")); }},
    {"BindingBuffer", "does not exist", [](Json &p) { binding(p, "inputs", "tokens")["buffer"] = 999; }},
    {"BindingDtype", "another dtype", [](Json &p) { binding(p, "inputs", "tokens")["buffer"] = indexOf(p, "nll"); }},
    {"BindingSize", "fewer than", [](Json &p) { binding(p, "inputs", "tokens")["buffer"] = indexOf(p, "next"); }},
    {"BindingSpace", "state space",
     [](Json &p) {
       buffer(p, "tokens")["space"] = "Workspace";
       buffer(p, "tokens")["offset"] = 0;
       program(p)["memory"]["workspace"] = 1024;
     }},
    {"BindingNames", "also bound as", [](Json &p) { binding(p, "inputs", "tokens")["buffer"] = indexOf(p, "prev"); }},
    {"NodeKernel", "does not exist", [](Json &p) { node(p, "embed")["work"]["kernel"] = 99; }},
    {"ArgCount", "arguments expected", [](Json &p) { node(p, "embed")["work"]["args"].erase(0); }},
    {"ArgKind", "another kind",
     [](Json &p) {
       node(p, "embed")["work"]["args"][0] = {{"kind", "I32"}, {"i32", 1}};
     }},
    {"ArgNegative", "negative", [](Json &p) { node(p, "embed")["work"]["args"][3]["i32"] = -1; }},
    {"ArgBuffer", "does not exist", [](Json &p) { node(p, "embed")["work"]["args"][2]["buffer"] = 999; }},
    {"ArgDtype", "another dtype", [](Json &p) { node(p, "embed")["work"]["args"][2]["buffer"] = indexOf(p, "tokens"); }},
    {"ArgOtherEntry", "another entry",
     [](Json &p) { node(p, "embed")["work"]["args"][2]["buffer"] = indexOf(p, "prefill_8.emb"); }},
    {"ArgConstant", "read-only", [](Json &p) { node(p, "embed")["work"]["args"][2]["buffer"] = indexOf(p, "wte"); }},
    {"ArgIndex", "not bound to the input",
     [](Json &p) { node(p, "rope")["work"]["args"][2]["buffer"] = indexOf(p, "tokens"); }},
    {"ArgIndexOfOtherEntry", "not bound to the input",
     [](Json &p) {
       Json other = buffer(p, "rows");
       other["name"] = "rows2";
       other["offset"] = program(p)["memory"]["state"];
       program(p)["memory"]["state"] = other["offset"].get<uint64_t>() + 256;
       program(p)["buffers"].push_back(other);
       for (Json &b : entry(p, 1)["inputs"])
         if (b["name"] == "rows")
           b["buffer"] = indexOf(p, "rows2");
       node(p, "attention_chunk")["work"]["args"][4]["buffer"] = indexOf(p, "rows2");
     }},
    {"ArgWritesInput", "", [](Json &p) { node(p, "sample")["work"]["args"][4]["buffer"] = indexOf(p, "steps"); }},
    {"ArgTwice", "passed twice", [](Json &p) { node(p, "add")["work"]["args"][2]["buffer"] = indexOf(p, "prefill_4.x"); }},
    {"ExtentCount", "touches", [](Json &p) { node(p, "add")["work"]["args"][3]["i32"] = 33; }},
    {"ExtentTokens", "touches", [](Json &p) { node(p, "embed")["work"]["args"][3]["i32"] = 5; }},
    {"ExtentVocabulary", "touches", [](Json &p) { p["model"]["vocab"] = 12; }},
    {"ExtentPositions", "touches", [](Json &p) { p["model"]["max_seq"] = 13; }},
    {"ExtentRows", "", [](Json &p) { entry(p)["rows"] = 3; }},
    {"ExtentRing", "touches", [](Json &p) { kernel(p, "attention_chunk")["params"][4]["value"] = 6; }},
    {"ExtentWidth", "touches", [](Json &p) { kernel(p, "product")["params"][2]["value"] = 16; }},
    {"EdgeForward", "not an earlier", [](Json &p) { node(p, "add")["edges"][0]["from"] = 99; }},
    {"EdgeSelf", "not an earlier",
     [](Json &p) { node(p, "add")["edges"][0]["from"] = nodesOf(program(p), 0, "add")[0]; }},
    {"EdgeTwice", "same node", [](Json &p) { node(p, "add")["edges"].push_back(node(p, "add")["edges"][0]); }},
    {"EdgeKind", "unknown kind", [](Json &p) { node(p, "add")["edges"][0]["kind"] = 5; }},
    {"EdgeProgrammaticJoin", "a join needs full edges",
     [](Json &p) { node(p, "attention_chunk")["edges"][0]["kind"] = "Programmatic"; }},
    {"EdgeProgrammaticLibrary", "not two launches",
     [](Json &p) {
       node(p, "product")["work_type"] = "Library";
       node(p, "product")["edges"][0]["kind"] = "Programmatic";
     }},
    {"LibraryMeaning", "a library computes products", [](Json &p) { node(p, "add")["work_type"] = "Library"; }},
    {"LibraryNorm", "products without a norm",
     [](Json &p) {
       node(p, "product")["work_type"] = "Library";
       kernel(p, "product")["params"][4]["value"] = 1;
     }},
    {"LibraryEngine", "no engine's", [](Json &p) { makeLibrary(node(p, "product")); }, "sm_90a"},
    {"LibraryAlgorithm", "beyond the 8",
     [](Json &p) {
       node(p, "product")["work_type"] = "Library";
       node(p, "product")["work"]["version"] = "13.1.0";
       node(p, "product")["work"]["algorithm"] = 8;
     }},
    {"CodeOfAReference", "it has code, and no engine", [](Json &p) { kernel(p, "add")["source"] = "// code"; }},
    {"EngineOnTheCpu", "the references serve a cpu program", [](Json &p) { describe(kernel(p, "add"), "simt"); }},
    {"NoEngine", "no engine computes it",
     [](Json &p) {
       describe(kernel(p, "add"), "");
       kernel(p, "add").erase("source");
     },
     "sm_90a"},
    {"Include", "includes source 0, which does not exist", [](Json &p) { kernel(p, "add")["includes"] = {0}; },
     "sm_90a"},
    {"NoImage", "neither source nor machine code", [](Json &p) { kernel(p, "add").erase("source"); }, "sm_90a"},
    {"CodeNoFrame", "no single zstd frame", [](Json &p) { program(p)["code"] = {1, 2, 3}; }, "sm_90a"},
    {"CodeTwoFrames", "no single zstd frame",
     [](Json &p) {
       std::vector<uint8_t> frames = packCode(std::string_view("code"));
       frames.insert(frames.end(), 4, 0);
       program(p)["code"] = frames;
     },
     "sm_90a"},
    {"CodeTooLarge", "2^30 are the most", // the frame's header alone says how much it holds, and one block
     [](Json &p) { program(p)["code"] = {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 1, 0, 0, 0x80, 1, 0, 0}; }, "sm_90a"},
    {"CodeBeyond", "has its machine code beyond the program's 4 bytes",
     [](Json &p) {
       program(p)["code"] = packCode(std::string_view("code"));
       kernel(p, "add")["code"] = {{"offset", 3}, {"size", 2}};
     },
     "sm_90a"},
    {"CodeWithoutAny", "beyond the program's 0 bytes",
     [](Json &p) { kernel(p, "add")["code"] = {{"offset", 0}, {"size", 1}}; }, "sm_90a"},
    {"NoGrid", "3 extents", [](Json &p) { node(p, "add")["work"].erase("grid"); }, "sm_90a"},
    {"GridZero", "limits", [](Json &p) { node(p, "add")["work"]["grid"][1] = 0; }, "sm_90a"},
    {"GridY", "limits", [](Json &p) { node(p, "add")["work"]["grid"][1] = 70000; }, "sm_90a"},
    {"BlockZ", "limits", [](Json &p) { node(p, "add")["work"]["block"][2] = 65; }, "sm_90a"},
    {"BlockThreads", "1024", [](Json &p) { node(p, "add")["work"]["block"] = {1024, 2, 1}; }, "sm_90a"},
    {"Shared", "227 KiB", [](Json &p) { node(p, "add")["work"]["shared_bytes"] = 1 << 20; }, "sm_90a"},
    {"GridShape", "not those of add by simt", [](Json &p) { node(p, "add")["work"]["grid"][0] = 1000; }, "sm_90a"},
};

class PlanRules : public testing::TestWithParam<Rule> {};

TEST_P(PlanRules, AreEnforced) {
  TinyOptions options;
  options.target = GetParam().target;
  expectEnforced(GetParam(), tinyPlan(options));
}

INSTANTIATE_TEST_SUITE_P(, PlanRules, testing::ValuesIn(rules),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
