// The report as one page that needs nothing but itself: no network, no scripts.
#include "compiler/analysis/Conflicts.h"
#include "compiler/analysis/Launches.h"
#include "compiler/analysis/Report.h"
#include "compiler/options/Options.h"
#include "dialects/nano/Nano.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace nanocc;

namespace {

constexpr StringRef style = R"(
:root { --ink: #1b1f24; --dim: #57606a; --line: #d0d7de; --soft: #f6f8fa; --accent: #0550ae; }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, nav { color: var(--dim); margin: .2rem 0 .8rem; } nav a { margin-right: .9rem; } a { color: var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0 1rem; }
th, td { padding: .18rem .7rem .18rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--dim); font-weight: 600; vertical-align: bottom; } td.t, th.t { text-align: left; }
td.t code { font-size: 12px; } tbody tr:hover { background: var(--soft); }
.bar { display: inline-block; height: .7em; background: #54aeff; vertical-align: baseline; }
.memory { background: #54aeff; } .compute { background: #c297ff; } .launch { background: #d4a72c; }
.stack { display: flex; height: 1.4rem; width: 100%; margin: .4rem 0; } .stack span { display: block; min-width: 1px; }
.scroll { overflow-x: auto; } svg { background: var(--soft); border: 1px solid var(--line); display: block; }
svg rect:hover { stroke: #000; stroke-width: 1.5; } svg text { font: 11px system-ui, sans-serif; fill: var(--dim); }
details { margin: .25rem 0; } summary { cursor: pointer; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .8rem; overflow-x: auto; font-size: 12px; }
)";

std::string escaped(StringRef text) {
  std::string safe;
  for (char c : text)
    switch (c) {
    case '&':
      safe += "&amp;";
      break;
    case '<':
      safe += "&lt;";
      break;
    case '>':
      safe += "&gt;";
      break;
    case '"':
      safe += "&quot;";
      break;
    case '\'':
      safe += "&#39;";
      break;
    default:
      safe += c;
    }
  return safe;
}

/// "1.50 MiB"
std::string sizeText(int64_t bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit < 4; ++unit)
    value /= 1024;
  return unit == 0 ? std::to_string(bytes) + " B" : llvm::formatv("{0:F2} {1}", value, units[unit]).str();
}

/// Colours that neighbours tell apart, the same for the same index.
std::string colour(size_t index) { return llvm::formatv("hsl({0} 55% {1}%)", index * 137 % 360, 58 + index % 3 * 8); }

class Page {
public:
  Page(ModuleOp module, raw_ostream &out) : module(module), out(out) {}

  void write() {
    auto facts = module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::modelAttr);
    auto name = facts ? facts.getAs<StringAttr>("name") : StringAttr();
    std::string title = name ? escaped(name.getValue()) : "model";
    out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>" << title
        << ": plan</title>\n<style>" << style << "</style>\n</head>\n<body>\n<h1>" << title << "</h1>\n<p>";
    for (StringRef fact : {"layers", "width", "heads", "kv_heads", "head_dim", "vocab", "sequence_len", "max_seq"})
      if (int64_t value = modelFact(module, fact))
        out << fact << "&nbsp;" << value << " &nbsp; ";
    out << "</p>\n<nav>";
    for (plan::ProgramOp program : module.getOps<plan::ProgramOp>()) {
      std::string target = escaped(program.getSymName());
      out << "<a href=\"#" << target << "\">program " << target << "</a>";
    }
    out << "</nav>\n";
    for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
      write(program);
    out << "</body>\n</html>\n";
  }

private:
  /// An anchor that no other program's entry has.
  static std::string anchor(plan::EntryOp entry) {
    return escaped((entry->getParentOfType<plan::ProgramOp>().getSymName() + "." + entry.getSymName()).str());
  }

  void write(plan::ProgramOp program) {
    std::string target = escaped(program.getSymName());
    out << "<h2 id=\"" << target << "\">Program " << target << ", " << escaped(program.getPrecision()) << "</h2>\n";
    memory(program);
    out << "<h3>Entries</h3>\n<table>\n<thead><tr><th class=\"t\">entry</th><th>tokens</th><th>rows</th>"
           "<th>launches</th><th>unfused</th><th>moved</th><th>unfused</th><th>GFLOP</th><th>predicted µs</th>"
           "</tr></thead>\n<tbody>\n";
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>()) {
      EntryCost cost = costOf(entry);
      out << "<tr><td class=\"t\"><a href=\"#" << anchor(entry) << "\">" << escaped(entry.getSymName()) << "</a></td>"
          << cell(std::to_string(entry.getTokens())) << cell(std::to_string(entry.getRows()))
          << cell(std::to_string(cost.plan.launches)) << cell(std::to_string(cost.eager.launches))
          << cell(sizeText(cost.plan.bytes)) << cell(sizeText(cost.eager.bytes))
          << cell(llvm::formatv("{0:F3}", cost.plan.flops / 1e9).str()) << cell(decimal(cost.predictedUs, 1))
          << "</tr>\n";
    }
    out << "</tbody>\n</table>\n";
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
      write(program, entry);
    kernels(program);
  }

