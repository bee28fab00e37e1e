#include "tests/unit/cuda_plan.h"

#include "codegen/Description.h"
#include "kernels_templates/base/catalogue.h"
#include "runtime/plan/machine_code.h"
#include "tests/unit/cuda_fake.h"

#include <fstream>

using namespace nanort;
using flatbuffers::Offset;

namespace {

struct Builder {
  const CudaPlanOptions &options;
  flatbuffers::FlatBufferBuilder fbb = flatbuffers::FlatBufferBuilder();
  std::vector<char> code = {};

  Offset<schema::Buffer> buffer(const char *name, schema::Space space, schema::DType type, std::vector<uint64_t> shape,
                                uint64_t offset, uint32_t first = 0, uint32_t last = 0) {
    uint64_t bytes = 4; // every type here has four bytes
    for (uint64_t extent : shape)
      bytes *= extent;
    return schema::CreateBufferDirect(fbb, name, space, type, &shape, offset, bytes,
                                      space == schema::Space::Arena ? 0 : -1, first, last);
  }

  Offset<schema::Constant> constant(uint32_t buffer, uint32_t parameter) {
    const std::vector<uint32_t> sources = {parameter};
    const std::vector<schema::Step> types;
    const std::vector<Offset<void>> steps;
    const std::vector<Offset<schema::Part>> parts = {schema::CreatePart(fbb, buffer, 0)};
    return schema::CreateConstantDirect(fbb, &sources, &types, &steps, &parts);
  }

  Offset<schema::Kernel> kernel(const char *name, const char *meaning, const char *engine,
                                const std::vector<std::pair<const char *, int64_t>> &values, const char *arguments) {
    if (cpu())
      engine = nullptr;
    std::vector<Offset<schema::Param>> params;
    for (auto [key, value] : values)
      params.push_back(schema::CreateParamDirect(fbb, key, value));
    const Sha256 hash = codegen::descriptionHash(*kernels::catalogue().kernel(meaning, engine ? engine : ""));
    const std::vector<uint8_t> description(hash.begin(), hash.end());
    const bool sources = engine && options.sources, cubins = engine && options.cubins;
    const std::string image = cubins ? fakeImage(arguments) + '\0' : "";
    const schema::CodeRange range(code.size(), image.size());
    code.insert(code.end(), image.begin(), image.end());
    const std::vector<uint32_t> includes = {1, 0};
    std::string source;
    for (const char *letter = arguments; *letter; ++letter)
      source += (source.empty() ? "" : ", ") + std::string(*letter == 'b' ? "void *a" : "int a");
    source = "extern \"C\" __global__ void " + std::string(name) + "(" + source + ") {}\n";
    return schema::CreateKernelDirect(fbb, name, meaning, engine, &params, &description, sources ? &includes : nullptr,
                                      sources ? source.c_str() : nullptr, cubins ? &range : nullptr);
  }

  Offset<schema::Arg> address(uint32_t buffer) { return schema::CreateArg(fbb, schema::ArgKind::Buffer, buffer); }
  Offset<schema::Arg> integer(int32_t value) { return schema::CreateArg(fbb, schema::ArgKind::I32, 0, value); }
  Offset<schema::Arg> real(float value) { return schema::CreateArg(fbb, schema::ArgKind::F32, 0, 0, value); }

  bool cpu() const { return options.target == "cpu"; }

  /// A launch by the engine simt, or the reference of a cpu program; of the library without `meaning`.
  Offset<schema::Node> node(schema::Work kind, uint32_t kernel, const char *meaning, const kernels::Values &values,
                            const std::vector<Offset<schema::Arg>> &args, int after) {
    std::vector<Offset<schema::Edge>> edges;
    if (after >= 0)
      edges.push_back(schema::CreateEdge(fbb, after,
                                         options.programmatic && kind == schema::Work::Launch
                                             ? schema::EdgeKind::Programmatic
                                             : schema::EdgeKind::Full));
    if (kind == schema::Work::Library) {
      const auto product = schema::CreateLibraryDirect(
          fbb, kernel, &args, options.library.empty() ? nullptr : options.library.c_str(), options.algorithm);
      return schema::CreateNodeDirect(fbb, kind, product.Union(), &edges);
    }
    if (cpu())
      return schema::CreateNodeDirect(fbb, kind, schema::CreateLaunchDirect(fbb, kernel, &args).Union(), &edges);
    const kernels::LaunchShape shape = kernels::catalogue().kernel(meaning, "simt")->shape(values);
    const std::vector<uint32_t> grid = {shape.blocks, 1, 1}, block = {shape.threads, 1, 1};
    const auto launch = schema::CreateLaunchDirect(fbb, kernel, &args, &grid, &block, shape.sharedBytes);
    return schema::CreateNodeDirect(fbb, kind, launch.Union(), &edges);
  }
};

} // namespace

