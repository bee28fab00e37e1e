#include "tests/unit/program_json.h"

#include "codegen/Description.h"
#include "kernels_templates/base/catalogue.h"

#include <algorithm>
#include <set>

namespace nanort::test {

size_t ProgramJson::buffer(const std::string &name, const std::string &space, const std::string &dtype,
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

size_t ProgramJson::find(const std::string &name) const {
  const auto own = bufferIndex.find(prefix + name);
  return own != bufferIndex.end() ? own->second : bufferIndex.at(name);
}

void ProgramJson::constant(const std::string &name, const std::vector<uint64_t> &shape,
                           const std::vector<size_t> &sources, const std::vector<std::pair<std::string, Json>> &steps) {
  Json made = {{"sources", sources}, {"steps_type", Json::array()}, {"steps", Json::array()}};
  for (const auto &[type, fields] : steps) {
    made["steps_type"].push_back(type);
    made["steps"].push_back(fields);
  }
  const size_t index = buffer(name, "Constant", "F32", shape);
  made["parts"].push_back({{"buffer", index}, {"tensor", sources.size() + steps.size() - 1}});
  constants.push_back(made);
}

std::string ProgramJson::arena(const std::string &name, std::vector<uint64_t> shape) {
  const size_t index = buffer(prefix + name, "Arena", "F32", std::move(shape));
  buffers[index]["entry"] = entries.size();
  return prefix + name;
}

void ProgramJson::node(const std::string &meaning, std::vector<int64_t> params, const Json &args) {
  const bool cpu = target == "cpu", product = meaning == "product";
  const std::string engine = cpu ? "" : product ? "mma" : "simt";
  if (product && !cpu)
    params.insert(params.end(), {32, 32}); // the tile
  const auto &described = *::kernels::catalogue().kernel(meaning, engine);
  std::string name = meaning;
  ::kernels::Values typed;
  Json values = Json::array();
  for (size_t i = 0; i < params.size(); ++i) {
    name += "_" + std::to_string(params[i]);
    values.push_back({{"name", std::string(described.params[i].name)}, {"value", params[i]}});
    typed.set(described.params[i].name, params[i]);
  }
  if (!kernelIndex.contains(name)) {
    kernelIndex[name] = kernels.size();
    Json kernel = {
        {"name", name}, {"meaning", meaning}, {"params", values}, {"description", codegen::descriptionHash(described)}};
    if (!cpu) {
      kernel["engine"] = engine;
      kernel["source"] = "// made for a test";
    }
    kernels.push_back(kernel);
  }
  Json encoded = Json::array();
  std::map<size_t, Use> used;
  std::vector<::kernels::Scalar> scalars;
  for (size_t i = 0; i < args.size(); ++i) {
    const ::kernels::Access access = described.args[i].access;
    ::kernels::Scalar scalar = {};
    if (args[i].is_string()) {
      const size_t index = find(args[i].get<std::string>());
      encoded.push_back({{"kind", "Buffer"}, {"buffer", index}});
      used[index].reads |= access != ::kernels::Access::Out;
      used[index].writes |= access != ::kernels::Access::In;
      continue;
    }
    if (access == ::kernels::Access::Condition) {
      encoded.push_back({{"kind", "Condition"}, {"loop", args[i]}});
      scalar.i = args[i];
    } else if (access == ::kernels::Access::I32) {
      encoded.push_back({{"kind", "I32"}, {"i32", args[i]}});
      scalar.i = args[i];
    } else {
      encoded.push_back({{"kind", "F32"}, {"f32", args[i]}});
      scalar.f = args[i];
    }
    scalars.push_back(scalar);
  }
  Json launch = {{"kernel", kernelIndex[name]}, {"args", encoded}};
  if (!cpu) {
    const ::kernels::LaunchShape shape = described.shape(described.launch(typed, scalars));
    launch["grid"] = {shape.blocks, 1, 1};
    launch["block"] = {shape.threads, 1, 1};
    launch["shared_bytes"] = shape.sharedBytes;
  }
  nodes.push_back({{"work_type", "Launch"}, {"work", launch}, {"edges", Json::array()}});
  uses.push_back(std::move(used));
}

void ProgramJson::bind(Json &bound, const std::vector<std::string> &inputs,
                       const std::vector<std::string> &outputs) const {
  for (auto &[side, names] : {std::pair{"inputs", inputs}, std::pair{"outputs", outputs}})
    for (const std::string &name : names)
      bound[side].push_back({{"name", name}, {"buffer", find(name)}});
}

void ProgramJson::placeArena(size_t firstBuffer) {
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

bool ProgramJson::shareBytes(size_t a, size_t b) const {
  if (a == b)
    return true;
  const Json &x = buffers[a], &y = buffers[b];
  if (x["space"] != "Arena" || y["space"] != "Arena")
    return false;
  const uint64_t p = x["offset"], q = y["offset"];
  return p < q + y["bytes"].get<uint64_t>() && q < p + x["bytes"].get<uint64_t>();
}

void ProgramJson::formEdges(size_t first) {
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

} // namespace nanort::test
