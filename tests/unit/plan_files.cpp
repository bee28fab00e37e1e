#include "tests/unit/plan_files.h"

#include "codegen/Description.h"

#include <flatbuffers/idl.h>
#include <fstream>

namespace nanort::test {

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

const ::kernels::Kernel &kernelOf(const Json &kernel) {
  return *::kernels::catalogue().kernel(kernel["meaning"].get<std::string>(), kernel.value("engine", ""));
}

void describe(Json &kernel, const std::string &engine) {
  kernel.erase("engine");
  if (!engine.empty())
    kernel["engine"] = engine;
  const ::kernels::Kernel &described = kernelOf(kernel);
  while (kernel["params"].size() > described.params.size())
    kernel["params"].erase(kernel["params"].size() - 1);
  kernel["description"] = codegen::descriptionHash(described);
}

std::vector<size_t> nodesOf(const Json &program, size_t entry, const std::string &meaning) {
  std::vector<size_t> result;
  const Json &nodes = program["entries"][entry]["nodes"];
  for (size_t i = 0; i < nodes.size(); ++i)
    if (program["kernels"][nodes[i]["work"]["kernel"].get<size_t>()]["meaning"] == meaning)
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
