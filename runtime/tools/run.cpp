// nanort run: one prompt (or rows of ids) to text.
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/utf8.h"
#include "runtime/session/generate.h"
#include "runtime/tools/common.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace nanort::tools {
namespace {

struct RunOptions {
  CommonOptions common;
  std::optional<std::string> prompt, chat, ids, stopIds;
  uint32_t maxNew = 256, samples = 1;
  SamplingOptions sampling;
  uint64_t seed = 42;
  bool noStop = false, json = false;
};

int32_t special(const Tokenizer &tokenizer, const char *name) {
  const auto id = tokenizer.special(name);
  if (!id)
    fail(Exit::Input, std::string("the tokenizer has no ") + name + "; pass token ids with --ids");
  return *id;
}

std::vector<std::vector<int32_t>> promptRows(const RunOptions &options, const std::optional<Tokenizer> &tokenizer) {
  if (options.ids)
    return parseIds(*options.ids, "--ids");
  const char *flag = options.chat ? "--chat" : "--prompt";
  if (!tokenizer)
    fail(Exit::Input, options.common.plan + ": " + flag +
                          " needs a tokenizer and the plan names none; pass --tokenizer FILE, or token ids with --ids");
  std::string text = options.chat ? *options.chat : *options.prompt;
  if (text == "-")
    text = readText("-");
  std::vector<int32_t> ids = {special(*tokenizer, "<|bos|>")};
  if (options.chat)
    ids.push_back(special(*tokenizer, "<|user_start|>"));
  const std::vector<int32_t> body = tokenizer->encode(text);
  ids.insert(ids.end(), body.begin(), body.end());
  if (options.chat) {
    ids.push_back(special(*tokenizer, "<|user_end|>"));
    ids.push_back(special(*tokenizer, "<|assistant_start|>"));
  }
  return {ids};
}

std::vector<int32_t> stopIds(const RunOptions &options, const std::optional<Tokenizer> &tokenizer) {
  if (options.noStop)
    return {};
  if (options.stopIds) {
    std::vector<std::vector<int32_t>> rows = parseIds(*options.stopIds, "--stop-ids");
    if (rows.size() > 1)
      fail(Exit::Usage,
           "--stop-ids " + *options.stopIds + ": " + std::to_string(rows.size()) + " rows; pass one row of ids");
    return rows.front();
  }
  std::vector<int32_t> stops;
  if (tokenizer)
    for (const char *name : {"<|assistant_end|>", "<|bos|>"})
      if (const auto id = tokenizer->special(name))
        stops.push_back(*id);
  return stops;
}

/// Text of tokens as they come; models may have more ids than their tokenizer.
class Text {
public:
  explicit Text(const Tokenizer &tokenizer) : tokens(tokenizer.vocabSize()), decoder(tokenizer) {}
  std::string push(int32_t id) {
    return static_cast<size_t>(id) < tokens ? decoder.push(id) : decoder.flush() + std::string(replacementText);
  }
  std::string flush() { return decoder.flush(); }

private:
  size_t tokens;
  StreamDecoder decoder;
};

std::string textOf(const Tokenizer &tokenizer, const std::vector<int32_t> &ids) {
  Text text(tokenizer);
  std::string result;
  for (int32_t id : ids)
    result += text.push(id);
  return result + text.flush();
}

std::string idText(const std::vector<int32_t> &ids) {
  std::string text;
  for (int32_t id : ids)
    text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

/// What the process's first token waited for, in milliseconds. The CPU executor has no context, and no graphs.
std::string startText(const Loaded &loaded, const ExecutorStats &stats, const Timing &timing) {
  const double other = loaded.loadMs - loaded.openMs - stats.contextMs - stats.kernelsMs - stats.constantsMs;
  char text[256];
  std::snprintf(
      text, sizeof text,
      "first token %.0f ms after the process began: process %.0f, driver, plan and weights %.0f, context %.0f, "
      "kernels %.0f, memory and constants %.0f, session %.0f, graphs %.1f, prompt %.1f",
      loaded.processMs + loaded.loadMs + timing.ttftMs, loaded.processMs, loaded.openMs, stats.contextMs,
      stats.kernelsMs, stats.constantsMs, other, stats.graphsMs, timing.ttftMs - stats.graphsMs);
  return text;
}

void printJson(const std::vector<std::vector<int32_t>> &prompts, const std::vector<Sample> &samples,
               const std::optional<Tokenizer> &tokenizer, const Timing &timing, double loadMs,
               const std::string &device) {
  using Json = nlohmann::ordered_json;
  Json out;
  out["prompt_ids"] = prompts.size() == 1 ? Json(prompts.front()) : Json(prompts);
  Json ids = Json::array(), text = Json::array(), finish = Json::array();
  size_t longest = 0;
  for (const Sample &sample : samples) {
    ids.push_back(sample.ids);
    if (tokenizer)
      text.push_back(textOf(*tokenizer, sample.ids));
    finish.push_back(nameOf(sample.finish));
    longest = std::max(longest, sample.ids.size());
  }
  out["ids"] = ids;
  out["text"] = tokenizer ? text : Json();
  out["finish"] = finish;
  out["ttft_ms"] = timing.ttftMs;
  out["tpot_ms"] =
      longest < 2 || timing.steps == 0 ? Json() : Json(timing.decodeMs / static_cast<double>(timing.steps));
  out["load_ms"] = loadMs;
  out["device"] = device;
  print(out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void run(const RunOptions &options) {
  GenerateOptions generation;
  generation.sampling = options.sampling.withSeed(options.seed);
  Loaded loaded = load(options.common, fileOfIds(options.ids.value_or(""), "--ids"));
  const std::optional<Tokenizer> tokenizer = openTokenizer(options.common, *loaded.plan);
  const std::vector<std::vector<int32_t>> rows = promptRows(options, tokenizer);
  generation.maxNew = options.maxNew;
  generation.stopIds = stopIds(options, tokenizer);

  Session session = openSession(options.common, loaded);
  session.checkIds(generation.stopIds, "stop id");
  std::vector<std::vector<int32_t>> prompts;
  for (const auto &row : rows)
    prompts.insert(prompts.end(), options.samples, row);

  const bool stream = !options.json && prompts.size() == 1;
  std::optional<Text> text;
  if (tokenizer)
    text.emplace(*tokenizer);
  bool first = true;
  if (stream)
    generation.onToken = [&](size_t, int32_t id) {
      print(text ? text->push(id) : (first ? "" : ",") + std::to_string(id));
      first = false;
      flushOutput();
    };
  Timing timing;
  const std::vector<Sample> samples = generate(session, prompts, generation, &timing);
  if (stream)
    print((text ? text->flush() : "") + "\n");
  else if (options.json)
    printJson(rows, samples, tokenizer, timing, loaded.loadMs, session.executor().device());
  else
    for (size_t i = 0; i < samples.size(); ++i)
      print((i == 0 ? "" : "\n") + std::string("--- sample ") + std::to_string(i) + " (" + nameOf(samples[i].finish) +
            ")\n" + (tokenizer ? textOf(*tokenizer, samples[i].ids) : idText(samples[i].ids)) + "\n");
  flushOutput();
  detail(options.common, startText(loaded, session.stats(), timing));
  detail(options.common, std::to_string(timing.steps) + " decode steps in " + std::to_string(timing.decodeMs) + " ms");
}

} // namespace

void addRun(CLI::App &app) {
  CLI::App *command = app.add_subcommand("run", "Generate text from a prompt");
  auto options = std::make_shared<RunOptions>();
  addCommon(*command, options->common);
  auto *source = command->add_option_group("prompt", "What to continue (one of)");
  source->add_option("--prompt", options->prompt, "A document: bos, then TEXT ('-': standard input)")
      ->type_name("TEXT");
  source->add_option("--chat", options->chat, "One user turn, as upstream renders it ('-': standard input)")
      ->type_name("TEXT");
  source
      ->add_option("--ids", options->ids,
                   "Token ids 1,2,3 or @FILE.safetensors:KEY, a prompt a row (-1 behind shorter ones); no bos is added")
      ->type_name("IDS");
  source->require_option(1);
  command->add_option("-n", options->maxNew, "New tokens at most")->type_name("N")->capture_default_str();
  addSampling(*command, options->sampling);
  command->add_option("--seed", options->seed, "Seed of the sampling")
      ->type_name("N")
      ->check(notNegative)
      ->capture_default_str();
  command->add_option("--samples", options->samples, "Samples of each prompt")
      ->type_name("N")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
  auto *noStop = command->add_flag("--no-stop", options->noStop, "Go on after a stop token");
  command->add_option("--stop-ids", options->stopIds, "Stop tokens instead of the tokenizer's assistant_end and bos")
      ->type_name("IDS")
      ->excludes(noStop);
  command->add_flag("--json", options->json, "One JSON object instead of text");
  command->footer("Examples:\n  nanort run plan.fb --chat 'What is a lexicon?'\n"
                  "  nanort run plan.fb --prompt 'Once upon' -n 64 -t 0.8 -k 50 --samples 4\n"
                  "  nanort run plan.fb --ids 1,2,3 -n 8 --json --device cpu");
  command->callback([options] { run(*options); });
}

} // namespace nanort::tools
