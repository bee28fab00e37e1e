// The semantic check of generate entries: what feed and advance write, others use as indices.
#include "tests/unit/plan_rule.h"

using namespace nanort;
using namespace nanort::test;

namespace {

Json &entry(Json &plan, const std::string &name = "generate_4_2") {
  for (Json &e : program(plan)["entries"])
    if (e["name"] == name)
      return e;
  throw std::out_of_range(name);
}
Json &loop(Json &plan, size_t i) { return entry(plan)["loops"][i]; }
Json &feed(Json &plan) { return entry(plan)["nodes"][0]; }
Json &tail(Json &plan, size_t i) { return loop(plan, i)["nodes"][0]; }
/// Argument of a launch of feed (prompt, request, next, progress, go, ring, ...) or advance (the same from request on).
Json &argument(Json &node, size_t i) { return node["work"]["args"][i]; }

const Rule rules[] = {
    {"LoopsElsewhere", "only a generate entry has loops",
     [](Json &p) { entry(p, "decode_2")["loops"] = entry(p)["loops"]; }},
    {"OneLoop", "a loop over a prefill entry and one over", [](Json &p) { entry(p)["loops"].erase(1); }},
    {"LoopEntry", "does not repeat a decode entry", [](Json &p) { loop(p, 1)["entry"] = 0; }},
    {"LoopWithoutFeed", "nodes of its own", [](Json &p) { loop(p, 0)["nodes"] = Json::array(); }},
    {"LoopNoEntry", "does not repeat a prefill entry", [](Json &p) { loop(p, 0)["entry"] = 99; }},
    {"LoopWord", "its own word", [](Json &p) { loop(p, 1)["word"] = 0; }},
    {"LoopGo", "no u32 state", [](Json &p) { loop(p, 0)["go"] = loop(p, 1)["go"] = indexOf(p, "progress"); }},
    {"LoopGoMissing", "its own word", [](Json &p) { loop(p, 0)["go"] = 999; }},
    {"Tokens", "not those of the entries", [](Json &p) { entry(p)["tokens"] = 5; }},
    {"NoPrompt", "no input 'prompt'",
     [](Json &p) {
       for (size_t i = 0; i < entry(p)["inputs"].size(); ++i)
         if (entry(p)["inputs"][i]["name"] == "prompt")
           entry(p)["inputs"].erase(i);
     }},
    {"NoRing", "no output 'ring'", [](Json &p) { entry(p)["outputs"] = Json::array(); }},
    {"RingSpace", "not in the mapped space",
     [](Json &p) {
       buffer(p, "ring")["space"] = "State";
       buffer(p, "ring")["offset"] = program(p)["memory"]["state"];
       program(p)["memory"]["state"] = program(p)["memory"]["state"].get<uint64_t>() + 1024;
     }},
    {"RingOfAStep", "knows no such name",
     [](Json &p) {
       entry(p, "decode_2")["outputs"].push_back({{"name", "ring"}, {"buffer", indexOf(p, "ring")}});
     }},
    {"Driver", "minimum driver", [](Json &p) { program(p)["min_driver"] = 12030; }},
    {"MeaningOutside", "feed and advance", [](Json &p) { entry(p, "decode_2")["nodes"][0] = tail(p, 1); }},
    {"MeaningInside", "feed and advance",
     [](Json &p) { entry(p)["nodes"].push_back(entry(p, "prefill_4")["nodes"][0]); }},
    {"AdvanceFirst", "not what this argument needs", [](Json &p) { entry(p)["nodes"][0] = tail(p, 1); }},
    {"FeedAccepts", "scalar accept is 1, not 0", [](Json &p) { argument(feed(p), 25)["i32"] = 1; }},
    {"FeedSlots", "scalar slots is 3, not 4", [](Json &p) { argument(tail(p, 0), 22)["i32"] = 3; }},
    {"AdvanceBatch", "scalar batch is 1, not 2", [](Json &p) { argument(tail(p, 1), 13)["i32"] = 1; }},
    {"AdvanceCondition", "scalar active is 0, not 1", [](Json &p) { argument(tail(p, 1), 14)["loop"] = 0; }},
    {"ConditionKind", "another kind",
     [](Json &p) {
       argument(tail(p, 1), 14) = {{"kind", "I32"}, {"i32", 1}};
     }},
    {"Positions", "", [](Json &p) { p["model"]["max_seq"] = 11; }},
    {"FeedTokens", "not what this argument needs",
     [](Json &p) { std::swap(argument(feed(p), 6), argument(feed(p), 7)); }},
    {"FeedStepTokens", "not what this argument needs",
     [](Json &p) { argument(tail(p, 0), 14)["buffer"] = indexOf(p, "decode_1.tokens"); }},
    {"AdvanceNext", "", [](Json &p) { argument(tail(p, 1), 1)["buffer"] = indexOf(p, "prefill_4.next"); }},
    {"AdvanceProgress", "state of the device alone",
     [](Json &p) { argument(tail(p, 1), 2)["buffer"] = indexOf(p, "prompt"); }},
    {"AdvanceGo", "not what this argument needs",
     [](Json &p) { argument(tail(p, 1), 3)["buffer"] = indexOf(p, "sampling"); }},
    {"RequestShort", "fewer than",
     [](Json &p) {
       buffer(p, "request")["shape"] = {70};
       buffer(p, "request")["bytes"] = 280;
     }},
    {"ProgressShort", "touches",
     [](Json &p) {
       buffer(p, "progress")["shape"] = {4};
       buffer(p, "progress")["bytes"] = 16;
     }},
    {"RingShort", "fewer than",
     [](Json &p) {
       buffer(p, "ring")["shape"] = {16};
       buffer(p, "ring")["bytes"] = 64;
     }},
    {"TailEdge", "not an earlier one", [](Json &p) { tail(p, 0)["edges"][0]["from"] = 1000; }},
    {"TailGrid", "not those of feed by simt", [](Json &p) { tail(p, 0)["work"]["grid"][0] = 2; }},
};

class GenerateRules : public testing::TestWithParam<Rule> {};

TEST_P(GenerateRules, AreEnforced) { expectEnforced(GetParam(), tinyPlan({{4, 8}, {1, 2}, 0, "sm_90a", true})); }

INSTANTIATE_TEST_SUITE_P(, GenerateRules, testing::ValuesIn(rules),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