  void memory(plan::ProgramOp program) {
    MemoryLine line = memoryOf(program);
    const std::pair<const char *, int64_t> kinds[] = {
        {"weights", line.weights},     {"constants", line.tables}, {"kv", line.kv},
        {"state", line.state},         {"arena", line.arena},      {"workspace", line.workspace},
        {"mapped (host)", line.mapped}};
    int64_t total = 0; // on the device
    for (auto [name, bytes] : ArrayRef(kinds).drop_back())
      total += bytes;
    out << "<h3>Memory: " << sizeText(total) << " on the device</h3>\n<div class=\"stack\">";
    for (auto [i, kind] : llvm::enumerate(ArrayRef(kinds).drop_back()))
      if (kind.second > 0)
        out << llvm::formatv("<span style=\"flex:{0};background:{1}\" title=\"{2} {3}\"></span>", kind.second,
                             colour(i), kind.first, sizeText(kind.second));
    out << "</div>\n<table>\n<tbody>\n";
    for (auto [i, kind] : llvm::enumerate(kinds))
      out << llvm::formatv(
                 "<tr><td class=\"t\"><span class=\"bar\" style=\"width:.7em;background:{0}\"></span> {1}</td>",
                 i + 1 < std::size(kinds) ? colour(i) : std::string("none"), kind.first)
          << cell(sizeText(kind.second)) << cell(std::to_string(kind.second)) << "</tr>\n";
    out << "</tbody>\n</table>\n";
  }

