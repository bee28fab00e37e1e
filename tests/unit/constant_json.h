// Constants of a plan's JSON with recipes of a test's choice.
#pragma once

#include "tests/unit/tiny_plan.h"

namespace nanort::test {

using Steps = std::vector<std::pair<std::string, Json>>; // type, fields

struct PartOf {
  std::string dtype;
  std::vector<uint64_t> shape;
  size_t tensor;
};

/// Adds a constant that no launch takes, made of the parameters of these indices; its parts are buffers "part0", ...
inline Json withConstant(Json plan, const std::vector<size_t> &sources, const Steps &steps,
                         const std::vector<PartOf> &parts) {
  Json &program = plan["programs"][0];
  Json constant = {{"sources", sources}, {"steps_type", Json::array()}, {"steps", Json::array()}};
  for (const auto &[type, fields] : steps) {
    constant["steps_type"].push_back(type);
    constant["steps"].push_back(fields);
  }
  for (const PartOf &part : parts) {
    uint64_t bytes = part.dtype == "F32" ? 4 : part.dtype == "BF16" ? 2 : 1;
    for (uint64_t extent : part.shape)
      bytes *= extent;
    Json &total = program["memory"]["constants"];
    constant["parts"].push_back({{"buffer", program["buffers"].size()}, {"tensor", part.tensor}});
    program["buffers"].push_back({{"name", "part" + std::to_string(constant["parts"].size() - 1)},
                                  {"space", "Constant"},
                                  {"dtype", part.dtype},
                                  {"shape", part.shape},
                                  {"offset", total},
                                  {"bytes", bytes}});
    total = total.get<uint64_t>() + (bytes + 255) / 256 * 256;
  }
  program["constants"].push_back(constant);
  return plan;
}

/// Gives the device another layout of the constant "wq", which launches take: transposed, and its rows padded by 8
/// zeros.
inline Json withLayout(Json plan) {
  Json &program = plan["programs"][0];
  for (Json &constant : program["constants"]) {
    Json &buffer = program["buffers"][constant["parts"][0]["buffer"].get<size_t>()];
    if (buffer["name"] != "wq")
      continue;
    const Json shape = buffer["shape"];
    constant["steps_type"] = {"PermuteStep", "PadStep"};
    constant["steps"] = {{{"tensor", 0}, {"order", {1, 0}}}, {{"tensor", 1}, {"axis", 1}, {"before", 0}, {"after", 8}}};
    constant["parts"][0]["tensor"] = 2;
    buffer["shape"] = {shape[1], shape[0].get<uint64_t>() + 8};
    buffer["bytes"] = 4 * shape[1].get<uint64_t>() * (shape[0].get<uint64_t>() + 8);
    Json &total = program["memory"]["constants"];
    buffer["offset"] = total;
    total = total.get<uint64_t>() + (buffer["bytes"].get<uint64_t>() + 255) / 256 * 256;
  }
  return plan;
}

} // namespace nanort::test
