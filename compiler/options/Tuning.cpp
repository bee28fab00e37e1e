// Measured times and overrides: what kern-choose-templates goes by besides its model.
#include "compiler/options/Options.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace nanocc;

static llvm::Error fault(const llvm::Twine &text) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

static std::string keyOf(llvm::StringRef kernel, int64_t rows) { return (kernel + "@" + llvm::Twine(rows)).str(); }

std::optional<double> Options::measured(const std::string &target, const std::string &kernel, int64_t rows) const {
  auto times = tuning.find(target);
  if (times == tuning.end())
    return std::nullopt;
  auto time = times->second.find(keyOf(kernel, rows));
  return time == times->second.end() ? std::nullopt : std::optional(time->second);
}

/// "13.1.0 algorithm 2@64" of a name behind its prefix.
static bool parseLibrary(llvm::StringRef text, Options::Library &library, int64_t &rows) {
  auto [version, rest] = text.split(" algorithm ");
  auto [algorithm, at] = rest.split('@');
  library.version = version.str();
  return !version.empty() && !algorithm.getAsInteger(10, library.algorithm) && library.algorithm >= 0 &&
         library.algorithm < codegen::libraryAlgorithms && !at.getAsInteger(10, rows);
}

std::optional<Options::Library> Options::measuredLibrary(const std::string &target,
                                                         const codegen::Product &product) const {
  auto times = tuning.find(target);
  if (times == tuning.end())
    return std::nullopt;
  const std::string prefix = codegen::libraryKernelPrefix(product);
  std::optional<Library> best;
  for (auto it = times->second.lower_bound(prefix); it != times->second.end() && it->first.starts_with(prefix); ++it) {
    Library library{it->second, {}, 0};
    int64_t rows = 0;
    if (parseLibrary(llvm::StringRef(it->first).drop_front(prefix.size()), library, rows) && rows == product.rows &&
        (!best || library.us < best->us))
      best = library;
  }
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
  if (!file || file->getInteger("format") != 1)
    return fault("it is not a tuning file of format 1");
  std::optional<llvm::StringRef> target = file->getString("target");
  const llvm::json::Array *kernels = file->getArray("kernels");
  if (!target || !kernels)
    return fault("it needs \"target\" and \"kernels\"");
  const std::string device = file->getString("device").value_or("").str();
  if (auto [known, isFirst] = devices.try_emplace(target->str(), device); !isFirst && known->second != device)
    return fault("its times are of '" + device + "', those before it of '" + known->second +
                 "': they do not compare; name the files of one device");
  for (const llvm::json::Value &entry : *kernels) {
    const llvm::json::Object *time = entry.getAsObject();
    std::optional<llvm::StringRef> kernel = time ? time->getString("kernel") : std::nullopt;
    std::optional<int64_t> rows = time ? time->getInteger("rows") : std::nullopt;
    std::optional<double> us = time ? time->getNumber("us") : std::nullopt;
    if (!kernel || kernel->empty() || !rows || *rows < 1 || !us || !isTime(*us))
      return fault("element " + llvm::Twine(&entry - &kernels->front()) +
                   " of \"kernels\" needs \"kernel\", positive \"rows\" and a positive \"us\"");
    tuning[target->str()][keyOf(*kernel, *rows)] = *us;
  }
  return llvm::Error::success();
}

llvm::Expected<Override> nanocc::parseOverride(llvm::StringRef text) {
  auto [pattern, choice] = text.split('=');
  llvm::SmallVector<llvm::StringRef> parts;
  choice.split(parts, ',');
  if (pattern.empty() || parts.front().empty())
    return fault("--template " + text + " is not PATTERN=FAMILY[,PARAMETER=INTEGER]...");
  if (llvm::Error error = llvm::GlobPattern::create(pattern).takeError())
    return fault("--template " + text + ": " + llvm::toString(std::move(error)));
  Override result{pattern.str(), {parts.front().str(), {}}};
  for (llvm::StringRef part : llvm::ArrayRef(parts).drop_front()) {
    auto [name, number] = part.split('=');
    int64_t value = 0;
    if (name.empty() || number.getAsInteger(10, value))
      return fault("--template " + text + ": '" + part + "' is not PARAMETER=INTEGER");
    if (llvm::any_of(result.choice.tuning, [&](const auto &known) { return known.first == name; }))
      return fault("--template " + text + ": it has " + name + " twice");
    result.choice.tuning.emplace_back(name.str(), value);
  }
  return result;
}
