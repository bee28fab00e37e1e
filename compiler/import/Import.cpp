#include "compiler/import/Import.h"
#include "compiler/import/TokenizerConversion.h"
#include "kernels_templates/base/dtype.h"
#include "runtime/base/error.h"
#include "runtime/base/outputs.h"
#include "runtime/base/safetensors.h"
#include "runtime/base/text.h"

#include <cstring>

namespace nanocc {

using nanort::AtomicFile;
using nanort::Exit;
using nanort::fail;
using nanort::quote;

namespace {

/// One piece of a tensor from one float type to another; the pieces hold whole elements.
void convert(std::span<const std::byte> in, kernels::DType from, kernels::DType to, std::vector<std::byte> &out) {
  if (from == to) {
    out.assign(in.begin(), in.end());
    return;
  }
  const size_t count = kernels::elementsIn(from, in.size());
  out.resize(kernels::bytesOf(to, count));
  kernels::byFloat(to, "an imported tensor", [&](auto zero) {
    using To = decltype(zero);
    for (size_t i = 0; i < count; ++i) {
      const To value = kernels::fromFloat<To>(kernels::floatAt(from, in.data(), i));
      std::memcpy(out.data() + i * sizeof(To), &value, sizeof(To));
    }
  });
}

void makeDirectory(const std::filesystem::path &path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path, error))
    fail(Exit::Input, "cannot create the output directory " + quote(path.native()) + ": " +
                          (error ? error.message() : "a file of that name is there"));
}

/// The tokenizer that belongs to a checkpoint: beside it, or where upstream keeps the one that all its runs share.
std::optional<std::filesystem::path> findTokenizer(const std::filesystem::path &checkpoint) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::weakly_canonical(checkpoint, error);
  for (const std::filesystem::path &candidate : {checkpoint / "tokenizer.pkl", checkpoint / "tokenizer.json",
                                                 absolute.parent_path().parent_path() / "tokenizer" / "tokenizer.pkl"})
    if (std::filesystem::exists(candidate, error))
      return candidate;
  return std::nullopt;
}

/// Writes all tensors of the model, and no other; does not commit.
void writeWeights(nanort::SafetensorsWriter &writer, const Checkpoint &checkpoint,
                  const std::vector<nanort::SafetensorsWriter::Declaration> &declarations,
                  const ImportOptions &options) {
  uint64_t total = 0, done = 0;
  for (const auto &tensor : declarations) {
    uint64_t bytes = *nanort::dtypeBytes(tensor.dtype);
    for (const uint64_t extent : tensor.shape)
      bytes *= extent;
    total += bytes;
  }
  std::vector<std::byte> converted;
  for (const auto &tensor : declarations) {
    // The checkpoint's reader lets no other pass.
    const kernels::DType from = *kernels::fromSafetensors(checkpoint.tensors().at(tensor.name).dtype),
                         to = *kernels::fromSafetensors(tensor.dtype);
    checkpoint.read(tensor.name, [&](std::span<const std::byte> piece) {
      convert(piece, from, to, converted);
      writer.write(converted);
      done += converted.size();
      if (options.progress)
        options.progress(done, total);
    });
  }
}

std::string describe(const ModelConfig &config) {
  std::string text = std::string("generation ") + config.generation + ", " + std::to_string(config.layers) +
                     " layers, width " + std::to_string(config.width) + ", " + std::to_string(config.heads) + " heads";
  if (config.kvHeads != config.heads)
    text += " (" + std::to_string(config.kvHeads) + " key-value)";
  return text + " of " + std::to_string(config.headDim) + ", vocabulary " + std::to_string(config.vocab) +
         ", sequence " + std::to_string(config.sequenceLen);
}

