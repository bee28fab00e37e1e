// nanort eval: how well a model predicts given texts.
#include "runtime/base/error.h"
#include "runtime/base/safetensors.h"
#include "runtime/tools/common.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace nanort::tools {
namespace {

struct EvalOptions {
  CommonOptions common;
  std::string ids, logits;
  bool json = false;
};

void eval(const EvalOptions &options) {
  if (options.logits == "-")
    fail(Exit::Usage, "--logits -: the logits go to a file; standard output holds the result");
  const std::string ids = options.ids.starts_with('@') ? options.ids.substr(1) : options.ids;
  const std::vector<std::vector<int32_t>> rows = readIds(ids, "--ids", false);
  Loaded loaded = load(options.common, fileOfIds("@" + ids, "--ids"), {{"--logits", options.logits}});
  const uint64_t length = rows.front().size();
  if (length > loaded.plan->root().model()->max_seq())
    fail(Exit::Input, options.ids + ": rows of " + std::to_string(length) + " ids, the context of " +
                          options.common.plan + " holds " + std::to_string(loaded.plan->root().model()->max_seq()) +
                          "; cut them or compile with a larger --max-seq");
  Session session = openSession(options.common, loaded);
  std::optional<SafetensorsWriter> writer;
  if (!options.logits.empty())
    writer.emplace(options.logits, std::vector<SafetensorsWriter::Declaration>{
                                       {"logits", "F32", {rows.size(), length, session.vocab()}}});
  const bool progress = !options.common.quiet && isatty(STDERR_FILENO);
  double sum = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    session.score(rows[r], writer.has_value(),
                  [&](size_t first, std::span<const float> nll, std::span<const float> logits) {
                    for (size_t i = 0; i < nll.size(); ++i)
                      if (first + i + 1 < length)
                        sum += nll[i];
                    if (writer)
                      writer->write(std::as_bytes(logits));
                  });
    if (progress)
      std::fprintf(stderr, "\r%zu of %zu rows%s", r + 1, rows.size(), r + 1 == rows.size() ? "\n" : "");
  }
  if (writer)
    writer->commit();
  const uint64_t tokens = rows.size() * (length - 1);
  nlohmann::ordered_json out;
  out["mean_nll"] = tokens == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(sum / static_cast<double>(tokens));
  out["tokens"] = tokens;
  out["rows"] = rows.size();
  if (options.json) {
    print(out.dump() + "\n");
  } else {
    char text[128];
    std::snprintf(text, sizeof text, "mean_nll %.6f nats per token over %llu tokens in %zu rows\n",
                  tokens == 0 ? 0.0 : sum / static_cast<double>(tokens), static_cast<unsigned long long>(tokens),
                  rows.size());
    print(text);
  }
  flushOutput();
}

} // namespace

void addEval(CLI::App &app) {
  CLI::App *command = app.add_subcommand("eval", "Score rows of token ids");
  auto options = std::make_shared<EvalOptions>();
  addCommon(*command, options->common);
  command->add_option("--ids", options->ids, "Rows of ids: FILE.safetensors:KEY, I32 or I64, [rows, T]")
      ->type_name("FILE:KEY")
      ->required();
  command->add_option("--logits", options->logits, "Write 'logits' f32 [rows, T, vocabulary] to a safetensors file")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "One JSON object instead of text");
  command->footer("Examples:\n  nanort eval plan.fb --ids eval.safetensors:heldout_ids\n"
                  "  nanort eval plan.fb --ids eval.safetensors:heldout_ids --logits logits.safetensors --json");
  command->callback([options] { eval(*options); });
}

} // namespace nanort::tools