  void write(plan::ProgramOp program, plan::EntryOp entry) {
    out << "<h3 id=\"" << anchor(entry) << "\">" << escaped(entry.getSymName()) << "</h3>\n";
    launches(program, nodesOf(entry));
    for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>()) {
      auto repeated = SymbolTable::lookupNearestSymbolFrom<plan::EntryOp>(program, loop.getEntryAttr());
      out << "<p>While " << escaped(loop.getGo()) << "[" << loop.getWord() << "]: <a href=\"#" << anchor(repeated)
          << "\">" << escaped(loop.getEntry()) << "</a>, then</p>\n";
      launches(program, ownNodesOf(loop));
    }
    arena(program, entry);
  }

  void launches(plan::ProgramOp program, ArrayRef<Operation *> nodes) {
    std::vector<LaunchCost> costs = launchesOf(program, nodes);
    double longest = 0;
    for (const LaunchCost &launch : costs)
      longest = std::max(longest, launch.predicted ? launch.predicted->us() : 0);
    out << "<div class=\"scroll\"><table>\n<thead><tr><th>node</th><th class=\"t\">kernel</th><th class=\"t\">location"
           "</th><th>moved</th><th>GFLOP</th><th>memory µs</th><th>flops µs</th><th>predicted µs</th>"
           "<th class=\"t\">bound by</th></tr></thead>\n<tbody>\n";
    for (auto [i, launch] : llvm::enumerate(costs)) {
      const std::optional<codegen::Prediction> &best = launch.predicted;
      out << "<tr>" << cell(std::to_string(i)) << "<td class=\"t\"><a href=\"#"
          << escaped(kernelAnchor(program, launch.kernel)) << "\"><code>" << escaped(launch.kernel) << "</code></a>"
          << (launch.library ? " by cuBLASLt" : "") << considered(launch);
      if (!launch.fallback.empty())
        out << "<br>general template: " << escaped(launch.fallback);
      out << "</td><td class=\"t\">" << escaped(launch.location) << "</td>" << cell(sizeText(launch.bytes))
          << cell(llvm::formatv("{0:F4}", launch.flops / 1e9).str()) << cell(best ? decimal(best->bytesUs, 2) : "–")
          << cell(best ? decimal(best->flopsUs, 2) : "–") << cell(best ? decimal(best->us(), 2) : "–")
          << "<td class=\"t\">";
      if (best)
        out << llvm::formatv("<span class=\"bar {0}\" style=\"width:{1:F1}px\"></span> {0}", best->bound(),
                             120 * best->us() / longest);
      out << "</td></tr>\n";
    }
    out << "</tbody>\n</table></div>\n";
  }

  /// Unfolds on a click.
  static std::string considered(const LaunchCost &launch) {
    if (launch.considered.empty())
      return "";
    std::string text = "<details><summary>" + std::to_string(launch.considered.size()) + " considered</summary>";
    for (const std::string &line : launch.considered)
      text += "<code>" + escaped(line) + "</code><br>";
    return text + "</details>";
  }

  /// Offsets over nodes: a rectangle for every buffer's lifetime.
  void arena(plan::ProgramOp program, plan::EntryOp entry) {
    std::vector<plan::BufferOp> buffers;
    int64_t top = 0, end = 0;
    for (plan::BufferOp buffer : program.getOps<plan::BufferOp>())
      if (buffer.getEntry() == entry.getSymName()) {
        buffers.push_back(buffer);
        top = std::max<int64_t>(top, *buffer.getOffset() + buffer.getBytes());
        end = std::max<int64_t>(end, *buffer.getLast() + 1);
      }
    if (buffers.empty())
      return;
    constexpr double height = 260, left = 78, below = 18;
    const double step = std::clamp(1060.0 / static_cast<double>(end), 3.0, 40.0),
                 width = step * static_cast<double>(end);
    auto down = [&](int64_t offset) { return height * static_cast<double>(offset) / static_cast<double>(top); };
    out << llvm::formatv("<details open><summary>Arena over time: {0} in {1} buffers</summary>\n<div class=\"scroll\">"
                         "<svg width=\"{2:F0}\" height=\"{3:F0}\" role=\"img\" aria-label=\"arena of {4}\">\n",
                         sizeText(top), buffers.size(), left + width + 8, height + below + 8,
                         escaped(entry.getSymName()));
    for (int tick = 0; tick <= 4; ++tick)
      out << llvm::formatv("<text x=\"{0:F0}\" y=\"{1:F1}\" text-anchor=\"end\">{2}</text>\n", left - 6,
                           height * tick / 4 + (tick == 0 ? 11 : 4), sizeText(top * tick / 4));
    const int64_t every = std::max<int64_t>(1, (end + 19) / 20);
    for (int64_t node = 0; node < end; node += every)
      out << llvm::formatv("<text x=\"{0:F1}\" y=\"{1:F0}\">{2}</text>\n", left + step * static_cast<double>(node) + 1,
                           height + 15, node);
    for (auto [i, buffer] : llvm::enumerate(buffers)) {
      const double x = left + step * static_cast<double>(*buffer.getFirst()), y = down(*buffer.getOffset());
      out << llvm::formatv("<rect x=\"{0:F1}\" y=\"{1:F2}\" width=\"{2:F1}\" height=\"{3:F2}\" "
                           "fill=\"{4}\"><title>{5}: {6} bytes at {7}, "
                           "nodes {8} to {9}</title></rect>\n",
                           x, y, step * static_cast<double>(*buffer.getLast() - *buffer.getFirst() + 1),
                           std::max(0.5, down(buffer.getBytes())), colour(i), escaped(buffer.getSymName()),
                           buffer.getBytes(), *buffer.getOffset(), *buffer.getFirst(), *buffer.getLast());
    }
    out << "</svg></div></details>\n";
  }

  static std::string kernelAnchor(plan::ProgramOp program, StringRef kernel) {
    return (program.getSymName() + "." + kernel).str();
  }

  void kernels(plan::ProgramOp program) {
    out << "<h3>Kernels</h3>\n";
    for (plan::KernelOp kernel : program.getOps<plan::KernelOp>()) {
      std::string title = "<code>" + escaped(kernel.getSymName()) + "</code>, family " + escaped(kernel.getFamily());
      std::string id = escaped(kernelAnchor(program, kernel.getSymName()));
      if (kernel.getSource())
        // The anchor inside, so that a link to it opens the source.
        out << "<details><summary>" << title << (kernel.getCubin() ? ", with machine code" : ", source only")
            << "</summary><pre id=\"" << id << "\">" << escaped(*kernel.getSource()) << "</pre></details>\n";
      else
        out << "<p id=\"" << id << "\">" << title << "</p>\n";
    }
  }

  static std::string cell(StringRef text) { return ("<td>" + text + "</td>").str(); }
  static std::string decimal(std::optional<double> value, int digits) {
    if (!value)
      return "–";
    return digits == 1 ? llvm::formatv("{0:F1}", *value).str() : llvm::formatv("{0:F2}", *value).str();
  }

  ModuleOp module;
  raw_ostream &out;
};

} // namespace

std::string nanocc::reportHtml(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  Page(module, stream).write();
  return text;
}