std::shared_ptr<const Plan> CudaPlan::open(const std::filesystem::path &path, const CudaPlanOptions &options) {
  Builder b{options};
  auto &fbb = b.fbb;
  constexpr int64_t f32 = 0;
  std::vector<uint64_t> matrix = {vocab, width}, row = {1, width}, logitsShape = {1, vocab}, one = {1},
                        largeShape = {largeElements};

  std::vector<Offset<schema::Parameter>> parameters = {schema::CreateParameterDirect(fbb, "head", &matrix),
                                                       schema::CreateParameterDirect(fbb, "large", &largeShape),
                                                       schema::CreateParameterDirect(fbb, "table", &matrix)};
  std::vector<Offset<schema::Buffer>> buffers = {
      b.buffer("table", schema::Space::Constant, schema::DType::F32, matrix, 0),
      b.buffer("head", schema::Space::Constant, schema::DType::F32, matrix, 256),
      b.buffer("large", schema::Space::Constant, schema::DType::F32, largeShape, 512),
      b.buffer("tokens", schema::Space::State, schema::DType::I32, one, 0),
      b.buffer("hidden", schema::Space::Arena, schema::DType::F32, row, 0, 0, 1),
      b.buffer("scaled", schema::Space::Arena, schema::DType::F32, row, 256, 1, 2),
      b.buffer("logits", schema::Space::State, schema::DType::F32, logitsShape, 256)};
  std::vector<Offset<schema::Constant>> constants = {b.constant(table, 2), b.constant(head, 0), b.constant(large, 1)};
  std::vector<Offset<schema::Kernel>> kernels = {
      b.kernel("embed_f32_4", "embed", "simt", {{"T", f32}, {"C", width}}, "bbbs"),
      b.kernel("scale_f32", "scale", "simt", {{"T", f32}}, "bbss"),
      b.kernel("product_f32", "product", nullptr, {{"T", f32}, {"O", f32}, {"K", width}, {"N", vocab}, {"norm", 0}},
               "bbbs")};

  std::vector<Offset<schema::Node>> nodes = {
      b.node(schema::Work::Launch, 0, "embed", {{"T", f32}, {"C", width}, {"n", 1}},
             {b.address(tokens), b.address(table), b.address(hidden), b.integer(1)}, -1),
      b.node(schema::Work::Launch, 1, "scale", {{"T", f32}, {"count", width}},
             {b.address(hidden), b.address(scaled), b.real(0.5f), b.integer(width)}, 0),
      b.node(schema::Work::Library, 2, "", {}, {b.address(scaled), b.address(head), b.address(logits), b.integer(1)},
             1)};
  std::vector<Offset<schema::Binding>> inputs = {schema::CreateBindingDirect(fbb, "tokens", tokens)},
                                       outputs = {schema::CreateBindingDirect(fbb, "logits", logits)};
  std::vector<Offset<schema::Entry>> entries = {
      schema::CreateEntryDirect(fbb, "decode_1", schema::EntryKind::Decode, 1, 1, &inputs, &outputs, &nodes)};
  auto memory = schema::CreateMemory(fbb, constantBytes, 0, stateBytes, arenaBytes, workspaceBytes);
  const std::vector<Offset<schema::Ring>> rings;
  const std::vector<Offset<schema::Source>> sources = {
      schema::CreateSourceDirect(fbb, "kernels_templates/late.cuh", "// late\n"),
      schema::CreateSourceDirect(fbb, "kernels_templates/early.cuh", "// early\n")};
  const std::vector<uint8_t> code = packCode(b.code);
  std::vector<Offset<schema::Program>> programs = {
      schema::CreateProgramDirect(fbb, options.target.c_str(), "f32", options.minDriver, 1, &buffers, &constants,
                                  &rings, &kernels, b.code.empty() ? nullptr : &code, &entries, memory)};

  auto model = schema::CreateModelDirect(fbb, "test", 1, width, 1, 1, width, vocab, 8, 8);
  std::vector<uint8_t> hash(schemaHash().begin(), schemaHash().end()), digest(32);
  schema::FinishPlanBuffer(fbb, schema::CreatePlanDirect(fbb, planFormatVersion, &hash, &digest, "test", model,
                                                         "model.safetensors", nullptr, &parameters, &programs, &sources,
                                                         "{}"));
  sealPlan({fbb.GetBufferPointer(), fbb.GetSize()});
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(fbb.GetBufferPointer()), fbb.GetSize());
  return Plan::open(path);
}

void addFakeImages(nanort::test::Json &program) {
  std::vector<char> code;
  for (nanort::test::Json &kernel : program["kernels"]) {
    std::string arguments;
    for (const kernels::Arg &arg : nanort::test::kernelOf(kernel).args)
      arguments += isScalar(arg.access) ? 's' : 'b';
    const std::string image = fakeImage(arguments) + '\0';
    kernel["code"] = {{"offset", code.size()}, {"size", image.size()}};
    code.insert(code.end(), image.begin(), image.end());
  }
  program["code"] = packCode(code);
}
