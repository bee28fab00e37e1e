// Measured times and overrides: what kern-choose-templates goes by besides its model.
#include "compiler/options/Options.h"

#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace nanocc;

static llvm::Error fault(const llvm::Twine &text) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

/// "wgmma tile_m=64 stages=4": an engine, and what each(name, value) gets; false if it is no such text.
template <typename Each> static bool parseChoice(llvm::StringRef text, llvm::StringRef &engine, Each each) {
  llvm::SmallVector<llvm::StringRef> words;
  text.split(words, ' ');
  engine = words.front();
  for (llvm::StringRef word : llvm::ArrayRef(words).drop_front()) {
    auto [name, value] = word.split('=');
    if (name.empty() || value.empty() || !each(name, value))
      return false;
  }
  return !engine.empty();
}

/// each(choice's text, us) for the times of a problem.
template <typename Each>
static void forTimesOf(const Tuning &tuning, const std::string &target, const codegen::Problem &problem, Each each) {
  auto times = tuning.find(target);
  if (times == tuning.end())
    return;
  const std::string prefix = problem.text() + " by ";
  for (auto it = times->second.lower_bound(prefix); it != times->second.end() && it->first.starts_with(prefix); ++it)
    each(llvm::StringRef(it->first).drop_front(prefix.size()), it->second);
}

std::optional<double> Options::measured(const std::string &target, const codegen::Problem &problem,
                                        const codegen::Choice &choice) const {
  std::optional<double> found;
  forTimesOf(tuning, target, problem, [&](llvm::StringRef text, double us) {
    llvm::StringRef engine;
    const bool same = parseChoice(text, engine, [&](llvm::StringRef name, llvm::StringRef value) {
      int64_t number = 0;
      return !value.getAsInteger(10, number) && choice.params.find(name) == number;
    });
    if (same && engine == choice.engine)
      found = us;
  });
  return found;
}

std::optional<Options::Library> Options::measuredLibrary(const std::string &target,
                                                         const codegen::Problem &problem) const {
  std::optional<Library> best;
  forTimesOf(tuning, target, problem, [&](llvm::StringRef text, double us) {
    Library library{us, {}, -1};
    llvm::StringRef engine;
    const bool complete = parseChoice(text, engine, [&](llvm::StringRef name, llvm::StringRef value) {
      if (name == "version")
        library.version = value.str();
      return name == "version" || (name == "algorithm" && !value.getAsInteger(10, library.algorithm));
    });
    if (complete && engine == llvm::StringRef(codegen::library) && !library.version.empty() && library.algorithm >= 0 &&
        library.algorithm < codegen::libraryAlgorithms && (!best || library.us < best->us))
      best = library;
  });
  return best;
}

bool nanocc::isTime(double us) { return us > 0 && std::isfinite(us); }

/// LLVM's parser recurses.
static bool nestsDeeply(llvm::StringRef json) {
  constexpr int most = 64;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"')
      quoted = !quoted;
    else if (c == '\\' && quoted)
      ++i;
    else if (!quoted && (c == '[' || c == '{') && ++depth > most)
      return true;
    else if (!quoted && (c == ']' || c == '}'))
      --depth;
  }
  return false;
}

llvm::Error nanocc::parseTuning(llvm::StringRef json, Tuning &tuning, std::map<std::string, std::string> &devices) {
  if (nestsDeeply(json))
    return fault("it is not a tuning file: it nests too deeply");
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(json);
  if (!parsed)
    return parsed.takeError();
  const llvm::json::Object *file = parsed->getAsObject();
  if (file && file->getInteger("format") == 1)
    return fault("it is of format 1, whose times are of kernels that are no more: measure again with nanort tune");
  if (!file || file->getInteger("format") != 2)
    return fault("it is not a tuning file of format 2; nanort tune writes such files");
  std::optional<llvm::StringRef> target = file->getString("target");
  const llvm::json::Array *times = file->getArray("times");
  if (!target || !times)
    return fault("it needs \"target\" and \"times\"");
  const std::string device = file->getString("device").value_or("").str();
  if (auto [known, isFirst] = devices.try_emplace(target->str(), device); !isFirst && known->second != device)
    return fault("its times are of '" + device + "', those before it of '" + known->second +
                 "': they do not compare; name the files of one device");
  for (const llvm::json::Value &entry : *times) {
    const llvm::json::Object *time = entry.getAsObject();
    std::optional<llvm::StringRef> problem = time ? time->getString("problem") : std::nullopt;
    std::optional<llvm::StringRef> choice = time ? time->getString("choice") : std::nullopt;
    std::optional<double> us = time ? time->getNumber("us") : std::nullopt;
    if (!problem || problem->empty() || !choice || choice->empty() || !us || !isTime(*us))
      return fault("element " + llvm::Twine(&entry - &times->front()) +
                   " of \"times\" needs \"problem\", \"choice\" and a positive \"us\"");
    tuning[target->str()][(*problem + " by " + *choice).str()] = *us;
  }
  return llvm::Error::success();
}

llvm::Expected<Override> nanocc::parseOverride(llvm::StringRef text) {
  auto [pattern, choice] = text.split('=');
  llvm::SmallVector<llvm::StringRef> parts;
  choice.split(parts, ',');
  if (pattern.empty() || parts.front().empty())
    return fault("--template " + text + " is not PATTERN=ENGINE[,PARAMETER=INTEGER]...");
  if (llvm::Error error = llvm::GlobPattern::create(pattern).takeError())
    return fault("--template " + text + ": " + llvm::toString(std::move(error)));
  Override result{pattern.str(), {parts.front().str(), {}}};
  for (llvm::StringRef part : llvm::ArrayRef(parts).drop_front()) {
    auto [name, number] = part.split('=');
    int64_t value = 0;
    if (name.empty() || number.getAsInteger(10, value))
      return fault("--template " + text + ": '" + part + "' is not PARAMETER=INTEGER");
    if (result.choice.params.find(name))
      return fault("--template " + text + ": it has " + name + " twice");
    result.choice.params.set(name, value);
  }
  return result;
}