ModelConfig importPreset(const ImportOptions &options) {
  const char generation = options.overrides.generation.value_or('E');
  ModelConfig config = presetConfig(*options.preset, generation);
  const std::string pattern = options.overrides.windowPattern.value_or(generation == 'A' ? "" : "SSSL");
  applyGeneration(config, generation, pattern);
  applyOverrides(config, options.overrides, pattern);
  const std::string model = options.emit(config);
  makeDirectory(options.output);
  AtomicFile file(options.output / "model.mlir");
  file.write(model);
  file.commit();
  return config;
}

} // namespace

ModelConfig importModel(const ImportOptions &options) {
  const auto log = [&](const std::string &line) {
    if (options.log)
      options.log(line);
  };
  if (options.preset)
    return importPreset(options);

  const std::unique_ptr<Checkpoint> checkpoint = Checkpoint::open(options.checkpoint, options.step);
  // Upstream's .pt has another name than what is written; Hugging Face's weights have the same.
  if (std::error_code ignored; checkpoint->path().extension() != ".pt" &&
                               std::filesystem::equivalent(options.checkpoint, options.output, ignored))
    fail(Exit::Usage, "-o " + quote(options.output.native()) +
                          " is the checkpoint itself, whose weights would be replaced; name another directory");
  ModelConfig config = configOf(*checkpoint, options.overrides);
  checkTensors(*checkpoint, config, options.ignoreExtra);
  config.keepDtype = options.keepDtype;
  log(checkpoint->path().native() + ": " + describe(config));
  if (config.generation == 'C' && !options.overrides.softcap)
    log("warning: models of generation C trained from March 2 to 8, 2026 have the softcap 20, which their files do not "
        "say; for one of those give --softcap 20 (15 is assumed)");

  const std::optional<std::filesystem::path> tokenizerFile =
      options.tokenizer ? options.tokenizer : findTokenizer(options.checkpoint);
  std::optional<std::string> tokenizer;
  if (tokenizerFile)
    tokenizer = importTokenizer(*tokenizerFile, config.vocab);
  else {
    config.tokenizer.reset();
    log("warning: no tokenizer.pkl or tokenizer.json beside the checkpoint; prompts will have to be token ids "
        "(--tokenizer names one)");
  }
  const std::string model = options.emit(config);

  std::vector<nanort::SafetensorsWriter::Declaration> declarations;
  for (const ParameterDecl &parameter : parametersOf(config)) {
    const std::string &stored = checkpoint->tensors().at(parameter.name).dtype;
    const std::string dtype = options.keepDtype ? stored : parameter.shape.size() > 1 ? "BF16" : "F32";
    declarations.push_back({parameter.name, dtype, parameter.shape});
  }
  std::vector<nanort::NamedPath> inputs = {{"the checkpoint's", checkpoint->path()},
                                           {"the checkpoint's", checkpoint->metadata().source}};
  if (checkpoint->path().extension() != ".pt") // shards, too
    for (const auto &entry : std::filesystem::directory_iterator(options.checkpoint))
      inputs.push_back({"the checkpoint's", entry.path()});
  if (tokenizerFile)
    inputs.push_back({"the tokenizer", *tokenizerFile});
  std::vector<nanort::NamedPath> outputs;
  for (const char *name : {"model.mlir", "model.safetensors", "tokenizer.json"})
    outputs.push_back({"the output", options.output / name});
  nanort::checkOutputs(inputs, outputs);
  makeDirectory(options.output);
  std::optional<AtomicFile> tokenizerOut;
  if (tokenizer) {
    tokenizerOut.emplace(options.output / "tokenizer.json");
    tokenizerOut->write(*tokenizer);
  }
  AtomicFile modelOut(options.output / "model.mlir");
  modelOut.write(model);
  nanort::SafetensorsWriter weightsOut(options.output / "model.safetensors", declarations);
  writeWeights(weightsOut, *checkpoint, declarations, options);
  if (tokenizerOut)
    tokenizerOut->commit();
  weightsOut.commit();
  modelOut.commit();
  return config;
}

} // namespace nanocc
